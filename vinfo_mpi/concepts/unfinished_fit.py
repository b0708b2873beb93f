"""An unfinished factorisation on disk, from which a killed job resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vinfo_mpi.numerics.nmf import State
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import rows
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import Column, RowReader, batch_rows

FILETYPE = "vinfo-dictionary-fit"


def save(
    run: Run,
    state: State,
    ids: np.ndarray,
    positions: int,
    total: int,
    provenance: Mapping[str, Any],
) -> None:
    """Write where a fit stands, all ranks together.

    Parameters
    ----------
    run : Run
    state : State
    ids : (n,) int64 array
        Of this rank's images.
    positions, total : int
        Rows per image; images over all ranks.
    provenance : dict
        Attributes of the finished dictionary.
    """
    k = len(state.codes)
    codes_so_far = Table(None, "codes so far", axes=("sample", "position", "atom"))
    image_ids = Table(None, "stable id of the image", axes=("sample",))
    columns = {
        "codes": Column((positions, k), "float64", codes_so_far),
        "samples/id": Column((), "int64", image_ids),
    }
    tables = {
        "atoms": Table(
            state.atoms.cpu().numpy(), "atoms so far", axes=("group", "atom", "channel")
        ),
        "objective": Table(
            np.array(state.objective), "||X - Z D||² after every iteration", axes=("iteration",)
        ),
    }
    attributes = {**provenance, "filetype": FILETYPE, "size": state.size}
    size = batch_rows(columns, total)
    rows_of_rank = run.ranks.block(total)
    codes = state.codes.T.reshape(len(ids), positions, k)
    # Whole or not at all: what is half written is of another iteration than what comes next.
    file = run.row_file(_path(run), columns, total, attributes, tables)
    with run.writer([file], size, stopping=lambda: False) as writer:
        for block in batches(rows_of_rank, size):
            here = slice(block.start - rows_of_rank.start, block.stop - rows_of_rank.start)
            values = {"codes": codes[here].cpu().numpy(), "samples/id": ids[here]}
            writer.write(block.start, values)


def read(run: Run, fingerprint: str, ids: np.ndarray) -> State | None:
    """Return where an earlier fit of the same images with the same settings was left, if any."""
    path = _path(run)
    if run.ranks.on_root(rows.fingerprint, path, FILETYPE) != fingerprint:
        return None
    with RowReader(path, FILETYPE) as file:
        total, _, k = file.shape("codes")
        block = run.ranks.block(total)
        if run.ranks.any(not np.array_equal(file.read("samples/id", block), ids)):
            return None
        codes = run.tensor(file.read("codes", block)).reshape(-1, k).T.contiguous()
        objective = file.read("objective").tolist()
        log.info("dictionary: resuming after iteration %d", len(objective))
        atoms = run.tensor(file.read("atoms"))
        return State(atoms, codes, objective, float(file.attributes["size"]))


def remove(run: Run) -> None:
    """Forget it, all ranks together."""
    run.ranks.on_root(rows.remove, _path(run))


def _path(run: Run) -> Path:
    return run.outputs / "dictionary.fit.h5"
