"""Running stages: whether each is up to date, and what its result is made from."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import yaml

from vinfo_mpi import plan
from vinfo_mpi.config import Config
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.parallel import limits, logs
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run import Run, digest
from vinfo_mpi.stages import ANALYSES, SPINE, STAGES, before, module
from vinfo_mpi.storage import files, folders, results_file, rows
from vinfo_mpi.storage.activations import MAP
from vinfo_mpi.vision.checkpoints import Checkpoint, content_key

OTHER_PREDICTORS = {"family", "also", "random_features"}  # of the stage score alone
# Settings in a stage's sections that its result does not depend on.
IRRELEVANT = {
    "train": {"data": {"analyse", "per_class", "on_bad_image"}, "train": {"save"}},  # which images and epochs are analysed
    "extract": {"extract": {"maps"}},  # a file with more maps than are wanted is as good
    "dynamics": {"score": OTHER_PREDICTORS},
    "flow": {"score": OTHER_PREDICTORS},
    "sedimentation": {"score": OTHER_PREDICTORS},
}


def settings(config: Config, stage: str) -> dict[str, Any]:
    """Return the part of the configuration that a stage's result depends on."""
    found = config.model_dump(mode="json", include=set(STAGES[stage].settings))
    for section, names in IRRELEVANT.get(stage, {}).items():
        found[section] = {name: value for name, value in found[section].items() if name not in names}
    if "data" in found and config.data.source != "planted":
        del found["data"]["planted"]
    if "train" in found and config.train.parameters == "all":
        del found["train"]["parameters"]  # what was trained before there was a choice stays good
    if "dictionary" in found and config.dictionary.source != "nmf":
        found["dictionary"] = {"source": config.dictionary.source}
    return found


def inputs(run: Run, stage: str, checkpoint: Checkpoint | None = None) -> dict[str, str | None]:
    """Return the fingerprints of the files that a stage reads, None for one that is not there.

    `checkpoint` is the one whose activations are extracted.
    """
    found: dict[str, str | None] = {}
    for name in STAGES[stage].reads:
        if name == "checkpoint":
            one = checkpoint or run.final
            found[f"checkpoints/{one.name}"] = one.fingerprint()
        elif name in ("activations", "all activations"):
            for one in run.checkpoints if name == "all activations" else [run.final]:
                found[f"activations/{one.name}"] = rows.fingerprint(run.activations(one), "vinfo-activations")
        elif name == "dictionary":
            found[name] = files.fingerprint(run.dictionary, "vinfo-dictionary")
        elif name == "codes":
            found[name] = rows.fingerprint(run.codes, "vinfo-codes")
        else:
            found[name] = results_file.fingerprint(run.results, name)
    if stage == "dictionary" and (atoms := run.config.dictionary.file):
        found["atoms"] = content_key(atoms)
    if stage == "metafeatures" and (supers := run.config.metafeatures.super_classes):
        found["super-classes"] = content_key(Path(supers))
    if stage == "report":  # shows what there is
        found |= {name: results_file.fingerprint(run.results, name) for name in ("dynamics", *ANALYSES)}
        found["visualisation"] = files.fingerprint(run.visualisation, "vinfo-visualisation")
    return found


def made_with(run: Run) -> str:
    """Return what our checkpoints carry: the settings of the training, and the file of weights that it started from."""
    return digest(settings(run.config, "train"), content_key(Path(run.config.network.weights or "")))


def fingerprint(run: Run, stage: str, checkpoint: Checkpoint | None = None) -> str:
    """Return what the stage's file would carry if it were made now."""
    return _key(run, stage, inputs(run, stage, checkpoint))


def _key(run: Run, stage: str, found: dict[str, str | None]) -> str:
    return digest(stage, settings(run.config, stage), found)


def provenance(run: Run, stage: str, filetype: str, checkpoint: Checkpoint | None = None) -> dict[str, Any]:
    """Return the attributes of the file that a stage is about to write; the same on all ranks."""
    found = run.ranks.on_root(inputs, run, stage, checkpoint)
    return run.provenance(filetype, _key(run, stage, found), found)


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
    if stage == "visualise":
        return files.fingerprint(run.visualisation, "vinfo-visualisation") == wanted
    if stage == "report":
        return folders.fingerprint(run.report) == wanted
    return results_file.fingerprint(run.results, stage) == wanted


def stale_activations(run: Run) -> list[Checkpoint]:
    """Return the checkpoints whose activations are missing or stale, or lack the map of the last tap that is wanted now."""

    def stale(one: Checkpoint) -> bool:
        path = run.activations(one)
        if rows.fingerprint(path, "vinfo-activations") != fingerprint(run, "extract", one):
            return True
        return run.keeps_map(one) and not rows.holds(path, MAP)

    return [one for one in run.checkpoints if stale(one)]


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
        program = importlib.import_module(module(stage))  # before its time is taken: that may be shorter
        run.safe_point()
        logs.to_file(run.folder / "logs" / f"{stage}.log", run.ranks.rank)
        log.info("%s: running on %d ranks", stage, run.ranks.size)
        run.begin()
        try:
            program.run(run, force and target)
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
        from vinfo_mpi import measure  # all ranks now, at the same time: it brings torchvision along, which they will need

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
