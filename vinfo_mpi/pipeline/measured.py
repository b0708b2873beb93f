"""The numbers of a run, written down.

The next job of it need not load data and network for them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.networks import imported, libraries
from vinfo_mpi.networks.checkpoints import content_key, key_of_files
from vinfo_mpi.run.provenance import digest, git_commit
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import write_text

# The settings that sizes follow from; the others enter the formulas of the stages' costs.
_SECTIONS = ("seed", "data", "network", "train", "extract", "dictionary")
SETTINGS: dict[str, Any] = dict.fromkeys(_SECTIONS, True) | {"machine": {"batch", "workers"}}


def read(run: Run) -> Sizes | None:
    """Return what was measured for a run like this before; None: nothing was, or it is damaged."""
    try:
        content = json.loads(_path(run).read_text())
        if content["fingerprint"] != _fingerprint(run, content["sizes"]):
            return None
        return Sizes(**content["sizes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(run: Run, sizes: Sizes) -> None:
    """Write down what was measured."""
    content = {"fingerprint": _fingerprint(run, asdict(sizes)), "sizes": asdict(sizes)}
    write_text(_path(run), json.dumps(content, indent=1))


def _path(run: Run) -> Path:
    return run.folder / "plan.json"


def _fingerprint(run: Run, sizes: dict[str, Any]) -> str:
    """Return what identifies these numbers and all that they follow from."""
    program = [version("vinfo_mpi"), git_commit(), torch.__version__]
    settings = run.config.model_dump(mode="json", include=SETTINGS)
    dictionary = run.config.dictionary
    own = [dictionary.file, dictionary.autoencoder, dictionary.autoencoder_settings]
    network = run.config.network
    names = [checkpoint.name for checkpoint in run.checkpoints]
    return digest(
        program,
        settings,
        [content_key(path) for path in own if path is not None],
        key_of_files([*libraries.files(network), *imported.files(network)]),
        run.ranks.size,
        run.device.type,
        names,
        sizes,
    )
