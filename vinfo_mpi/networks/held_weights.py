"""The weights of several checkpoints, held at once and put into their network in turn."""

from __future__ import annotations

import torch
from torch import nn


class HeldWeights:
    """Copies of all that a network computes with, one for every checkpoint that was loaded into it.

    Values are copied into the tensors that the network has, as loading does: modules may know them
    by other names, or share them.

    Parameters
    ----------
    network : nn.Module
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._tensors = [*network.parameters(), *network.buffers()]
        self._held: list[list[torch.Tensor]] = []
        self._outputs: list[torch.Tensor] = []

    @torch.no_grad()
    def hold(self) -> None:
        """Hold the weights that the network has now."""
        self._held.append([tensor.detach().clone() for tensor in self._tensors])

    @torch.no_grad()
    def put(self, number: int) -> None:
        """Give the network the weights that were held as number so and so, from 0."""
        for tensor, values in zip(self._tensors, self._held[number], strict=True):
            tensor.copy_(values)

    @torch.no_grad()
    def note(self, images: torch.Tensor) -> None:
        """Note what the network makes of some images, with the weights that were held last."""
        self._outputs.append(self._network(images))

    @torch.no_grad()
    def altered(self, images: torch.Tensor) -> int | None:
        """Return the number of weights that give other outputs than noted once they are put back.

        None if all give the same: a network may compute with what is no tensor of it, such as
        weights that it has combined while they were loaded.
        """
        for number, before in enumerate(self._outputs):
            self.put(number)
            if not torch.allclose(self._network(images), before, equal_nan=True):
                return number
        return None
