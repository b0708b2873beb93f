"""Every figure against the file: what is drawn, and every number that is said, by numpy and scipy alone."""

import re
import zlib

import matplotlib as mpl
import matplotlib.figure
import matplotlib.pyplot as plt
import numpy as np
import pytest
from contents import datasets
from scipy.spatial.distance import cdist
from scipy.stats import sem, spearmanr

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures import catalogue, style
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.numerics.correlation import Correlation

NAMES = [
    "complexity", "vinformation", "complexity_importance", "complexity_importance_first", "complexity_temporal", "epochs",
    "flow", "redundancy", "robustness", "support", "map", "spectrum",
]  # fmt: skip
COMPLEXITY = "concepts/complexity"


@pytest.fixture(scope="module")
def results(run):
    return Results(run[0])


@pytest.fixture(scope="module")
def stored(run):
    return datasets(run[0] / "results.h5")


@pytest.fixture(scope="module")
def living(stored):
    return stored["concepts/alive"] == 1


@pytest.fixture
def ax():
    return matplotlib.figure.Figure().subplots()


def numbers(text):
    """Return all numbers of a sentence, in order, without those in names such as layer4.1."""
    return [float(one) for one in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", text)]


def lines(ax):
    return {one.get_label(): one.get_ydata() for one in ax.lines}


def first_epoch(stored):
    """Return complexity and importance of the concepts of epoch 1."""
    row = stored["sedimentation/epochs"].tolist().index(1)
    complexity, importance = stored["sedimentation/complexity"][row], stored["sedimentation/importance"][row]
    return complexity[~np.isnan(complexity)], importance[~np.isnan(complexity)]


def test_the_names_and_their_order():
    assert list(FIGURES) == NAMES
    assert all(one.name == name for name, one in FIGURES.items())


@pytest.mark.parametrize("name", NAMES)
def test_each_draws_on_given_axes_and_on_its_own(results, ax, name):
    before, open_before = dict(mpl.rcParams), plt.get_fignums()
    assert getattr(results.plot, name)(ax) is ax
    assert ax.has_data()
    own = getattr(results.plot, name)()
    assert own.figure is not ax.figure
    assert own.figure.get_figwidth() in (3.3, 6.8)
    panels = [one for one in own.figure.axes if one.get_label() != "<colorbar>"]
    assert len(panels) == len(FIGURES[name].panels)
    assert all(one.has_data() for one in panels)
    assert plt.get_fignums() == open_before, "pyplot keeps nothing"
    assert dict(mpl.rcParams) == before


def test_options_choose_a_panel(results, ax):
    assert results.plot.flow(ax, measure="vinformation").get_ylabel() == "V-information"
    assert results.plot.spectrum(curve="cumulated_quality").get_ylabel() == "cumulated quality"


@pytest.mark.parametrize(
    ("name", "column", "label"),
    [("complexity_importance", "importance", "importance Γ"), ("complexity_temporal", "temporal", "temporal score Λ")],
)
def test_scatter_plots_and_their_correlation(results, stored, living, ax, name, column, label):
    getattr(results.plot, name)(ax)
    x, y = stored[COMPLEXITY][living], stored[f"concepts/{column}"][living]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([x, y]))
    assert ax.get_ylabel().startswith(label)
    _says_correlation(FIGURES[name].sentence(results), x, y)
    assert ax.get_title().replace("\N{MINUS SIGN}", "-") in FIGURES[name].sentence(results)


def test_importance_at_the_first_epoch(results, stored, ax):
    results.plot.complexity_importance_first(ax)
    x, y = first_epoch(stored)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([x, y]))
    said = FIGURES["complexity_importance_first"].sentence(results)
    assert "epoch 1" in said + ax.get_xlabel()
    _says_correlation(said, x, y)


@pytest.mark.parametrize(
    ("name", "drawn", "column"),
    [("redundancy", "redundancy/values", "redundancy"), ("robustness", "robustness/variance", "noise_variance")],
)
def test_scatter_plots_of_several_levels(results, stored, living, ax, name, drawn, column):
    getattr(results.plot, name)(ax)
    for collection, values in zip(ax.collections, stored[drawn], strict=True):
        np.testing.assert_array_equal(collection.get_offsets(), np.column_stack([stored[COMPLEXITY], values])[living])
    _says_correlation(FIGURES[name].sentence(results), stored[COMPLEXITY][living], stored[f"concepts/{column}"][living])


