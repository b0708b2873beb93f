"""The origin of a file: fingerprints, program and process, times of stages."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import torch

from vinfo_mpi.parallel.ranks import library


def of_program() -> dict[str, str]:
    """Return what every file says of the program and of the time that it is made."""
    return {
        "vinfo_version": version("vinfo_mpi"),
        "git_commit": git_commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "mpi_library": library(),
        "torch_version": str(torch.__version__),
        "h5py_version": h5py.__version__,
        "hdf5_version": h5py.version.hdf5_version,
    }


def this_process() -> str:
    """Return who holds a folder: which job of Slurm's, which process, since when."""
    number = os.environ.get("SLURM_JOB_ID")
    job = f"Slurm job {number}, " if number else ""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{job}process {os.getpid()} on {os.uname().nodename} since {since}"


def timings_of(folder: Path) -> dict[str, Any]:
    """Return the times of a run's stages, as far as they are known."""
    try:
        return json.loads((folder / "timings.json").read_text())
    except (OSError, ValueError):
        return {}


def digest(*parts: Any) -> str:
    """Return the fingerprint of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def git_commit() -> str:
    """Return the commit of this program: of its checkout, else the one that it was built from."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # A repository around an environment is somebody else's: it does not know this file.
        subprocess.run(
            [*git, "ls-files", "--error-unmatch", here.name],
            capture_output=True,
            timeout=10,
            check=True,
        )
        command = [*git, "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return _built_from()


def _built_from() -> str:
    """Return the commit that the package was built from, unknown where no build has stamped it."""
    try:
        stamp = importlib.import_module("vinfo_mpi.run._version")
    except ImportError:
        return "unknown"
    return (stamp.commit_id or "unknown").removeprefix("g")
