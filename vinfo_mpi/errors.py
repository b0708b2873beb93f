"""Errors that end a run with one sentence and an exit code.

The sentence says what was found, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec

# Packages that the main stages do without, and the extra of pyproject.toml that brings them.
EXTRAS = {"matplotlib": "report", "pyarrow": "parquet"}


class InputError(ValueError):
    """Wrong usage, configuration or input.

    It ends every rank with exit code 2 and this sentence, no traceback. Users of the library catch
    it as a `ValueError`.
    """

    exit_code = 2


class NotApplicable(InputError):
    """A request that makes no sense for this network or run.

    An error where it was asked for by name, else left out.
    """


class Failure(Exception):
    """A refusal of the machine, such as of a write to a full disk.

    It ends every rank with exit code 1 and this sentence.
    """

    exit_code = 1


class Stopped(Exception):
    """Stopped on request, with the work saved.

    It ends every rank with exit code 75 (EX_TEMPFAIL: run me again).
    """

    exit_code = 75

    def __init__(self) -> None:
        super().__init__(
            "stopped on request, with the work saved; run the same command again to resume"
        )


def require(what: str, *packages: str) -> None:
    """Raise `InputError` that names the extra unless these packages are installed.

    >>> require("a sum", "numpy")
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        extra = EXTRAS[missing[0]]
        raise InputError(
            f"{what} needs packages that are not installed ({', '.join(missing)}); "
            f"pip install {' '.join(missing)}, or install vinfo_mpi with its extra [{extra}]"
        )


def in_one_line(error: BaseException, at_most: int = 500) -> str:
    r"""Return what a library says of a failure, on one line, for a sentence of ours.

    >>> in_one_line(ValueError("no such\n    column"))
    'no such column'
    >>> in_one_line(KeyError())
    'KeyError'
    """
    return " ".join(str(error).split())[:at_most] or type(error).__name__


def choices(name: object, valid: Iterable[str], at_most: int = 12) -> str:
    """Return the part of a sentence that lists the valid names, the nearest first.

    >>> choices("resnet81", ["vgg11", "resnet18", "resnet34"])
    "did you mean 'resnet18', 'resnet34'?"
    >>> choices("x", ["held-out", "in-sample"])
    'valid: held-out, in-sample'
    """
    names = [str(each) for each in valid]
    near = get_close_matches(str(name), names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + ", ".join(f"'{each}'" for each in near) + "?"
    listed = names if len(names) <= at_most else [*names[:at_most], f"... ({len(names)} in all)"]
    return "valid: " + ", ".join(listed)
