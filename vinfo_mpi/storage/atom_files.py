"""Atoms from a file that another program has written: .npy, .npz or .safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from vinfo_mpi.errors import InputError

KEYS = ("atoms", "dictionary", "D", "components_")  # names of the atoms among several arrays


def read(path: Path, channels: int, tap: str, signed: bool) -> np.ndarray:
    """Return the atoms in a file, scaled to unit length: (K, d) float64.

    Parameters
    ----------
    path : Path
        One array, or several of which one has a name of `KEYS` or is the only one.
    channels : int
        Channels d of the last tap, whose name is `tap`.
    signed : bool
        Whether negative numbers are allowed.

    Raises
    ------
    InputError
        If it cannot be read, or does not hold atoms for this tap.
    """
    where = f"dictionary.source: {path}"
    atoms = _atoms(path, where)
    if atoms.ndim != 2 or not len(atoms) or atoms.shape[1] != channels:
        raise InputError(
            f"{where} has shape {atoms.shape}; expected (K, {channels}): a row per atom, a column "
            f"per channel of {tap}"
        )
    if not np.isfinite(atoms).all():
        raise InputError(
            f"{where}: atom {_first(~np.isfinite(atoms))} holds NaN or infinity; fix it"
        )
    if not signed and (atoms < 0).any():
        raise InputError(
            f"{where}: atom {_first(atoms < 0)} has negative numbers; set dictionary.atoms: signed "
            "to use it as it is"
        )
    length = np.linalg.norm(atoms, axis=1, keepdims=True)
    if (length == 0).any():
        raise InputError(f"{where}: atom {_first(length == 0)} is zero everywhere; leave it out")
    return atoms / length


def _atoms(path: Path, where: str) -> np.ndarray:
    """Return the array of atoms as it is in the file, whatever its shape; `where` begins errors."""
    if not path.is_file():
        raise InputError(f"{where} does not exist; give the path of a file of atoms")
    try:
        content = _content(path)
    except Exception as error:  # whatever the formats raise
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{where} is not a {path.suffix} file of numbers ({reason}); write it again"
        ) from None
    return content if isinstance(content, np.ndarray) else _atoms_among(content, where)


def _content(path: Path) -> np.ndarray | Mapping[str, np.ndarray]:
    """Return the array, or the arrays by name, in float64."""
    if path.suffix == ".safetensors":
        return {name: value.double().numpy() for name, value in load_file(path).items()}
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return content.astype(np.float64, casting="same_kind")
    with content:
        return {name: content[name].astype(np.float64, casting="same_kind") for name in content}


def _atoms_among(arrays: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """Return the one of several arrays that is called as atoms are, or that is alone."""
    names = [name for name in KEYS if name in arrays] or list(arrays)
    if len(names) != 1:
        held = ", ".join(f"'{name}'" for name in arrays) or "none"
        raise InputError(
            f"{where} holds the arrays {held}; keep one of them, or call one of: {', '.join(KEYS)}"
        )
    return arrays[names[0]]


def _first(wrong: np.ndarray) -> int:
    """Return the first row in which anything is wrong."""
    return int(np.argmax(wrong.any(1)))
