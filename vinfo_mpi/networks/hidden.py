"""The hidden units of a network: what its nonlinearities give, in MLPs and behind convolutions."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import hooks, layouts, precision
from vinfo_mpi.networks.layouts import Tap, in_usual_order
from vinfo_mpi.networks.record import forward_pass

# Libraries have classes of their own: NewGELUActivation, QuickGELU, ...
NONLINEARITY = re.compile("elu|silu|swish|mish", re.IGNORECASE)


def find(
    network: nn.Module, extract: Extract, example: torch.Tensor
) -> tuple[list[Tap], dict[str, int]]:
    """Return the layers of hidden units in forward order, and how many units each has.

    They are the calls of modules that are named after a nonlinearity (ReLU, GELU, SiLU, ...). What
    is not a module, `torch.relu` in a forward function, is not seen; a layer whose axes are unclear
    is left out.

    Parameters
    ----------
    network : nn.Module
    extract : Extract
        Whose `layout` says what the axes of a module are, where that cannot be told.
    example : (1, channels, H, W) tensor
        An image: shape, dtype and device of the input are taken from it.
    """
    modules = {
        name
        for name, module in network.named_modules()
        if NONLINEARITY.search(type(module).__name__) and not list(module.children())
    }
    record = forward_pass(network, example)
    layers = []
    units = {}
    for call in record.calls:
        if call.module not in modules:
            continue
        once = len(record.of(call.module)) == 1
        name = call.module if once else f"{call.module}#{call.number}"
        try:
            axes = layouts.axes_of(network, call, record, name, extract)
        except InputError:
            continue
        layers.append(Tap(name, call.module, call.number, axes))
        units[name] = call.shape[axes.index("C")]
    return layers, units


def read(
    network: nn.Module,
    layers: list[Tap],
    images: torch.Tensor,
    extract: Extract,
    look: Callable[[Tap, torch.Tensor], torch.Tensor | None],
) -> torch.Tensor:
    """Run the network once, hand what each layer gives to `look`, and return the outputs.

    What `look` returns takes the place of what the layer gave, unless it is None. What it is given
    is changed later, where the network works in place.
    """
    at = {(layer.module, layer.call): layer for layer in layers}

    def pass_on(module: str, call: int, output: object) -> torch.Tensor | None:
        layer = at.get((module, call))
        values = hooks.first_tensor(output)
        return None if layer is None or values is None else look(layer, values)

    modules = dict.fromkeys(layer.module for layer in layers)
    with (
        torch.no_grad(),
        precision.computing(extract.precision, images.device),
        hooks.calls(network, modules, pass_on),
    ):
        return network(images).float()


def by_position(values: torch.Tensor, axes: str) -> torch.Tensor:
    """Return (N, P, units) of what a layer gives."""
    ordered = in_usual_order(values, axes)
    if "H" in axes:
        return ordered.flatten(2).transpose(1, 2)
    return ordered if "T" in axes else ordered[:, None]
