"""Stages at the size of the paper on this machine: predicted by the model, then run.

What they read is generated: activations and codes of 50,000 images at the 16 blocks of ResNet-50
and 10,000 concepts to be scored; maps of 100 images to be encoded in 10,000 atoms; maps of 10,000
images of 1,000 classes to be factorised, 10 atoms each. What they give is compared with
scikit-learn's regressions and factorisation, and with the optimality conditions of codes.

    python -m benchmarks.paper_size score encode dictionary

They write 9, 1 and 3 GB under runs/benchmarks/, which go again, and hold up to 4 GB of memory.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls as scipy_nnls
from sklearn.decomposition import NMF
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from benchmarks import check, encode, limits, machine, model, side_by_side, study
from benchmarks.check import Checked
from benchmarks.machine import Machine
from vinfo_mpi.concepts import vinformation
from vinfo_mpi.config.load import check_config
from vinfo_mpi.costs.workload import TYPICAL, Workload
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics.sparse_codes import SparseCodes
from vinfo_mpi.parallel import malloc
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.results.schema import VINFORMATION
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import codes as codes_file
from vinfo_mpi.storage import hdf5
from vinfo_mpi.storage.activations import MAP, Layout
from vinfo_mpi.storage.hdf5 import Table, read_table
from vinfo_mpi.storage.rows import Column

PLACE = Path("runs/benchmarks")
ROWS = 500  # written at once
FIRES = 0.02  # share of the images on which a concept occurs
NOISE = 0.03  # of the activations, standard deviation
COMPARED = 4  # concepts, of which scikit-learn finds the V-information as well
R2_AGREES = 1e-6
# Of the squared error of scikit-learn's factorisation, that ours may have more.
ERROR_AGREES = 0.02
# What codes say of themselves.
FAITHFUL = {"relative_error": 0.0, "relative_error_positions": 0.0, "predictions_kept": 1.0}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Size:
    """Sizes of a case.

    Attributes
    ----------
    images : int
    taps : dict of int to int
        Channels: how many taps have so many.
    positions, classes, concepts_per_class : int
    """

    images: int
    taps: Mapping[int, int]
    positions: int = 1
    classes: int = 1000
    concepts_per_class: int = 10

    @property
    def concepts(self) -> int:
        """Concepts of all classes."""
        return self.classes * self.concepts_per_class

    @property
    def widths(self) -> dict[str, int]:
        """Channels of every tap, by name, the narrowest first."""
        channels = [width for width, count in self.taps.items() for _ in range(count)]
        return {f"block{number}": width for number, width in enumerate(channels)}

    @property
    def d(self) -> int:
        """Channels of the last tap."""
        return [*self.taps][-1]

    def labels(self, rows: range) -> np.ndarray:
        """Return the class of some images, which lie in the order of their classes."""
        return np.arange(rows.start, rows.stop) * self.classes // self.images


SIZES = {
    "score": Size(50_000, study.RESNET50),
    "encode": Size(100, {2048: 1}, positions=16),
    "dictionary": Size(10_000, {2048: 1}, positions=16),
}


def main() -> None:
    """Print a table of the stages asked for and write it as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paper_size", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("stages", nargs="*", default=[*SIZES], metavar="STAGE")
    side_by_side.add_cpu_seconds(parser)
    parser.add_argument("--json", type=Path, default=PLACE / "paper_size.json", metavar="FILE")
    arguments = parser.parse_args()
    unknown = {*arguments.stages} - {*SIZES}
    if unknown:
        parser.error(f"{unknown.pop()}: stages are {', '.join(SIZES)}")
    if arguments.cpu_seconds:
        limits.count_cpu_seconds()
    malloc.keep_freed()  # as our commands do
    PLACE.mkdir(parents=True, exist_ok=True)
    here = machine.measured(forward=math.inf, decode=math.inf)
    content: dict[str, Any] = {"machine_rates": asdict(here), "stages": []}
    for stage in arguments.stages:
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            row = measured(stage, SIZES[stage], Path(folder), here)
        side_by_side.show(check.table([row]))
        content["stages"].append(asdict(row))
        side_by_side.save(arguments.json, content)
    print(f"{arguments.json}: the same as JSON")


def measured(stage: str, size: Size, folder: Path, here: Machine) -> Checked:
    """Return what the model predicts of a stage with the rates of this machine and what it takes.

    Raises
    ------
    AssertionError
        Where its result is wrong.
    """
    run = _run(size, folder)
    write, is_right = CASES[stage]
    write(run, size)
    done = check.run_measured(run, stage)
    is_right(run, size)
    iterations = dict(TYPICAL)
    if stage == "dictionary":
        iterations[stage] = len(read_table(run.dictionary, "vinfo-dictionary", "objective"))
    work = _work(run, size, iterations)
    (predicted,) = [each for each in model.estimate(here, work) if each.stage == stage]
    case = f"{size.images:,} images, {size.concepts:,} concepts"
    return check.compared(case, predicted, done)


