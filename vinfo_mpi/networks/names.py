"""Module calls that a configuration selects by names and globs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from torch import nn

from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.networks.families import FAMILIES, family_of_block, repeated_block
from vinfo_mpi.networks.record import Call, Record

# Of a network's layers, at most, behind the last block that auto knows: poolings by attention have
# a third of those of a small transformer.
BEHIND = 0.4


def chosen(network: nn.Module, patterns: list[str] | str, record: Record) -> dict[str, Call]:
    """Return the calls that are read, by the names of the taps, in forward order.

    Parameters
    ----------
    network : nn.Module
    patterns : list of str, or "auto"
        Names, globs, and names with the number of a call (``relu#2``); auto: blocks of families.
    record : Record

    Raises
    ------
    InputError
        If a name is not a module, or is not called exactly once; if a glob matches nothing.
    """
    if patterns == "auto":
        named = _of_blocks(network, record)
    else:
        named = {}
        for pattern in patterns:
            named |= _of_pattern(network, pattern, record)
    in_order = {id(call): place for place, call in enumerate(record.calls)}
    return dict(sorted(named.items(), key=lambda pair: in_order[id(pair[1])]))


def matches(name: str, pattern: str) -> bool:
    """Whether a module's name fits a glob: ``*`` and ``?`` do not cross dots, ``**`` does.

    >>> [matches(name, "layer4.*") for name in ("layer4.0", "layer4.0.conv1")]
    [True, False]
    >>> matches("layer4.0.conv1", "layer4.**")
    True
    """
    parts = re.split(r"(\*\*|\*|\?|\[[^\]]*\])", pattern)
    meanings = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    regex = ""
    for part in parts:
        if part.startswith("[") and part.endswith("]"):
            regex += f"[^{part[2:]}" if part.startswith("[!") else part
        else:
            regex += meanings.get(part) or re.escape(part)
    return re.fullmatch(regex, name) is not None


def is_glob(pattern: str) -> bool:
    """Whether a pattern may mean several modules."""
    return any(mark in pattern for mark in "*?[")


def _of_blocks(network: nn.Module, record: Record) -> dict[str, Call]:
    """Return the calls of all blocks of known families, the outermost where they are nested."""
    blocks: list[str] = []
    for name, _ in network.named_modules():
        inside = any(name.startswith(f"{block}.") for block in blocks)
        if name and not inside and repeated_block(network, name) is not None and record.of(name):
            blocks.append(name)
    if not blocks:
        families = ", ".join(family.name for family in FAMILIES)
        kind = type(network)
        names = [name for name, _ in network.named_modules() if name]
        raise InputError(
            f"extract.taps: auto knows the blocks of {families}, and finds none of them in this "
            f"{kind.__module__}.{kind.__name__}; name modules or globs instead "
            f"({choices('', names)})"
        )
    named = {tap: call for name in blocks for tap, call in _each_call(record, name).items()}
    named |= _last_map(network, list(named.values()), record)
    _check_reach(network, list(named.values()), record)
    return named


def _check_reach(network: nn.Module, taps: list[Call], record: Record) -> None:
    """Raise `InputError` where many layers follow the last known block.

    The last tap would be taken for the last map before the head.
    """
    places = {id(call): place for place, call in enumerate(record.calls)}
    last = max(taps, key=lambda call: places[id(call)])
    modules = dict(network.named_modules())
    layers = [
        place
        for place, call in enumerate(record.calls)
        if call.module and len(call.shape) > 2 and [*modules[call.module].parameters(recurse=False)]
    ]
    behind = sum(place > places[id(last)] for place in layers)
    if behind > BEHIND * len(layers):
        raise InputError(
            f"extract.taps: auto finds blocks that it knows only up to '{last.module}', and "
            f"{behind} of {len(layers)} layers of this {type(network).__name__} follow it; "
            "name modules or globs instead (--show-network lists them)"
        )


def _last_map(network: nn.Module, blocks: list[Call], record: Record) -> dict[str, Call]:
    """Return the last map before the head where a module after all blocks gives it.

    Its positions are those of the last block.
    """
    places = {id(call): place for place, call in enumerate(record.calls)}
    last = max(blocks, key=lambda call: places[id(call)])
    family = family_of_block(network, last.module)
    following = {}
    for name in _beside(network, last.module, family.last if family else ()):
        calls = record.of(name)
        if len(calls) != 1 or places[id(calls[0])] < places[id(last)]:
            continue
        if _same_positions(calls[0].shape, last.shape):
            following[name] = calls[0]
    if not following:
        return {}
    name = max(following, key=lambda name: places[id(following[name])])
    return {name: following[name]}


def _beside(network: nn.Module, block: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the modules of these names beside a block, or beside what it lies in."""
    parts = block.split(".")
    for depth in range(len(parts)):
        owner = network.get_submodule(".".join(parts[:depth]))
        children = dict(owner.named_children())
        if isinstance(owner, nn.Sequential) and children:
            children["-1"] = next(reversed(children.values()))
        for child in names:
            module = children.get(child)
            if module is None or isinstance(module, nn.Identity):
                continue
            name = ".".join([*parts[:depth], list(owner._modules)[-1] if child == "-1" else child])
            if not f"{block}.".startswith(f"{name}."):
                yield name


def _same_positions(shape: tuple[int, ...], block: tuple[int, ...]) -> bool:
    """Whether two outputs are maps that differ in their channels at most."""
    return (
        len(shape) == len(block) > 2 and sum(a != b for a, b in zip(shape, block, strict=True)) <= 1
    )


def _of_pattern(network: nn.Module, pattern: str, record: Record) -> dict[str, Call]:
    """Return the calls that a name, a glob, or a name with the number of a call means."""
    names = [name for name, _ in network.named_modules() if name]
    module, _, number = pattern.partition("#")
    matching = [name for name in names if matches(name, module)]
    if not matching:
        raise InputError(
            f"extract.taps: no module is called '{module}'{_crossing(module, names)}; "
            f"{choices(module, names)}"
        )
    # A glob leaves out what is not called, or gives no tensor.
    called = {name: [call for call in record.of(name) if call.shape] for name in matching}
    called = {name: calls for name, calls in called.items() if calls}
    if not called:
        used = dict.fromkeys(call.module for call in record.calls if call.module and call.shape)
        raise InputError(
            f"extract.taps: '{pattern}' is not used in the forward pass, or gives no tensor; "
            f"{choices(module, used)}"
        )
    if number:
        return _numbered(pattern, number, called)
    if not is_glob(pattern) and len(called[module]) > 1:
        count = len(called[module])
        raise InputError(
            f"extract.taps: '{module}' is called {count} times in a forward pass; say which call "
            f"is read: '{module}#1' (the first) to '{module}#{count}', or several of them"
        )
    return {tap: call for name in called for tap, call in _each_call(record, name).items()}


def _numbered(pattern: str, number: str, called: dict[str, list[Call]]) -> dict[str, Call]:
    """Return the calls of this number."""
    if not number.isdigit() or int(number) < 1:
        raise InputError(
            f"extract.taps: '{pattern}' says '{number}' after #; write the number of a call, from 1"
        )
    wanted = {
        f"{name}#{number}": calls[int(number) - 1]
        for name, calls in called.items()
        if int(number) <= len(calls)
    }
    if not wanted:
        most = max(map(len, called.values()))
        times = "once" if most == 1 else f"{most} times"
        raise InputError(
            f"extract.taps: '{pattern}': the module is called {times} in a forward pass; "
            f"write a number of at most {most}"
        )
    return {
        (name if len(called[call.module]) > 1 else call.module): call
        for name, call in wanted.items()
    }


def _each_call(record: Record, name: str) -> dict[str, Call]:
    """Return all calls of a module; they are numbered where there are several."""
    calls = [call for call in record.of(name) if call.shape]
    if len(calls) == 1:
        return {name: calls[0]}
    return {f"{name}#{call.number}": call for call in calls}


def _crossing(pattern: str, names: list[str]) -> str:
    """Return the hint that a glob of earlier versions needs."""
    if "*" not in pattern or not any(matches(name, pattern.replace("*", "**")) for name in names):
        return ""
    return " (* does not cross dots, ** does)"
