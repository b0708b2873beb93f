"""Which atoms point the same way."""

from __future__ import annotations

import torch


def nearest(atoms: torch.Tensor, chosen: range, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the atoms with the largest cosine to each of some atoms.

    Parameters
    ----------
    atoms : (K, d) tensor
    chosen : range
        Numbers of n atoms.
    count : int
        How many of the K - 1 others; of equally near ones the first.

    Returns
    -------
    numbers, cosines : (n, count) int64, (n, count) tensors
        Nearest first. An atom that is zero has cosine 0 to all.
    """
    lengths = atoms.norm(dim=1, keepdim=True)
    units = atoms / torch.where(lengths > 0, lengths, 1.0)
    cosines = units[chosen.start : chosen.stop] @ units.T
    itself = torch.arange(chosen.start, chosen.stop, device=atoms.device)
    cosines.scatter_(1, itself[:, None], -torch.inf)
    values, numbers = cosines.sort(dim=1, descending=True, stable=True)
    count = min(count, len(atoms) - 1)
    return numbers[:, :count], values[:, :count]
