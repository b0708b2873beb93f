"""Figure of shortcut bias: which factor decisions follow, which was available from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vinfo_mpi.figures import style
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.results import schema_bias as schema

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vinfo_mpi.results.tables import Results


def draw_bias(results: Results, ax: Axes, panel: str = "reliance") -> Axes:
    """Do decisions follow the factor that predicts, or the one that was plain from the start?

    Panel: reliance (mean agreement of the bit that most factors predict with every factor, beside
    the optimum), or availability (V-information of every factor before the training).
    """
    names = results.names(schema.BIAS_FACTORS)
    if panel == "reliance":
        bit = _bit(results)
        heights = -np.arange(len(names))
        values, errors = results.read_with_error(schema.RELIANCE)
        ax.errorbar(
            values[bit], heights, xerr=errors[bit], fmt="o", color=style.DARK, label="network"
        )
        optimum = results.read(schema.OPTIMUM)[bit]
        ax.plot(optimum, heights, "s", color=style.LIGHT, fillstyle="none", label="optimum")
        ax.axvline(0, color="black", linewidth=0.6)
        ax.set_yticks(heights, names)
        ax.set(xlabel=f"reliance of '{results.names(schema.BIAS_BITS)[bit]}'", xlim=(-1.1, 1.1))
    else:
        values, errors = results.read_with_error(schema.AVAILABILITY)
        style.curves_over_taps(ax, values, errors, names)
        ax.set_ylabel("V before training")
    style.legend_above(ax, columns=2)
    return ax


def say_bias(results: Results) -> str:
    """Return by how much decisions follow one factor of a pair more than they should."""
    bias, error = results.read_with_error(schema.BIAS)
    names = results.names(schema.BIAS_FACTORS)
    available = results.read(schema.AVAILABILITY).mean(0)
    said = []
    for pair, value, of_value in zip(results.names(schema.PAIRS), bias, error, strict=True):
        first, second = pair.split(" over ")
        shown = style.number(value, of_value)
        said.append(
            f"Beyond the optimum, decisions follow {pair} by {shown} (from -1 to 1; 0: as the "
            f"training images warrant). Before the training, V-information of {first} was "
            f"{available[names.index(first)]:.2f}, of {second} "
            f"{available[names.index(second)]:.2f}, mean over the taps."
        )
    return " ".join(said)


def _bit(results: Results) -> int:
    """Return the bit of the label that the factors of the first pair may predict."""
    first = results.names(schema.PAIRS)[0].split(" over ")[0]
    number = results.names(schema.BIAS_FACTORS).index(first)
    return int(results.read(schema.PREDICTIVITY)[:, number].argmax())


BIAS_FIGURE = Figure(
    "bias",
    "Shortcut bias",
    (
        *(schema.BIAS_BITS, schema.BIAS_FACTORS, schema.PREDICTIVITY),
        *(schema.RELIANCE, schema.RELIANCE.se, schema.OPTIMUM),
        *(schema.PAIRS, schema.BIAS, schema.BIAS.se),
        *(schema.AVAILABILITY, schema.AVAILABILITY.se),
    ),
    draw_bias,
    say_bias,
    size=(style.TWO_COLUMNS, 2.4),
    panels=({"panel": "reliance"}, {"panel": "availability"}),
)
