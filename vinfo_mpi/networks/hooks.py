"""Looking at what modules give while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def outputs(network: nn.Module, names: list[str], keep: Callable) -> Iterator[None]:
    """Call ``keep(name, output)`` whenever a named module has run."""
    handles = [
        network.get_submodule(name).register_forward_hook(_of_output(keep, name)) for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def inputs(network: nn.Module, names: list[str], keep: Callable) -> Iterator[None]:
    """Call ``keep(name, input)`` whenever a named module is about to run.

    With the first of its inputs.
    """
    handles = [
        network.get_submodule(name).register_forward_pre_hook(_of_input(keep, name))
        for name in names
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _of_output(keep: Callable, name: str) -> Callable:
    return lambda module, inputs, output: keep(name, output)


def _of_input(keep: Callable, name: str) -> Callable:
    return lambda module, inputs: keep(name, inputs[0])
