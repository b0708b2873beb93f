"""State dicts: weights in files, as training scripts write them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from vinfo_mpi.errors import InputError

# Where common training scripts keep the state dict inside a checkpoint, and what wrappers put
# before its names.
NESTED = ("state_dict", "model_state_dict", "model", "net", "network")
PREFIXES = ("module.", "_orig_mod.", "model.")


def read_state(path: Path, setting: str) -> dict[str, torch.Tensor]:
    """Return the state dict in a file, wherever common training scripts put it there."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{setting}: {path} is not there; give the path of a state dict") from None
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{setting}: {path} is not a state dict that torch can load safely ({reason})"
        ) from None
    for name in NESTED:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise InputError(f"{setting}: {path} holds no state dict; save model.state_dict()")
    return content


def load_state(module: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    """Load a state dict, with or without the prefixes of wrappers.

    Raises
    ------
    InputError
        Names what does not fit.
    """
    expected = module.state_dict()
    while prefix := next(_prefixes_to_remove(state, expected), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    if problems := _differences(state, expected):
        raise InputError(
            f"{source} does not fit the network: {'; '.join(problems)}; "
            "check network.name and its options"
        )
    module.load_state_dict(state)


def _differences(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> list[str]:
    """Return in which ways a state dict does not fit."""
    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"{len(missing)} keys are missing, first '{missing[0]}'")
    if unexpected := [name for name in state if name not in expected]:
        problems.append(f"{len(unexpected)} are unexpected, first '{unexpected[0]}'")
    for name, values in expected.items():
        if name in state and state[name].shape != values.shape:
            problems.append(
                f"'{name}' is {tuple(state[name].shape)} instead of {tuple(values.shape)}"
            )
            break
    return problems


def _prefixes_to_remove(state: Collection[str], expected: Collection[str]) -> Iterator[str]:
    for prefix in PREFIXES:
        if _share(state, prefix) and not _share(expected, prefix):
            yield prefix


def _share(names: Collection[str], prefix: str) -> bool:
    return bool(names) and all(name.startswith(prefix) for name in names)
