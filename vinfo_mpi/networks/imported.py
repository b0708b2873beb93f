"""A network whose layers give what another program has stored of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from vinfo_mpi.config.schema import Network
from vinfo_mpi.data import imported
from vinfo_mpi.data.imported import Imported
from vinfo_mpi.storage.array_files import RowsOfArray

PREFIX = "imported/"


class StoredLayers(nn.Module):
    """Gives stored rows: an image is the number of its row, see `vinfo_mpi.data.imported`.

    Its modules carry the names of the layers. The logits are the stored ones, else those of the
    head, else it gives the last layer's mean.
    """

    def __init__(self, stored: Imported) -> None:
        super().__init__()
        self._arrays = stored.arrays
        self._count = stored.count
        for name in self._arrays:
            _add(self, name.split("."))
        self._logits = None if stored.logits is None else RowsOfArray(stored.logits, "logits:")
        self._own_head = None if stored.weight is None else _head(stored)
        self._unused = nn.Parameter(torch.zeros(1))  # a network has a dtype and a device

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, (N, C), or the last layer's mean, (N, d)."""
        numbers = images.detach()[:, 0, 0, 0].round().clamp(0, self._count - 1)
        rows = numbers.cpu().numpy().astype(np.int64)
        for name, array in self._arrays.items():
            last = self.get_submodule(name)(_tensor(array, rows, images))
        if self._logits is not None:
            return _tensor(self._logits, rows, images)
        mean = mean_of(last)
        return mean if self._own_head is None else self._own_head(mean)


def folder_of(network: Network) -> Path | None:
    """Return the folder that a network has been imported into, None for any other."""
    name = str(network.name)
    return Path(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None


def build(folder: Path) -> nn.Module:
    """Return the network of what has been imported into a folder."""
    return StoredLayers(imported.read(folder))


def files(network: Network) -> list[Path]:
    """Return the files that an imported network is made from; none of any other's."""
    folder = folder_of(network)
    return [] if folder is None else [folder / imported.FILE, *imported.read(folder).files]


def mean_of(values: torch.Tensor) -> torch.Tensor:
    """Return the mean over positions of what a layer gave: (N, d)."""
    if values.ndim == 4:
        return values.mean((2, 3))
    return values.mean(1) if values.ndim == 3 else values


def _tensor(array: RowsOfArray, rows: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(array.read(rows)).to(like)


def _head(stored: Imported) -> nn.Linear:
    weight = torch.from_numpy(RowsOfArray(str(stored.weight), "head:").all()).float()
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=stored.bias is not None)
    head.weight.data = weight
    if stored.bias is not None:
        head.bias.data = torch.from_numpy(RowsOfArray(stored.bias, "head:").all()).float()
    return head


def _add(module: nn.Module, names: list[str]) -> None:
    """Add a module of a dotted name."""
    first, *rest = names
    if first not in dict(module.named_children()):
        module.add_module(first, nn.Identity())
    if rest:
        _add(module.get_submodule(first), rest)
