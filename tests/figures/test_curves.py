"""Figures of curves against the file: what is drawn, and every number that is said."""

import numpy as np
import pytest
from drawings import has_band, lines, numbers

from vinfo_mpi.figures.catalogue import FIGURES


def both_ends(stored, name):
    """Return first value, its error, last value and its error of a curve."""
    values = stored[name]
    errors = stored[f"{name}_se"]
    return [values[0], errors[0], values[-1], errors[-1]]


def test_options_choose_a_panel(results, ax):
    assert results.plot.flow(ax, measure="vinformation").get_ylabel() == "V-information"
    assert results.plot.spectrum(curve="cumulated_quality").get_ylabel() == "cumulated quality"


def test_epochs(results, stored, ax):
    results.plot.epochs(ax)
    mean = stored["sedimentation/mean_complexity"]
    names = ("mean_complexity", "top_complexity", "mean_late", "mean_unreadable")
    drawn = [stored[f"sedimentation/{name}"] for name in names]
    for line, values in zip(ax.lines, drawn, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), stored["sedimentation/epochs"])
        np.testing.assert_array_equal(line.get_ydata(), values)
    has_band(ax.collections[0], mean, stored["sedimentation/mean_complexity_se"])
    counts = np.isfinite(stored["sedimentation/complexity"]).sum(1)
    expected = [0, 2, counts[0], counts[-1], *both_ends(stored, "sedimentation/mean_complexity")]
    expected += [5, 5, *both_ends(stored, "sedimentation/top_complexity")]
    expected += both_ends(stored, "sedimentation/mean_late")
    expected += both_ends(stored, "sedimentation/mean_unreadable")
    assert numbers(FIGURES["epochs"].sentence(results)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("measure", ["cka", "vinformation"])
def test_flow(results, stored, living, ax, measure):
    results.plot.flow(ax, measure=measure)
    for end in ("simple", "complex"):
        for branch in ("shortcut", "main"):
            expected = stored[f"flow/{end}_{branch}_{measure}"]
            np.testing.assert_array_equal(lines(ax)[f"{end}, {branch}"], expected)
    name = f"flow/simple_shortcut_{measure}"
    has_band(ax.collections[0], stored[name], stored[f"{name}_se"])
    count = max(2, round(0.1 * living.sum()))
    expected = [10, count, *both_ends(stored, "flow/simple_shortcut_vinformation")]
    expected += [count, *both_ends(stored, "flow/complex_shortcut_vinformation")]
    for end in ("simple", "complex"):
        expected += both_ends(stored, f"flow/{end}_shortcut_cka")
    assert numbers(FIGURES["flow"].sentence(results)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("in_turn", [True, False])
def test_support(results, stored, ax, in_turn):
    results.plot.support(ax, in_turn=in_turn)
    orders = [name.decode() for name in stored["support/orders"]]
    labels = {
        "importance-descending": "most important first",
        "complexity-ascending": "simplest first",
        "random": "random",
    }
    relative = stored["support/relative"]
    for name, label in labels.items():
        drawn = f"{name}-in-turn" if in_turn and "importance" not in name else name
        np.testing.assert_array_equal(lines(ax)[label], relative[orders.index(drawn)])
    assert len(ax.lines) == 5
    half = stored["support/proportions"].tolist().index(0.5)
    expected = [50, 40]
    for name in ("importance-descending", "importance-ascending"):
        row = orders.index(name)
        expected += [relative[row, half], stored["support/relative_se"][row, half]]
    for suffix in ("-in-turn", ""):
        for name in ("complexity-ascending", "complexity-descending", "random"):
            row = orders.index(f"{name}{suffix}")
            expected += [stored["support/area"][row], stored["support/area_se"][row]]
    assert numbers(FIGURES["support"].sentence(results)) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("curve", ["eigenvalues", "cumulated_utilisation", "cumulated_quality"])
def test_spectrum(results, stored, ax, curve):
    results.plot.spectrum(ax, curve=curve)
    expected = stored[f"spectrum/{curve}"][:, -1]
    if curve == "eigenvalues":
        expected = expected / expected[:, :1]
    for line, values in zip(ax.lines, expected, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)


def test_what_is_said_of_the_spectrum(results, stored):
    last_tap = {name: values[:, -1] for name, values in stored.items() if values.ndim > 1}
    significant = last_tap["spectrum/significant"]
    expected = [90, significant[0], 0, significant[-1], 2]
    expected += both_ends(last_tap, "spectrum/effective_dimension")
    expected += both_ends(last_tap, "spectrum/laziness")
    said = FIGURES["spectrum"].sentence(results)
    assert "layer4.1" in said
    assert numbers(said) == pytest.approx([*expected, 0, 1], abs=0.005)
