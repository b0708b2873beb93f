"""Earlier results of a run that others are about to replace, kept under previous/<time>.

A second name is given to each file (a hard link), which takes no room and no time: files of ours
are never changed, but replaced. So what is there stays where it is until the new is whole, and a
job may end at any moment.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from vinfo_mpi.errors import InputError
from vinfo_mpi.registry import STAGES, needs
from vinfo_mpi.run.products import product
from vinfo_mpi.run.run import Run
from vinfo_mpi.run.staleness import Stale

KEPT = 3  # sets of earlier results
BESIDE = ("config.yaml", "timings.json")  # what says how the results were made


def to_keep(run: Run, stale: Mapping[str, Stale]) -> list[Path]:
    """Return the files and folders of earlier results that are not kept yet; on one rank.

    Those of stages that were made otherwise, and of all that was made from them.
    """
    affected = {stage for stage, why in stale.items() if why.was_made_otherwise}
    names: list[str] = []
    for stage in STAGES:
        if affected & {stage, *needs(stage), *_shown_by(stage)}:
            affected.add(stage)
            names += STAGES[stage].makes or (stage,)
    paths = dict.fromkeys(path for name in names for path in product(name).made_of(run))
    return [path for path in paths if not _is_kept(run, path)]


def keep(run: Run, paths: Sequence[Path]) -> Path:
    """Give files and folders a place under previous/, and return that; on one rank.

    Only the newest places stay.

    Raises
    ------
    InputError
        Where that is not possible.
    """
    place = _new_place(_folder(run))
    try:
        for path in [*paths, *(run.folder / name for name in BESIDE)]:
            target = place / path.relative_to(run.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, copy_function=_second_name)
            elif path.exists():
                _second_name(path, target)
    except OSError as error:
        raise InputError(
            f"the earlier results cannot be kept in {place} ({error.strerror or error}); move them "
            f"out of {run.folder} yourself, or replace them with --force"
        ) from None
    for old in _places(_folder(run))[:-KEPT]:
        shutil.rmtree(old)
    return place


def size(paths: Sequence[Path]) -> int:
    """Return the bytes of files and folders."""
    return sum(file.stat().st_size for path in paths for file in _files(path))


def _files(path: Path) -> list[Path]:
    """Return the files of a folder, or the file."""
    return [file for file in (path, *path.rglob("*")) if file.is_file()]


def _shown_by(stage: str) -> set[str]:
    """Return the stages whose results a stage reads where they are there."""
    makers = {name: maker for maker, of in STAGES.items() for name in of.makes}
    return {makers.get(name, name) for name in STAGES[stage].shows}


def _second_name(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        # What holds parts of other stages, too, has to stay.
        small = Path(source).name in ("results.h5", *BESIDE)
        shutil.copy2(source, target) if small else Path(source).rename(target)


def _is_kept(run: Run, path: Path) -> bool:
    """Whether a file, or the latest of a folder, is kept already, from a job that was ended."""
    file = max(_files(path), key=lambda file: file.stat().st_mtime_ns)
    now = file.stat()
    for place in _places(_folder(run)):
        there = place / file.relative_to(run.folder)
        if there.exists():
            then = there.stat()
            if (then.st_size, then.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
                return True
    return False


def _folder(run: Run) -> Path:
    return run.folder / "previous"


def _places(folder: Path) -> list[Path]:
    """Return the places of earlier results, the oldest first."""
    return sorted(path for path in folder.glob("*") if path.is_dir())


def _new_place(folder: Path) -> Path:
    """Return a place named after the time, that is not there yet."""
    now = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
    names = (now, *(f"{now}_{number}" for number in range(2, 100)))
    return next(folder / name for name in names if not (folder / name).exists())
