"""Clusters of similar concepts and of similar classes.

Clusters and a map of the atoms, trees of the classes by their concepts.

mpirun -n 8 python -m vinfo_mpi.analyses.metafeatures
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("metafeatures", __doc__)

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vinfo_mpi.analyses import super_classes
from vinfo_mpi.concepts import encoders, slopes_costs, vinformation
from vinfo_mpi.concepts.slopes import slopes_of_head
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.numerics import clustering, embedding, profiles
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.numerics.attribution import ClassAttribution
from vinfo_mpi.numerics.profiles import Profiles
from vinfo_mpi.numerics.selection import by_complexity
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import COMPLEXITY
from vinfo_mpi.results.schema_metafeatures import (
    CLASSES,
    CLUSTER,
    CLUSTER_COMPLEXITY,
    CLUSTER_SHOWN,
    CLUSTER_SIZE,
    CLUSTERS,
    CONCEPT_LINKAGE,
    LEAVES,
    LINKAGE,
    MAP_X,
    MAP_Y,
    SUPER_CLASS,
    SUPER_IMPORTANCE,
    SUPER_LEAVES,
    SUPER_LINKAGE,
    SUPER_NAMES,
    TREE_CONCEPTS,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import read_table

SHOWN = 0.2  # of the clusters in the figure: the paper's 30 of 150
IN_TREE = 1000  # concepts in their tree, at most: it takes the distances of all pairs
PER_ROOT = 1.5  # clusters per root of the number of atoms: the paper's 150 for 10,000
SCIKIT_LEARN = 90 * 2**20  # bytes that the program grows by when K-means and t-SNE are loaded
NEIGHBOURS = 3 * embedding.PERPLEXITY + 1  # of an atom, that scikit-learn's t-SNE keeps

Datasets = dict[Dataset, np.ndarray | list[str]]


def find_metafeatures(run: Run, part: Part) -> None:
    """Write clusters and map of the atoms, the tree of classes, and what super-classes rest on."""
    with run.open_activations(run.final) as activations:
        classes = activations.classes
        groups = _read_super_classes(run, classes)
        datasets = _of_atoms(run, part.read_results(COMPLEXITY))
        last = run.config.dictionary.tap == "last"
        explained = groups is not None and run.config.network.classifies and last
        of_classes, attribution = _sums_over_classes(run, activations, explained)
    datasets[CLASSES] = classes
    datasets |= _tree(of_classes, LINKAGE, LEAVES)
    if groups is not None:
        names, group_of_class = groups
        datasets[SUPER_NAMES] = names
        datasets[SUPER_CLASS] = group_of_class
        datasets |= _tree(of_classes.merged(group_of_class), SUPER_LINKAGE, SUPER_LEAVES)
        if attribution is not None:
            importance, error = attribution.importance(group_of_class)
            datasets |= {SUPER_IMPORTANCE: importance, SUPER_IMPORTANCE.se: error}
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what scikit-learn, atoms, codes of all classes and neighbours for t-SNE take.

    With super-classes also the slopes at all images, on the device where there is one.
    """
    concepts = work.sizes.concepts
    explained = (
        work.config.metafeatures.super_classes is not None and work.config.network.classifies
    )
    classes = len(work.sizes.classes)
    in_tree = min(concepts, IN_TREE)
    tree = 4 * NUMBER * in_tree * in_tree
    arrays = tree + 4 * NUMBER * concepts * (work.sizes.d + classes)
    neighbours = 5 * 2 * NUMBER * concepts * NEIGHBOURS
    memory = SCIKIT_LEARN + arrays + neighbours
    sent = classes * (concepts + 1)
    if not explained:
        return Costs(memory=memory, on_cpu=True, sent=work.sent(sent))
    # Sums of the contributions, and of a block of these and of their squares, put side by side.
    attribution = 2 * NUMBER * concepts * (classes + 2 * work.rows)
    return Costs(
        memory=memory + slopes_costs.memory(work) + attribution,
        operations=slopes_costs.operations(work),
        sent=work.sent(sent + classes * (2 * concepts + 1)),
    )


def _read_super_classes(run: Run, classes: list[str]) -> tuple[list[str], np.ndarray] | None:
    """Return names of super-classes and the number of each class's; None where none are given."""
    path = run.config.metafeatures.super_classes
    return None if path is None else run.ranks.on_root(super_classes.read, Path(path), classes)


