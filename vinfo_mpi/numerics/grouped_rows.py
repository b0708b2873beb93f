"""Rows that belong to groups, brought as float64 batches of several groups at once."""

from __future__ import annotations

from collections.abc import Iterator

import torch

# Rows that are worked on at once: what bounds the memory beside the rows themselves. Few stay in a
# processor's cache, many keep a GPU busy.
BLOCK = {"cpu": 2**13, "cuda": 2**16}


class GroupedRows:
    """Rows of every group, cut into segments of at most `BLOCK` rows, brought several at a time.

    A batch is one operand of a batched matrix product, (b, m, d): segments of about equal length,
    one after the other, the shorter ones filled up with zeros. Values of the rows are held in the
    same way, as one (b, k, m) tensor per batch: `pack` and `unpack`.

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
    count : int
        Number of groups G.
    sizes : (G,) int64 tensor
        Number of rows of every group.
    groups : list of (b,) int64 tensor
        Group of every segment of each batch; a group of more than `BLOCK` rows has several.
    """

    def __init__(self, x: torch.Tensor, group: torch.Tensor | None = None, groups: int = 1) -> None:
        self.x = x
        self.count = groups
        self._order: torch.Tensor | None = None  # of the rows by group; None: they lie so
        if group is None:
            self.sizes = torch.tensor([len(x)], device=x.device)
        else:
            if not bool((group[1:] >= group[:-1]).all()):
                self._order = torch.argsort(group, stable=True)
            self.sizes = torch.bincount(group, minlength=groups)
        size = BLOCK[x.device.type]
        segments = self._segments(size)
        segments.sort(key=lambda segment: -_length(segment[1]))  # the longest first: less filling
        self._batches: list[list[slice]] = []
        self.groups: list[torch.Tensor] = []
        while segments:
            together = max(1, size // _length(segments[0][1]))
            batch = segments[:together]
            segments = segments[together:]
            self._batches.append([rows for _, rows in batch])
            self.groups.append(torch.tensor([index for index, _ in batch], device=x.device))
        largest = max((len(batch) * _length(batch[0]) for batch in self._batches), default=0)
        self._buffer = torch.empty(largest * x.shape[1], dtype=torch.float64, device=x.device)

    def _segments(self, size: int) -> list[tuple[int, slice]]:
        """Return group and rows of every segment, in the order of the groups."""
        ends = self.sizes.cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        return [
            (index, slice(first, min(first + size, end)))
            for index, (start, end) in enumerate(zip(starts, ends, strict=True))
            for first in range(start, end, size)
        ]

    def batches(self) -> Iterator[torch.Tensor]:
        """Yield every batch, (b, m, d) float64, in the order of `groups`.

        The next one takes its place in memory.
        """
        d = self.x.shape[1]
        for batch in self._batches:
            m = _length(batch[0])
            block = self._buffer[: len(batch) * m * d].view(len(batch), m, d)
            for segment, rows in zip(block, batch, strict=True):
                segment[: _length(rows)] = self.x[self._places(rows)]
                segment[_length(rows) :] = 0
            yield block

    def pack(self, values: torch.Tensor) -> list[torch.Tensor]:
        """Return values of all rows, (k, n), batch by batch, (b, k, m); zeros beyond a segment."""
        packed = []
        for batch in self._batches:
            block = values.new_zeros(len(batch), len(values), _length(batch[0]))
            for segment, rows in zip(block, batch, strict=True):
                segment[:, : _length(rows)] = values[:, self._places(rows)]
            packed.append(block)
        return packed

    def unpack(self, packed: list[torch.Tensor], k: int) -> torch.Tensor:
        """Return packed values in the order of the rows: (k, n) float64 tensor."""
        values = torch.empty(k, len(self.x), dtype=torch.float64, device=self.x.device)
        for batch, block in zip(self._batches, packed, strict=True):
            for segment, rows in zip(block, batch, strict=True):
                values[:, self._places(rows)] = segment[:, : _length(rows)]
        return values

    def _places(self, rows: slice) -> slice | torch.Tensor:
        """Return where rows of the sorted order lie in x."""
        return rows if self._order is None else self._order[rows]


def _length(rows: slice) -> int:
    return rows.stop - rows.start
