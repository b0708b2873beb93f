"""Functions of the user's, named as ``package.module:function``."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from vinfo_mpi.errors import InputError, choices


def call_target(target: str, setting: str) -> Any:
    """Call the function that ``package.module:function`` names and return what it returns."""
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"{setting}: cannot import '{module_name}' ({error}); is it on PYTHONPATH?"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(
            f"{setting}: '{module_name}' has no function '{name}'; {choices(name, vars(module))}"
        )
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InputError(
            f"{setting}: '{module_name}:{name}' cannot be called without arguments ({error})"
        ) from None
    except ValueError:
        pass  # functions in C do not say what they take
    return function()
