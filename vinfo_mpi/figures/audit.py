"""Figure of what decisions rest on: factors of the images, relied on, readable, carried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results import schema_audit as schema
from vinfo_mpi.results.schema import ALIVE, COMPLEXITY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results

AT_MOST = 8  # factors that are drawn
NAMED = 3  # concepts that are named
READABLE = 0.5  # V-information within classes of what is called readable


def draw_audit(results: Results, ax: Axes, what: str = "gap") -> Axes:
    """Which factors do the decisions follow, against the class? And where are they readable?"""
    chosen = order(results)[:AT_MOST]
    names = results.names(schema.AUDIT_FACTORS)
    if what == "gap":
        heights = -np.arange(len(chosen))
        for shift, dataset, label in (
            (0.12, schema.AUDIT_GAP, "as it is"),
            (-0.12, schema.AUDIT_GAP_WITHOUT, "without carriers"),
        ):
            values, errors = results.read_with_error(dataset)
            ax.errorbar(
                100 * values[chosen],
                heights + shift,
                xerr=100 * errors[chosen],
                fmt="o" if shift > 0 else "s",
                color=style.DARK if shift > 0 else style.LIGHT,
                elinewidth=0.8,
                label=label,
            )
        ax.axvline(0, color="black", linewidth=0.6)
        ax.set_yticks(heights, [names[number] for number in chosen])
        ax.set(xlabel="gap in accuracy, points")
    else:
        values, errors = results.read_with_error(schema.AUDIT_WITHIN)
        of_chosen = np.nan_to_num(values[:, chosen])
        labels = [names[number] for number in chosen]
        style.curves_over_taps(ax, of_chosen, np.nan_to_num(errors[:, chosen]), labels)
        ax.set_ylabel("V within classes")
    style.legend_above(ax, columns=2)
    return ax


def say_audit(results: Results) -> str:
    """Return on which factor decisions rest most, how it is read, and which concepts carry it."""
    names = results.names(schema.AUDIT_FACTORS)
    gap, error = results.read_with_error(schema.AUDIT_GAP)
    known = [number for number in order(results) if np.isfinite(gap[number])]
    never = [names[number] for number in np.flatnonzero(np.isnan(gap))]
    sentences = []
    if known:
        sentences += _of_factor(results, known[0], names)
        others = [
            f"{names[number]} ({_points(gap[number], error[number])})"
            for number in known[1:]
            if gap[number] > 2 * error[number]
        ]
        sentences.append(f"Decisions also follow {', '.join(others)}." if others else "")
    if never:
        follow = "follows" if len(never) == 1 else "follow"
        sentences.append(
            f"{', '.join(never)} {follow} from the class in all images, and cannot be told from it."
        )
    return " ".join(sentence for sentence in sentences if sentence)


def order(results: Results) -> np.ndarray:
    """Return the factors by what decisions lose against them, then those that are never so."""
    gap = results.read(schema.AUDIT_GAP)
    given = np.array(results.names(schema.AUDIT_KINDS)) == "given"
    # What the data set knows comes before what pictures show of it.
    return np.lexsort((~given, -np.nan_to_num(np.round(gap, 3), nan=-np.inf)))


def _of_factor(results: Results, number: int, names: list[str]) -> list[str]:
    """Return the sentences about one factor."""
    gap, error = results.read_with_error(schema.AUDIT_GAP)
    without, without_error = results.read_with_error(schema.AUDIT_GAP_WITHOUT)
    rests = gap[number] > 2 * error[number]
    begin = "Decisions rest most on" if rests else "No factor is clearly relied on; the most is"
    sentences = [
        f"{begin} {names[number]}: within a class, {_points(gap[number], error[number])} fewer "
        "images are right where it is not as usual for the class, "
        f"{_points(without[number], without_error[number])} without the concepts that carry it."
    ]
    worst, worst_error = results.read_with_error(schema.AUDIT_WORST)
    if np.isfinite(worst[number]):
        of_class = results.classes[results.read(schema.AUDIT_WORST_CLASS)[number]]
        side = ("low", "high")[results.read(schema.AUDIT_WORST_SIDE)[number]]
        share = style.number(100 * worst[number], 100 * worst_error[number])
        sentences.append(f"Worst are {of_class} where it is {side}: {share} % are right.")
    return [*sentences, _readable(results, number), _carried(results, number)]


def _readable(results: Results, number: int) -> str:
    """Return where and when a factor can be read."""
    at_tap, at_tap_error = results.read_with_error(schema.AUDIT_VINFORMATION)
    within, within_error = results.read_with_error(schema.AUDIT_WITHIN)
    taps = results.names(schema.AUDIT_TAPS)
    best = int(np.nanargmax(at_tap[:, number]))
    said = (
        f"It is read best from {taps[best]}, with "
        f"{style.number(at_tap[best, number], at_tap_error[best, number])}, within classes "
        f"{style.number(within[best, number], within_error[best, number])}"
    )
    epochs = results.read(schema.AUDIT_CHECKPOINTS)
    early = np.flatnonzero(results.read(schema.AUDIT_EPOCHS_WITHIN)[:, number] >= READABLE)
    if len(early):
        said += f", from the last tap with at least {READABLE} since epoch {epochs[early[0]]}"
    return f"{said}."


def _carried(results: Results, number: int) -> str:
    """Return which concepts carry a factor, how complex they are, how much rests on them."""
    correlation = results.read(schema.AUDIT_CORRELATION_WITHIN)[number]
    carriers = results.read(schema.AUDIT_CARRIERS)[number]
    share = 100 * results.read(schema.AUDIT_IMPORTANCE)[number].mean()
    complexity = results.read(COMPLEXITY)
    said = [
        f"#{concept} (r {correlation[concept]:+.2f}, K {complexity[concept]:.2f})"
        for concept in carriers[:NAMED]
    ]
    return f"{', '.join(said)} carry it; {share:.0f} % of the importance goes with it."


def _points(value: float, error: float) -> str:
    return f"{style.number(100 * value, 100 * error)} points"


AUDIT_FIGURE = Figure(
    "audit",
    "What the decision rests on",
    (ALIVE, COMPLEXITY, *schema.AUDIT_SHOWN),
    draw_audit,
    say_audit,
    size=(style.TWO_COLUMNS, 2.4),
    panels=({"what": "gap"}, {"what": "availability"}),
)
