"""Looking at what modules give while a network runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


def first_tensor(values: object) -> torch.Tensor | None:
    """Return a tensor, or the first of a tuple, list or mapping: what a module gives or takes.

    Attention gives its weights as well, many libraries' models an object with names. None where
    there is no tensor.
    """
    if isinstance(values, torch.Tensor):
        return values
    if isinstance(values, Mapping):
        values = tuple(values.values())
    if isinstance(values, (tuple, list)):
        return next((found for found in map(first_tensor, values) if found is not None), None)
    return None


def with_first_tensor(values: Any, tensor: torch.Tensor) -> Any:
    """Return a module's output with another tensor in the place of the `first_tensor`."""
    if isinstance(values, torch.Tensor):
        return tensor
    if isinstance(values, Mapping):
        names = [name for name, value in values.items() if first_tensor(value) is not None]
        changed = type(values)(**values)
        changed[names[0]] = with_first_tensor(values[names[0]], tensor)  # type: ignore[index]
        return changed
    places = [place for place, value in enumerate(values) if first_tensor(value) is not None]
    listed = list(values)
    listed[places[0]] = with_first_tensor(listed[places[0]], tensor)
    return type(values)(listed)


@contextmanager
def outputs(network: nn.Module, names: Iterable[str], keep: Callable) -> Iterator[None]:
    """Call ``keep(name, output)`` whenever a named module has run, with its first tensor."""

    def watch(name: str) -> RemovableHandle:
        return network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output: keep(name, first_tensor(output))
        )

    with _removed(map(watch, names)):
        yield


@contextmanager
def calls(
    network: nn.Module, names: Iterable[str], keep: Callable[[str, int, Any], Any]
) -> Iterator[None]:
    """Call ``keep(name, number, output)`` whenever a named module has run, numbers from 1.

    For one forward pass. What it returns takes the output's place, unless it is None.
    """
    counted: Counter[str] = Counter()

    def watch(name: str) -> RemovableHandle:
        def hook(module: nn.Module, inputs: object, output: Any) -> Any:
            counted[name] += 1
            return keep(name, counted[name], output)

        return network.get_submodule(name).register_forward_hook(hook)

    with _removed(map(watch, names)):
        yield


@contextmanager
def inputs(network: nn.Module, names: Iterable[str], keep: Callable) -> Iterator[None]:
    """Call ``keep(name, input)`` whenever a named module is about to run, with its first tensor."""

    def watch(name: str) -> RemovableHandle:
        return network.get_submodule(name).register_forward_pre_hook(
            lambda module, positional, named: keep(name, first_tensor([*positional, named])),
            with_kwargs=True,
        )

    with _removed(map(watch, names)):
        yield


@contextmanager
def _removed(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Take the hooks away in the end."""
    held = list(handles)
    try:
        yield
    finally:
        for handle in held:
            handle.remove()
