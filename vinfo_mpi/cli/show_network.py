"""Show a network before anything is run: its modules, where it is read, its head."""

from __future__ import annotations

import torch
from rich.console import Group
from rich.table import Table
from torch import nn

from vinfo_mpi.cli.plain_tables import heading, pairs, plain, table
from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import heads, taps, tokens
from vinfo_mpi.networks.hooks import first_tensor
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.networks.record import Record, forward_pass
from vinfo_mpi.networks.taps import Reading


def shown(network: nn.Module, extract: Extract, example: torch.Tensor) -> str:
    """Return what there is to show of a network as plain text.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    extract : Extract
        Where it is to be read.
    example : (1, channels, H, W) tensor
        A blank image of the size that the network will see.
    """
    record = forward_pass(network, example)
    found: list[Tap] = []
    try:
        found = taps.find(network, extract, example)
        with torch.no_grad():
            reading = taps.read(network, found, example, extract)
        said = _said(network, found, reading)
    except InputError as error:
        said = [("taps", str(error))]
    parameters = sum(parameter.numel() for parameter in network.parameters())
    about = [
        ("network", f"{type(network).__module__}.{type(network).__name__}"),
        ("parameters", f"{parameters:,}"),
        ("input", " x ".join(map(str, example.shape[1:]))),
        *said,
    ]
    return plain(Group(pairs(about), heading("modules"), _modules(network, record, found)))


def _said(network: nn.Module, found: list[Tap], reading: Reading) -> list[tuple[str, str]]:
    """Return what is read, in a few lines."""
    positions, channels = reading.map.shape[1:]
    last = found[-1]
    said = [
        ("taps", f"{len(found)}, from {found[0].name} to {last.name}"),
        ("last map", f"{last.name}: {last.axes}, {positions} positions x {channels} channels"),
    ]
    sentence = tokens.sentence(found)
    if sentence is not None:
        said.append(("tokens", sentence.removeprefix("tokens: ")))
    outputs = first_tensor(reading.outputs)
    linear = None
    if outputs is not None and outputs.ndim == 2:
        linear = heads.linear(network, reading.map.mean(1), outputs)
    kind = "linear in the mean of the last map" if linear is not None else "not linear in it"
    shape = "no tensor" if outputs is None else f"{outputs.shape[-1]} outputs"
    return [*said, ("head", f"{shape}, {kind}")]


def _modules(network: nn.Module, record: Record, found: list[Tap]) -> Table:
    """Return a table of all calls of all modules; those that are read are marked."""
    read = {(tap.module, tap.call): tap for tap in found}
    several = {call.module for call in record.calls if call.number > 1}
    rows = []
    for call in record.calls:
        if not call.module:
            continue
        tap = read.get((call.module, call.number))
        name = f"{call.module}#{call.number}" if call.module in several else call.module
        sizes = ["N" if axis == call.images else str(n) for axis, n in enumerate(call.shape)]
        rows.append(
            [
                "tap" if tap is not None else "",
                name,
                type(network.get_submodule(call.module)).__name__,
                f"({', '.join(sizes)})" if call.shape else "no tensor",
                "" if tap is None else tap.axes,
                "" if tap is None or tap.tokens is None else f"{tap.tokens}, {tap.prefix} before",
            ]
        )
    return table(["", "module", "class", "gives", "axes", "tokens"], rows)
