"""Concepts as the atoms of a factorisation of the last tap, all ranks together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vinfo_mpi import units
from vinfo_mpi.concepts import factorisation_costs, unfinished_fit
from vinfo_mpi.config.schema import Dictionary
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.heads import after_relu
from vinfo_mpi.numerics import nmf
from vinfo_mpi.numerics.nmf import State
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.hdf5 import Table


@dataclass
class Rows:
    """The part of the matrix to factorise that lies on this rank.

    Attributes
    ----------
    x : (n P, d) tensor
        Vectors of the last tap, every position of every image of this rank.
    ids : (n,) int64 array
        Ids of the images.
    positions, total : int
        Positions P per image; images over all ranks.
    group : (n P,) int64 tensor
        Class of every vector; zeros for a joint dictionary.
    groups, concepts : int
        Number of dictionaries that are fitted together; atoms of each, at most.
    atoms : (G,) int64 array
        Atoms of each.
    signed : bool
        Whether atoms may have negative numbers.
    """

    x: torch.Tensor
    ids: np.ndarray
    positions: int
    total: int
    group: torch.Tensor
    groups: int
    concepts: int
    atoms: np.ndarray
    signed: bool

    @property
    def used(self) -> np.ndarray:
        """Mask of the atoms that exist: (G, k) bool."""
        return np.arange(self.concepts) < self.atoms[:, None]


class Factorisation:
    """Atoms and codes whose products are the last tap, found by a fit. See `ConceptKind`."""

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return the number of atoms in all. See `ConceptKind`."""
        options = run.config.dictionary
        if not _by_class(options):
            return options.concepts
        images = run.subject.images
        return int(_atoms_of_classes(options, images.labels[run.subject.ids], images.classes).sum())

    def groups(self, run: Run) -> int:
        """Return the number of classes, or one for a joint dictionary. See `ConceptKind`."""
        return len(run.subject.images.classes) if _by_class(run.config.dictionary) else 1

    def make(self, run: Run, part: Part) -> tuple[dict[str, Table], dict[str, Any]]:
        """Fit atoms and codes, resuming an unfinished fit of the same data and settings.

        See `ConceptKind`.
        """
        fingerprint = part.provenance["fingerprint"]
        with run.clock.phase("read"):
            rows = read_rows(run)
        start = unfinished_fit.read(run, fingerprint, rows.ids)

        def save(state: State) -> None:
            unfinished_fit.save(run, state, rows.ids, rows.positions, rows.total, part.provenance)

        def after(copy: Callable[[], State]) -> None:
            bar.update()
            run.safe_point(lambda: save(copy()))

        options = run.config.dictionary
        with (
            run.clock.phase("fit"),
            run.bar("dictionary: iterations", options.max_iterations) as bar,
        ):
            state = fit(run, rows, run.config.seed, options.init, after, start)
        usage = run.ranks.sum(nmf.usage(state, rows.group))[torch.from_numpy(rows.used)]
        log.info(
            "dictionary: %d atoms (%d never used), relative error %.4f after %d iterations",
            usage.numel(),
            int((usage == 0).sum()),
            state.relative_error,
            len(state.objective),
        )
        return _tables(options, rows.atoms, atoms(rows, state), state.objective), {
            "relative_error_of_fit": state.relative_error
        }

    def costs(self, work: Workload) -> Costs:
        """Return what the fit takes. See `ConceptKind`."""
        return factorisation_costs.costs(work)


def fit(
    run: Run,
    rows: Rows,
    seed: int,
    init: str,
    after: Callable[[Callable[[], State]], None],
    start: State | None = None,
) -> State:
    """Return a factorisation of all ranks' rows with the settings of the run.

    Parameters are as those of `nmf.fit`.
    """
    options = run.config.dictionary
    return nmf.fit(
        rows.x,
        rows.concepts,
        rows.group,
        rows.groups,
        atoms_of_group=torch.from_numpy(rows.atoms),
        solver=options.solver,
        signed=rows.signed,
        init=init,
        tolerance=options.tolerance,
        max_iterations=options.max_iterations,
        seed=seed,
        reduce=run.ranks.sum,
        start=start,
        after=after,
    )


def atoms(rows: Rows, state: State) -> np.ndarray:
    """Return the atoms of a fit, group after group, without those that groups do not have."""
    return state.atoms.cpu().numpy()[rows.used]