def _run(size: Size, folder: Path) -> Run:
    """Return a run with the settings of the paper and a single checkpoint, which is never read."""
    concepts = {"concepts_per_class": size.concepts_per_class}
    kept = {"by_position": "always"}  # so that every code can be looked at
    config = check_config(study.PAPER | {"dictionary": concepts, "encode": kept})
    run = Run(config, folder, Ranks(), torch.device("cpu"), [], "benchmarks.paper_size")
    run.checkpoints = [Checkpoint(0, folder / "0.pt")]
    return run


def _work(run: Run, size: Size, iterations: Mapping[str, float]) -> Workload:
    sizes, _ = study.paper(size.images)
    sizes = replace(
        sizes,
        checkpoints=1,
        classes=[""] * size.classes,
        outputs=size.classes,
        positions=size.positions,
        map=size.positions,
        d=size.d,
        widths=size.widths,
        branches={},
        concepts=size.concepts,
        groups=size.classes,
        base=0,
    )
    return Workload(sizes, run.config, ranks=1, iterations=iterations)


# --- what the stages read ---


def _write_scored(run: Run, size: Size) -> None:
    """Write codes, and taps of which each is a linear image of some of them, and noise."""
    random = np.random.default_rng(0)
    mixing = {tap: random.standard_normal((_mixed(size), d)) for tap, d in size.widths.items()}

    def scored(rows: range) -> Arrays:
        random = np.random.default_rng(rows.start)
        shape = (len(rows), size.concepts)
        occurs = random.random(shape, np.float32) < FIRES
        return {"codes": np.where(occurs, random.standard_exponential(shape, np.float32), 0)}

    def seen(rows: range) -> Arrays:
        codes = scored(rows)["codes"][:, : _mixed(size)]
        random = np.random.default_rng(rows.stop)
        noise = NOISE * random.standard_normal((len(rows), size.d), np.float32)
        return {
            f"taps/{tap}/activations": codes @ mix + noise[:, : mix.shape[1]]
            for tap, mix in mixing.items()
        }

    _write_activations(run, size, seen)
    _write_rows(run, run.codes, "vinfo-codes", codes_file.columns(size.concepts), size, scored)
    _write_atoms(run, random.random((size.concepts, size.d)), size)


def _mixed(size: Size) -> int:
    """Return of how many concepts the activations tell."""
    return min(size.widths.values()) // 2


def _write_encoded(run: Run, size: Size) -> None:
    """Write maps that are sparse sums of atoms, and the atoms."""
    vectors = size.images * size.positions
    x, atoms = encode.sample(encode.Size(vectors, size.d, size.concepts, 0))
    maps = x.reshape(size.images, size.positions, size.d)
    _write_activations(run, size, lambda rows: {MAP: maps[rows.start : rows.stop]})
    _write_atoms(run, atoms, size)


def _write_factorised(run: Run, size: Size) -> None:
    """Write maps that are sparse sums of few atoms of their class, and noise."""

    def seen(rows: range) -> Arrays:
        maps = np.empty((len(rows), size.positions, size.d), np.float32)
        labels = size.labels(rows)
        for label in np.unique(labels):
            of_class = np.random.default_rng(label)
            atoms = of_class.gamma(0.5, size=(size.concepts_per_class, size.d))
            random = np.random.default_rng([rows.start, label])
            shape = (int((labels == label).sum()), size.positions, size.concepts_per_class)
            codes = np.where(random.random(shape) < 0.3, random.standard_exponential(shape), 0)
            noise = random.random((*shape[:2], size.d), np.float32)
            maps[labels == label] = codes @ atoms + noise
        return {MAP: maps}

    _write_activations(run, size, seen)


def _write_activations(run: Run, size: Size, values: Callable[[range], Arrays]) -> None:
    shifts = {tap: np.zeros(width, np.float32) for tap, width in size.widths.items()}
    names = [str(label) for label in range(size.classes)]
    head = (np.ones((size.classes, size.d), np.float32), np.zeros(size.classes, np.float32))
    shape = (size.positions, size.d)
    layout = Layout(shifts, {}, "average", "float16", size.classes, names, shape, head)
    path = run.activations(run.final)
    columns = layout.columns()
    _write_rows(run, path, "vinfo-activations", columns, size, values, layout.tables())


