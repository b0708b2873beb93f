"""Running stages: those that are missing or stale, each with its own part of the run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import yaml

from vinfo_mpi.errors import Failure, InputError, NotApplicable
from vinfo_mpi.parallel import limits, logs, memory
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.pipeline import measured, plan
from vinfo_mpi.registry import STAGES, before, command
from vinfo_mpi.run import image_list
from vinfo_mpi.run.freshness import is_current, settings
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


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
    _claim(run, "train" in targets and force)
    if force and {"train", "extract"} & set(targets):
        run.ranks.on_root(image_list.forget, run.folder)
    planned = False
    for stage in _needed(targets):
        repeat = force and stage in targets
        if not repeat and run.ranks.on_root(is_current, run, stage):
            log.info("%s: up to date", stage)
            continue
        if only and stage not in targets:
            raise InputError(
                f"--only {' '.join(targets)}: its input from '{stage}' is missing, damaged or "
                f"stale; run {command(stage)} first"
            )
        if not planned:
            check_plan(run)
            planned = True
        try:
            _run_stage(run, stage, repeat)
        except NotApplicable as error:
            if targets == [stage]:
                raise
            log.info("%s: left out: %s", stage, error)


def say_up_to_date(run: Run, targets: list[str]) -> bool:
    """Return whether nothing is to be run for the targets, which is logged then.

    One rank may ask alone.
    """
    stages = _needed(targets)
    if not all(is_current(run, stage) for stage in stages):
        return False
    _claim(run, retrain=False)
    for stage in stages:
        log.info("%s: up to date", stage)
    return True


def _claim(run: Run, retrain: bool) -> None:
    """Keep other jobs off the run's folder, and write down its configuration."""
    run.lock()
    run.ranks.on_root(_check_same_experiment, run, retrain)
    run.save_config()


def _needed(targets: list[str]) -> list[str]:
    """Return the stages that the targets need, and the targets, in order."""
    return [
        stage
        for stage in STAGES
        if any(stage == target or stage in before(target) for target in targets)
    ]


def check_plan(run: Run, show: bool = False) -> None:
    """Raise `InputError` if the run cannot work or does not fit, before any work; or show the plan.

    The plan is checked when it is shown, too.
    """
    limit = limits.memory_of_rank(run.ranks)
    device_limit = memory.limit_of_device(run.ranks, run.bindings)
    sizes = run.ranks.on_root(measured.read, run)
    if sizes is None:
        # All ranks now, at the same time: it brings torchvision along, which they will need.
        from vinfo_mpi.pipeline import measure

        if run.config.data.on_bad_image == "skip":
            run.subject.skipped  # noqa: B018  all ranks look for unreadable images together
        sizes = run.ranks.on_root(measure.sizes, run)
        if not show:
            run.ranks.on_root(measured.write, run, sizes)

    def compare() -> None:
        whole = plan.make(run, sizes, limit, device_limit)
        if show:
            print(whole.text())
        whole.check()

    run.ranks.on_root(compare)


def _run_stage(run: Run, stage: str, repeat: bool) -> None:
    """Run a stage, with clocks, log and times of its own."""
    _work(stage)  # it is imported before its time is taken: that may be shorter
    run.safe_point()
    logs.to_file(run.folder / "logs" / f"{stage}.log", run.ranks.rank)
    log.info("%s: running on %d ranks", stage, run.ranks.size)
    run.begin()
    part = Part(run, stage, partial(_repeat, stage), repeat)
    if repeat:
        part.discard()
    with _memory_explained(run, stage):
        _work(stage)(run, part)
    run.save_timings(stage)


@contextmanager
def _memory_explained(run: Run, stage: str) -> Iterator[None]:
    """Say in one sentence whose memory a stage has found full, and what to change."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not memory.is_exhausted(error):
            raise
        full = memory.exhausted(error, run.bindings, run.ranks.rank)
        raise Failure(f"stage {stage}: {full}; {STAGES[stage].remedy}") from error


def _repeat(outer: str, run: Run, stage: str) -> None:
    """Run a stage that an outer one repeats, where its result is missing or stale."""
    if not run.ranks.on_root(is_current, run, stage):
        log.info("%s: %s: %s", outer, run.final.name, stage)
        memory.give_back(run.device)
        _work(stage)(run, Part(run, stage, partial(_repeat, stage)))


def _work(stage: str) -> Any:
    """Return the function that does the work of a stage."""
    module, _, function = STAGES[stage].work.partition(":")
    return getattr(importlib.import_module(module), function)


def _check_same_experiment(run: Run, retrain: bool) -> None:
    """Refuse to replace the checkpoints of another experiment that happen to lie in this folder."""
    path = run.folder / "config.yaml"
    trained = any((run.folder / "checkpoints").glob("epoch_*.pt"))
    if retrain or not path.exists() or not trained:
        return
    earlier = yaml.safe_load(path.read_text())
    if not isinstance(earlier, dict):
        raise InputError(f"{path} is damaged; name another folder with --run-dir, or delete it")
    for name, now in _leaves(json.loads(json.dumps(settings(run.config, "train")))):
        then = _at(earlier, name)
        if then != now:
            raise InputError(
                f"{run.folder} holds the checkpoints of another experiment ({name} was {then}, "
                f"now {now}); name another folder with --run-dir, or train again with "
                "python -m vinfo_mpi.train --force"
            )


def _at(values: Any, path: str) -> Any:
    """Return the value at a dotted path, None where there is none."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _leaves(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return every value with its dotted path."""
    leaves: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            leaves += _leaves(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves
