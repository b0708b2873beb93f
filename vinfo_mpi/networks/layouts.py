"""The axes of a module's output, and which of its tokens are not patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.families import repeated_block
from vinfo_mpi.networks.record import Call, Layer, Record

# By number of dimensions: the order in which taps are pooled. N images, C channels, H and W rows
# and columns, T tokens.
USUAL_AXES = {2: "NC", 3: "NTC", 4: "NCHW"}
# By axis of the images and axis of the channels.
LAYOUTS = {
    2: {(0, 1): "NC"},
    3: {(0, 2): "NTC", (0, 1): "NCT", (1, 2): "TNC"},
    4: {(0, 1): "NCHW", (0, 3): "NHWC"},
}


@dataclass(frozen=True)
class Tap:
    """Place where a network is read, and the layout of the tensor there.

    Attributes
    ----------
    name : str
        Of the module, and of the call where it runs more than once: ``relu#2``.
    module : str
    call : int
        Which run of the module within a forward pass, from 1.
    axes : str
        Such as NCHW.
    prefix : int
        Tokens before the patches: class token, distillation token, registers.
    tokens : "class", "mean" or None
        Whether the class token is read or the mean of the patches; None where there are no tokens.
    """

    name: str
    module: str
    call: int = 1
    axes: str = "NCHW"
    prefix: int = 0
    tokens: Literal["class", "mean"] | None = None


def in_usual_order(values: torch.Tensor, axes: str) -> torch.Tensor:
    """Return a view of a module's output whose axes come as in `USUAL_AXES`."""
    usual = USUAL_AXES[len(axes)]
    return values if axes == usual else values.permute([axes.index(axis) for axis in usual])


def axes_of(network: nn.Module, call: Call, record: Record, name: str, extract: Extract) -> str:
    """Return the axes of what a call gives: as asked for, as the table knows, or as is evident.

    Raises
    ------
    InputError
        Where they cannot be told, with what to write; where what is asked for, or the table,
        cannot be.
    """
    asked = _asked(extract.layout, name)
    if asked is not None:
        if asked not in LAYOUTS.get(len(call.shape), {}).values():
            raise InputError(
                f"extract.layout: '{name}' gives shape {_shape(call)}, which is not {asked}; "
                f"it may be {_candidates(call)}"
            )
        return asked
    possible = _possible(call)
    if not possible:
        raise InputError(
            f"extract.taps: '{name}' gives shape {_shape(call)}; expected (N,d), tokens "
            "(N,T,d) or a feature map (N,C,H,W), with an axis N of images; read another module"
        )
    evident = _evident(call, record, list(possible))
    block = repeated_block(network, call.module)
    known = None if block is None else block.axes
    if known is not None and known in possible.values():
        if len(evident) == 1 and possible[evident[0]] != known and len(call.shape) == 4:
            raise InputError(
                f"extract.layout: '{name}' ({type(network.get_submodule(call.module)).__name__}) "
                f"gives shape {_shape(call)}, usually {known}, but the layers around it suggest "
                f"{possible[evident[0]]}; write what it is, {_how_to_write(name, known)}"
            )
        return known
    if len(possible) == 1:
        return next(iter(possible.values()))
    if len(evident) == 1:
        return possible[evident[0]]
    first = next(iter(possible.values()))
    raise InputError(
        f"extract.layout: which axis of '{name}', of shape {_shape(call)}, holds the channels "
        f"cannot be told from the layers around it; it may be {_candidates(call)}: write "
        f"{_how_to_write(name, first)}"
    )


def prefix_of(call: Call, record: Record, axes: str, name: str, extract: Extract) -> int:
    """Return the number of tokens before the patches: those that no image changes at first.

    Raises
    ------
    InputError
        Where they are not the first, or all are alike.
    """
    count = call.shape[axes.index("T")]
    if extract.prefix_tokens is not None:
        if extract.prefix_tokens > count:
            raise InputError(
                f"extract.prefix_tokens: {extract.prefix_tokens} is more than the {count} tokens "
                f"of '{name}'"
            )
        return extract.prefix_tokens
    if axes == "NCT":
        return 0
    constant = record.constant.get((call.shape, axes.index("N")), [])
    prefix = constant.index(False) if False in constant else len(constant)
    if any(constant[prefix:]) or (prefix == count > 1):
        raise InputError(
            f"extract.prefix_tokens: which of the {count} tokens of '{name}' are not patches "
            "cannot be told from two images; write how many of the first are class token or "
            "registers, extract.prefix_tokens: 0 for none"
        )
    patches = count - prefix
    if patches and not _fill_the_image(patches, record.size):
        raise InputError(
            f"extract.prefix_tokens: {prefix} of the {count} tokens of '{name}' are the same for "
            f"all images, and the other {patches} do not form a grid over an image of "
            f"{record.size[0]} x {record.size[1]} pixels: one of them may be a class token. Write "
            f"how many of the first are not patches, extract.prefix_tokens: {prefix} if it is right"
        )
    return prefix


