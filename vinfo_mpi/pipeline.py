"""The stages in order: what each needs, what of the configuration matters to it, whether it is up to date."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vinfo_mpi.config import Config
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import limits, logs
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run, digest
from vinfo_mpi.storage import files, results_file, rows
from vinfo_mpi.vision.checkpoints import Checkpoint, content_key


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline: the stages before it, and the settings that its result depends on."""

    needs: tuple[str, ...]
    settings: tuple[str, ...]


STAGES = {
    "train": Stage((), ("seed", "data", "network", "train")),
    "extract": Stage(("train",), ("seed", "data", "network", "extract")),
    "dictionary": Stage(("extract",), ("seed", "dictionary")),
    "encode": Stage(("dictionary",), ("encode",)),
    "score": Stage(("encode",), ("seed", "score")),
    "importance": Stage(("encode",), ("importance",)),
    "dynamics": Stage(("encode",), ("seed", "score", "dynamics")),
}
# Settings that no checkpoint depends on: which images are analysed, which checkpoints are kept.
NOT_LEARNED = {"data": {"analyse", "per_class", "on_bad_image"}, "train": {"save"}}


def settings(config: Config, stage: str) -> dict[str, Any]:
    """Return the part of the configuration that a stage's result depends on."""
    found = config.model_dump(mode="json", include=set(STAGES[stage].settings))
    if stage == "train":
        for section, names in NOT_LEARNED.items():
            found[section] = {name: value for name, value in found[section].items() if name not in names}
    return found


def inputs(run: Run, stage: str, checkpoint: Checkpoint | None = None) -> dict[str, str | None]:
    """Return the fingerprints of the files that a stage reads, None for one that is not there.

    `checkpoint` is the one whose activations are extracted.
    """
    if stage == "train":
        return {}
    if stage == "extract":
        one = checkpoint or run.final
        return {f"checkpoints/{one.name}": one.fingerprint()}
    of_activations = {
        f"activations/{one.name}": rows.fingerprint(run.activations(one), "vinfo-activations")
        for one in (run.checkpoints if stage == "dynamics" else [run.final])
    }
    others = {"dictionary": files.fingerprint(run.dictionary, "vinfo-dictionary")} if stage in ("encode", "importance") else {}
    if stage in ("score", "importance", "dynamics"):
        others["codes"] = rows.fingerprint(run.codes, "vinfo-codes")
    return of_activations | others


def made_with(run: Run) -> str:
    """Return what our checkpoints carry: the settings of the training, and the file of weights that it started from."""
    return digest(settings(run.config, "train"), content_key(Path(run.config.network.weights or "")))


def fingerprint(run: Run, stage: str, checkpoint: Checkpoint | None = None) -> str:
    """Return what the stage's file would carry if it were made now."""
    keeps_map = stage == "extract" and (checkpoint or run.final) == run.final  # the only one with the last tap's map
    return digest(stage, settings(run.config, stage), inputs(run, stage, checkpoint), keeps_map)


def provenance(run: Run, stage: str, filetype: str, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """Return the attributes of the file that a stage is about to write; the same on all ranks."""
    key = run.ranks.on_root(fingerprint, run, stage, checkpoint)
    return run.provenance(filetype, key, run.ranks.on_root(inputs, run, stage, checkpoint))


def is_current(run: Run, stage: str) -> bool:
    """Whether everything a stage makes is there, whole, and made with these settings from these inputs."""
    if stage == "train":
        key = made_with(run)
        return all(not one.ours or (one.path.exists() and one.content().get("made_with") == key) for one in run.checkpoints)
    if stage == "extract":
        return not stale_activations(run)
    wanted = fingerprint(run, stage)
    if stage == "dictionary":
        return files.fingerprint(run.dictionary, "vinfo-dictionary") == wanted
    if stage == "encode":
        return rows.fingerprint(run.codes, "vinfo-codes") == wanted
    return results_file.fingerprint(run.results, stage) == wanted


def stale_activations(run: Run) -> list[Checkpoint]:
    """Return the checkpoints whose activations are missing or stale."""
    return [
        one
        for one in run.checkpoints
        if rows.fingerprint(run.activations(one), "vinfo-activations") != fingerprint(run, "extract", one)
    ]


def bring_up_to_date(run: Run, targets: list[str], only: bool = False, force: bool = False) -> None:
    """Run the stages that the targets need, and the targets, each if it is missing or stale.

    Parameters
    ----------
    targets : list of str
        Names of `STAGES`.
    only : bool
        Run the targets alone; raise `InputError` if what they need is not there.
    force : bool
        Repeat the targets even where they are up to date.
    """
    run.lock()
    run.ranks.on_root(_check_same_experiment, run, "train" in targets and force)
    run.save_config()
    started = False
    for stage in STAGES:
        if not any(stage == target or stage in _before(target) for target in targets):
            continue
        target = stage in targets
        if not (target and force) and run.ranks.on_root(is_current, run, stage):
            log.info("%s: up to date", stage)
            continue
        if only and not target:
            raise InputError(
                f"--only {' '.join(targets)}: its input from '{stage}' is missing, damaged or stale; run vinfo_mpi.{stage} first"
            )
        if not started:
            check_plan(run)
            started = True
        run.safe_point()
        logs.to_file(run.folder / "logs" / f"{stage}.log", run.ranks.rank)
        log.info("%s: running on %d ranks", stage, run.ranks.size)
        run.begin()
        importlib.import_module(f"vinfo_mpi.{stage}").run(run, force and target)
        run.save_timings(stage)


def check_plan(run: Run, show: bool = False) -> None:
    """Raise `InputError` if the run cannot work or does not fit, before any work is done."""
    if run.config.data.on_bad_image == "skip":
        run.subject.skipped  # noqa: B018  all ranks look for unreadable images together

    limit = limits.of_rank(run.ranks)

    def make() -> None:
        from vinfo_mpi import plan  # on rank 0 alone: it brings torchvision along

        work = plan.make(run, limit)
        if show:
            print(work.text())
        work.check()

    run.ranks.on_root(make)


def applicable(run: Run) -> list[str]:
    """Return the stages of the whole pipeline that make sense for this run."""
    senseless = {"dynamics"} if len(run.checkpoints) < 2 else set()
    senseless |= {"train"} if run.config.network.checkpoints else set()
    return [stage for stage in STAGES if stage not in senseless]


def _before(stage: str) -> set[str]:
    return {one for need in STAGES[stage].needs for one in {need, *_before(need)}}


def _check_same_experiment(run: Run, retrain: bool) -> None:
    """Refuse to replace the checkpoints of another experiment that happen to lie in this folder."""
    path = run.folder / "config.yaml"
    if retrain or not path.exists() or not any((run.folder / "checkpoints").glob("epoch_*.pt")):
        return
    before = yaml.safe_load(path.read_text())
    if not isinstance(before, dict):
        raise InputError(f"{path} is damaged; name another folder with --run-dir, or delete it")
    for path_, now in _leaves(json.loads(json.dumps(settings(run.config, "train")))):
        then: Any = before
        for name in path_.split("."):
            then = then.get(name) if isinstance(then, dict) else None
        if then != now:
            raise InputError(
                f"{run.folder} holds the checkpoints of another experiment ({path_} was {then}, now {now}); "
                "name another folder with --run-dir, or train again with python -m vinfo_mpi.train --force"
            )


def _leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, value in values.items():
        found += _leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found