def test_complexity(results, stored, living, ax):
    results.plot.complexity(ax)
    values = stored[COMPLEXITY][living]
    assert [bar.get_height() for bar in ax.patches] == np.histogram(values, np.arange(41) / 40)[0].tolist()
    n, k, median, share, low, high, mean, error = numbers(FIGURES["complexity"].sentence(results))
    assert (n, k, share) == (living.sum(), len(living), 80)
    assert [median, low, high] == pytest.approx(np.quantile(values, [0.5, 0.1, 0.9]), abs=0.005)
    assert (mean, error) == (pytest.approx(values.mean(), abs=0.006), pytest.approx(sem(values), abs=0.006))


def test_vinformation(results, stored, living, ax):
    results.plot.vinformation(ax)
    order = np.flatnonzero(living)[np.argsort(stored[COMPLEXITY][living], kind="stable")]
    np.testing.assert_array_equal(ax.images[0].get_array(), stored["vinformation"][:, order])
    assert [one.get_text() for one in ax.get_yticklabels()] == [one.decode() for one in stored["taps"]]
    assert float(ax.get_xticklabels()[-1].get_text()) == pytest.approx(stored[COMPLEXITY][order[-1]], abs=0.005)
    values = stored["vinformation"][:, living]
    n, first, first_error, last, last_error = numbers(FIGURES["vinformation"].sentence(results))
    assert n == living.sum()
    assert [first, last] == pytest.approx(values[[0, -1]].mean(1), abs=0.005)
    assert [first_error, last_error] == pytest.approx(sem(values[[0, -1]], axis=1), abs=0.005)


def test_epochs(results, stored, ax):
    results.plot.epochs(ax)
    for line, name in zip(ax.lines, ("mean", "top"), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), stored["sedimentation/epochs"])
        np.testing.assert_array_equal(line.get_ydata(), stored[f"sedimentation/{name}_complexity"])
    _has_band(ax.collections[0], stored["sedimentation/mean_complexity"], stored["sedimentation/mean_complexity_se"])
    found = numbers(FIGURES["epochs"].sentence(results))
    mean, top = (stored[f"sedimentation/{name}_complexity"][[0, -1]] for name in ("mean", "top"))
    mean_se, top_se = (stored[f"sedimentation/{name}_complexity_se"][[0, -1]] for name in ("mean", "top"))
    counts = np.isfinite(stored["sedimentation/complexity"]).sum(1)[[0, -1]]
    expected = [0, 2, *counts, mean[0], mean_se[0], mean[1], mean_se[1], 5, 5, top[0], top_se[0], top[1], top_se[1]]
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("measure", ["cka", "vinformation"])
def test_flow(results, stored, living, ax, measure):
    results.plot.flow(ax, measure=measure)
    for end in ("simple", "complex"):
        for branch in ("shortcut", "main"):
            expected = stored[f"flow/{end}_{branch}_{measure}"]
            np.testing.assert_array_equal(lines(ax)[f"{end}, {branch}"], expected)
    _has_band(ax.collections[0], stored[f"flow/simple_shortcut_{measure}"], stored[f"flow/simple_shortcut_{measure}_se"])
    count = max(2, round(0.1 * living.sum()))
    values = {end: (stored[f"flow/{end}_shortcut_cka"], stored[f"flow/{end}_shortcut_cka_se"]) for end in ("simple", "complex")}
    [simple, complex_] = ([mean[0], error[0], mean[-1], error[-1]] for mean, error in values.values())
    found = numbers(FIGURES["flow"].sentence(results))
    assert found == pytest.approx([10, count, *simple, count, *complex_], abs=0.005)


def test_support(results, stored, ax):
    results.plot.support(ax)
    orders = [name.decode() for name in stored["support/orders"]]
    names = {"importance-descending": "most important first", "complexity-ascending": "simplest first", "random": "random"}
    for name, label in names.items():
        np.testing.assert_array_equal(lines(ax)[label], stored["support/relative"][orders.index(name)])
    assert len(ax.lines) == len(orders)
    half = stored["support/proportions"].tolist().index(0.5)
    expected = [50, 40]
    for name in ("importance-descending", "importance-ascending"):
        expected += [stored[f"support/relative{end}"][orders.index(name), half] for end in ("", "_se")]
    assert numbers(FIGURES["support"].sentence(results)) == pytest.approx(expected, abs=0.005)


def test_map(results, stored, living, ax):
    place = np.column_stack([stored["concepts/map_x"], stored["concepts/map_y"]])
    shown = ~np.isnan(place[:, 0])
    for colour in ("complexity", "importance"):
        collection = results.plot.map(matplotlib.figure.Figure().subplots(), colour=colour).collections[0]
        np.testing.assert_array_equal(collection.get_offsets(), place[shown])
        np.testing.assert_array_equal(collection.get_array(), stored[f"concepts/{colour}"][shown])
    results.plot.map(ax, colour="class")
    for group, collection in enumerate(ax.collections):
        np.testing.assert_array_equal(collection.get_offsets(), place[shown & (stored["concepts/class"] == group)])
    both = shown & living
    distance = cdist(place[both], place[both])
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(1)
    complexity, group = stored[COMPLEXITY][both], stored["concepts/class"][both]
    value, _, n, same, same_se, chance = numbers(FIGURES["map"].sentence(results))
    assert (value, n) == (pytest.approx(spearmanr(complexity, complexity[nearest]).statistic, abs=0.005), both.sum())
    same_expected = (group == group[nearest]).mean()
    assert same == pytest.approx(same_expected, abs=0.005)
    assert same_se == pytest.approx(np.sqrt(same_expected * (1 - same_expected) / n), abs=0.005)
    assert chance == pytest.approx((np.bincount(group) ** 2).sum() / n**2, abs=0.005)


def test_many_classes_are_coloured_by_their_place_in_the_tree(results, stored, ax, monkeypatch):
    monkeypatch.setattr("vinfo_mpi.figures.style.CLASSES", ("#000000",) * 9)
    drawn = results.plot.map(ax, colour="class").collections[0]
    shown = ~np.isnan(stored["concepts/map_x"])
    leaves = stored["metafeatures/leaves"].tolist()
    assert drawn.get_array().tolist() == [leaves.index(one) for one in stored["concepts/class"][shown]]


