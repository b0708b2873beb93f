"""Which weights of a network share the number of a channel: groups of channels.

Through residual streams, concatenations, poolings and flattening; channels that meet anything else,
whose meaning is not known, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from vinfo_mpi.networks import channel_operations as operations
from vinfo_mpi.networks.folded import CONVOLUTIONS, calls_of


@dataclass(frozen=True)
class Place:
    """Where a weight holds the channels of a group.

    Attributes
    ----------
    parameter : str
        Its name in the state dict.
    axis, start, each : int
        The channels lie along this axis, from this index, so many entries for each of them.
    takes : bool
        Whether it reads the channels, as the next layer does; else it makes them, or changes every
        channel by itself.
    adds : bool
        Whether its values are added in the distance of merged channels; else their mean is taken.
    """

    parameter: str
    axis: int
    start: int = 0
    each: int = 1
    takes: bool = False
    adds: bool = False


@dataclass
class Group:
    """Channels that many tensors share; `fixed` where they cannot be merged.

    Attributes
    ----------
    name : str
        The layer that first writes them.
    width : int
        Channels.
    places : list of Place
    """

    name: str
    width: int
    places: list[Place] = field(default_factory=list)
    fixed: bool = False


@dataclass(frozen=True)
class Layout:
    """The channels of a tensor: groups one after the other along an axis, with so many entries."""

    axis: int
    segments: tuple[tuple[int, int], ...]  # number of the group, entries of each channel


def find(folded: fx.GraphModule, image: torch.Tensor) -> list[Group]:
    """Return the groups whose channels can be merged, in forward order.

    Parameters
    ----------
    folded : fx.GraphModule
        From `folded.fold`.
    image : (1, channels, H, W) tensor
        In float64.
    """
    ShapeProp(folded).propagate(image)
    walk = _Walk(folded)
    for node in folded.graph.nodes:
        walk.layouts[node] = walk.layout(node)
    joined = walk.joined()
    return [
        group
        for group in joined
        if not group.fixed and group.width > 1 and any(place.takes for place in group.places)
    ]


def grams(folded: fx.GraphModule, group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Return two Gram matrices of a group's channels, of weights that are added and averaged.

    What has one number per channel, such as a bias, does not count.
    """
    parameters = dict(folded.named_parameters())
    sums = np.zeros((2, group.width, group.width))
    for place in group.places:
        weight = parameters[place.parameter]
        if weight.ndim > 1:
            part = weight.narrow(place.axis, place.start, group.width * place.each)
            rows = part.movedim(place.axis, 0).reshape(group.width, -1)
            sums[0 if place.adds else 1] += (rows @ rows.T).numpy()
    return sums[0], sums[1]


