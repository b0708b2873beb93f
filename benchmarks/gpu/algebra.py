"""Speed of what stages spend their time on, at the sizes of ImageNet: codes, dictionary, score."""

from __future__ import annotations

import time
from functools import partial
from unittest import mock

import numpy as np
import torch

from benchmarks.gpu.session import Session
from vinfo_mpi.numerics import nmf, nndsvd, nnls, ridge
from vinfo_mpi.numerics.grouped_rows import GroupedRows
from vinfo_mpi.numerics.moments import FoldedCodes, Moments
from vinfo_mpi.numerics.nnls_rows import OpenRows
from vinfo_mpi.numerics.reduction import identity

DOUBLE = torch.float64
PARTS = 20  # atoms that a row is a sum of
RESIDUAL = 1e-4
VECTORS = 2_450_000  # 49 positions of 50,000 images: what the stage encodes
FOLDS = 5


def problem(
    rows: int, concepts: int, channels: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rows that are sparse sums of atoms but for some noise, and the atoms.

    Atoms have unit length. All is made on the device.
    """
    random = torch.Generator(device).manual_seed(0)
    atoms = torch.rand(concepts, channels, generator=random, device=device, dtype=DOUBLE).pow(4)
    atoms /= atoms.norm(dim=1, keepdim=True)
    vectors = torch.zeros(rows, channels, dtype=DOUBLE, device=device)
    for _ in range(PARTS):
        weight = torch.empty(rows, 1, device=device, dtype=DOUBLE).exponential_(generator=random)
        vectors += weight * atoms[torch.randint(concepts, (rows,), generator=random, device=device)]
    noise = torch.randn(rows, channels, generator=random, device=device, dtype=DOUBLE)
    return vectors * (1 + 0.1 * noise).clamp(min=0), atoms


def codes(session: Session) -> None:
    """Measure non-negative codes, few and many rows at once, beside the rate of products."""
    concepts, channels = session.choose((10000, 2048), (300, 64))
    counts = session.choose((980, 4096, 16384), (64, 256))
    vectors, atoms = problem(counts[-1], concepts, channels, session.device)
    dictionary = nnls.Dictionary(atoms, "directions")
    for count in counts:
        rows = vectors[:count]
        session.forget_peak()
        operations, iterations = counted(dictionary, rows)
        seconds, result = session.time(partial(dictionary.encode, rows, RESIDUAL), 1, warm=0)
        session.speed(
            f"codes of {count} rows, {concepts} atoms of {channels} channels",
            seconds,
            operations / session.ceilings["float64"],
            iterations=iterations,
            rows_per_second=count / seconds,
            whole_stage_hours=VECTORS / (count / seconds) / 3600,
            nonzero=float((result.codes > 0).double().sum(1).mean()),
            memory=session.peak,
        )
        worst = float(result.residual.max())
        session.check(
            f"codes of {count} rows reach the residual", worst <= RESIDUAL, residual=worst
        )


def counted(dictionary: nnls.Dictionary, rows: torch.Tensor) -> tuple[float, float]:
    """Return the operations of the codes of rows, and the mean iterations of a row."""
    concepts, channels = dictionary.atoms.shape
    done: list[int] = []

    def counting(open_rows: OpenRows, count: int) -> None:
        done.append(len(open_rows.index) * count)
        iterate(open_rows, count)

    iterate = OpenRows.iterate
    with mock.patch.object(OpenRows, "iterate", counting):
        dictionary.encode(rows, RESIDUAL)
    products = 2.0 * concepts * min(concepts, channels)
    looks = 2 * sum(done) / nnls.CHECK
    entering = 2.0 * len(rows) * channels * (concepts + min(concepts, channels))
    return products * (2 * sum(done) + looks) + entering, sum(done) / len(rows)


def dictionary(session: Session) -> None:
    """Measure a dictionary of every class: reading all rows once, initial atoms, an iteration."""
    groups, images, channels, atoms = session.choose((1000, 2450, 2048, 10), (8, 50, 64, 4))
    vectors, group = grouped(session, groups, images, channels)
    _start(session, GroupedRows(vectors, group, groups), atoms)
    session.forget_peak()
    seconds = fit_times(session, vectors, group, groups, atoms)
    reading = 2 * vectors.nbytes / session.ceilings["memory"]
    floor = max(reading, 4 * vectors.numel() * atoms / session.ceilings["float64"])
    session.speed(f"an iteration, {groups} x {atoms} atoms", seconds, floor, memory=session.peak)


def grouped(
    session: Session, groups: int, images: int, channels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return activations of so many images of every group, and their groups."""
    dtype = torch.float16 if session.on_gpu else torch.float32
    vectors = torch.rand(groups * images, channels, device=session.device, dtype=dtype)
    vectors *= torch.rand(1, channels, device=session.device, dtype=dtype)
    return vectors, torch.arange(groups, device=session.device).repeat_interleave(images)


def fit_times(
    session: Session, vectors: torch.Tensor, group: torch.Tensor, groups: int, atoms: int
) -> float:
    """Return the median seconds of an iteration of a fit."""
    ends: list[float] = []

    def after(_: object) -> None:
        session.synchronise()
        ends.append(time.perf_counter())

    nmf.fit(
        vectors, atoms, group, groups, init="random", max_iterations=8, tolerance=1e-12, after=after
    )
    return float(np.median(np.diff(ends)))


def _start(session: Session, rows: GroupedRows, atoms: int) -> None:
    """Measure what is done before the first iteration, and how long it takes to read all rows."""

    def read() -> None:
        for _ in rows.batches():
            pass

    x, memory = rows.x, session.ceilings["memory"]
    seconds, _ = session.time(read, 1)
    converted = x.numel() * (x.element_size() + 8)
    name = f"all rows once: {len(x)} x {x.shape[1]}, {x.dtype} to float64"
    session.speed(name, seconds, converted / memory)
    seconds, _ = session.time(lambda: nndsvd.atoms(rows, atoms, 0, False, identity), 1, warm=0)
    session.speed("initial atoms", seconds, 2 * 8 * 8 * x.numel() / memory)


def score(session: Session) -> None:
    """Measure V-information of a tap: moments, with few and many rows at once, and the solution."""
    images, concepts = session.choose((50000, 10000), (2000, 100))
    values = torch.rand(images, concepts, device=session.device, dtype=DOUBLE)
    values[values < 0.7] = 0
    fold = torch.arange(images, device=session.device) % FOLDS
    for channels in session.choose((256, 2048), (32,)):
        activations = torch.randn(images, channels, device=session.device)
        for rows in (1024, 8192):
            seconds, moments = session.time(
                partial(moments_of, activations, values, fold, rows), 1, warm=0
            )
            floor = 2 * images * channels * (channels + concepts) / session.ceilings["float64"]
            session.speed(
                f"moments, {images} x {channels} x {concepts}, {rows} rows at once", seconds, floor
            )
        _solve(session, moments, channels, concepts)
        del moments, activations


def moments_of(
    activations: torch.Tensor, values: torch.Tensor, fold: torch.Tensor, rows: int
) -> Moments:
    """Return the moments of activations and codes, so many rows at once."""
    moments = Moments(FOLDS, activations.shape[1], values.shape[1], activations.device)
    folded = FoldedCodes(FOLDS)
    for start in range(0, len(values), rows):
        block = slice(start, start + rows)
        moments.add_with(activations[block], folded.take(values[block], fold[block]))
    return moments


def _solve(session: Session, moments: Moments, channels: int, concepts: int) -> None:
    products = session.ceilings["float64"]
    seconds, factor = session.time(lambda: ridge.factorise(moments, 0), 1)
    session.speed(
        f"  factorisation, {channels} channels, one fold", seconds, 4 * channels**3 / products
    )
    seconds, _ = session.time(lambda: ridge.errors(factor, moments, 0, ridge.PENALTIES), 1)
    work = (4 + 2 * len(ridge.PENALTIES)) * concepts * channels**2
    session.speed(
        f"  errors, {channels} channels, one fold, {len(ridge.PENALTIES)} penalties",
        seconds,
        work / products,
    )