@pytest.mark.parametrize("curve", ["eigenvalues", "cumulated_utilisation", "cumulated_quality"])
def test_spectrum(results, stored, ax, curve):
    results.plot.spectrum(ax, curve=curve)
    values = stored[f"spectrum/{curve}"][:, -1]
    for line, expected in zip(ax.lines, values / values[:, :1] if curve == "eigenvalues" else values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
    said = FIGURES["spectrum"].sentence(results)
    assert "layer4.1" in said
    significant = stored["spectrum/significant"][:, -1]
    expected = [90, significant[0], 0, significant[-1], 2]
    for name in ("effective_dimension", "laziness"):
        expected += [stored[f"spectrum/{name}{end}"][epoch, -1] for epoch in (0, -1) for end in ("", "_se")]
    assert numbers(said) == pytest.approx([*expected, 0, 1], abs=0.005)


def test_what_was_not_computed_says_which_command_adds_it(results):
    assert catalogue.missing(results) == []
    assert [one.name for one in catalogue.available(results)] == NAMES
    part = Results(results.path)
    part.datasets = tuple(name for name in part.datasets if not name.startswith(("flow", "sedimentation", "concepts/importance")))
    missing = {one.name: one.command(part) for one in catalogue.missing(part)}
    assert missing == {
        "complexity_importance": "python -m vinfo_mpi.importance",
        "complexity_importance_first": "python -m vinfo_mpi.analyses.sedimentation",
        "epochs": "python -m vinfo_mpi.analyses.sedimentation",
        "flow": "python -m vinfo_mpi.analyses.flow",
        "map": "python -m vinfo_mpi.importance",
    }
    assert {one.name for one in catalogue.available(part)} == set(NAMES) - set(missing)
    for draw in (
        lambda: part.plot.flow(),
        lambda: part.plot.flow(None, measure="cka"),
        lambda: catalogue.write(part, ".", ["flow"]),
    ):
        with pytest.raises(InputError, match=r"flow' yet; python -m vinfo_mpi\.analyses\.flow adds it"):
            draw()


def test_every_dataset_read_is_declared(results, monkeypatch):
    asked, original = [], Results.read

    def read(self, name):
        asked.append(name)
        return original(self, name)

    monkeypatch.setattr(Results, "read", read)
    for figure in FIGURES.values():
        fresh = Results(results.path)
        asked.clear()
        figure.sentence(fresh)
        figure.whole(fresh)
        assert set(asked) <= {*figure.reads, "concepts/index"}, figure.name


def test_names_are_completed_and_wrong_ones_explained(results):
    assert dir(results.plot) == sorted(NAMES)
    assert "distribution" in results.plot.complexity.__doc__
    with pytest.raises(AttributeError, match="did you mean 'complexity'"):
        results.plot.complexty  # noqa: B018
    with pytest.raises(InputError, match="no figure 'complexty'"):
        catalogue.write(results, ".", ["complexty"])


def test_pdf_with_fonts_and_png_are_written_the_same_each_time(results, tmp_path):
    first = catalogue.write(results, tmp_path / "new" / "figures")
    assert [one.name for one in first] == [f"{name}.{kind}" for name in NAMES for kind in ("pdf", "png")]
    for path in first:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF")
            assert b"/FontFile2" in content, "a TrueType font is embedded"
            assert b"/Subtype /Type3" not in content
        else:
            width = int.from_bytes(content[16:20])
            assert width == round(200 * FIGURES[path.stem].size[0])
            pixels = np.frombuffer(zlib.decompress(_data(content)), np.uint8)
            assert len(np.unique(pixels)) > 50
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red"}):  # a style of the user's
        again = catalogue.write(results, tmp_path / "again", ["map", "complexity"])
    assert [one.name for one in again] == ["map.pdf", "map.png", "complexity.pdf", "complexity.png"]
    for path in again:
        assert path.read_bytes() == (tmp_path / "new" / "figures" / path.name).read_bytes()


def test_what_is_not_clear_is_not_claimed():
    assert style.relation(Correlation(0.3, 0.1, 40), "Up", "Down") == "Up: Spearman +0.30 ± 0.10, n = 40."
    assert style.relation(Correlation(-0.3, 0.1, 40), "Up", "Down").startswith("Down: Spearman -0.30")
    assert style.relation(Correlation(0.1, 0.1, 40), "Up", "Down").startswith("No clear relation")
    assert style.relation(Correlation(np.nan, np.nan, 2), "Up", "Down").endswith("Spearman undefined, n = 2.")
    assert style.number(-0.2504, 0.0032) == "-0.250 ± 0.003"
    assert style.number(1.0, 0.0) == "1.00 ± 0.00"
    assert style.number(0.5) == "0.50"
    assert style.change(0.5, 0.51, (0.01, 0.01)) == "hardly changes, from 0.50 ± 0.01 to 0.51 ± 0.01"


def _says_correlation(text, x, y):
    """Check the correlation, its number of concepts, and its error against scipy's, and against a bootstrap of our own."""
    value, error, n = (float(one) for one in re.search(r"Spearman (\S+) ± (\S+), n = (\d+)", text).groups())
    assert (value, n) == (pytest.approx(spearmanr(x, y).statistic, abs=0.005), len(x))
    random = np.random.default_rng(1)
    draws = [spearmanr(x[taken], y[taken]).statistic for taken in random.integers(0, len(x), (300, len(x)))]
    assert error == pytest.approx(np.std(draws), rel=0.25, abs=0.006)


def _has_band(band, mean, error):
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx(((mean - error).min(), (mean + error).max()))


def _data(png):
    """Return the compressed pixels of a PNG."""
    return b"".join(png[start + 4 : start + 4 + int.from_bytes(png[start - 4 : start])] for start in _chunks(png))


def _chunks(png):
    place = 8
    while place < len(png):
        if png[place + 4 : place + 8] == b"IDAT":
            yield place + 4
        place += 12 + int.from_bytes(png[place : place + 4])
