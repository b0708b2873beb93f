"""Checkpoints of a training run: ours, or the user's own."""

from __future__ import annotations

import glob
import hashlib
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vinfo_mpi.config.schema import Network, Train
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import unpickling
from vinfo_mpi.networks.states import DEFAULT, Choice, load_state, read_state
from vinfo_mpi.storage.atomic import write_bytes


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one epoch; epoch 0 is the network before training.

    That is the untrained one, or the one whose weights were given.
    """

    epoch: int
    path: Path
    ours: bool = True
    choice: Choice = DEFAULT

    @property
    def name(self) -> str:
        """Stem of the names of files made from it: epoch_007."""
        return f"epoch_{self.epoch:03d}"

    def content(self) -> dict[str, Any]:
        """Return what `save` has written; raise `InputError` where it cannot be read."""
        return self._read(partial(torch.load, map_location="cpu", weights_only=True, mmap=True))

    def record(self) -> dict[str, Any]:
        """Return what `save` has written beside weights and optimiser, which are not read."""
        status = self.path.stat()
        return _record(self, status.st_ino, status.st_size, status.st_mtime_ns)

    def _read(self, load: Callable[[Path], Any]) -> dict[str, Any]:
        """Return the content of the file."""
        try:
            content = load(self.path)
            if not isinstance(content, dict) or not {"state", "fingerprint"} <= content.keys():
                raise ValueError("not written by vinfo_mpi.train")
            return content
        except Exception as error:
            reason = str(error).split("\n")[0]
            raise InputError(
                f"{self.path} cannot be read ({reason}); delete it and run vinfo_mpi.train again"
            ) from None

    def fingerprint(self) -> str | None:
        """Return what identifies the weights, None where the file is not there."""
        if self.ours and self.path.exists():
            return str(self.record()["fingerprint"])
        return file_key(self.path)

    def load_into(self, network: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> None:
        """Give the network these weights, and the optimiser its state.

        Raises
        ------
        InputError
            If they are not as saved.
        """
        if not self.ours:
            state = read_state(self.path, "network.checkpoints", self.choice)
            load_state(network, state, str(self.path), self.choice)
            return
        content = self.content()
        if _digest_of(content["state"]) != content["fingerprint"]:
            raise self._changed("weights")
        load_state(network, content["state"], str(self.path))
        if optimiser is not None:
            if _digest_of(content["optimiser"]) != content.get("optimiser_fingerprint"):
                raise self._changed("optimiser state")
            optimiser.load_state_dict(content["optimiser"])

    def _changed(self, what: str) -> InputError:
        return InputError(
            f"{self.path}: its {what} are not what was saved (the checksum differs); "
            "delete it and train again"
        )


@cache
def _record(checkpoint: Checkpoint, *version: int) -> dict[str, Any]:
    """Return what a file says beside its tensors; it is asked for often."""
    content = checkpoint._read(unpickling.without_tensors)
    return {name: content[name] for name in content.keys() - {"state", "optimiser"}}


def expected(folder: Path, network: Network, train: Train) -> list[Checkpoint]:
    """Return the checkpoints that the configuration asks for, in order; the last is analysed.

    Raises
    ------
    InputError
        If the user's own are not there, or epochs to save lie outside the training.
    """
    if network.checkpoints:
        paths = [path for pattern in network.checkpoints for path in _matching(pattern)]
        choice = Choice.from_config(network)
        return [Checkpoint(epoch, path, False, choice) for epoch, path in enumerate(paths, start=1)]
    epochs = range(1, train.epochs + 1) if train.save == "all" else train.save
    if outside := [epoch for epoch in epochs if not 0 <= epoch <= train.epochs]:
        raise InputError(
            f"train.save: epoch {outside[0]} is outside 0..{train.epochs}; "
            f"train.epochs is {train.epochs}"
        )
    return [at(folder, epoch) for epoch in sorted({0, train.epochs, *epochs})]


def _matching(pattern: str) -> list[Path]:
    """Return the user's checkpoints that a path or glob names, epoch_2 before epoch_10."""
    absolute = str(Path(pattern).expanduser())
    if Path(absolute).exists():  # whatever brackets and stars it has in its name
        return [Path(absolute)]
    paths = sorted(glob.glob(absolute), key=_natural)  # noqa: PTH207  absolute patterns
    if not paths:
        raise InputError(
            f"network.checkpoints: nothing matches '{pattern}'; give paths or globs of state dicts"
        )
    return [Path(path) for path in paths]


def file_key(path: Path) -> str | None:
    """Return what identifies a user's file without reading it, None where there is none.

    Its name, size and time; of a folder those of its files.
    """
    return key_of_files(sorted(path.rglob("*")) if path.is_dir() else [path])


def key_of_files(paths: Iterable[Path]) -> str | None:
    """Return what identifies files without reading them, None where there are none."""
    files = [path for path in paths if path.is_file()]
    if not files:
        return None
    each = [(file.resolve(), file.stat()) for file in files]
    text = " ".join(f"{file} {status.st_size} {status.st_mtime_ns}" for file, status in each)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_key(path: Path) -> str | None:
    """Return what identifies a file's content, wherever it lies; None where there is none."""
    if path.is_dir():
        return file_key(path)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def at(folder: Path, epoch: int) -> Checkpoint:
    """Return our checkpoint of an epoch, whether it is there or not."""
    return Checkpoint(epoch, folder / f"epoch_{epoch:03d}.pt")


def save(
    checkpoint: Checkpoint, network: nn.Module, optimiser: torch.optim.Optimizer, **further: Any
) -> None:
    """Write the weights and whatever else training needs to resume, whole or not at all."""
    state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    momentum = optimiser.state_dict()
    content = {
        "state": state,
        "optimiser": momentum,
        "epoch": checkpoint.epoch,
        "fingerprint": _digest_of(state),
        "optimiser_fingerprint": _digest_of(momentum),
        **further,
    }
    write_bytes(checkpoint.path, as_bytes(content))


def as_bytes(content: Any) -> memoryview:
    """Return the bytes of a file that torch loads: its own words about a full disk help nobody."""
    memory = io.BytesIO()
    torch.save(content, memory)
    return memory.getbuffer()


def _digest_of(content: Any) -> str:
    """Return the fingerprint of tensors and numbers in dictionaries and lists."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                digest.update(str(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                add(item)
        elif isinstance(value, torch.Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
        else:
            digest.update(repr(value).encode())

    add(content)
    return digest.hexdigest()[:16]


def _natural(path: str) -> list[Any]:
    """Return what sorts epoch_2 before epoch_10."""
    return [int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", path)]
