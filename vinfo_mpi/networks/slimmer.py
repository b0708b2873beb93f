"""Networks with fewer channels: merged weights, and the layers that they are loaded into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.channel_groups import Group, Place
from vinfo_mpi.networks.folded import CONVOLUTIONS, fold


def merged(
    folded: fx.GraphModule, groups: Sequence[Group], labels: Sequence[np.ndarray]
) -> dict[str, torch.Tensor]:
    """Return the state dict of a network whose channels are merged, in float32.

    What makes channels, or changes each by itself, is averaged over the merged ones, what reads
    them added: in a ReLU network the same function as sums of the former and means of the latter,
    and with any other nonlinearity right for equal channels as well.

    Parameters
    ----------
    folded : fx.GraphModule
        From `folded.fold`.
    groups : list of Group
        Of it.
    labels : list of (d,) int64 arrays
        Which merged channel every channel of a group becomes part of.
    """
    state = folded.state_dict()
    changes = [
        (place, torch.from_numpy(of_group))
        for group, of_group in zip(groups, labels, strict=True)
        for place in group.places
    ]
    # From the end of an axis, so that what lies before stays where it is.
    for place, of_group in sorted(changes, key=lambda change: -change[0].start):
        state[place.parameter] = _with_merged(state[place.parameter], place, of_group)
    return {name: _single(values) for name, values in state.items()}


def load(network: nn.Module, state: Mapping[str, torch.Tensor]) -> fx.GraphModule:
    """Return a slimmer copy of a network with merged weights, as `merged` gives and merging saves.

    Parameters
    ----------
    network : nn.Module
        Of the same architecture, in evaluation mode; its own weights do not matter.
    state : dict of str to tensor

    Raises
    ------
    InputError
        If the weights are of another network.
    """
    slim = fold(network).float()
    expected = slim.state_dict()
    if expected.keys() != state.keys():
        differing = sorted(expected.keys() ^ state.keys())[0]
        raise InputError(
            f"the merged weights are of another network: '{differing}' is in only one of them; "
            "build the network that was merged"
        )
    for name, values in state.items():
        if expected[name].ndim != values.ndim:
            raise InputError(
                f"the merged weights are of another network: '{name}' has shape "
                f"{tuple(values.shape)} and not {tuple(expected[name].shape)}; build the network "
                "that was merged"
            )
        path, _, parameter = name.rpartition(".")
        module: Any = slim.get_submodule(path)
        if parameter in module._parameters:
            setattr(module, parameter, nn.Parameter(values.clone(), requires_grad=False))
        else:
            setattr(module, parameter, values.clone())
    for module in slim.modules():
        _count_channels(module)
    return slim


def _with_merged(values: torch.Tensor, place: Place, labels: torch.Tensor) -> torch.Tensor:
    first = values.movedim(place.axis, 0)
    stop = place.start + len(labels) * place.each
    rows = first[place.start : stop].reshape(len(labels), place.each, *first.shape[1:])
    counts = torch.bincount(labels).to(rows.dtype)
    sums = torch.zeros(len(counts), *rows.shape[1:], dtype=rows.dtype)
    sums.index_add_(0, labels, rows)
    if not place.takes:
        sums /= counts.reshape(-1, *[1] * (rows.ndim - 1))
    parts = [first[: place.start], sums.flatten(0, 1), first[stop:]]
    return torch.cat(parts).movedim(0, place.axis).contiguous()


def _single(values: torch.Tensor) -> torch.Tensor:
    return values.float() if values.is_floating_point() else values


def _count_channels(module: Any) -> None:
    """Let a layer know how many channels its weights have."""
    if type(module) in CONVOLUTIONS:
        if module.groups == module.in_channels == module.out_channels:
            module.groups = len(module.weight)
        module.out_channels = module.weight.shape[0]
        module.in_channels = module.weight.shape[1] * module.groups
    elif type(module) is nn.Linear:
        module.out_features, module.in_features = module.weight.shape
