"""What the result of a stage is made from, and whether it is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vinfo_mpi.config.schema import Config
from vinfo_mpi.networks.checkpoints import Checkpoint, content_key
from vinfo_mpi.registry import ANALYSES, STAGES
from vinfo_mpi.results import store
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import folders, hdf5, rows
from vinfo_mpi.storage.activations import MAP

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
            found[name] = hdf5.fingerprint(run.dictionary, "vinfo-dictionary")
        elif name == "codes":
            found[name] = rows.fingerprint(run.codes, "vinfo-codes")
        else:
            found[name] = store.fingerprint(run.results, name)
    if stage == "dictionary" and (atoms := run.config.dictionary.file):
        found["atoms"] = content_key(atoms)
    if stage == "metafeatures" and (supers := run.config.metafeatures.super_classes):
        found["super-classes"] = content_key(Path(supers))
    if stage == "report":  # shows what there is
        found |= {name: store.fingerprint(run.results, name) for name in ("dynamics", *ANALYSES)}
        found["visualisation"] = hdf5.fingerprint(run.visualisation, "vinfo-visualisation")
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
        return hdf5.fingerprint(run.dictionary, "vinfo-dictionary") == wanted
    if stage == "encode":
        return rows.fingerprint(run.codes, "vinfo-codes") == wanted
    if stage == "visualise":
        return hdf5.fingerprint(run.visualisation, "vinfo-visualisation") == wanted
    if stage == "report":
        return folders.fingerprint(run.report) == wanted
    return store.fingerprint(run.results, stage) == wanted


def stale_activations(run: Run) -> list[Checkpoint]:
    """Return the checkpoints whose activations are missing or stale, or lack the map of the last tap that is wanted now."""

    def stale(one: Checkpoint) -> bool:
        path = run.activations(one)
        if rows.fingerprint(path, "vinfo-activations") != fingerprint(run, "extract", one):
            return True
        return run.keeps_map(one) and not rows.holds(path, MAP)

    return [one for one in run.checkpoints if stale(one)]
