"""What the paper found, looked for in a run: every sign with its value, standard error, and whether it comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi import registry

if TYPE_CHECKING:
    import pandas as pd

    from vinfo_mpi.results.tables import Results

Measured = tuple[float, float]  # a value and its standard error, NaN where there is none
NEAR = 0.2  # what counts as about nothing, on the scale of correlations and of CKA


@dataclass(frozen=True)
class Sign:
    """One finding of the paper: what is measured, on what it is expected to be, and the stages that it needs."""

    text: str
    expected: str
    needs: tuple[str, ...]
    measure: Callable[[Results], Measured]


def table(results: Results) -> pd.DataFrame:
    """Return all signs: expected, value, standard_error, and verdict (yes, no, unclear within two errors, not computed)."""
    import pandas as pd

    rows = []
    for sign in SIGNS:
        missing = [stage for stage in sign.needs if stage not in results.inputs]
        value, error = (np.nan, np.nan) if missing else sign.measure(results)
        result = f"not computed: python -m {registry.module(missing[0])}" if missing else verdict(sign.expected, value, error)
        rows.append((sign.text, sign.expected, value, error, result))
    return pd.DataFrame(rows, columns=["sign", "expected", "value", "standard_error", "verdict"])


def verdict(expected: str, value: float, error: float) -> str:
    """Return whether a value is as expected: beyond two standard errors, or clearly not, or neither."""
    slack = 2 * np.nan_to_num(error)
    if np.isnan(value):
        return "undefined"
    if expected == "about 0":
        return "yes" if abs(value) <= NEAR else "unclear" if abs(value) <= NEAR + slack else "no"
    low, high = (value - slack, value + slack) if expected == "> 0" else (-value - slack, -value + slack)
    return "yes" if low > 0 else "no" if high < 0 else "unclear"


def text(results: Results) -> str:
    """Return the signs as a table for the terminal."""
    lines = [f"{'sign':<74} {'expected':<9} {'value':<15} comes out"]
    for row in table(results).to_dict("records"):
        value, error = (f"{row[name]:.3f}" if np.isfinite(row[name]) else "" for name in ("value", "standard_error"))
        number = f"{value} ± {error}" if error else value
        lines.append(f"{row['sign']:<74} {row['expected']:<9} {number:<15} {row['verdict']}")
    return "\n".join(lines)


def _correlated(one: str, other: str) -> Callable[[Results], Measured]:
    def measure(results: Results) -> Measured:
        found = results.correlation(one, other)
        return found.value, found.standard_error

    return measure


def _change(name: str, start: int = 0, end: int = -1) -> Callable[[Results], Measured]:
    """Measure the change of a curve, from one of its points to another, with the errors of both."""

    def measure(results: Results) -> Measured:
        values, errors = (_of_last_tap(results.read(one)) for one in (name, f"{name}_se"))
        return float(values[end] - values[start]), float(np.hypot(errors[start], errors[end]))

    return measure


def _of_last_tap(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)[:, -1]


def _after_first_epoch(name: str) -> Callable[[Results], Measured]:
    """Measure at the first epoch of the training: the untrained network, where it is there, comes before."""

    def measure(results: Results) -> Measured:
        index = np.flatnonzero(results.read("sedimentation/epochs") > 0)[0]
        return float(results.read(name)[index]), float(results.read(f"{name}_se")[index])

    return measure


def _spread(results: Results) -> Measured:
    from scipy.stats import bootstrap

    values = results.concepts["complexity"].dropna().to_numpy()
    found = bootstrap((values,), _width, n_resamples=1000, batch=50, method="percentile", random_state=0)
    return float(_width(values, 0)), float(found.standard_error)


def _width(values: np.ndarray, axis: int) -> np.ndarray:
    return np.subtract(*np.quantile(values, [0.9, 0.1], axis=axis))


def _flattens(results: Results) -> Measured:
    """Measure by how much the mean complexity changes less in the second half of the checkpoints than in the first."""
    values, errors = results.read("sedimentation/mean_complexity"), results.read("sedimentation/mean_complexity_se")
    middle = len(values) // 2
    first, second = abs(values[middle] - values[0]), abs(values[-1] - values[middle])
    return float(first - second), float(np.sqrt(errors[0] ** 2 + errors[-1] ** 2 + (2 * errors[middle]) ** 2))


def _late(results: Results) -> Measured:
    """Measure the change of the simple concepts' shortcut CKA after the first quarter of the blocks."""
    return _change("flow/simple_shortcut_cka", len(results.read("flow/blocks")) // 4)(results)


def _unimportant_half(results: Results) -> Measured:
    """Measure the relative accuracy with the less important half of the concepts alone, above that of guessing."""
    orders = [name.decode() for name in results.read("support/orders")]
    half = int(np.abs(results.read("support/proportions") - 0.5).argmin())
    values, errors = results.read("support/relative"), results.read("support/relative_se")
    row = orders.index("importance-ascending")
    return float(values[row, half] - values[row, 0]), float(np.hypot(errors[row, half], errors[row, 0]))


SIGNS = (
    Sign("complexities spread inside [0, 1] (10 to 90 % quantile)", "> 0", ("score",), _spread),
    Sign("complexity ~ temporal score", "> 0", ("score", "dynamics"), _correlated("complexity", "temporal")),
    Sign("complexity ~ importance, own concepts of the first epoch", "about 0", ("sedimentation",),
         _after_first_epoch("sedimentation/correlation")),
    Sign("complexity ~ importance, final network", "< 0", ("score", "importance"), _correlated("complexity", "importance")),
    Sign("mean complexity rises over the epochs", "> 0", ("sedimentation",), _change("sedimentation/mean_complexity")),
    Sign("... and flattens (change of the first half less that of the second)", "> 0", ("sedimentation",), _flattens),
    Sign("mean complexity of the most important falls", "< 0", ("sedimentation",), _change("sedimentation/top_complexity")),
    Sign("CKA of shortcuts with simple concepts: change after the first blocks", "about 0", ("flow",), _late),
    Sign("CKA of shortcuts with complex concepts: rise over all blocks", "> 0", ("flow",), _change("flow/complex_shortcut_cka")),
    Sign("complexity ~ redundancy", "< 0", ("score", "redundancy"), _correlated("complexity", "redundancy")),
    Sign("complexity ~ variance under noise", "> 0", ("score", "robustness"), _correlated("complexity", "noise_variance")),
    Sign("complexity ~ Hoyer sparsity of the atom", "about 0", ("score", "hoyer"), _correlated("complexity", "hoyer")),
    Sign("the less important half of the concepts decides above guessing", "> 0", ("support",), _unimportant_half),
    Sign("laziness D_LR falls from the first to the last checkpoint", "< 0", ("spectrum",), _change("spectrum/laziness")),
)  # fmt: skip
