"""Which concepts and which classes are alike: clusters and a map of the atoms, trees of the classes by their concepts.

mpirun -n 8 python -m vinfo_mpi.analyses.metafeatures
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("metafeatures", __doc__)

from pathlib import Path

import numpy as np
import torch
import yaml

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.errors import InputError, NotApplicable, choices
from vinfo_mpi.numerics import clustering, embedding, profiles
from vinfo_mpi.numerics.profiles import Profiles
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import Table, fixed_width, read_table

PER_ROOT = 1.5  # clusters per root of the number of atoms: the paper's 150 for 10,000


def run(run: Run, force: bool = False) -> None:
    """Write the cluster of every atom and its place on the map, what clusters have in common, and the trees of classes."""
    provenance = freshness.provenance(run, "metafeatures", "vinfo-results")
    options = run.config.metafeatures
    with run.open_activations(run.final) as activations:
        classes = activations.classes
        supers = run.ranks.on_root(super_classes, Path(options.super_classes), classes) if options.super_classes else None
        tables = _atoms(run)
        found = _profiles(run, activations)
    tables["metafeatures/classes"] = Table(fixed_width(classes), "names of the classes", axes=("class",))
    tables |= _tree(found, "metafeatures/", "classes")
    if supers:
        names, groups = supers
        tables["metafeatures/super_names"] = Table(fixed_width(names), "names of the super-classes", axes=("super_name",))
        tables["metafeatures/super_class"] = Table(groups, "super-class of every class", axes=("class",))
        tables |= _tree(found.merged(groups), "metafeatures/super_", "super-classes")
    run.ranks.on_root(store.update, run.results, "metafeatures", tables, provenance)


def _atoms(run: Run) -> dict[str, Table]:
    """Return clusters and map of the atoms; one rank makes the clusters, the next one the map."""
    options, seed = run.config.metafeatures, run.config.seed
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")
    complexity = read_table(run.results, "vinfo-results", "concepts/complexity")
    used = atoms.any(axis=1)
    if not used.any():
        raise NotApplicable(f"metafeatures compares atoms, and those in {run.dictionary} are all zero")
    wanted = options.clusters or max(1, round(PER_ROOT * np.sqrt(used.sum())))
    jobs = {"cluster": lambda: clustering.kmeans(atoms[used], wanted, seed)}
    if options.map != "none":
        jobs["map"] = lambda: _map(atoms[used], options.map, seed)
    with run.clock.phase("atoms"), run.ranks.together():
        mine = {name: job() for turn, (name, job) in enumerate(jobs.items()) if turn % run.ranks.size == run.ranks.rank}
    found = {name: values for part in run.ranks.gather(mine) for name, values in part.items()}

    cluster = np.full(len(atoms), -1)
    cluster[used] = clustering.ranked(found["cluster"], complexity[used])
    size, mean, error = clustering.summary(cluster[used], complexity[used])
    log.info("metafeatures: %d clusters of %d atoms, mean complexity from %.3f to %.3f",
             len(size), used.sum(), np.nanmin(mean), np.nanmax(mean))  # fmt: skip
    one = ("cluster",)
    tables = {
        "concepts/cluster": Table(cluster, "cluster of the atom; -1: the atom is zero", None, ("concept",)),
        "metafeatures/clusters": Table(np.arange(len(size)), "number of the cluster, by rising mean complexity", None, one),
        "metafeatures/size": Table(size, "atoms in the cluster", None, one),
        "metafeatures/complexity": Table(mean, "mean complexity of the cluster's concepts", "1", one),
        "metafeatures/complexity_se": Table(error, "its standard error over the concepts", "1", one),
    }
    for axis, name in enumerate(("map_x", "map_y") if "map" in found else ()):
        place = np.full(len(atoms), np.nan)
        place[used] = found["map"][:, axis]
        tables[f"concepts/{name}"] = Table(place, f"where the atom lies on the map ({options.map})", None, ("concept",))
    return tables


def _map(atoms: np.ndarray, method: str, seed: int) -> np.ndarray:
    try:
        return embedding.plane(atoms, method, seed)
    except ImportError as error:
        raise InputError(
            f"metafeatures.map is umap, which needs umap-learn ({error}): pip install umap-learn, or use tsne"
        ) from None


def _profiles(run: Run, activations: ActivationReader) -> Profiles:
    """Return the mean codes of all classes."""
    with run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        n, concepts = codes.shape("codes")
        found = Profiles(len(activations.classes), concepts, run.device)
        for block in run.progress(batches(run.ranks.block(n), run.config.machine.rows), "metafeatures: blocks"):
            labels = torch.from_numpy(activations.read("samples/label", block)).to(run.device)
            found.add(run.tensor(codes.read("codes", block)), labels)
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    return found.reduced(run.ranks.sum)


def _tree(found: Profiles, prefix: str, what: str) -> dict[str, Table]:
    merges = profiles.tree(found.means())
    text = f"tree of the {what} by the cosine distance of their mean codes: average linkage, in SciPy's format"
    return {
        f"{prefix}linkage": Table(merges, text, axes=("merge", "column")),
        f"{prefix}leaves": Table(profiles.leaves(merges), f"the {what} in the order of the tree", axes=("leaf",)),
    }


def super_classes(path: Path, classes: list[str]) -> tuple[list[str], np.ndarray]:
    """Read which super-class each class belongs to.

    Parameters
    ----------
    path : Path
        A YAML file, class: super-class.
    classes : list of C str
        All of which it must name.

    Returns
    -------
    names : list of str
        The super-classes, in the order of their first class.
    groups : (C,) int64 array
        Number of each class's super-class.

    Raises
    ------
    InputError
        If it cannot be read, does not say it of every class, or names a class that there is not.
    """
    where = f"metafeatures.super_classes: {path}"
    try:
        of = yaml.load(path.read_bytes(), yaml.BaseLoader)  # all is text: a class named 3 or no is no number and no truth
    except OSError as error:
        raise InputError(f"{where} cannot be read ({error.strerror}); give the path of a YAML file, class: super-class") from None
    except yaml.YAMLError as error:
        raise InputError(f"{where} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(of, dict):
        raise InputError(f"{where} holds no pairs; write a line for each class, such as '{classes[0]}: name of its super-class'")
    for name in of:
        if name not in classes:
            raise InputError(f"{where} names '{name}', which is no class of the data set; {choices(name, classes)}")
    for name in classes:
        if not isinstance(of.get(name), str) or not of[name]:
            raise InputError(f"{where} gives class '{name}' no super-class; add a line '{name}: name of its super-class'")
    names = list(dict.fromkeys(of[name] for name in classes))
    return names, np.array([names.index(of[name]) for name in classes])
