"""Running stages: whether each is up to date, and what its result is made from."""

from __future__ import annotations

import importlib
import json
from typing import Any

import yaml

from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.parallel import limits, logs
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.pipeline import plan
from vinfo_mpi.registry import SPINE, STAGES, before, module, program
from vinfo_mpi.run.freshness import is_current, settings
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
    run.lock()
    run.ranks.on_root(_check_same_experiment, run, "train" in targets and force)
    run.save_config()
    started = False
    for stage in STAGES:
        if not any(stage == target or stage in before(target) for target in targets):
            continue
        target = stage in targets
        if not (target and force) and run.ranks.on_root(is_current, run, stage):
            log.info("%s: up to date", stage)
            continue
        if only and not target:
            raise InputError(
                f"--only {' '.join(targets)}: its input from '{stage}' is missing, damaged or stale; run {module(stage)} first"
            )
        if not started:
            check_plan(run)
            started = True
        work = importlib.import_module(program(stage))  # before its time is taken: that may be shorter
        run.safe_point()
        logs.to_file(run.folder / "logs" / f"{stage}.log", run.ranks.rank)
        log.info("%s: running on %d ranks", stage, run.ranks.size)
        run.begin()
        try:
            work.run(run, force and target)
        except NotApplicable as error:
            if len(targets) == 1:
                raise
            log.info("%s: left out: %s", stage, error)
            continue
        run.save_timings(stage)


def check_plan(run: Run, show: bool = False) -> None:
    """Raise `InputError` if the run cannot work or does not fit, before any work is done; or show what it takes."""
    limit = limits.of_rank(run.ranks)
    sizes = run.ranks.on_root(plan.known, run)
    if sizes is None:
        from vinfo_mpi.pipeline import measure  # all ranks now, at the same time: it brings torchvision along, which they will need

        if run.config.data.on_bad_image == "skip":
            run.subject.skipped  # noqa: B018  all ranks look for unreadable images together
        sizes = run.ranks.on_root(measure.sizes, run)
        if not show:
            run.ranks.on_root(plan.keep, run, sizes)

    def compare() -> None:
        work = plan.make(run, sizes, limit)
        if show:
            print(work.text())
        work.check()

    run.ranks.on_root(compare)


def chosen(run: Run) -> list[str]:
    """Return the stages of the whole pipeline that this configuration asks for."""
    absent = {"train"} if run.config.network.checkpoints else set()
    wanted = {*SPINE, *run.config.chosen_analyses, *run.config.chosen_pages} - absent
    return [stage for stage in STAGES if stage in wanted]


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
