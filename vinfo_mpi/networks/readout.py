"""The outputs of a network as logits: one number per class and image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vinfo_mpi.config.schema import Network
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.storage.activations import UNLABELLED

# What the outputs of networks are called: in dictionaries, named tuples and objects.
LOGITS = ("logits", "out", "output", "outputs", "scores", "prediction")
FEATURES = ("pooler_output", "image_embeds", "image_features", "last_hidden_state", "feature_maps")


class Readout:
    """Takes what a network returns, by a hook, and gives logits in its place: (N, C).

    Where the network has no classifier, features take their place: (N, d).

    Parameters
    ----------
    columns : list of int, or None
        Which output each class of the data is; None: as they come.
    classifier : bool
        Whether there are logits.
    """

    def __init__(self, columns: list[int] | None, classifier: bool) -> None:
        self.columns = columns
        self.classifier = classifier

    def __call__(self, module: nn.Module, inputs: object, output: Any) -> torch.Tensor:
        """Return the logits in an output. A forward hook."""
        values = output if isinstance(output, torch.Tensor) else self._inside(output)
        if not self.classifier:
            return values.float().flatten(2).mean(2) if values.ndim > 2 else values
        if self.columns is None or values.ndim != 2:
            return values
        if max(self.columns) >= values.shape[1]:
            raise InputError(
                f"network.outputs: there is no output {max(self.columns)}; the network has "
                f"{values.shape[1]}, counted from 0"
            )
        return values[:, self.columns]

    def _inside(self, output: Any) -> torch.Tensor:
        """Return the logits in a dictionary, tuple or object, or features where it has none."""
        for name in LOGITS if self.classifier else (*FEATURES, *LOGITS):
            values = _entry(output, name)
            if isinstance(values, (tuple, list)) and values:
                values = values[-1]  # of several maps the deepest
            if isinstance(values, torch.Tensor):
                return values
        if isinstance(output, (tuple, list)):
            for part in output:
                if isinstance(part, torch.Tensor) and (part.ndim == 2 or not self.classifier):
                    return part
        raise InputError(
            f"the network returns {_described(output)}, which has no known logits; return a "
            "tensor (N, C), or set network.outputs: none where it is not a classifier"
        )


def attach(network: nn.Module, options: Network, classes: Sequence[str]) -> None:
    """Let a network return logits in the order of the data's classes, whatever it returns."""
    outputs = options.outputs
    columns = None if outputs is None or outputs == "none" else columns_of(outputs, classes)
    network.register_forward_hook(Readout(columns, options.classifies))


def columns_in(network: nn.Module) -> list[int] | None:
    """Return which outputs a network's logits are chosen from, None where they are all."""
    hooks = [hook for hook in network._forward_hooks.values() if isinstance(hook, Readout)]
    return hooks[0].columns if hooks else None


def columns_of(
    outputs: list[int] | dict[str, int] | str | None, classes: Sequence[str]
) -> list[int]:
    """Return which output each class is, from what the configuration says.

    Parameters
    ----------
    outputs : list, dict or path
        An output per class; outputs by the names of classes; or a file that names the classes of
        all outputs: a line each, or JSON such as ``{"0": ["n01440764", "tench"]}``.
    classes : list of str
        Names of the data's classes.
    """
    if isinstance(outputs, list):
        numbers = outputs
    else:
        by_name = _from_file(Path(outputs)) if isinstance(outputs, str) else dict(outputs or {})
        by_name = {_plain(name): number for name, number in by_name.items()}
        if unknown := [name for name in classes if _plain(name) not in by_name]:
            raise InputError(
                f"network.outputs names no output for the class '{unknown[0]}' (and "
                f"{len(unknown) - 1} more); {choices(_plain(unknown[0]), by_name)}"
            )
        numbers = [by_name[_plain(name)] for name in classes]
    if len(numbers) != len(classes) or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise InputError(
            f"network.outputs: expected {len(classes)} different outputs, one for each class of "
            f"the data, found {len(numbers)} ({', '.join(map(str, numbers[:8]))}...)"
        )
    return numbers


def predictions(outputs: torch.Tensor, options: Network) -> torch.Tensor:
    """Return the class with the largest logit, -1 where there are no logits: (N,) int64."""
    if options.classifies:
        return outputs.argmax(1)
    return torch.full((len(outputs),), -1, device=outputs.device)


def check(outputs: torch.Tensor, options: Network, classes: Sequence[str], largest: int) -> None:
    """Raise `InputError` where outputs are no logits of these classes.

    Parameters
    ----------
    outputs : tensor
        What the network gives for an image.
    options : Network
    classes : list of str
        Of the data.
    largest : int
        The largest label.
    """
    if outputs.ndim != 2:
        raise InputError(
            f"the network returns shape {tuple(outputs.shape)}; expected logits (N, C); set "
            "network.outputs: none where it is not a classifier"
        )
    if not options.classifies:
        return
    count = outputs.shape[1]
    if largest >= count:
        raise InputError(
            f"the network has {count} outputs, but labels go up to {largest}; "
            "choose a network for these classes"
        )
    if count > len(classes) and options.outputs is None and [*classes] != [UNLABELLED]:
        raise InputError(
            f"the network has {count} outputs, the data {len(classes)} classes "
            f"({', '.join(classes[:3])}, ...): say which output each class is by network.outputs, "
            "a list of numbers or a file that names all outputs; or network.outputs: none, "
            "where they are not classes or labels do not matter"
        )


def _from_file(path: Path) -> dict[str, int]:
    """Return the number of every output by the names that a file gives it."""
    try:
        text = path.expanduser().read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else text.splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"network.outputs: cannot read {path} ({error})") from None
    if isinstance(content, Mapping) and all(isinstance(each, int) for each in content.values()):
        return dict(content)
    pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
    return {
        str(name): int(number)
        for number, names in pairs
        for name in (names if isinstance(names, list) else [names])
    }


def _plain(name: str) -> str:
    """Return a name as it is compared: no capitals, blanks for underscores."""
    return name.strip().lower().replace("_", " ")


def _entry(output: Any, name: str) -> Any:
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def _described(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"a dictionary of {', '.join(map(str, output))}"
    return f"a {type(output).__name__}"
