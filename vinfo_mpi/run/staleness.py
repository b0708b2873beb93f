"""The stale stages of a command, each with the reason, before any of them runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.registry import STAGES
from vinfo_mpi.run import freshness
from vinfo_mpi.run.configuration import leaves, value_at
from vinfo_mpi.run.products import Fingerprints, product
from vinfo_mpi.run.run import Run

MISSING = "missing"
DAMAGED = "damaged"
AT_MOST = 5  # reasons that are spelt out
LONGEST = 60  # characters of a value
# What the user's own files are called among the inputs of stages.
_USERS_FILES = {"network", "table", *(name for stage in STAGES.values() for name in stage.files)}


@dataclass(frozen=True)
class Stale:
    """Why a stage is to be run.

    Attributes
    ----------
    reasons : tuple of str
        ``score.folds 5 → 4``, ``codes written again``.
    was_made_otherwise : bool
        Whether its results are there, whole, from other settings, another version of the program or
        other files of the user's; not only from results of ours that are others now.
    """

    reasons: tuple[str, ...]
    was_made_otherwise: bool = False

    @property
    def is_new(self) -> bool:
        """Whether there was nothing before."""
        return all(reason.endswith(MISSING) for reason in self.reasons)

    def __str__(self) -> str:
        """Return the reasons as a part of a sentence."""
        more = len(self.reasons) - AT_MOST
        said = ", ".join(self.reasons[:AT_MOST])
        return f"{said} and {more} more" if more > 0 else said


def find(run: Run, stages: Iterable[str]) -> dict[str, Stale]:
    """Return those of these stages that are stale, each with its reasons, in order; on one rank.

    A stage is looked at as it will be when those before it have run.
    """
    stale: dict[str, Stale] = {}
    to_be_written: Fingerprints = {}
    for stage in stages:
        if stage == "train":
            why = _why_untrained(run, to_be_written)
        elif stage == "extract":
            why = _why_not_extracted(run, to_be_written)
        else:
            why = _why_stale(run, stage, to_be_written, run.final)
        if why.reasons:
            stale[stage] = why
    return stale


def _why_untrained(run: Run, to_be_written: Fingerprints) -> Stale:
    key = freshness.made_with(run)
    missing = [
        checkpoint.name
        for checkpoint in run.checkpoints
        if checkpoint.ours and not freshness.trained(checkpoint, key)
    ]
    to_be_written |= {f"checkpoints/{name}": None for name in missing}
    return Stale(tuple(f"{name} {MISSING}" for name in missing))


def _why_not_extracted(run: Run, to_be_written: Fingerprints) -> Stale:
    reasons: list[str] = []
    was_made_otherwise = False
    for checkpoint in run.checkpoints:
        why = _why_stale(run, "extract", to_be_written, checkpoint)
        if not why.reasons and freshness.lacks_map(run, checkpoint):
            why = Stale((f"{checkpoint.name} without the map that extract.maps asks for",))
        for reason in why.reasons:
            of_file = reason in (MISSING, DAMAGED)
            reasons.append(f"{checkpoint.name} {reason}" if of_file else reason)
        was_made_otherwise = was_made_otherwise or why.was_made_otherwise
    return Stale(tuple(dict.fromkeys(reasons)), was_made_otherwise)


def _why_stale(run: Run, stage: str, to_be_written: Fingerprints, checkpoint: Checkpoint) -> Stale:
    """Return why what a stage has made of a checkpoint is stale, and note what it will carry."""
    made = product((STAGES[stage].makes or (stage,))[0])
    inputs = freshness.inputs(run, stage, checkpoint, to_be_written)
    expected = freshness.fingerprint_of(run, stage, inputs)
    stored = made.fingerprints(run, checkpoint)
    if set(stored.values()) == {expected}:
        return Stale(())
    to_be_written |= dict.fromkeys(stored, expected)
    attributes = made.attributes(run, checkpoint)
    if None in stored.values() or not attributes:
        return Stale((_absent(run, stage, checkpoint),))
    earlier_inputs = json.loads(attributes.get("inputs", "{}"))
    by_settings = _changed_settings(attributes.get("config", "{}"), run.config, stage)
    by_inputs = _changed_inputs(earlier_inputs, inputs)
    users = _USERS_FILES | {f"checkpoints/{each.name}" for each in run.checkpoints if not each.ours}
    was_made_otherwise = bool(by_settings or users & by_inputs.keys())
    reasons = [*by_settings, *dict.fromkeys(by_inputs.values())]
    if not reasons:
        reasons = [_changed_version(run, stage, attributes["fingerprint"], earlier_inputs)]
        was_made_otherwise = True
    return Stale(tuple(reasons), was_made_otherwise)


def _absent(run: Run, stage: str, checkpoint: Checkpoint) -> str:
    """Return whether a stage's file is not there, or is there and of no use."""
    paths = {
        "extract": run.activations(checkpoint),
        "dictionary": run.dictionary,
        "encode": run.codes,
        "visualise": run.visualisation,
    }
    return DAMAGED if stage in paths and paths[stage].exists() else MISSING


def _changed_settings(stored: str, config: Config, stage: str) -> list[str]:
    """Return the settings of a stage that are not what they were, with both values."""
    earlier = json.loads(stored)
    names = [name for name, _ in leaves(freshness.settings(config, stage))]
    try:
        names += [name for name, _ in leaves(freshness.settings(check_config(earlier), stage))]
    except InputError:  # of a version with other settings
        names = [name for name in names if value_at(earlier, name) is not None]
    now = config.model_dump(mode="json")
    return [
        f"{name} {_shown(value_at(earlier, name))} → {_shown(value_at(now, name))}"
        for name in dict.fromkeys(names)
        if value_at(earlier, name) != value_at(now, name)
    ]


def _shown(value: Any) -> str:
    """Return a value as it stands in a configuration, on one line of bearable length."""
    text = json.dumps(value, ensure_ascii=False).strip('"')
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _changed_inputs(earlier: Fingerprints, now: Fingerprints) -> dict[str, str]:
    """Return what a stage reads that is not what it was, each in words."""
    changed: dict[str, str] = {}
    for name in dict.fromkeys([*now, *earlier]):
        if earlier.get(name) == now.get(name):
            continue
        what = name.partition("/")[0]  # of all checkpoints alike
        if name in _USERS_FILES:
            changed[name] = f"other content of {what}"
        elif earlier.get(name) is None:
            changed[name] = f"{what} added"
        elif name not in now:
            changed[name] = f"{what} no longer read"
        else:
            changed[name] = f"{what} written again"
    return changed


def _changed_version(run: Run, stage: str, stored: str, inputs: Fingerprints) -> str:
    """Return from which version of what a stage computes its results are, as far as it is known."""
    current = STAGES[stage].version
    for version in range(1, current):
        if freshness.fingerprint_of(run, stage, inputs, version) == stored:
            return f"version {version} → {current}"
    return "made by another version of this program"
