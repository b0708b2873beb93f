"""Whether the class token of a transformer is read, or the mean of its patches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from vinfo_mpi.config.schema import Extract
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import hooks
from vinfo_mpi.networks.layouts import Tap, has_class_token


def choose(
    network: nn.Module, taps: list[Tap], extract: Extract, example: torch.Tensor
) -> list[Tap]:
    """Return the taps with what is read of their tokens.

    With ``extract.tokens: auto`` the class token, where there is one that the head looks at, else
    the mean of the patches.

    Raises
    ------
    InputError
        If the class token is asked for where there is none.
    """
    wanted = extract.tokens
    if wanted == "auto":
        wanted = "class" if _head_sees_class_token(network, taps[-1], example) else "mean"
    return [_with(network, tap, wanted, extract) for tap in taps]


def sentence(taps: list[Tap]) -> str | None:
    """Return what is read of tokens, for the log; None where there are none."""
    said = {}
    for tap in taps:
        if tap.tokens == "class":
            said[f"the class token, the first of {tap.prefix} before the patches"] = tap
        elif tap.tokens == "mean":
            said[f"the mean of the patches, without the {tap.prefix} before them"] = tap
    if not said:
        return None
    parts = [f"{what} ({tap.name})" if len(said) > 1 else what for what, tap in said.items()]
    return "tokens: " + "; ".join(parts)


def _with(network: nn.Module, tap: Tap, wanted: Literal["class", "mean"], extract: Extract) -> Tap:
    if "T" not in tap.axes:
        return tap
    there = has_class_token(network, tap.module, tap.prefix)
    if wanted == "class" and not there and extract.tokens == "class":
        raise InputError(
            f"extract.tokens: class, but '{tap.name}' has no class token "
            f"({tap.prefix} tokens before the patches); use extract.tokens: mean, or auto"
        )
    return replace(tap, tokens="class" if wanted == "class" and there else "mean")


def _head_sees_class_token(network: nn.Module, tap: Tap, example: torch.Tensor) -> bool:
    """Whether the last tap has a class token, and the outputs change with it.

    It is held to be seen where they change with no token: heads begin at zero in some libraries.
    """
    if "T" not in tap.axes or not has_class_token(network, tap.module, tap.prefix):
        return False
    with torch.inference_mode(False), torch.no_grad():
        image = torch.rand(example[:1].shape, generator=torch.Generator().manual_seed(0))
        image = image.to(example).clone()
        before = hooks.first_tensor(network(image))
        after = [_outputs_without(network, tap, image, own) for own in (True, False)]
    if before is None or after[0] is None or after[1] is None:
        return True
    return not torch.equal(before, after[0]) or torch.equal(before, after[1])


def _outputs_without(
    network: nn.Module, tap: Tap, image: torch.Tensor, own: bool
) -> torch.Tensor | None:
    """Return the outputs when the class token, or all others, are changed at a tap."""

    def change(module: str, call: int, output: Any) -> Any:
        values = hooks.first_tensor(output)
        if call != tap.call or values is None:
            return None
        changed = values.clone()
        axis = tap.axes.index("T")
        count = 1 if own else changed.shape[axis] - 1
        tokens = changed.narrow(axis, 0 if own else 1, count)
        noise = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(0))
        tokens.copy_(noise)
        return hooks.with_first_tensor(output, changed)

    with hooks.calls(network, [tap.module], change):
        return hooks.first_tensor(network(image))
