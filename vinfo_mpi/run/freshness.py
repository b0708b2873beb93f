"""The inputs of a stage's result, and whether it is up to date."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

from vinfo_mpi.config.schema import Config, Section
from vinfo_mpi.data import large_files, tables
from vinfo_mpi.networks import imported, libraries
from vinfo_mpi.networks.checkpoints import Checkpoint, content_key, key_of_files
from vinfo_mpi.registry import STAGES
from vinfo_mpi.run.products import Fingerprints, product
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import rows
from vinfo_mpi.storage.activations import MAP


def settings(config: Config, stage: str) -> dict[str, Any]:
    """Return the part of the configuration that a stage's result depends on."""
    relevant: dict[str, Any] = {}
    for name in STAGES[stage].settings:
        value = getattr(config, name)
        relevant[name] = value.identity() if isinstance(value, Section) else value
    for section, ignored in STAGES[stage].ignores.items():
        relevant[section] = {
            name: value for name, value in relevant[section].items() if name not in ignored
        }
    if stage == "extract" and config.dictionary.tap != "last":
        relevant["dictionary"] = {"tap": config.dictionary.tap}  # whose map is stored
    return relevant


def inputs(
    run: Run,
    stage: str,
    checkpoint: Checkpoint | None = None,
    to_be_written: Fingerprints | None = None,
) -> Fingerprints:
    """Return the fingerprints of what a stage reads, None for what is not there.

    `checkpoint` is the one whose activations are extracted; default: the last one. Of what is still
    `to_be_written` by stages before it these fingerprints count.
    """
    fingerprints: Fingerprints = {}
    for name in (*STAGES[stage].reads, *STAGES[stage].shows):
        there = product(name).fingerprints(run, checkpoint or run.final)
        fingerprints |= there | {
            key: value for key, value in (to_be_written or {}).items() if key in there
        }
    for name, setting in STAGES[stage].optional.items():
        if name in run.config.chosen_analyses and attrgetter(setting)(run.config):
            key = (to_be_written or {}).get(name) or _of_analysis(run, name)
            fingerprints |= {name: key} if key else {}
    for name, setting in STAGES[stage].files.items():
        path = attrgetter(setting)(run.config)
        if isinstance(path, list):
            fingerprints |= {name: key} if (key := key_of_files(path)) else {}
        elif path is not None:
            fingerprints[name] = content_key(Path(path))
    if stage == "extract" and (key := _library_key(run)):
        fingerprints["network"] = key
    if key := _table_key(run, stage):
        fingerprints["table"] = key
    return fingerprints


def _of_analysis(run: Run, stage: str) -> str | None:
    """Return the fingerprint of an analysis's results, None where they are not there or stale."""
    return product(stage).fingerprints(run, run.final)[stage] if is_current(run, stage) else None


def made_with(run: Run) -> str:
    """Return what our checkpoints carry: the training's settings, and the weights it began with."""
    weights = run.config.network.weights
    key = content_key(Path(weights)) if weights else None
    parts = [settings(run.config, "train"), key or _library_key(run)]
    table = _key_of_images(run.config)
    return digest(*parts, *([table] if table else []))


def _table_key(run: Run, stage: str) -> str | None:
    """Return what identifies the part of data.table that a stage's result depends on."""
    config = run.config
    scores_factors = stage == "dictionary" and config.dictionary.source == "factors"
    if stage == "extract":
        return _key_of_images(config)
    if not (scores_factors or stage == "audit"):
        return None
    files = large_files.files(config.data)
    if files:
        return digest(key_of_files(files), config.data.factors, config.data.group)
    return tables.key_of_factors(config.data)


def _key_of_images(config: Config) -> str | None:
    """Return what identifies the images of a table, or of a data set in few large files."""
    files = large_files.files(config.data)
    return key_of_files(files) if files else tables.key_of_images(config.data)


def _library_key(run: Run) -> str | None:
    """Return what identifies the files of a network in a library's folder, or imported."""
    network = run.config.network
    return key_of_files([*libraries.files(network), *imported.files(network)])


def fingerprint(run: Run, stage: str, checkpoint: Checkpoint | None = None) -> str:
    """Return what the stage's file would carry if it were made now."""
    return fingerprint_of(run, stage, inputs(run, stage, checkpoint))


def fingerprint_of(
    run: Run, stage: str, fingerprints: Fingerprints, version: int | None = None
) -> str:
    """Return what the stage's file carries if it is made from inputs with these fingerprints."""
    version = version or STAGES[stage].version
    name = stage if version == 1 else f"{stage}, version {version}"
    return digest(name, settings(run.config, stage), fingerprints)


def is_current(run: Run, stage: str) -> bool:
    """Whether all that a stage makes is there, whole, of these settings and these inputs."""
    if stage == "train":
        return _trained(run)
    if stage == "extract":
        return not stale_activations(run)
    expected = fingerprint(run, stage)
    return all(
        stored == expected
        for name in STAGES[stage].makes or (stage,)
        for stored in product(name).fingerprints(run, run.final).values()
    )


def stale_activations(run: Run) -> list[Checkpoint]:
    """Return the checkpoints whose activations are missing, stale, or lack a map asked for now."""

    def stale(checkpoint: Checkpoint) -> bool:
        path = run.activations(checkpoint)
        stored = rows.fingerprint(path, "vinfo-activations")
        return stored != fingerprint(run, "extract", checkpoint) or lacks_map(run, checkpoint)

    return [checkpoint for checkpoint in run.checkpoints if stale(checkpoint)]


def lacks_map(run: Run, checkpoint: Checkpoint) -> bool:
    """Whether the finished activations of a checkpoint lack a map that is asked for."""
    return run.keeps_map(checkpoint) and not rows.holds(run.activations(checkpoint), MAP)


def _trained(run: Run) -> bool:
    """Whether every checkpoint of ours is there, from this very training."""
    key = made_with(run)
    return all(trained(checkpoint, key) for checkpoint in run.checkpoints if checkpoint.ours)


def trained(checkpoint: Checkpoint, key: str) -> bool:
    """Whether a checkpoint of ours is there, from the training with this key (see `made_with`)."""
    return checkpoint.path.exists() and checkpoint.record().get("made_with") == key
