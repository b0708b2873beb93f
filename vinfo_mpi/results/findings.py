"""The findings of the paper, looked for in a run.

Every sign has its value, its standard error, and whether it holds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import bootstrap
from vinfo_mpi.registry import command
from vinfo_mpi.results import curves
from vinfo_mpi.results.curves import Measured
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import (
    CODE_VARIANCE,
    COMPLEXITY,
    CONFOUNDS,
    DISCARDED,
    IMPORTANCE,
    LAST_TAP,
    LATE,
    PARTS,
    TEMPORAL,
    UNREADABLE,
)
from vinfo_mpi.results.schema_analyses import (
    HOYER,
    NOISE_RANGE,
    NOISE_VARIANCE,
    NOISE_VARIANCE_UNDIVIDED,
    REDUNDANCY,
    flow_mean,
)
from vinfo_mpi.results.schema_sedimentation import (
    MEAN_COMPLEXITY,
    MEAN_PARTS,
    OWN_CORRELATION,
    TOP_COMPLEXITY,
)
from vinfo_mpi.results.sign import Sign
from vinfo_mpi.results.signs_of_others import SIGNS_OF_OTHERS
from vinfo_mpi.results.tables import Results

NEAR = 0.2  # what counts as about nothing, on the scale of correlations and of V-information
VERDICTS = f"yes and no: by more than two standard errors; about 0 is up to {NEAR} from it"
GIVEN = (CODE_VARIANCE, LAST_TAP)  # what each correlation is shown without, beside all confounds
COLUMNS = ("sign", "expected", "value", "standard_error", "verdict", "source")


def table(results: Results, expected_only: bool = False) -> pd.DataFrame:
    """Return the signs: text, expected, value, standard error, verdict and the paper.

    All that make sense for the run's images, or those alone of which the paper says what to expect.
    The verdict is yes, no, unclear within two errors, undefined, or which command computes it;
    empty where nothing is expected.
    """
    signs = [
        sign
        for sign in SIGNS
        if (sign.expected or not expected_only) and all(map(results.suits, sign.needs))
    ]
    rows = [(sign.text, sign.expected, *_judged(sign, results), sign.source) for sign in signs]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def verdict(expected: str, value: float, error: float) -> str:
    """Return whether a value is as expected: clearly, clearly not, or neither.

    Clear is what is beyond two standard errors.
    """
    if np.isnan(value):
        return "undefined"
    if not expected:
        return ""
    slack = 2 * np.nan_to_num(error)
    if expected == "about 0":
        return _answer(yes=abs(value) <= NEAR, no=abs(value) > NEAR + slack)
    towards = value if expected == "> 0" else -value
    return _answer(yes=towards - slack > 0, no=towards + slack < 0)


def text(results: Results) -> str:
    """Return the signs as a table for the terminal."""
    lines = [f"{'sign':<74} {'expected':<9} {'value':<15} holds"]
    for source, rows in table(results).groupby("source", sort=False):
        lines.append(str(source))
        for row in rows.to_dict("records"):
            number = _number(row["value"], row["standard_error"])
            lines.append(f"  {row['sign']:<72} {row['expected']:<9} {number:<15} {row['verdict']}")
        lines.append("")
    lines.append(VERDICTS)
    of_all = results.mean(COMPLEXITY) if COMPLEXITY in results else None
    if of_all is not None:
        lines.append(f"± of correlations and of means over concepts: bootstrap over {of_all.over}")
    return "\n".join(lines)


def _judged(sign: Sign, results: Results) -> tuple[float, float, str]:
    """Return value, standard error and verdict of a sign."""
    missing = [stage for stage in sign.needs if stage not in results.inputs]
    if missing:
        return np.nan, np.nan, f"not computed: python -m {command(missing[0])}"
    try:
        value, error = sign.measure(results)
    except (InputError, KeyError):  # what an earlier version has not written
        return np.nan, np.nan, f"not computed: python -m {command(sign.needs[0])} --force"
    return value, error, verdict(sign.expected, value, error)


def _answer(yes: bool, no: bool) -> str:
    if yes:
        return "yes"
    return "no" if no else "unclear"


def _number(value: float, error: float) -> str:
    """Return a value with its standard error, as far as there are any."""
    if not np.isfinite(value):
        return ""
    return f"{value:.3f} ± {error:.3f}" if np.isfinite(error) else f"{value:.3f}"


def _correlated(first: Dataset, second: Dataset, *given: Dataset) -> Callable[[Results], Measured]:
    """Measure the correlation of two quantities over the concepts, or the partial one."""

    def measure(results: Results) -> Measured:
        correlation = results.correlation(first, second, given)
        return correlation.value, correlation.standard_error

    return measure


def _with_complexity(label: str, expected: str, stage: str, dataset: Dataset) -> tuple[Sign, ...]:
    """Return the signs of complexity and of each of its parts with another quantity.

    What goes with K may go with one part of it, and against another; and it may go with what else
    would give it: how large the code is, how readable at the end, on how many images and in which
    classes it occurs.
    """
    needs = ("score", stage)
    whole = Sign(f"complexity ~ {label}", expected, needs, _correlated(COMPLEXITY, dataset))
    parts = [
        Sign(f"... {part_of.column} ~ {label}", "", needs, _correlated(part_of, dataset))
        for part_of in PARTS
    ]
    partial = [
        Sign(
            f"... given {CONFOUNDS[given]} ~ {label}",
            "",
            needs,
            _correlated(COMPLEXITY, dataset, given),
        )
        for given in GIVEN
    ]
    partial.append(
        Sign(
            f"... given all four ~ {label}", "", needs, _correlated(COMPLEXITY, dataset, *CONFOUNDS)
        )
    )
    return (whole, *partial, *parts)


def _spread(results: Results) -> Measured:
    """Measure how wide the complexities spread."""
    complexity = results.living[COMPLEXITY.column].to_numpy()
    width = bootstrap.quantile_range(complexity, 0.1, 0.9, results.classes_of_living)
    return width.value, width.standard_error


_BEHIND = tuple(
    Sign(f"complexity ~ {what} (a confound)", "", ("score",), _correlated(COMPLEXITY, dataset))
    for dataset, what in CONFOUNDS.items()
)
SIGNS = (
    Sign(
        "complexities spread inside [0, 1] (10 to 90 % quantile)",
        "> 0",
        ("score",),
        _spread,
    ),
    *_BEHIND,
    *_with_complexity("temporal score", "> 0", "dynamics", TEMPORAL),
    Sign(
        "complexity ~ importance, own concepts of the first epoch",
        "about 0",
        ("sedimentation",),
        curves.after_first_epoch(OWN_CORRELATION),
    ),
    *_with_complexity("importance, final network", "< 0", "importance", IMPORTANCE),
    Sign(
        "mean complexity rises over the epochs",
        "> 0",
        ("sedimentation",),
        curves.change(MEAN_COMPLEXITY),
    ),
    Sign("... its unreadable part", "", ("sedimentation",), curves.change(MEAN_PARTS[UNREADABLE])),
    Sign("... its discarded part", "", ("sedimentation",), curves.change(MEAN_PARTS[DISCARDED])),
    Sign("... its late part", "> 0", ("sedimentation",), curves.change(MEAN_PARTS[LATE])),
    Sign(
        "the late part flattens (its rise in the first half less its later change)",
        "> 0",
        ("sedimentation",),
        curves.rises_and_flattens(MEAN_PARTS[LATE]),
    ),
    Sign(
        "mean complexity of the most important falls",
        "< 0",
        ("sedimentation",),
        curves.change(TOP_COMPLEXITY),
    ),
    Sign(
        "V of simple concepts in shortcuts: change after the first blocks",
        "about 0",
        ("flow",),
        curves.after_first_blocks("vinformation"),
    ),
    Sign("... CKA, as in the paper", "", ("flow",), curves.after_first_blocks("cka")),
    Sign(
        "V of complex concepts in shortcuts: rise over all blocks",
        "> 0",
        ("flow",),
        curves.change(flow_mean("complex", "shortcut", "vinformation")),
    ),
    Sign(
        "... CKA over all blocks, as in the paper",
        "",
        ("flow",),
        curves.change(flow_mean("complex", "shortcut", "cka")),
    ),
    *_with_complexity("redundancy", "< 0", "redundancy", REDUNDANCY),
    *_with_complexity("variance under noise", "> 0", "robustness", NOISE_VARIANCE_UNDIVIDED),
    Sign(
        "... ~ the same divided by the variance between images",
        "",
        ("score", "robustness"),
        _correlated(COMPLEXITY, NOISE_VARIANCE),
    ),
    Sign(
        "... ~ range under noise",
        "",
        ("score", "robustness"),
        _correlated(COMPLEXITY, NOISE_RANGE),
    ),
    *_with_complexity("Hoyer sparsity of the atom", "about 0", "hoyer", HOYER),
    Sign(
        "the less important half of the concepts decides above guessing",
        "> 0",
        ("support",),
        curves.unimportant_half,
    ),
    Sign(
        "accuracy by the simplest first less random, in turn over classes",
        "> 0",
        ("support",),
        curves.simplest_first("-in-turn"),
    ),
    Sign(
        "... whatever their class",
        "",
        ("support",),
        curves.simplest_first(""),
    ),
    *SIGNS_OF_OTHERS,
)
