"""The content of a sparse autoencoder's file: tensors by name, and the settings beside them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vinfo_mpi.errors import InputError, in_one_line
from vinfo_mpi.networks import unpickling

# Whole modules are read without making them: of these packages' classes only the attributes.
PACKAGES = ("overcomplete.", "torch.nn.")


@dataclass(frozen=True)
class Stored:
    """The content of a file.

    Attributes
    ----------
    path : Path
    where : str
        How sentences about it begin.
    tensors : dict of str to tensor
        Named as in a state dict; in float64.
    settings : dict
        Those beside the weights, as JSON has them.
    header : dict, or None
        A line of JSON before the weights.
    whole : dict of str to dict
        Of a module that was saved as a whole: every part's class, and its attributes, by the part's
        name; the module itself is called ''.
    """

    path: Path
    where: str
    tensors: dict[str, torch.Tensor]
    settings: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] | None = None
    whole: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return a tensor; raise `InputError` where it is missing."""
        if name not in self.tensors:
            held = ", ".join(sorted(self.tensors))
            raise InputError(
                f"{self.where} lacks the tensor '{name}' (it holds {held}); save it again, whole"
            )
        return self.tensors[name]


def read(path: Path, settings: Path | None) -> Stored:
    """Read a file of weights, and the JSON beside it, without running anything they bring along.

    Raises
    ------
    InputError
        If they cannot be read.
    """
    where = f"dictionary.sae: {path}"
    if not path.is_file():
        raise InputError(f"{where} does not exist; give a file, or a folder that holds one")
    beside = _json(settings.read_bytes(), f"dictionary.sae: {settings}") if settings else {}
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"{"):
        return _after_header(path, where)
    if path.suffix == ".safetensors":
        return Stored(path, where, _of_safetensors(path, where), beside)
    content = unpickling.load(path, where, _stand_in)
    if isinstance(content, _Part):
        whole = dict(_parts(content, ""))
        return Stored(path, where, _tensors(_state(content, "")), beside, whole=whole)
    if not isinstance(content, dict):
        raise InputError(
            f"{where} holds a {type(content).__name__}; expected an autoencoder's weights"
        )
    return Stored(path, where, _tensors(content.items()), beside)


def _of_safetensors(path: Path, where: str) -> dict[str, torch.Tensor]:
    try:
        return _tensors(load_file(path).items())
    except Exception as error:  # whatever the format raises
        raise InputError(
            f"{where} is not a .safetensors file ({in_one_line(error)}); write it again"
        ) from None


def _after_header(path: Path, where: str) -> Stored:
    """Return what stands after a line of JSON, as saev writes it."""
    with path.open("rb") as file:
        header = _json(file.readline(), where)
        try:
            content = torch.load(io.BytesIO(file.read()), map_location="cpu", weights_only=True)
        except Exception as error:  # whatever torch raises
            reason = str(error).split("\n")[0].split(". ")[0]
            raise InputError(
                f"{where}: after its first line there are no weights that torch can load safely "
                f"({reason}); write it again"
            ) from None
    return Stored(path, where, _tensors(content.items()), header=header)


def _json(text: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is not JSON ({error}); write it again") from None
    if not isinstance(content, dict):
        raise InputError(f"{where} holds no settings; write it again")
    return content


def _tensors(items: Any) -> dict[str, torch.Tensor]:
    return {
        str(name): value.detach().double()
        for name, value in items
        if isinstance(value, torch.Tensor)
    }


class _Part:
    """A substitute for a module or function: it keeps attributes, and does nothing."""

    path = ""


def _stand_in(name: str) -> type | None:
    """Return a class that keeps what an object of this class holds; None for other packages."""
    return type("Part", (_Part,), {"path": name}) if name.startswith(PACKAGES) else None


def _parts(part: _Part, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every part's name, and its class (as 'class') and attributes; functions by name."""
    attributes = {
        name: getattr(value, "path", value)
        for name, value in vars(part).items()
        if not name.startswith("_")
    }
    yield prefix.rstrip("."), {**attributes, "class": part.path.rpartition(".")[2]}
    for name, child in vars(part).get("_modules", {}).items():
        if child is not None:
            yield from _parts(child, f"{prefix}{name}.")


def _state(part: _Part, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the parameters and buffers of a module and its parts, named as in a state dict."""
    for kind in ("_parameters", "_buffers"):
        for name, value in vars(part).get(kind, {}).items():
            if value is not None:
                yield f"{prefix}{name}", value
    for name, child in vars(part).get("_modules", {}).items():
        if child is not None:
            yield from _state(child, f"{prefix}{name}.")