class _Walk:
    """What is known of the tensors of a graph, node by node."""

    def __init__(self, folded: fx.GraphModule) -> None:
        self.folded = folded
        self.calls = calls_of(folded)
        self.groups: list[Group] = []
        self.same: list[tuple[int, int]] = []  # groups that turn out to be the same channels
        self.layouts: dict[fx.Node, Layout | None] = {}

    def layout(self, node: fx.Node) -> Layout | None:
        """Return the layout of what a node gives; None: nothing is known of its channels."""
        if node.op == "call_module":
            module = self.folded.get_submodule(str(node.target))
            if self.calls[str(node.target)] == 1 and operations.is_layer(module):
                return self._through_layer(node, module)
        kind = operations.kind_of(node, self.folded)
        inputs = self._inputs(node)
        if kind == "elementwise":
            return self._together(node, inputs)
        if kind == "concatenation":
            return self._concatenated(node)
        [*known] = [self.layouts[each] for each in inputs if self.layouts.get(each)]
        if len(inputs) == 1 and known and known[0] is not None:
            if kind == "pooling" and operations.pools_beside(node, known[0].axis):
                return known[0]
            if kind == "flattening" and known[0].axis == 1 and operations.flattens(node, inputs[0]):
                return self._flattened(inputs[0], known[0])
        if kind != "shape":
            self._fix(inputs)
        return None

    def joined(self) -> list[Group]:
        """Return the groups, those that are the same channels as one."""
        first = list(range(len(self.groups)))
        for a, b in self.same:
            low, high = sorted((first[a], first[b]))
            first = [low if number == high else number for number in first]
        for number, group in enumerate(self.groups):
            if first[number] != number:
                target = self.groups[first[number]]
                target.places.extend(group.places)
                target.fixed |= group.fixed
        return [group for number, group in enumerate(self.groups) if first[number] == number]

    def _inputs(self, node: fx.Node) -> list[fx.Node]:
        """Return the nodes whose tensors a node takes."""
        return [each for each in node.all_input_nodes if operations.shape(each) is not None]

    def _fix(self, nodes: Sequence[fx.Node]) -> None:
        """Leave the channels of these tensors as they are."""
        for node in nodes:
            layout = self.layouts.get(node)
            for number, _ in layout.segments if layout else ():
                self.groups[number].fixed = True

    def _new(self, name: str, width: int, *places: Place, fixed: bool = False) -> int:
        self.groups.append(Group(name, width, list(places), fixed))
        return len(self.groups) - 1

    def _through_layer(self, node: fx.Node, module: Any) -> Layout | None:
        [taken] = self._inputs(node)
        layout = self.layouts[taken]
        gives = operations.shape(node)
        axis = len(gives) - 1 if type(module) is nn.Linear else 1
        name = str(node.target)
        if layout is not None and layout.axis != axis:
            self._fix([taken])
            layout = None
        if type(module) in CONVOLUTIONS and module.groups > 1:
            depthwise = module.groups == module.in_channels == module.out_channels
            if layout is None or not depthwise or any(each > 1 for _, each in layout.segments):
                self._fix([taken])
                return None
            self._add(layout, name, module, 0, takes=False)
            return layout
        if layout is not None:
            self._add(layout, name, module, 1, takes=True)
        made = [Place(f"{name}.weight", 0, adds=True)]
        if module.bias is not None:
            made.append(Place(f"{name}.bias", 0, adds=True))
        return Layout(axis, ((self._new(name, gives[axis], *made), 1),))

    def _add(self, layout: Layout, name: str, module: Any, axis: int, takes: bool) -> None:
        """Note that a layer's weights hold these channels."""
        start = 0
        for number, each in layout.segments:
            group = self.groups[number]
            group.places.append(Place(f"{name}.weight", axis, start, each, takes))
            if not takes and module.bias is not None:
                group.places.append(Place(f"{name}.bias", axis, start, each, adds=True))
            start += group.width * each

    def _together(self, node: fx.Node, inputs: list[fx.Node]) -> Layout | None:
        """Return the layout of tensors that meet channel by channel."""
        layouts = [self.layouts[each] for each in inputs]
        first = layouts[0] if layouts else None
        if first is None or len(inputs) < len(node.all_input_nodes):
            self._fix(inputs)
            return None
        expected = self._form(first, operations.shape(node))
        for each, layout in zip(inputs, layouts, strict=True):
            if layout is None or self._form(layout, operations.shape(each)) != expected:
                self._fix(inputs)
                return None
        for layout in layouts[1:]:
            pairs = zip(first.segments, layout.segments, strict=True)  # type: ignore[union-attr]
            self.same.extend((a, b) for (a, _), (b, _) in pairs)
        return first

    def _form(self, layout: Layout, shape: Sequence[int]) -> tuple[Any, ...]:
        """Return what must be the same for tensors to meet channel by channel."""
        widths = [(self.groups[number].width, each) for number, each in layout.segments]
        return layout.axis, len(shape), shape[layout.axis], widths

    def _concatenated(self, node: fx.Node) -> Layout | None:
        inputs, axis = operations.concatenation(node)
        layouts = [self.layouts.get(each) for each in inputs]
        if axis is None or any(layout is not None and layout.axis != axis for layout in layouts):
            self._fix(inputs)
            return None
        segments: list[tuple[int, int]] = []
        for each, layout in zip(inputs, layouts, strict=True):
            if layout is None:
                segments.append((self._new("", operations.shape(each)[axis], fixed=True), 1))
            else:
                segments.extend(layout.segments)
        return Layout(axis, tuple(segments))

    def _flattened(self, taken: fx.Node, layout: Layout) -> Layout:
        positions = int(np.prod(operations.shape(taken)[2:]))
        return Layout(1, tuple((number, each * positions) for number, each in layout.segments))
