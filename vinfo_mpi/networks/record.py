"""A record of every module in a forward pass: its calls, their shapes, the layers around them.

The layout of what a module gives is told from this where no table knows it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from vinfo_mpi.networks import hooks

# What gives channels along the axis on which they came.
KEEP_AXES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.ELU, nn.Sigmoid,
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
)  # fmt: skip
IMAGES = 2  # of the second pass: what grows with them is the axis of the images


@dataclass(frozen=True)
class Layer:
    """A layer with parameters that takes and gives channels along a known axis.

    Attributes
    ----------
    takes, gives : int
        Channels.
    axis : int, or None
        Of the channels; None where it is the layer's own business.
    shape : tuple of int
        Of its output, or its input.
    same : bool
        Whether this is the very tensor that the call beside it gave.
    """

    takes: int
    gives: int
    axis: int | None
    shape: tuple[int, ...] = ()
    same: bool = False


@dataclass(frozen=True)
class Call:
    """One run of one module within a forward pass.

    Attributes
    ----------
    module : str
    number : int
        Of this run among those of the module, from 1.
    shape : tuple of int
        Of its output, for `IMAGES` images.
    images : int, or None
        The axis of the images; None where none of the axes is as long as there are images.
    before, after : Layer, or None
        The last layer that had run, and the next that ran.
    """

    module: str
    number: int
    shape: tuple[int, ...]
    images: int | None = None
    before: Layer | None = None
    after: Layer | None = None


@dataclass
class Record:
    """The calls of a forward pass, in the order in which they end.

    Attributes
    ----------
    calls : list of Call
    constant : dict of (shape, axis of the images) to list of bool
        Of tensors with tokens, when their shape first comes: whether each token is the same for
        all images, as class tokens and registers are until attention mixes them with patches.
    size : (H, W)
        Pixels of the input.
    """

    size: tuple[int, int]
    calls: list[Call] = field(default_factory=list)
    constant: dict[tuple[tuple[int, ...], int], list[bool]] = field(default_factory=dict)

    def of(self, module: str) -> list[Call]:
        """Return the calls of one module."""
        return [call for call in self.calls if call.module == module]


@torch.inference_mode(False)
@torch.no_grad()
def forward_pass(network: nn.Module, example: torch.Tensor) -> Record:
    """Return what two passes of a network over random images show: one image, then two.

    Parameters
    ----------
    network : nn.Module
    example : (N, channels, H, W) tensor
        An input: shape, dtype and device are taken from it.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (IMAGES, *example.shape[1:])
    images = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu").to(example)
    images = images.clone()  # no inference tensor, whatever the example is
    single = _Watch(network)
    single.run(images[:1])
    watch = _Watch(network)
    watch.run(images)
    record = Record((example.shape[-2], example.shape[-1]), constant=watch.constant)
    for one_image, call in zip(single.calls, watch.calls, strict=True):
        record.calls.append(replace(call, images=_axis_of_images(one_image.shape, call.shape)))
    return record


def _axis_of_images(single: tuple[int, ...], several: tuple[int, ...]) -> int | None:
    """Return the axis that is as long as there are images, from the shapes of both passes."""
    if len(single) != len(several):
        return None
    lengths = zip(single, several, strict=True)
    grown = [axis for axis, pair in enumerate(lengths) if pair == (1, IMAGES)]
    return grown[0] if len(grown) == 1 else None


def layer_of(module: nn.Module) -> Layer | None:
    """Return what a module takes and gives, None where it is not a layer with channels."""
    if isinstance(module, nn.Linear):
        return Layer(module.in_features, module.out_features, -1)
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)):
        return Layer(module.in_channels, module.out_channels, 1)
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return Layer(module.num_features, module.num_features, 1)
    if isinstance(module, nn.LayerNorm):
        count = module.normalized_shape[-1]
        # Libraries derive from it what normalises the channels of an (N, C, H, W) map.
        plain = type(module) is nn.LayerNorm
        return Layer(count, count, -1 if plain else None)
    return None


class _Watch:
    """Hooks on every module of a network."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.calls: list[Call] = []
        self.constant: dict[tuple[tuple[int, ...], int], list[bool]] = {}
        self._layers = {
            name: layer
            for name, module in network.named_modules()
            if (layer := layer_of(module)) is not None
        }
        self._keeping = {
            name for name, module in network.named_modules() if isinstance(module, KEEP_AXES)
        }
        self._counts: Counter[str] = Counter()
        self._last: tuple[Layer, torch.Tensor] | None = None
        self._takes_last: set[str] = set()
        self._waiting: list[tuple[int, torch.Tensor]] = []  # calls that no layer has followed yet

    def run(self, images: torch.Tensor) -> None:
        """Run the network."""
        names = [name for name, _ in self.network.named_modules()]
        with (
            hooks.inputs(self.network, names, self._begin),
            hooks.outputs(self.network, names, self._end),
        ):
            self.network(images)

    def _begin(self, name: str, values: torch.Tensor | None) -> None:
        if values is None:
            return
        self._compare_tokens(values)
        if self._last is not None and values is self._last[1] and name in self._keeping:
            self._takes_last.add(name)
        layer = self._layers.get(name)
        if layer is None:
            return
        for place, output in self._waiting:
            after = replace(layer, shape=tuple(values.shape), same=values is output)
            self.calls[place] = replace(self.calls[place], after=after)
        self._waiting = []

    def _end(self, name: str, values: torch.Tensor | None) -> None:
        self._counts[name] += 1
        number = self._counts[name]
        if values is None:
            self.calls.append(Call(name, number, ()))
            return
        self._compare_tokens(values)
        if name in self._layers:
            layer = replace(self._layers[name], shape=tuple(values.shape))
            self._last = (layer, values)
        elif name in self._takes_last and self._last is not None:
            self._takes_last.discard(name)
            self._last = (self._last[0], values)
        before = None
        if self._last is not None:
            before = replace(self._last[0], same=self._last[1] is values)
        self._waiting.append((len(self.calls), values))
        self.calls.append(Call(name, number, tuple(values.shape), before=before))

    def _compare_tokens(self, values: Any) -> None:
        if values.ndim != 3 or not values.is_floating_point():
            return
        for axis in (0, 1):
            key = (tuple(values.shape), axis)
            if values.shape[axis] != IMAGES or key in self.constant:
                continue
            first, second = values.unbind(axis)
            self.constant[key] = (first == second).all(1).tolist()
