"""The first screen of a report: what the run says, in sentences, concepts and findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vinfo_mpi.figures import style
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.registry import command
from vinfo_mpi.results import findings
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.findings import VERDICTS
from vinfo_mpi.results.schema import CLASS, COMPLEXITY, IMPORTANCE, NAME, PARTS, TEMPORAL
from vinfo_mpi.results.sign import THE_PAPER
from vinfo_mpi.results.tables import Results
from vinfo_mpi.results.written_by import stage_of

ENDS = 5  # concepts at either end of the scale
SHOWN = 20  # parts of the scale with an example of each


@dataclass(frozen=True)
class Shown:
    """A concept that is shown by its image.

    Attributes
    ----------
    number : int
    name, group : str
        "" where it has none: a name of its own, the class that it was fitted to.
    complexity : float
    error : str
        Its standard error; "" where there is none.
    """

    number: int
    name: str
    group: str
    complexity: float
    error: str

    @property
    def along(self) -> float:
        """The middle of its part of the scale."""
        return (_part(self.complexity) + 0.5) / SHOWN

    @property
    def text(self) -> str:
        """Text beside the image, or in its place."""
        name = f"Concept {self.number}{': ' if self.name else ''}{self.name}"
        return f"{name}, complexity {self.complexity:.2f}{self.error}"


@dataclass(frozen=True)
class Answer:
    """The answer that a run gives.

    Attributes
    ----------
    sentences : list of (str, str)
        Question and answer.
    quantiles : list of float
        Complexities below which 10, 50 and 90 % of the concepts lie; empty where none is alive.
    simplest, most_complex, along : list of Shown
        Concepts at either end, and the most important one of every part of the scale.
    findings : list of dict
        Of the paper and of others: sign, expected, value, verdict, command, source.
    verdicts : str
        What these mean.
    """

    sentences: Sequence[tuple[str, str]] = ()
    quantiles: Sequence[float] = ()
    simplest: Sequence[Shown] = ()
    most_complex: Sequence[Shown] = ()
    along: Sequence[Shown] = ()
    findings: Sequence[dict[str, str]] = ()
    verdicts: str = VERDICTS

    @property
    def findings_of_the_paper(self) -> list[dict[str, str]]:
        """What the paper found whose measures these are."""
        return [finding for finding in self.findings if finding["source"] == THE_PAPER]

    @property
    def findings_of_others(self) -> list[dict[str, str]]:
        """What other papers found."""
        return [finding for finding in self.findings if finding["source"] != THE_PAPER]


def answer(results: Results) -> Answer:
    """Return what a run says."""
    living = results.living
    if living.empty:
        nothing = (
            "No concept varies over the images, so that there is nothing to measure: is the last "
            "tap dead, or are the images too few?"
        )
        return Answer(sentences=[("How complex?", nothing)], findings=_findings(results))
    return Answer(
        sentences=[
            ("How complex?", how_complex(results)),
            ("When learned?", when_learned(results)),
            ("What does the decision rest on?", rests_on(results)),
        ],
        quantiles=living[COMPLEXITY.column].quantile([0.1, 0.5, 0.9]).tolist(),
        simplest=_shown(results, living.nsmallest(ENDS, COMPLEXITY.column)),
        most_complex=_shown(results, living.nlargest(ENDS, COMPLEXITY.column)[::-1]),
        along=_shown(results, most_important_along(living)),
        findings=_findings(results),
    )


def how_complex(results: Results) -> str:
    """Return where most concepts lie on the scale, and what the mean consists of."""
    low, high = results.living[COMPLEXITY.column].quantile([0.1, 0.9])
    mean = results.mean(COMPLEXITY)
    parts = {part.column: results.mean(part).value for part in PARTS if part in results}
    largest = max(parts, key=lambda name: parts[name], default="")
    most = f", most of it {largest} ({parts[largest]:.2f})" if largest else ""
    return (
        f"Of {len(results.living)} living concepts 80 % have a complexity between {low:.2f} and "
        f"{high:.2f}; the mean is {style.number(mean.value, mean.standard_error)} "
        f"({style.errors_over(mean)}){most}."
    )


def when_learned(results: Results) -> str:
    """Return whether complex concepts are learned later."""
    return _related(
        results,
        TEMPORAL,
        "Complex concepts are learned later than simple ones, or never",
        "Complex concepts are learned earlier than simple ones",
        "When a concept is learned shows no clear relation with its complexity",
    )


def rests_on(results: Results) -> str:
    """Return whether the decision rests more on simple or on complex concepts."""
    return _related(
        results,
        IMPORTANCE,
        "The decision rests more on complex concepts than on simple ones",
        "The decision rests more on simple concepts than on complex ones",
        "How much the decision rests on a concept shows no clear relation with its complexity",
    )


def most_important_along(living: pd.DataFrame) -> pd.DataFrame:
    """Return the most important concept of every part of the scale that has any."""
    worth = IMPORTANCE.column if IMPORTANCE.column in living else COMPLEXITY.column
    part = living[COMPLEXITY.column].map(_part)
    return living.loc[living[worth].groupby(part).idxmax()]


def _part(complexity: float) -> int:
    """Return in which part of the scale a complexity lies."""
    return min(SHOWN - 1, int(SHOWN * complexity))


def _related(results: Results, dataset: Dataset, rising: str, falling: str, neither: str) -> str:
    """Return how a quantity goes with complexity, or which command computes it."""
    if dataset not in results:
        return f"Not computed: python -m {command(stage_of(dataset))} adds it."
    correlation = results.correlation(COMPLEXITY, dataset)
    said = {1: rising, -1: falling, 0: neither}[_direction(correlation)]
    return f"{said}: {style.correlation_text(correlation)}."


def _direction(correlation: Estimate) -> int:
    """Return the sign of a correlation, 0 where it is less than two standard errors from 0."""
    clear = abs(correlation.value) > 2 * np.nan_to_num(correlation.standard_error)
    return int(np.sign(correlation.value)) if clear else 0


def _shown(results: Results, concepts: pd.DataFrame) -> list[Shown]:
    """Return what the page says of some concepts."""
    shown = []
    for number, concept in concepts.to_dict("index").items():
        error = concept.get(COMPLEXITY.se.column, np.nan)
        group = concept[CLASS.column]
        shown.append(
            Shown(
                number=int(str(number)),
                name=concept.get(NAME.column, ""),
                group=results.classes[group] if group >= 0 else "",
                complexity=concept[COMPLEXITY.column],
                error=f" ± {error:.2f}" if np.isfinite(error) else "",
            )
        )
    return shown


def _findings(results: Results) -> list[dict[str, str]]:
    """Return what papers found, and whether it holds here; not run does not mean no."""
    rows = []
    for row in findings.table(results, expected_only=True).to_dict("records"):
        ran, _, missing = row["verdict"].partition("not computed: ")
        value = row["value"]
        rows.append(
            {
                "sign": row["sign"],
                "expected": row["expected"].replace("<", "below").replace(">", "above"),
                "value": style.number(value, row["standard_error"]) if np.isfinite(value) else "",
                "verdict": "not run" if missing else ran,
                "command": missing,
                "source": row["source"],
            }
        )
    return rows
