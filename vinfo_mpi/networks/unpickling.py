"""Files of weights, read without running anything that they bring along.

torch's unpickler makes nothing but what torch's own list names. Harmless classes that training
scripts put beside the weights (options, paths, numbers of NumPy) are replaced by stand-ins that
keep nothing; whatever else is in a file is named and refused.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from vinfo_mpi.errors import InputError


class Inert:
    """A substitute for a harmless object: made of anything, holding nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> Inert:
        """Return a new one, whatever the object would be made from."""
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Forget what the object would be made from."""

    def __setstate__(self, state: object) -> None:
        """Forget what the object would hold."""


class _AsDict:
    """A substitute for a class of dictionaries: a plain one, to be filled."""

    def __new__(cls, *args: object) -> Any:
        return {}


class _AsList:
    """The same for lists."""

    def __new__(cls, *args: object) -> Any:
        return []


# By how the full names of classes begin; the first that fits.
_PLAIN_TYPES = (
    "set|frozenset|slice|complex|range|bytearray|object|int|float|str|bool|list|dict|tuple"
)
STAND_INS = (
    (r"collections\.defaultdict$", _AsDict),
    (r"[\w.]+\.(AttributeDict|EasyDict)$", _AsDict),
    (r"collections\.deque$", _AsList),
    (rf"(builtins|__builtin__)\.({_PLAIN_TYPES})$", Inert),
    (r"(argparse|types)\.(Simple)?Namespace$", Inert),
    (r"(numpy|pathlib|omegaconf|datetime|typing|uuid|decimal|fractions)\.", Inert),
    (r"(pytorch_lightning|lightning|lightning_fabric|torchmetrics)\.", Inert),
)
POINTER = b"version https://git-lfs"
UNSUPPORTED = re.compile(r"GLOBAL ([\w.]+)")


def load(
    path: Path, where: str, own_stand_in: Callable[[str], type | None] = lambda name: None
) -> Any:
    """Return the content of a file that torch has saved; `where` begins the sentence.

    `own_stand_in` may give a class in place of one of a full name, before the usual ones.

    Raises
    ------
    InputError
        For what is no such file, or holds what would have to be run to be read.
    """
    if zipfile.is_zipfile(path) and _is_torchscript(path):
        raise InputError(
            f"{where} is a TorchScript archive, not a state dict; save one: "
            "torch.save(torch.jit.load(path).state_dict(), new_path)"
        )
    stand_ins: dict[str, type] = {}
    while True:
        allowed: list[Any] = [(kind, name) for name, kind in stand_ins.items()]
        try:
            with torch.serialization.safe_globals(allowed):
                return torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InputError(f"{where} does not exist; give the path of a state dict") from None
        except Exception as error:
            name = _unsupported(error)
            kind = (own_stand_in(name) or stand_in(name)) if name else None
            if name is None or kind is None or name in stand_ins:
                raise InputError(_sentence(path, where, error, name)) from None
            stand_ins[name] = kind


def without_tensors(path: Path) -> Any:
    """Return the content of a file that torch has saved, with nothing in the place of tensors.

    It takes a tenth of the time of reading them by mmap, and makes no object of any class.
    """
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return _WithoutTensors(io.BytesIO(archive.read(name))).load()


class _WithoutTensors(pickle.Unpickler):
    def persistent_load(self, pid: object) -> None:
        """Leave the memory of a tensor where it is."""

    def find_class(self, module: str, name: str) -> type:
        """Return what stands in for whatever the file would call."""
        return Inert


def _unsupported(error: Exception) -> str | None:
    """Return the full name of the class that torch would not make, None for other errors."""
    named = UNSUPPORTED.search(str(error))
    if named is None:
        return None
    return named[1] if "." in named[1] else f"builtins.{named[1]}"  # which torch leaves out


def stand_in(name: str) -> type | None:
    """Return what stands in for a class of this full name, None where it is not harmless."""
    return next((kind for pattern, kind in STAND_INS if re.match(pattern, name)), None)


def _sentence(path: Path, where: str, error: Exception, name: str | None) -> str:
    """Return what is the matter with a file that cannot be read."""
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        return f"{where} is empty; copy it again"
    if start.startswith(POINTER):
        return f"{where} is a Git LFS pointer, not the checkpoint itself; run git lfs pull"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"{where} is a web page, not a checkpoint; download the file itself"
    if name is not None:
        return (
            f"{where} holds {name}, so that it is not a state dict that torch can load safely: "
            "reading it may run code. Where you trust it, save the weights alone: "
            "torch.save(torch.load(path, weights_only=False).state_dict(), new_path), or the entry "
            "of its dictionary that holds them"
        )
    reason = re.sub(r"\x1b\[[\d;]*m", "", str(error)).split("\n")[0].split(". ")[0]
    if "weights_only" in reason or "Weights only" in reason:
        reason = "its content is not what torch.save writes"
    return f"{where} is not a state dict that torch can load safely ({reason})"


def _is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())