def _of_atoms(run: Run, complexity: np.ndarray) -> Datasets:
    """Return what is written of the atoms, from the complexity of their concepts (K,)."""
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")
    used = np.asarray(atoms.any(axis=1))
    if not used.any():
        raise NotApplicable(
            f"metafeatures compares atoms, and those in {run.dictionary} are all zero"
        )
    of_used = _compare(run, atoms[used])
    cluster = np.full(len(atoms), -1)
    cluster[used] = clustering.ranked(of_used["cluster"], complexity[used])
    size, mean = clustering.summary(cluster[used], complexity[used])
    classes = read_table(run.dictionary, "vinfo-dictionary", "class")
    log.info("metafeatures: %d clusters of %d atoms, mean complexity from %.3f to %.3f",
             len(size), used.sum(), np.nanmin(mean), np.nanmax(mean))  # fmt: skip
    datasets: Datasets = {
        CLUSTER: cluster,
        CLUSTERS: np.arange(len(size)),
        CLUSTER_SIZE: size,
        CLUSTER_COMPLEXITY: mean,
        CLUSTER_COMPLEXITY.se: clustering.standard_errors(
            cluster[used], complexity[used], classes[used]
        ),
        CLUSTER_SHOWN: _shown(len(size)),
        **_tree_of_concepts(atoms, used, complexity),
    }
    if "map" in of_used:
        places = np.full((len(atoms), 2), np.nan)
        places[used] = of_used["map"]
        method = run.config.metafeatures.map
        datasets[MAP_X.filled(method=method)] = places[:, 0]
        datasets[MAP_Y.filled(method=method)] = places[:, 1]
    return datasets


def _shown(clusters: int) -> np.ndarray:
    """Return which clusters the figure shows, evenly spaced by complexity, which numbers them."""
    shown = np.zeros(clusters)
    shown[evenly_spaced(clusters, max(1, round(SHOWN * clusters)))] = 1
    return shown


def _tree_of_concepts(atoms: np.ndarray, used: np.ndarray, complexity: np.ndarray) -> Datasets:
    """Return the tree of the living concepts, of some evenly spaced ones where they are many."""
    ranked = by_complexity(np.where(used, complexity, np.nan))
    chosen = np.sort(ranked[evenly_spaced(len(ranked), IN_TREE)])
    return {
        TREE_CONCEPTS.filled(most=str(IN_TREE)): chosen,
        CONCEPT_LINKAGE: profiles.tree(atoms[chosen]),
    }


def _compare(run: Run, atoms: np.ndarray) -> dict[str, np.ndarray]:
    """Return cluster (K,) and place on the map (K, 2) of atoms that are not zero.

    One rank makes the clusters, the next one the map.
    """
    options = run.config.metafeatures
    seed = run.config.seed
    clusters = options.clusters or max(1, round(PER_ROOT * np.sqrt(len(atoms))))
    jobs: dict[str, Callable[[], np.ndarray]] = {
        "cluster": lambda: clustering.kmeans(atoms, clusters, seed)
    }
    if options.map != "none":
        jobs["map"] = lambda: _map(atoms, options.map, seed)
    with run.clock.phase("atoms"), run.ranks.together():
        of_rank = {
            name: job()
            for turn, (name, job) in enumerate(jobs.items())
            if turn % run.ranks.size == run.ranks.rank
        }
    return run.ranks.union(of_rank)


def _map(atoms: np.ndarray, method: str, seed: int) -> np.ndarray:
    try:
        return embedding.plane(atoms, method, seed)
    except ImportError as error:
        raise InputError(
            f"metafeatures.map is umap, which needs umap-learn ({error}): pip install umap-learn, "
            "or use tsne"
        ) from None


def _sums_over_classes(
    run: Run, activations: ActivationReader, explained: bool
) -> tuple[Profiles, ClassAttribution | None]:
    """Return the sums of all classes' codes and, where asked for, of their contributions."""
    with run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        n, concepts = codes.shape("codes")
        explained_class = f"samples/{run.config.importance.target}"
        classes = len(activations.classes)
        of_classes = Profiles(classes, concepts, run.device)
        attribution = None
        if explained:
            attribution = ClassAttribution(classes, concepts, run.device)
            slopes = slopes_of_head(run, activations, *encoders.decoder(run))
        blocks = batches(run.ranks.block(n), run.config.machine.rows)
        for rows in run.progress(blocks, "metafeatures: blocks"):
            labels = torch.from_numpy(activations.read("samples/label", rows)).to(run.device)
            z = run.tensor(codes.read("codes", rows))
            of_classes.add(z, labels)
            if attribution is not None:
                target = torch.from_numpy(activations.read(explained_class, rows)).to(run.device)
                attribution.add(z, slopes(z, target), labels)
    if attribution is not None:
        attribution.reduced(run.ranks.sum)
    return of_classes.reduced(run.ranks.sum), attribution


def _tree(of_classes: Profiles, linkage: Dataset, leaves: Dataset) -> Datasets:
    merges = profiles.tree(of_classes.means())
    return {linkage: merges, leaves: profiles.leaves(merges)}
