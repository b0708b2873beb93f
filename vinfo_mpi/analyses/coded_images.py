"""The images whose codes are compared: what is known of them, and what their codes tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vinfo_mpi.config.sections.analyses import Patterns
from vinfo_mpi.data.images import held_out
from vinfo_mpi.networks.checkpoints import Checkpoint
from vinfo_mpi.numerics import activation_codes, categorisation
from vinfo_mpi.numerics.arrays import evenly_spaced, standard_error
from vinfo_mpi.numerics.dominant_patterns import ClassShares
from vinfo_mpi.results.schema_patterns import (
    CATEGORIES,
    CLASS_PATTERNS,
    CODE_REDUNDANCY,
    EQUAL_REDUNDANCY,
    EXCLUSIVE,
    MEAN_PATTERNS,
    NETWORK_ACCURACY,
)
from vinfo_mpi.run.run import Run

JUDGED = 0.2  # share of each class, drawn by the seed, where all images are of one split


@dataclass(frozen=True)
class CodedImages:
    """N images.

    Attributes
    ----------
    splits : dict of str to (N,) bool array
        Which of them were learned from, and which were held out; no split is empty.
    labels, prediction : (N,) int64 array
    judged : (N,) bool array
        Whether they are left for judging what is learned from the others' codes.
    classes : list of str
    labelled : bool
        Whether there are labels, of two classes at least.
    """

    splits: dict[str, np.ndarray]
    labels: np.ndarray
    prediction: np.ndarray
    judged: np.ndarray
    classes: list[str]
    labelled: bool

    @classmethod
    def of_run(cls, run: Run, checkpoint: Checkpoint) -> CodedImages:
        """Return what the activations of a checkpoint say of the images."""
        with run.open_activations(checkpoint) as activations:
            [n] = activations.shape("samples/id")
            rows = evenly_spaced(n, run.config.patterns.images)
            test = activations.read("samples/held_out")[rows] == 1
            labels = activations.read("samples/label")[rows].astype(np.int64)
            prediction = activations.read("samples/prediction")[rows]
            classes = activations.classes
            labelled = activations.labelled
        splits = {name: mask for name, mask in (("train", ~test), ("test", test)) if mask.any()}
        judged = test if len(splits) > 1 else held_out(labels, JUDGED, run.config.seed)
        told = labelled and bool(judged.any()) and len(np.unique(labels[~judged])) > 1
        return cls(splits, labels, prediction, judged, classes, told)

    def accuracy(self) -> dict[str, np.ndarray]:
        """Return the network's own on the judged images, by column: numbers."""
        right = (self.prediction == self.labels)[self.judged].astype(float)
        known = self.labelled and bool((self.prediction >= 0).all())
        return _with_error(NETWORK_ACCURACY.column, right if known else right * np.nan)

    def redundancy(self, hashes: np.ndarray, bits: np.ndarray) -> dict[str, np.ndarray]:
        """Return the redundancy ratio of a layer's codes, and of few of its bits: (splits,) each.

        Parameters
        ----------
        hashes : (N, 2) integer array
        bits : (N, b) bool array
        """
        few = np.packbits(bits, axis=1)
        measured = {}
        for dataset, codes in ((CODE_REDUNDANCY, hashes), (EQUAL_REDUNDANCY, few)):
            of_splits = [activation_codes.redundancy(codes[mask]) for mask in self.splits.values()]
            measured[dataset.column], measured[dataset.se.column] = np.array(of_splits).T
        return measured

    def told_apart(self, bits: np.ndarray, options: Patterns, seed: int) -> dict[str, np.ndarray]:
        """Return how well kept bits tell the classes, and the classes' patterns in them.

        By column: numbers, (relaxations,), and of single classes (classes, relaxations).
        """
        right = categorisation.right(bits, self.labels, self.judged, seed)
        measured: dict[str, np.ndarray] = {}
        for method, dataset in CATEGORIES.items():
            measured |= _with_error(dataset.column, right[method].astype(float))
        shares = ClassShares(bits, self.labels, self.judged, len(self.classes))
        patterns = [shares.patterns(relaxation) for relaxation in options.relaxations]
        for name, dataset in MEAN_PATTERNS.items():
            of_classes = np.stack([getattr(each, name) for each in patterns], 1)  # (C, D)
            measured[CLASS_PATTERNS[name].column] = of_classes
            known = of_classes[~np.isnan(of_classes).any(1)]
            measured |= _with_error(dataset.column, known)
        measured[EXCLUSIVE.column] = np.array([each.exclusive for each in patterns])
        return measured


def _with_error(column: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the mean over the first axis and its standard error, NaN where it is empty."""
    if not len(values):
        values = np.full((1, *values.shape[1:]), np.nan)
    return {column: np.asarray(values.mean(0)), f"{column}_se": standard_error(values)}
