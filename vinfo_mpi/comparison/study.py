"""The runs that are compared, and whether they can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, count

import numpy as np

from vinfo_mpi.errors import InputError
from vinfo_mpi.results.schema import COMPLEXITY
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.rows import RowReader


@dataclass(frozen=True)
class Study:
    """One of the runs: its name here, its files, open, and its results."""

    label: str
    run: Run
    activations: ActivationReader
    codes: RowReader
    results: Results

    @property
    def concepts(self) -> int:
        """Number of concepts K."""
        return self.codes.shape("codes")[1]

    @property
    def images(self) -> int:
        """Number of images N."""
        return self.codes.shape("codes")[0]


@contextmanager
def opened(runs: dict[str, Run]) -> Iterator[list[Study]]:
    """Open the final network's activations, codes and results of every run, by name.

    Raises
    ------
    InputError
        Where a file is missing, or the runs are not of the same images in the same order.
    """
    with ExitStack() as files:
        studies = [
            Study(
                label,
                run,
                files.enter_context(run.open_activations(run.final)),
                files.enter_context(run.open_codes()),
                Results(run.results),
            )
            for label, run in runs.items()
        ]
        for study in studies:
            _check_own_files(study)
            _check_images(studies[0], study)
        yield studies


def _check_own_files(study: Study) -> None:
    """Raise `InputError` where results are of other concepts than the codes."""
    scored = len(study.results.read(COMPLEXITY))
    if scored != study.concepts:
        raise InputError(
            f"{study.run.results} has {scored} concepts and {study.codes.path} {study.concepts}; "
            "bring the run up to date with vinfo_mpi.score"
        )


def _check_images(first: Study, other: Study) -> None:
    """Raise `InputError` unless row i of all files is the same image."""
    ids = first.activations.read("samples/id")
    for file in (other.activations, other.codes):
        difference = first_difference(ids, file.read("samples/id"))
        if difference:
            raise InputError(
                f"{first.activations.path} and {file.path} contain different images: {difference}; "
                "runs can be compared that analyse the same images (data.source, data.root, "
                "data.analyse, data.per_class)"
            )


def first_difference(ids: np.ndarray, others: np.ndarray) -> str | None:
    """Return where two lists of images differ first, in words; None where they are the same.

    >>> first_difference(np.array([3, 4, 5]), np.array([3, 5, 4]))
    'image 1 has the id 4 there and 5 here'
    """
    shared = min(len(ids), len(others))
    differing = np.flatnonzero(ids[:shared] != others[:shared])
    if len(differing):
        row = differing[0]
        return f"image {row} has the id {ids[row]} there and {others[row]} here"
    if len(ids) != len(others):
        return f"there are {len(ids):,} images there and {len(others):,} here"
    return None


def labels_of(names: Sequence[str]) -> list[str]:
    """Return names that differ: those of runs that are named alike get numbers.

    >>> labels_of(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    labels: list[str] = []
    for name in names:
        numbered = (f"{name} ({number})" for number in count(2))
        labels.append(next(label for label in chain([name], numbered) if label not in labels))
    return labels