def read_rows(run: Run) -> Rows:
    """Return this rank's vectors.

    Raises
    ------
    InputError
        If all classes are too small, or for negative activations that are not allowed.
    """
    options = run.config.dictionary
    with run.open_activations(run.final) as activations:
        labels = activations.read("samples/label")
        classes = activations.classes
        block = run.ranks.block(len(labels))
        x, lowest = _read_vectors(run, activations, block)
        positions = activations.shape(MAP)[1]
        ids = activations.read("samples/id", block)
    signed = _signed(run, negative=run.ranks.any(lowest < 0))
    if _by_class(options):
        group = labels[block.start : block.stop].repeat(positions)
        of_groups = _atoms_of_classes(options, labels, classes)
        _say_small(options, of_groups, classes)
    else:
        group = np.zeros(len(x), np.int64)
        of_groups = np.array([options.concepts])
    return Rows(
        x,
        ids,
        positions,
        len(labels),
        torch.from_numpy(group).to(run.device),
        len(of_groups),
        int(of_groups.max()),
        of_groups,
        signed,
    )


def _signed(run: Run, negative: bool) -> bool:
    """Whether atoms are signed: as the settings say, else where activations are negative."""
    options = run.config.dictionary
    if options.atoms == "signed":
        return True
    if negative and (options.atoms == "non-negative" or options.solver == "mu"):
        raise InputError(
            "the last tap has negative activations, to which NMF does not apply; "
            "set dictionary.atoms: signed (with solver: hals), or end extract.taps with a layer "
            f"after a ReLU ({after_relu(run.subject.network())})"
        )
    if negative:
        log.info("dictionary: the last tap has negative values: atoms are signed")
    return negative


def _read_vectors(
    run: Run, activations: ActivationReader, block: range
) -> tuple[torch.Tensor, float]:
    """Return the vectors of some images on the device, (n P, d) as stored, and the lowest value."""
    _, positions, d = activations.shape(MAP)
    stored = getattr(torch, run.config.extract.dtype)
    x = torch.empty(len(block) * positions, d, dtype=stored, device=run.device)
    lowest = torch.zeros((), dtype=stored, device=run.device)
    # A part at a time: the processor's memory need not have room for what the device has.
    for rows in batches(block, run.config.machine.rows):
        here = slice((rows.start - block.start) * positions, (rows.stop - block.start) * positions)
        part = x[here].copy_(torch.from_numpy(activations.read(MAP, rows)).flatten(0, 1))
        lowest = torch.minimum(lowest, part.amin())
    return x, lowest.item()


def _by_class(options: Dictionary) -> bool:
    return options.kind == "class-wise"


def _atoms_of_classes(options: Dictionary, labels: np.ndarray, classes: list[str]) -> np.ndarray:
    """Return how many atoms every class has: as asked, but at most one per image; (C,) int64.

    Raises
    ------
    InputError
        If no class has as many images as it is to have atoms.
    """
    counts = np.bincount(labels, minlength=len(classes))
    if counts.max() < options.concepts_per_class:
        smallest = int(counts.argmin())
        raise InputError(
            f"class '{classes[smallest]}' has {units.counted(int(counts[smallest]), 'image')}, "
            f"fewer than dictionary.concepts_per_class ({options.concepts_per_class}), and no "
            "class has enough; lower it, analyse more images, or use dictionary.kind: joint"
        )
    return np.minimum(counts, options.concepts_per_class)


def _say_small(options: Dictionary, of_classes: np.ndarray, classes: list[str]) -> None:
    """Say which classes have fewer atoms than asked for."""
    small = np.flatnonzero(of_classes < options.concepts_per_class)
    if len(small):
        named = ", ".join(f"{classes[label]}: {of_classes[label]}" for label in small[:10])
        log.info(
            "dictionary: %d of %d classes have fewer than %d images, and as many atoms as images "
            "(%s%s)",
            len(small),
            len(classes),
            options.concepts_per_class,
            named,
            ", ..." if len(small) > 10 else "",
        )


def _tables(
    options: Dictionary, of_groups: np.ndarray, atoms: np.ndarray, objective: list[float]
) -> dict[str, Table]:
    """Return the datasets of the dictionary."""
    classes = np.full(len(atoms), -1, np.int64)
    if _by_class(options):
        classes = np.repeat(np.arange(len(of_groups)), of_groups)
    return {
        "atoms": Table(atoms, "atoms of unit length", axes=("concept", "channel")),
        "class": Table(
            classes.astype(np.int64),
            "class whose images the atom was fitted to; -1: all",
            axes=("concept",),
        ),
        "objective": Table(
            np.array(objective), "||X - Z D||² after every iteration", axes=("iteration",)
        ),
    }
