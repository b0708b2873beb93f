"""Which hidden units of a checkpoint's network are on, for some of the images."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.analyses.hidden_units import Passes
from vinfo_mpi.networks import hidden
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.numerics import activation_codes
from vinfo_mpi.numerics.activation_codes import STREAMS, WORD
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run

ROWS = 256  # images whose codes are packed together, at most


class Codes:
    """The codes of N images in every layer, by the work of all ranks together.

    Attributes
    ----------
    layers : list of str
    sizes : list of int
        Bits of each layer's code.
    some : SomeUnits
        The units whose bits are kept.
    words : (N, layers, w) int64 tensor
        The hash of each code, and the bits that are kept; the same on all ranks.
    """

    def __init__(self, run: Run, checkpoint: Checkpoint) -> None:
        options = run.config.patterns
        passes = Passes(run, checkpoint, options.images)
        self.layers = [layer.name for layer in passes.layers]
        self.sizes = _sizes(run, passes)
        self.some = activation_codes.some_units(self.sizes, options.bits, run.config.seed)
        shape = (passes.images, len(self.layers), words_of_layer(options.bits))
        self.words = torch.zeros(shape, dtype=torch.int64)
        if self.layers:
            self._fill(run, passes)
            with run.clock.phase("communicate"):
                run.ranks.sum(self.words)  # of each row one rank has other numbers than 0

    def _fill(self, run: Run, passes: Passes) -> None:
        """Write this rank's rows."""
        kept = [torch.from_numpy(units).to(run.device) for units in self.some.of_layers]
        numbers = {name: number for number, name in enumerate(self.layers)}
        batch = torch.zeros(0, *self.words.shape[1:], dtype=torch.int64)

        def look(layer: Tap, values: torch.Tensor) -> None:
            nonlocal batch
            if len(batch) != len(values):
                batch = torch.zeros(len(values), *self.words.shape[1:], dtype=torch.int64)
            number = numbers[layer.name]
            on = hidden.by_position(values, layer.axes).flatten(1) > 0
            words = _words(on, kept[number])
            batch[:, number, : words.shape[1]] = torch.from_numpy(words.view(np.int64))

        for block, _ in zip(passes.blocks, passes.outputs(look), strict=True):
            self.words[block.start : block.stop] = batch

    def hashes(self, layer: int | None) -> np.ndarray:
        """Return the hash of every image's code in a layer, None: in all together: (N, 2)."""
        words = self.words[:, :, :STREAMS].numpy().view(np.uint64)
        if layer is not None:
            return words[:, layer]
        return activation_codes.hashes(words.reshape(len(words), -1))

    def bits(self, layer: int | None) -> np.ndarray:
        """Return the bits that are kept of a layer, None: of all together: (N, b) bool.

        In the order that the seed draws: the first of them are as if fewer had been asked for.
        """
        if layer is not None:
            words = self.words[:, layer, STREAMS:].numpy().view(np.uint64)
            return activation_codes.unpacked(words, len(self.some.of_layers[layer]))
        starts = np.cumsum([0, *map(len, self.some.of_layers)])
        together = self.some.together
        bits = np.empty((len(self.words), len(together)), bool)
        for number in range(len(self.layers)):
            inside = (starts[number] <= together) & (together < starts[number + 1])
            bits[:, inside] = self.bits(number)[:, together[inside] - starts[number]]
        return bits


def words_of_layer(bits: int) -> int:
    """Return how many words an image has in a layer of which at most so many bits are kept."""
    return STREAMS + -(-bits // WORD)


def _words(on: torch.Tensor, kept: torch.Tensor) -> np.ndarray:
    """Return hash and kept bits of each image: (B, U) bool to (B, w) uint64."""
    parts = []
    for rows in batches(range(len(on)), ROWS):
        some = on[rows.start : rows.stop]
        hashed = activation_codes.hashes(activation_codes.packed(some))
        parts.append(np.hstack([hashed, activation_codes.packed(some[:, kept])]))
    return np.concatenate(parts)


def _sizes(run: Run, passes: Passes) -> list[int]:
    """Return how many units each layer has at all positions together."""
    sizes = {}

    def look(layer: Tap, values: torch.Tensor) -> None:
        sizes[layer.name] = values[0].numel()

    hidden.read(passes.network, passes.layers, passes.blank, run.config.extract, look)
    return [sizes[layer.name] for layer in passes.layers]
