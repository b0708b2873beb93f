"""Make a dictionary of concepts of the last tap of the final network, all ranks together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vinfo_mpi.concepts import sources
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.heads import after_relu
from vinfo_mpi.numerics import nmf
from vinfo_mpi.numerics.nmf import State
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import hdf5
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import Column, RowReader, batch_rows, fingerprint, remove


@dataclass
class Rows:
    """What is factorised, as far as it lies on this rank.

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
        Number of dictionaries that are fitted together; atoms of each.
    """

    x: torch.Tensor
    ids: np.ndarray
    positions: int
    total: int
    group: torch.Tensor
    groups: int
    concepts: int


def run(run: Run, force: bool = False) -> None:
    """Write the dictionary: factors of the last tap, or what dictionary.source names."""
    attributes = freshness.provenance(run, "dictionary", "vinfo-dictionary")
    if force:
        run.ranks.on_root(_forget, run)
    if run.config.dictionary.source == "nmf":
        state = _factorise(run, attributes)
        tables, attributes = _tables(run, state), attributes | {"relative_error_of_fit": state.relative_error}
    else:
        with run.clock.phase("fit"):
            tables = sources.fit(run)

    def write() -> None:
        hdf5.write_tables(run.dictionary, tables, attributes)
        remove(_fit_file(run))

    run.ranks.on_root(write)


def _factorise(run: Run, attributes: dict) -> State:
    """Fit atoms and codes, going on from an unfinished fit of the same data and settings."""
    with run.clock.phase("read"):
        rows = read_rows(run)
    start = _unfinished(run, attributes["fingerprint"], rows)

    def after(copy: Callable[[], State]) -> None:
        bar.update()
        run.safe_point(lambda: _keep(run, copy(), rows, attributes))

    with run.clock.phase("fit"), run.bar("dictionary: iterations", run.config.dictionary.max_iterations) as bar:
        state = fit(run, rows, run.config.seed, run.config.dictionary.init, after, start)
    dead = int((run.ranks.sum(nmf.usage(state, rows.group)) == 0).sum())
    log.info("dictionary: %d atoms (%d never used), relative error %.4f after %d iterations",
             rows.groups * rows.concepts, dead, state.relative_error, len(state.objective))  # fmt: skip
    return state


def fit(
    run: Run, rows: Rows, seed: int, init: str, after: Callable[[Callable[[], State]], None], start: State | None = None
) -> State:
    """Return a factorisation of all ranks' rows with the settings of the run; parameters as `nmf.fit`."""
    options = run.config.dictionary
    return nmf.fit(
        rows.x,
        rows.concepts,
        rows.group,
        rows.groups,
        solver=options.solver,
        signed=options.atoms == "signed",
        init=init,
        tolerance=options.tolerance,
        max_iterations=options.max_iterations,
        seed=seed,
        reduce=run.ranks.sum,
        start=start,
        after=after,
    )


def read_rows(run: Run) -> Rows:
    """Return this rank's vectors; raise `InputError` for classes that are too small or negative activations."""
    options = run.config.dictionary
    by_class = options.kind == "class-wise"
    with run.open_activations(run.final) as file:
        labels, classes = file.read("samples/label"), file.classes
        counts = np.bincount(labels, minlength=len(classes))
        if by_class and (counts < options.concepts_per_class).any():
            few = int(counts.argmin())
            raise InputError(
                f"class '{classes[few]}' has {counts[few]} images, fewer than dictionary.concepts_per_class "
                f"({options.concepts_per_class}); lower it, analyse more images, or use dictionary.kind: joint"
            )
        mine = run.ranks.block(len(labels))
        x = torch.from_numpy(file.read("penultimate/activations", mine)).flatten(0, 1).to(run.device)
        positions = file.shape("penultimate/activations")[1]
        ids = file.read("samples/id", mine)
        run.clock.bytes_read += file.bytes_read
    if options.atoms == "non-negative" and run.ranks.any(bool((x < 0).any())):
        raise InputError(
            "the last tap has negative activations, to which NMF does not apply; set dictionary.atoms: signed, "
            f"or end extract.taps with a layer after a ReLU ({after_relu(run.subject.network())})"
        )
    own = labels[mine.start : mine.stop].repeat(positions) if by_class else np.zeros(len(x), np.int64)
    group = torch.from_numpy(own).to(run.device)
    groups, concepts = (len(classes), options.concepts_per_class) if by_class else (1, options.concepts)
    return Rows(x, ids, positions, len(labels), group, groups, concepts)


def _tables(run: Run, state: State) -> dict[str, Table]:
    groups, concepts, d = state.atoms.shape
    classes = np.repeat(np.arange(groups), concepts) if run.config.dictionary.kind == "class-wise" else -np.ones(concepts)
    return {
        "atoms": Table(state.atoms.reshape(-1, d).cpu().numpy(), "atoms of unit length", axes=("concept", "channel")),
        "class": Table(classes.astype(np.int64), "class whose images the atom was fitted to; -1: all", axes=("concept",)),
        "objective": Table(np.array(state.objective), "||X - Z D||² after every iteration", axes=("iteration",)),
    }


def _fit_file(run: Run) -> Path:
    return run.dictionary.with_name("dictionary.fit.h5")


def _keep(run: Run, state: State, rows: Rows, attributes: dict) -> None:
    """Write an unfinished fit, so that a killed job goes on from here."""
    k = len(state.codes)
    columns = {
        "codes": Column((rows.positions, k), "float64", Table(None, "codes so far", axes=("sample", "position", "atom"))),
        "samples/id": Column((), "int64", Table(None, "stable id of the image", axes=("sample",))),
    }
    tables = {
        "atoms": Table(state.atoms.cpu().numpy(), "atoms so far", axes=("group", "atom", "channel")),
        "objective": Table(np.array(state.objective), "||X - Z D||² after every iteration", axes=("iteration",)),
    }
    attributes = attributes | {"filetype": "vinfo-dictionary-fit", "size": state.size}
    size = batch_rows(columns, rows.total)
    mine = run.ranks.block(rows.total)
    codes = state.codes.T.reshape(len(rows.ids), rows.positions, k)
    # Whole or not at all: what is half written is of another iteration than what comes next.
    with run.writer(_fit_file(run), columns, rows.total, size, attributes, tables, stopping=lambda: False) as writer:
        for block in batches(mine, size):
            own = slice(block.start - mine.start, block.stop - mine.start)
            writer.write(block.start, {"codes": codes[own].cpu().numpy(), "samples/id": rows.ids[own]})


def _forget(run: Run) -> None:
    run.dictionary.unlink(missing_ok=True)
    remove(_fit_file(run))


def _unfinished(run: Run, wanted: str, rows: Rows) -> State | None:
    """Return where an earlier fit of the same images with the same settings was left."""
    path = _fit_file(run)
    if run.ranks.on_root(fingerprint, path, "vinfo-dictionary-fit") != wanted:
        return None
    with RowReader(path, "vinfo-dictionary-fit") as file:
        mine = run.ranks.block(file.shape("codes")[0])
        if run.ranks.any(not np.array_equal(file.read("samples/id", mine), rows.ids)):
            return None
        codes = run.tensor(file.read("codes", mine)).reshape(-1, rows.concepts).T.contiguous()
        objective = file.read("objective").tolist()
        log.info("dictionary: going on after iteration %d", len(objective))
        return State(run.tensor(file.read("atoms")), codes, objective, float(file.attributes["size"]))
