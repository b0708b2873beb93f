"""Images in folders, as they lie on disks: which are classes, parts of the data, or neither."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from vinfo_mpi.data.large_files import HELD_OUT, TRAINING
from vinfo_mpi.errors import InputError

# What file servers, archives and desktops leave behind; what begins with a dot as well.
LEFT_BEHIND = {
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "lost+found", "__pycache__",
    "system volume information",
}  # fmt: skip


DEEPER = 3  # folders that may lie around the parts of the data, each with nothing beside it


@dataclass
class Part:
    """A folder of class folders.

    Attributes
    ----------
    folder : Path
    classes : dict of str to list of str
        The images of each class, in the order of torchvision's ImageFolder.
    left_out : Counter of str
        How many files and folders were not taken, by what they are.
    """

    folder: Path
    classes: dict[str, list[str]]
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Number of images."""
        return sum(map(len, self.classes.values()))


def parts(root: Path) -> tuple[Path, Path | None, list[Path]]:
    """Return the folder that is learned from, the one that is held out, and those beside them.

    Without such folders `root` itself holds the classes, and nothing is held out.

    Raises
    ------
    InputError
        Where names leave in doubt what is a class.
    """
    folders = subfolders(root)
    splits = [each for each in folders if _is_split(each)]
    if not splits:
        below = folders
        for _ in range(DEEPER):
            if len(below) != 1:
                break
            inner = subfolders(below[0])
            if any(_is_split(each) for each in inner):
                return parts(below[0])
            below = inner
        _refuse_hidden_splits(root, folders)
        return root, None, []
    training = [each for each in splits if each.name.lower() in TRAINING]
    held_out = [each for each in splits if each not in training]
    held_out.sort(key=lambda each: HELD_OUT.index(each.name.lower()))
    if len(training) > 1:
        raise InputError(
            f"data.root: both {shown(training[0])} and {shown(training[1])} look like the images "
            "to learn from; move one of them"
        )
    beside = [each for each in folders if each not in splits and _holds_images(each)]
    if beside and not (training and held_out):
        raise InputError(
            f"data.root: {shown(splits[0])} looks like a part of the data, {shown(beside[0])} "
            "beside it like a class; if that is a class, rename it or move its images out of their "
            "folders; if not, set data.root to the part"
        )
    chosen = training + held_out[:1]
    others = [each for each in splits if each not in chosen] + beside
    return chosen[0], chosen[1] if len(chosen) == 2 else None, others


def read_part(folder: Path) -> Part:
    """Return the classes of a folder with their images."""
    part = Part(folder, {})
    home = os.path.realpath(folder)
    for each in subfolders(folder):
        if each.is_symlink() and _inside(os.path.realpath(each), home):
            part.left_out["links to folders of the same data"] += 1
            continue
        walked = sorted(_walk(str(each), home, (), part.left_out))
        part.classes[each.name] = [
            f"{directory}/{name}" for directory, names in walked for name in sorted(names)
        ]
    return part


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder in the order of their names, without what is left behind."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir() and not _is_rubbish(entry.name)]
    return [folder / name for name in sorted(names)]


def shown(name: object) -> str:
    """Return a name in Unicode, whatever its bytes on disk are."""
    return os.fsencode(str(name)).decode(errors="replace")


def _walk(
    folder: str, home: str, above: tuple[str, ...], left_out: Counter[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield every folder below with the names of its images; links are followed, but in no circle.

    Links to what lies in `home` are left out: there it is counted already.
    """
    above = (*above, os.path.realpath(folder))
    names = []
    with os.scandir(folder) as entries:
        listed = list(entries)
    for entry in listed:
        if _is_rubbish(entry.name):
            left_out[f"'{shown(entry.name)}'" if entry.is_dir() else "hidden files"] += 1
        elif entry.is_dir():
            target = os.path.realpath(entry.path)
            if entry.is_symlink() and (_inside(target, home) or target in above):
                left_out["links to folders of the same data"] += 1
            else:
                yield from _walk(entry.path, home, above, left_out)
        elif entry.name.lower().endswith(IMG_EXTENSIONS):
            names.append(entry.name)
        else:
            suffix = Path(entry.name).suffix.lower() or "no suffix"
            left_out[f"files with {shown(suffix)}"] += 1
    yield folder, names


def _inside(path: str, home: str) -> bool:
    return path == home or path.startswith(home + os.sep) or home.startswith(path + os.sep)


def _is_rubbish(name: str) -> bool:
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def _is_split(folder: Path) -> bool:
    """Whether a folder is a part of the data by its name, and holds folders."""
    return folder.name.lower() in TRAINING + HELD_OUT and bool(subfolders(folder))


def _holds_images(folder: Path) -> bool:
    """Whether images lie in a folder, or in one below it."""
    return any(names for _, names in _walk(str(folder), os.path.realpath(folder), (), Counter()))


def _refuse_hidden_splits(root: Path, folders: list[Path]) -> None:
    """Raise `InputError` where what would be the classes are parts of the data."""
    names = {each.name.lower() for each in folders}
    if names and names <= {*TRAINING, *HELD_OUT}:
        raise InputError(
            f"data.root: {shown(folders[0])} is a part of the data by its name, but holds no class "
            f"folders; expected {shown(folders[0])}/<class>/<image>, or folders that are named "
            "after classes"
        )
    for each in folders:
        inner = {below.name.lower() for below in subfolders(each)}
        if inner & set(TRAINING) and inner & set(HELD_OUT):
            raise InputError(
                f"data.root: {shown(each)} holds parts of the data ({', '.join(sorted(inner))}); "
                f"set data.root to it, or arrange images as {shown(root)}/<part>/<class>/<image>"
            )
