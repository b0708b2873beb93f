"""Summaries of a run's curves over epochs, blocks, proportions: a number with its error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_analyses import (
    FLOW_BLOCKS,
    SUPPORT_AREA,
    SUPPORT_ORDERS,
    SUPPORT_PROPORTIONS,
    SUPPORT_RELATIVE,
    flow_mean,
)
from vinfo_mpi.results.schema_sedimentation import (
    OWN_EPOCHS,
)
from vinfo_mpi.results.tables import Results

Measured = tuple[float, float]  # a value and its standard error, NaN where there is none


def difference(values: np.ndarray, errors: np.ndarray, start: int = 0, end: int = -1) -> Measured:
    """Return the change of a curve from one of its points to another, with the errors of both.

    NaN where it is one and the same point, as of a run with a single checkpoint.
    """
    points = range(len(values))
    if points[start] == points[end]:
        return np.nan, np.nan
    return float(values[end] - values[start]), float(np.hypot(errors[start], errors[end]))


def change(dataset: Dataset, start: int = 0, end: int = -1) -> Callable[[Results], Measured]:
    """Measure the `difference` of two points of a curve.

    Of a curve for every tap, that of the last one.
    """

    def measure(results: Results) -> Measured:
        values, errors = results.read_with_error(dataset)
        if values.ndim > 1:
            values = values[:, -1]
            errors = errors[:, -1]
        return difference(values, errors, start, end)

    return measure


def entry(names: Dataset, dataset: Dataset, name: str) -> Callable[[Results], Measured]:
    """Measure the value that a dataset has for one of its names."""

    def measure(results: Results) -> Measured:
        values, errors = results.read_with_error(dataset)
        index = results.names(names).index(name)
        return float(values[index]), float(errors[index])

    return measure


def after_first_epoch(dataset: Dataset) -> Callable[[Results], Measured]:
    """Measure at the first epoch of the training.

    The untrained network, where it is there, comes before.
    """

    def measure(results: Results) -> Measured:
        values, errors = results.read_with_error(dataset)
        index = np.flatnonzero(results.read(OWN_EPOCHS) > 0)[0]
        return float(values[index]), float(errors[index])

    return measure


def rises_and_flattens(dataset: Dataset) -> Callable[[Results], Measured]:
    """Measure by how much a curve rises in its first half, less what it changes in the second.

    A curve that falls, or stays where it is, does not rise and flatten. The halves are of the
    epochs that were kept.
    """

    def measure(results: Results) -> Measured:
        values, errors = results.read_with_error(dataset)
        middle = len(values) // 2
        rise = values[middle] - values[0]
        afterwards = values[-1] - values[middle]
        # The middle enters both: twice where the curve keeps rising, else not at all.
        error = np.hypot(errors[0], errors[-1])
        if afterwards > 0:
            error = np.hypot(error, 2 * errors[middle])
        return float(rise - abs(afterwards)), float(error)

    return measure


def after_first_blocks(measure_name: str) -> Callable[[Results], Measured]:
    """Measure the change of the simple concepts' shortcuts after the first quarter of the blocks.

    Parameters
    ----------
    measure_name : str
        One of `MEASURES`.
    """

    def measure(results: Results) -> Measured:
        start = len(results.read(FLOW_BLOCKS)) // 4
        return change(flow_mean("simple", "shortcut", measure_name), start)(results)

    return measure


def unimportant_half(results: Results) -> Measured:
    """Measure the relative accuracy with the less important half of the concepts, above chance."""
    half = int(np.abs(results.read(SUPPORT_PROPORTIONS) - 0.5).argmin())
    row = results.names(SUPPORT_ORDERS).index("importance-ascending")
    values, errors = results.read_with_error(SUPPORT_RELATIVE)
    error = np.hypot(errors[row, half], errors[row, 0])
    return float(values[row, half] - values[row, 0]), float(error)


def simplest_first(suffix: str) -> Callable[[Results], Measured]:
    """Measure by how much the simplest concepts first are better than random ones: in area."""

    def measure(results: Results) -> Measured:
        orders = results.names(SUPPORT_ORDERS)
        names = (f"complexity-ascending{suffix}", f"random{suffix}")
        if not set(names) <= set(orders):  # an earlier version wrote no orders in turn
            return np.nan, np.nan
        simple, random = map(orders.index, names)
        areas, errors = results.read_with_error(SUPPORT_AREA)
        return float(areas[simple] - areas[random]), float(np.hypot(errors[simple], errors[random]))

    return measure
