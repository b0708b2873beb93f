"""config.yaml: with which settings every stage of a run was last run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from vinfo_mpi.config.load import check_config, dump_config
from vinfo_mpi.errors import InputError
from vinfo_mpi.registry import STAGES
from vinfo_mpi.run.freshness import settings
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.atomic import write_text


def write(run: Run, stages: Iterable[str]) -> None:
    """Write the configuration of a command that runs, or has up to date, these stages; on one rank.

    Sections that none of them depends on stay as they were: other stages were run with these.
    """
    values = json.loads(run.config.model_dump_json())
    earlier = _read(_path(run.folder)) or {}
    depended_on = {section for stage in STAGES for section in STAGES[stage].settings}
    of_these = {section for stage in stages for section in STAGES[stage].settings}
    staying = {name: earlier[name] for name in depended_on - of_these if name in earlier}
    try:
        config = check_config(values | staying)
    except InputError:  # of a version with other settings
        config = run.config
    write_text(_path(run.folder), dump_config(config))


def check_same_experiment(run: Run, retrain: bool) -> None:
    """Refuse to replace the checkpoints of another experiment that happen to lie in this folder."""
    path = _path(run.folder)
    trained = any((run.folder / "checkpoints").glob("epoch_*.pt"))
    if retrain or not path.exists() or not trained:
        return
    earlier = _read(path)
    if earlier is None:
        raise InputError(f"{path} is damaged; name another folder with --run-dir, or delete it")
    for name, now in leaves(json.loads(json.dumps(settings(run.config, "train")))):
        then = value_at(earlier, name)
        if then != now:
            raise InputError(
                f"{run.folder} holds the checkpoints of another experiment ({name} was {then}, "
                f"now {now}); name another folder with --run-dir, or train again with "
                "python -m vinfo_mpi.train --force"
            )


def value_at(values: Any, path: str) -> Any:
    """Return the value at a dotted path, None where there is none."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return every value with its dotted path."""
    pairs: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            pairs += leaves(value, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", value))
    return pairs


def _path(folder: Path) -> Path:
    return folder / "config.yaml"


def _read(path: Path) -> dict[str, Any] | None:
    """Return what the file says, None where it is not there or damaged."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return values if isinstance(values, dict) else None
