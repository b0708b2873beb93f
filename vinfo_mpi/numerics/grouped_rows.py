"""Rows that belong to groups, brought as float64 batches of several groups at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch

# Rows that are worked on at once: what bounds the memory beside the rows themselves. Few stay in a processor's cache,
# many keep a GPU busy.
BLOCK = {"cpu": 2**13, "cuda": 2**16}


class GroupedRows:
    """Rows of every group, cut into parts of at most `BLOCK` rows; parts of about equal length make up a batch.

    A batch is one operand of a batched matrix product, (b, m, d): part after part, the shorter ones filled up with zeros.
    Values of the rows are held in the same way, as one (b, k, m) tensor per batch: `pack` and `unpack`.

    Parameters
    ----------
    x : (n, d) tensor
        Stays as it is and where it is, on the CPU or a GPU.
    group : (n,) integer tensor
        Group of every row; default: one group.
    groups : int
        Number of groups.

    Attributes
    ----------
    sizes : (G,) int64 tensor
        Number of rows of every group.
    groups : list of (b,) int64 tensor
        Group of every part of each batch; a group of more than `BLOCK` rows has several parts.
    """

    def __init__(self, x: torch.Tensor, group: torch.Tensor | None = None, groups: int = 1) -> None:
        self.x, self.count = x, groups
        in_order = group is None or bool((group[1:] >= group[:-1]).all())
        self._order = None if in_order else torch.argsort(group, stable=True)  # type: ignore[arg-type]
        self.sizes = torch.tensor([len(x)], device=x.device) if group is None else torch.bincount(group, minlength=groups)
        ends = self.sizes.cumsum(0).tolist()
        size = BLOCK[x.device.type]
        parts = [
            (index, slice(first, min(first + size, end)))
            for index, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
            for first in range(start, end, size)
        ]
        parts.sort(key=lambda part: part[1].start - part[1].stop)  # the longest first: little to fill up
        self._batches: list[list[slice]] = []
        self.groups: list[torch.Tensor] = []
        while parts:
            together = max(1, size // _length(parts[0][1]))
            batch, parts = parts[:together], parts[together:]
            self._batches.append([rows for _, rows in batch])
            self.groups.append(torch.tensor([index for index, _ in batch], device=x.device))
        largest = max((len(batch) * _length(batch[0]) for batch in self._batches), default=0)
        self._buffer = torch.empty(largest * x.shape[1], dtype=torch.float64, device=x.device)

    def batches(self) -> Iterator[torch.Tensor]:
        """Yield every batch, (b, m, d) float64, in the order of `groups`; the next one takes its place in memory."""
        for batch in self._batches:
            m, d = _length(batch[0]), self.x.shape[1]
            block = self._buffer[: len(batch) * m * d].view(len(batch), m, d)
            for part, rows in zip(block, batch, strict=True):
                part[: _length(rows)] = self.x[self._places(rows)]
                part[_length(rows) :] = 0
            yield block

    def pack(self, values: torch.Tensor) -> list[torch.Tensor]:
        """Return values of all rows, (k, n), batch by batch, (b, k, m), zeros beyond the end of a part."""
        packed = []
        for batch in self._batches:
            block = values.new_zeros(len(batch), len(values), _length(batch[0]))
            for part, rows in zip(block, batch, strict=True):
                part[:, : _length(rows)] = values[:, self._places(rows)]
            packed.append(block)
        return packed

    def unpack(self, packed: list[torch.Tensor], k: int) -> torch.Tensor:
        """Return packed values in the order of the rows: (k, n) float64 tensor."""
        values = torch.empty(k, len(self.x), dtype=torch.float64, device=self.x.device)
        for batch, block in zip(self._batches, packed, strict=True):
            for part, rows in zip(block, batch, strict=True):
                values[:, self._places(rows)] = part[:, : _length(rows)]
        return values

    def _places(self, rows: slice) -> slice | torch.Tensor:
        """Return where rows of the sorted order lie in x."""
        return rows if self._order is None else self._order[rows]


def _length(rows: slice) -> int:
    return rows.stop - rows.start