def has_class_token(network: nn.Module, module: str, prefix: int) -> bool:
    """Whether the first of the tokens before the patches is a class token, not a register."""
    if prefix == 0:
        return False
    parts = module.split(".")
    for length in range(len(parts) + 1):
        owner = network.get_submodule(".".join(parts[:length]))
        if getattr(owner, "has_class_token", True) is False:
            return False
    return True


def _asked(layout: str | Mapping[str, str], name: str) -> str | None:
    """Return what the configuration says of a tap."""
    if isinstance(layout, str):
        return None if layout == "auto" else layout
    of_name = [axes for pattern, axes in layout.items() if fnmatchcase(name, pattern)]
    return of_name[0] if of_name else None


def _possible(call: Call) -> dict[int, str]:
    """Return the layouts that an output may have, by the axis of the channels."""
    layouts = LAYOUTS.get(len(call.shape), {})
    return {channels: axes for (images, channels), axes in layouts.items() if images == call.images}


def _evident(call: Call, record: Record, candidates: list[int]) -> list[int]:
    """Return the axes of channels that the layers around a call speak for, and a map's sides."""
    certain = set()  # a layer next to it took or gave this very tensor
    votes = set()
    weak = []  # several axes are as long as there are channels
    for layer, count in _neighbours(call):
        axis = None if layer.axis is None else layer.axis % len(call.shape)
        fitting = [axis for axis in candidates if call.shape[axis] == count]
        if layer.same and axis is not None:
            certain.add(axis)
        elif len(fitting) == 1:
            votes.update(fitting)
        elif axis in fitting and len(layer.shape) == len(call.shape):
            weak.append(axis)
    if certain:
        return sorted(certain)
    if len(weak) == 2:
        votes.update(weak)
    if len(call.shape) == 4:
        in_proportion = [axis for axis in candidates if _in_proportion(call, record, axis)]
        if len(in_proportion) == 1:
            votes.update(in_proportion)
    return sorted(votes)


def _neighbours(call: Call) -> list[tuple[Layer, int]]:
    neighbours = []
    if call.before is not None:
        neighbours.append((call.before, call.before.gives))
    if call.after is not None:
        neighbours.append((call.after, call.after.takes))
    return neighbours


def _in_proportion(call: Call, record: Record, channels: int) -> bool:
    """Whether a map's sides are to each other as the input's."""
    sides = [length for axis, length in enumerate(call.shape) if axis not in (0, channels)]
    return _alike(sides[0], sides[1], record.size)


def _fill_the_image(patches: int, size: tuple[int, int]) -> bool:
    """Whether so many patches may be the rows and columns of a grid over an image."""
    rows = [rows for rows in range(1, patches + 1) if patches % rows == 0]
    return any(_alike(count, patches // count, size) for count in rows)


def _alike(rows: int, columns: int, size: tuple[int, int]) -> bool:
    """Whether the sides of a map are to each other as an image's, up to a row or column."""
    height, width = size
    ratio = width / columns
    return abs(rows * ratio - height) <= ratio and min(height / rows, ratio) >= 1


def _shape(call: Call) -> str:
    """Return a shape for people, with N for the images."""
    names = ["N" if axis == call.images else str(size) for axis, size in enumerate(call.shape)]
    return f"({', '.join(names)})"


def _candidates(call: Call) -> str:
    return " or ".join(_possible(call).values()) or "none that can be read"


def _how_to_write(name: str, axes: str) -> str:
    return f"extract.layout: {axes} for all taps, or extract.layout: {{'{name}': {axes}}}"