def _write_rows(
    run: Run,
    path: Path,
    filetype: str,
    columns: Mapping[str, Column],
    size: Size,
    values: Callable[[range], Arrays],
    tables: Mapping[str, Table] | None = None,
) -> None:
    """Write a file of rows; what has no values but for ids and classes is zeros."""
    attributes = run.provenance(filetype, "", {}) | FAITHFUL
    file = run.row_file(path, columns, size.images, attributes, tables)
    with run.writer([file], ROWS) as writer:
        for rows in writer.todo:
            content: Arrays = {
                name: np.zeros((len(rows), *column.shape), column.dtype)
                for name, column in columns.items()
            }
            ids = np.arange(rows.start, rows.stop)
            content |= values(rows) | {"samples/id": ids}
            content |= {"samples/label": size.labels(rows), "samples/content": ids}
            writer.write(
                rows.start,
                {name: content[name].astype(column.dtype) for name, column in columns.items()},
            )


def _write_atoms(run: Run, atoms: np.ndarray, size: Size) -> None:
    classes = np.repeat(np.arange(size.classes), size.concepts_per_class)
    tables = {
        "atoms": Table(atoms, "atoms", axes=("concept", "channel")),
        "class": Table(classes, "class", axes=("concept",)),
    }
    hdf5.write_tables(run.dictionary, tables, run.provenance("vinfo-dictionary", "", {}))


# --- whether what they write is right ---


def _scores_are_right(run: Run, size: Size) -> None:
    """Compare the V-information of some concepts at the narrowest tap with scikit-learn's.

    Of some that the activations tell of, and of others.
    """
    options = run.config.score
    told = _mixed(size) - COMPARED // 2
    concepts = slice(told, told + COMPARED)
    tap = next(iter(size.widths))
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        fold = vinformation.fold_of_rows(run, codes, activations).numpy()
        x = activations.read(f"taps/{tap}/activations").astype(np.float64)
        z = np.concatenate(
            [
                codes.read("codes", range(start, min(start + ROWS, size.images)))[:, concepts]
                for start in range(0, size.images, ROWS)
            ]
        )
    dataset = VINFORMATION.filled(how=f"{options.family}, {options.estimator}").name
    ours = read_table(run.results, "vinfo-results", dataset)[0, concepts]
    theirs = _by_scikit_learn(x, z, fold, options.penalties)
    assert np.abs(ours - theirs).max() < R2_AGREES, (ours, theirs)
    assert ours.min() < 0.5 < ours.max(), ours


def _by_scikit_learn(
    x: np.ndarray, z: np.ndarray, fold: np.ndarray, penalties: list[float]
) -> np.ndarray:
    """Return the held-out R² of each concept, with the penalty that is best for it: (K,)."""
    errors = np.zeros((len(penalties), z.shape[1]))
    for held_out in np.unique(fold):
        learned = fold != held_out
        scaler = StandardScaler().fit(x[learned])
        train, test = scaler.transform(x[learned]), scaler.transform(x[~learned])
        for row, penalty in enumerate(penalties):
            ridge = Ridge(alpha=penalty * len(train)).fit(train, z[learned])
            errors[row] += np.square(z[~learned] - ridge.predict(test)).sum(0)
    return (1 - errors.min(0) / (len(z) * z.var(0))).clip(0)


def _codes_are_right(run: Run, size: Size) -> None:
    """Hold the codes of every position of the first image to the optimality conditions."""
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")
    first = range(1)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vectors = activations.read(MAP, first)[0].astype(np.float64)
        names = (f"{codes_file.BY_POSITION}/{name}" for name in ("counts", "atoms", "codes"))
        packed = SparseCodes(*(codes.read(name, first) for name in names))
        averaged = codes.read("codes", first)[0]
    zeros = np.zeros(size.concepts, np.int64)
    z = packed.at_positions(zeros, np.arange(size.concepts)).T  # (P, K)
    assert np.abs(z.mean(0) - averaged).max() < 1e-6 * averaged.max()
    residual = encode.residual(z, vectors, atoms)
    assert residual < run.config.encode.tolerance + 1e-6, residual


def _atoms_are_right(run: Run, size: Size) -> None:
    """Compare the error that the atoms of the first class leave with scikit-learn's."""
    k = size.concepts_per_class
    atoms = read_table(run.dictionary, "vinfo-dictionary", "atoms")[:k]
    of_class = range(int(np.searchsorted(size.labels(range(size.images)), 1)))
    with run.open_activations(run.final) as activations:
        x = activations.read(MAP, of_class).reshape(-1, size.d).astype(np.float64)
    ours = sum(scipy_nnls(atoms.T, row)[1] ** 2 for row in x)
    theirs = NMF(k, init="nndsvda", max_iter=200).fit(x).reconstruction_err_ ** 2
    assert ours < (1 + ERROR_AGREES) * theirs, (ours, theirs)


CASES: dict[str, tuple[Callable[[Run, Size], None], Callable[[Run, Size], None]]] = {
    "score": (_write_scored, _scores_are_right),
    "encode": (_write_encoded, _codes_are_right),
    "dictionary": (_write_factorised, _atoms_are_right),
}


if __name__ == "__main__":
    main()
