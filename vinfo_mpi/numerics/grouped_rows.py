"""Rows that belong to groups, brought as float64 batches of several groups at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

# What is worked on at once bounds the memory beside the rows themselves. On a CPU so many rows:
# few stay in its cache. On a GPU so many numbers (2 GB): small batches leave it idle between calls.
BLOCK = 2**13
NUMBERS_OF_GPU = 2**28


def rows_at_once(channels: int, device: str) -> int:
    """Return how many rows of so many channels are worked on at once on a kind of device."""
    return BLOCK if device == "cpu" else max(BLOCK, NUMBERS_OF_GPU // channels)


@dataclass(frozen=True)
class _Run:
    """Segments of a batch that are equally long, and lie one after the other in the sorted rows."""

    first: int  # place in the batch
    count: int
    length: int
    start: int  # of the sorted rows

    @property
    def places(self) -> slice:
        return slice(self.first, self.first + self.count)

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + self.count * self.length)

    def followed_by(self, rows: slice) -> _Run | None:
        """Return the run with one more segment, None where that is not the next one."""
        if rows.start != self.rows.stop or rows.stop - rows.start != self.length:
            return None
        return _Run(self.first, self.count + 1, self.length, self.start)


class GroupedRows:
    """Rows of every group, cut into segments of at most `rows_at_once`, brought several at a time.

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
        Group of every segment of each batch; a group of more than `rows_at_once` has several.
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
        size = rows_at_once(x.shape[1], x.device.type)
        segments = self._segments(size)
        segments.sort(key=lambda segment: -_length(segment[1]))  # the longest first: less filling
        self._batches: list[list[_Run]] = []
        self.groups: list[torch.Tensor] = []
        while segments:
            together = max(1, size // _length(segments[0][1]))
            batch = segments[:together]
            segments = segments[together:]
            self._batches.append(_runs([rows for _, rows in batch]))
            self.groups.append(torch.tensor([index for index, _ in batch], device=x.device))
        largest = max((_segments_of(batch) * batch[0].length for batch in self._batches), default=0)
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
            count = _segments_of(batch)
            m = batch[0].length
            block = self._buffer[: count * m * d].view(count, m, d)
            for run in batch:
                values = self.x[self._places(run.rows)]
                block[run.places, : run.length] = values.view(run.count, run.length, d)
                if run.length < m:
                    block[run.places, run.length :] = 0
            yield block

    def pack(self, values: torch.Tensor) -> list[torch.Tensor]:
        """Return values of all rows, (k, n), batch by batch, (b, k, m); zeros beyond a segment."""
        packed = []
        for batch in self._batches:
            block = values.new_zeros(_segments_of(batch), len(values), batch[0].length)
            for run in batch:
                there = values[:, self._places(run.rows)].unflatten(1, (run.count, run.length))
                block[run.places, :, : run.length] = there.transpose(0, 1)
            packed.append(block)
        return packed

    def unpack(self, packed: list[torch.Tensor], k: int) -> torch.Tensor:
        """Return packed values in the order of the rows: (k, n) float64 tensor."""
        values = torch.empty(k, len(self.x), dtype=torch.float64, device=self.x.device)
        for batch, block in zip(self._batches, packed, strict=True):
            for run in batch:
                here = block[run.places, :, : run.length].transpose(0, 1)
                values[:, self._places(run.rows)] = here.flatten(1)
        return values

    def _places(self, rows: slice) -> slice | torch.Tensor:
        """Return where rows of the sorted order lie in x."""
        return rows if self._order is None else self._order[rows]


def _length(rows: slice) -> int:
    return rows.stop - rows.start


def _runs(segments: list[slice]) -> list[_Run]:
    """Return the segments of a batch, those together that one copy brings."""
    runs: list[_Run] = []
    for place, rows in enumerate(segments):
        longer = runs[-1].followed_by(rows) if runs else None
        if longer is None:
            runs.append(_Run(place, 1, _length(rows), rows.start))
        else:
            runs[-1] = longer
    return runs


def _segments_of(batch: list[_Run]) -> int:
    return batch[-1].places.stop
