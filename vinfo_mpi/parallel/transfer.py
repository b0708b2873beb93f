"""Transfers from a device to the processor: one copy for all, while the device keeps working."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")
FINITE = "finite"  # what of the tensors is


class Arriving:
    """Tensors that lie with the processor, or are on their way there from a device.

    One copy into pinned memory, for which the processor need not wait until it wants the values.
    Whether they are finite is found out where they lie.

    Parameters
    ----------
    tensors : dict of str to tensor
        All on the same device.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = dict(tensors)
        self._numbers = [name for name, values in tensors.items() if values.is_floating_point()]
        # NaN is both the least and the largest value.
        extremes = [torch.stack(tensors[name].aminmax()).isfinite() for name in self._numbers]
        self._tensors[FINITE] = torch.stack(extremes).all(1)
        self._event: torch.cuda.Event | None = None
        if self._tensors[FINITE].is_cuda:
            self._send()

    def _send(self) -> None:
        # The widest types first: each begins at a multiple of its size.
        by_width = sorted(self._tensors.items(), key=lambda pair: -pair[1].element_size())
        parts = [values.contiguous().reshape(-1).view(torch.uint8) for _, values in by_width]
        joined = torch.cat(parts)
        host = torch.empty(len(joined), dtype=torch.uint8, pin_memory=True)
        host.copy_(joined, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record()
        pieces = host.split([len(part) for part in parts])
        for (name, values), piece in zip(by_width, pieces, strict=True):
            self._tensors[name] = piece.view(values.dtype).view(values.shape)

    def arrays(self) -> tuple[dict[str, np.ndarray], list[str]]:
        """Return the values, once they are there, and the names of those that are not finite."""
        if self._event is not None:
            self._event.synchronize()
        arrays = {name: values.numpy() for name, values in self._tensors.items()}
        finite = arrays.pop(FINITE)
        return arrays, [name for name, flag in zip(self._numbers, finite, strict=True) if not flag]


def one_ahead(items: Iterable[T], device: torch.device) -> Iterator[T]:
    """Yield the items; on a device, each when the next one is under way, so that it never idles."""
    before: list[T] = []
    for item in items:
        before.append(item)
        if device.type == "cpu" or len(before) > 1:
            yield before.pop(0)
    yield from before
