"""Who computes together: a program alone, or the ranks of a communicator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.single import Single

if TYPE_CHECKING:
    from mpi4py import MPI

    from vinfo_mpi.parallel.ranks import Ranks


def ranks_of(comm: MPI.Comm | None) -> Ranks | Single:
    """Return the ranks of a communicator; for None a single one, without loading MPI."""
    if comm is None:
        return Single()
    if not hasattr(comm, "Get_rank"):
        raise InputError(f"comm: is {type(comm).__name__}; give a communicator of mpi4py, or None")
    from vinfo_mpi.parallel.ranks import Ranks

    return Ranks(comm)


def same_on_all(ranks: Ranks | Single, what: str, value: object) -> None:
    """Raise `InputError` on all ranks unless all of them give the same value."""
    values = ranks.allgather(value)
    other = [rank for rank, of_rank in enumerate(values) if of_rank != values[0]]
    if other:
        raise InputError(
            f"{what}: rank {other[0]} gives {values[other[0]]}, rank 0 {values[0]}; "
            "they must be the same on all ranks, on a rank without rows as well"
        )
