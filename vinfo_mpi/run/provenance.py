"""Where a file comes from: fingerprints, the commit of this program, times of stages."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


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
    """Return the commit of this program, unknown where there is no repository."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
