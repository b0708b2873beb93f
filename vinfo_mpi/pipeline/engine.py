"""Running stages: those that are missing or stale, each with its own part of the run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from vinfo_mpi import units
from vinfo_mpi.errors import InputError, NotApplicable, require
from vinfo_mpi.parallel import limits, logs, memory, readers
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.pipeline import measured, plan
from vinfo_mpi.registry import STAGES, before, command
from vinfo_mpi.run import configuration, image_list, previous, staleness
from vinfo_mpi.run.freshness import is_current
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.run.staleness import Stale

READ_IMAGES = {"train", "extract"}  # stages that begin by it


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
    run.ranks.on_root(configuration.check_same_experiment, run, "train" in targets and force)
    stages = _needed(targets)
    stale = run.ranks.on_root(staleness.find, run, stages)
    if only:
        _check_inputs(stale, targets)
    _check_packages([*stale, *(targets if force else [])])
    if force and {"train", "extract"} & set(targets):
        run.ranks.on_root(image_list.forget, run.folder)
    begun = False
    for stage in stages:
        repeat = force and stage in targets
        current = run.ranks.on_root(is_current, run, stage) if begun else stage not in stale
        if current and not repeat:
            log.info("%s: up to date", stage)
            continue
        if not begun:
            earlier = [] if force else run.ranks.on_root(previous.to_keep, run, stale)
            if run.config.machine.workers and READ_IMAGES & {*stale, *(targets if force else [])}:
                readers.prepare()  # it imports torch while we look at the network
            check_plan(run, earlier)
            run.ranks.on_root(_begin, run, stages, stale, earlier)
            begun = True
        try:
            _run_stage(run, stage, repeat)
        except NotApplicable as error:
            if targets == [stage]:
                raise
            log.info("%s: left out: %s", stage, error)


def show(run: Run, targets: list[str], only: bool = False, force: bool = False) -> None:
    """Print which of these stages would run and why, and the plan; nothing is written."""
    retrain = "train" in targets and force
    run.ranks.on_root(configuration.check_same_experiment, run, retrain)
    stale = run.ranks.on_root(staleness.find, run, _needed(targets))
    if only:
        _check_inputs(stale, targets)
    _check_packages([*stale, *(targets if force else [])])
    earlier = [] if force else run.ranks.on_root(previous.to_keep, run, stale)
    run.ranks.on_root(lambda: print(_outlook(targets, stale, earlier, force), flush=True))
    check_plan(run, earlier, show=True)


def say_up_to_date(run: Run, targets: list[str]) -> bool:
    """Return whether nothing is to be run for the targets, which is logged then.

    One rank may ask alone.
    """
    stages = _needed(targets)
    if not all(is_current(run, stage) for stage in stages):
        return False
    run.lock()
    configuration.check_same_experiment(run, retrain=False)
    for stage in stages:
        log.info("%s: up to date", stage)
    return True


def _check_inputs(stale: Mapping[str, Stale], targets: list[str]) -> None:
    """Raise `InputError` where a stage before the targets would have to run."""
    for stage, why in stale.items():
        if stage not in targets:
            state = "missing" if why.is_new else f"stale ({why})"
            raise InputError(
                f"--only {' '.join(targets)}: its input from '{stage}' is {state}; "
                f"run {command(stage)} first"
            )


def _check_packages(stages: Sequence[str]) -> None:
    """Raise `InputError` where a stage that would run lacks a package; before any has begun."""
    for stage in stages:
        require(stage, *STAGES[stage].packages)


def _begin(
    run: Run, stages: list[str], stale: Mapping[str, Stale], earlier: Sequence[Path]
) -> None:
    """Keep earlier results, say what is stale, and write down the configuration; on one rank."""
    for stage, why in stale.items():
        if not why.is_new:
            log.info("%s: %s", stage, why)
    if earlier:
        log.info("what this replaces is kept in %s", previous.keep(run, earlier))
    configuration.write(run, stages)


def _outlook(
    targets: list[str], stale: Mapping[str, Stale], earlier: Sequence[Path], force: bool
) -> str:
    """Return which stages would run, with the reasons, and which would not."""
    lines = []
    current = []
    for stage in _needed(targets):
        reasons = [str(stale[stage])] if stage in stale else []
        if force and stage in targets:
            reasons.append("--force")
        if reasons:
            lines.append(f"  {stage:<14} {', '.join(reasons)}")
        else:
            current.append(stage)
    heading = ["would run"] if lines else ["nothing to run"]
    after = [f"up to date     {', '.join(current)}"] if current else []
    if earlier:
        names = ", ".join(dict.fromkeys(path.name for path in earlier))
        after.append(f"kept           under previous/: {names}")
    return "\n".join([*heading, *lines, *after, ""])


def _needed(targets: list[str]) -> list[str]:
    """Return the stages that the targets need, and the targets, in order."""
    return [
        stage
        for stage in STAGES
        if any(stage == target or stage in before(target) for target in targets)
    ]


def check_plan(run: Run, earlier: Sequence[Path] = (), show: bool = False) -> None:
    """Raise `InputError` if the run cannot work or does not fit, before any work; or show the plan.

    The plan is checked when it is shown, too. Earlier results that are kept need room beside it.
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

    def compare() -> tuple[int, int, float | None]:
        whole = plan.make(run, sizes, limit, device_limit, previous.size(earlier))
        if show:
            print(whole.text())
        whole.check()
        return sizes.batch, whole.together, whole.room

    run.batch, run.together, run.room = run.ranks.on_root(compare)


def _run_stage(run: Run, stage: str, repeat: bool) -> None:
    """Run a stage, with clocks, log and times of its own."""
    _work(stage)  # it is imported before its time is taken: that may be shorter
    run.safe_point()
    logs.to_file(run.folder / "logs" / f"{stage}.log", run.ranks.rank)
    log.info("%s: running on %s", stage, units.counted(run.ranks.size, "rank"))
    run.begin()
    part = Part(run, stage, partial(_repeat, stage), repeat)
    if repeat:
        part.discard()
    with _memory_explained(run, stage):
        _work(stage)(run, part)
    run.save_timings(stage)
    run.end()


def _memory_explained(run: Run, stage: str) -> AbstractContextManager[None]:
    """Say in one sentence whose memory a stage has found full, and what to change."""
    remedy = STAGES[stage].remedy
    return memory.explained(f"stage {stage}", run.bindings, run.ranks.rank, remedy)


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
