"""The figures of a run: their names, what they read, what is written, what is lacking."""

import re
import zlib

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures import catalogue
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.figures.paper import paper
from vinfo_mpi.results.dataset import Dataset

NAMES = [
    "parts",
    "complexity",
    "vinformation",
    "confounds",
    "complexity_importance",
    "complexity_importance_first",
    "complexity_temporal",
    "epochs",
    "flow",
    "redundancy",
    "robustness",
    "support",
    "autoencoder",
    "audit",
    "map",
    "metafeatures",
    "super_classes",
    "tree",
    "spectrum",
    "collapse",
    "lazy",
    "migration",
    "pointwise",
    "monosemanticity",
    "facets",
    "bias",
    "measures",
    "patterns",
    "merging",
    "filters",
]
# Of a run on digits: for the shortcut bias see tests/analyses/test_bias.py.
OF_DIGITS = [name for name in NAMES if name != "bias"]


def test_the_names_and_their_order():
    assert list(FIGURES) == NAMES
    assert [figure.name for figure in FIGURES.values()] == NAMES


@pytest.mark.parametrize("name", OF_DIGITS)
def test_each_draws_on_given_axes_and_on_its_own(results, ax, name):
    style_before = dict(mpl.rcParams)
    open_before = plt.get_fignums()
    assert getattr(results.plot, name)(ax) is ax
    assert ax.has_data()
    whole = getattr(results.plot, name)().figure
    assert whole is not ax.figure
    assert whole.get_figwidth() in (3.3, 6.8)
    panels = [axes for axes in whole.axes if axes.get_label() != "<colorbar>"]
    assert len(panels) == len(FIGURES[name].panels)
    assert all(panel.has_data() for panel in panels)
    assert plt.get_fignums() == open_before, "pyplot keeps nothing"
    assert dict(mpl.rcParams) == style_before


def test_what_was_not_computed_says_which_command_adds_it(results):
    assert catalogue.missing(results) == []
    assert [figure.name for figure in catalogue.available(results)] == OF_DIGITS
    fewer = Results(results.path)
    absent = ("flow", "sedimentation", "concepts/importance")
    fewer.datasets = tuple(name for name in fewer.datasets if not name.startswith(absent))
    missing = {figure.name: figure.command(fewer) for figure in catalogue.missing(fewer)}
    assert missing == {
        "complexity_importance": "python -m vinfo_mpi.importance",
        "complexity_importance_first": "python -m vinfo_mpi.analyses.sedimentation",
        "epochs": "python -m vinfo_mpi.analyses.sedimentation",
        "flow": "python -m vinfo_mpi.analyses.flow",
        **dict.fromkeys(("map", "metafeatures", "tree"), "python -m vinfo_mpi.importance"),
    }
    available = {figure.name for figure in catalogue.available(fewer)}
    assert available == set(OF_DIGITS) - set(missing)
    for draw in (
        lambda: fewer.plot.flow(),
        lambda: fewer.plot.flow(None, measure="cka"),
        lambda: catalogue.write(fewer, ".", ["flow"]),
    ):
        with pytest.raises(
            InputError, match=r"flow' yet; python -m vinfo_mpi\.analyses\.flow adds it"
        ):
            draw()


def test_before_anything_is_scored_that_comes_first(results):
    unscored = Results(results.path)
    unscored.datasets = ("concepts/index", "concepts/importance")
    for name in ("complexity_importance", "super_classes"):
        assert FIGURES[name].command(unscored) == "python -m vinfo_mpi.score"


def test_what_has_to_be_set_stands_in_the_command(results):
    without = Results(results.path)
    without.datasets = tuple(name for name in without.datasets if "super_" not in name)
    assert FIGURES["super_classes"].command(without) == (
        "python -m vinfo_mpi.analyses.metafeatures --set metafeatures.super_classes=FILE"
    )


def test_every_dataset_read_is_declared(results, monkeypatch):
    asked = []
    read_unwatched = Results.read

    def read(self, dataset):
        assert isinstance(dataset, Dataset)
        asked.append(dataset.name)
        return read_unwatched(self, dataset)

    monkeypatch.setattr(Results, "read", read)
    for figure in map(FIGURES.get, OF_DIGITS):
        fresh = Results(results.path)
        asked.clear()
        figure.sentence(fresh)
        figure.whole(fresh)
        declared = {dataset.name for dataset in figure.reads}
        assert set(asked) <= declared | {"concepts/index"}, figure.name


def test_names_are_completed_and_wrong_ones_explained(results):
    assert dir(results.plot) == sorted(NAMES)
    assert "distribution" in results.plot.complexity.__doc__
    with pytest.raises(AttributeError, match="did you mean 'complexity'"):
        results.plot.complexty  # noqa: B018
    with pytest.raises(InputError, match="no figure 'complexty'"):
        catalogue.write(results, ".", ["complexty"])


def test_pdf_with_fonts_and_png_are_written_the_same_each_time(results, tmp_path):
    written = catalogue.write(results, tmp_path / "new" / "figures")
    expected = [f"{name}.{kind}" for name in OF_DIGITS for kind in ("pdf", "png")]
    *files, captions = written
    assert [path.name for path in files] == expected
    tex = captions.read_text()
    assert captions.name == "captions.tex" and tex.isascii()
    assert re.findall(r"\\includegraphics\{(\w+)\.pdf\}", tex) == OF_DIGITS
    assert tex.count("{") == tex.count("}")
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF")
            assert b"/FontFile2" in content, "a TrueType font is embedded"
            assert b"/Subtype /Type3" not in content
        else:
            width = int.from_bytes(content[16:20])
            assert width == round(300 * FIGURES[path.stem].size[0])
            pixels = np.frombuffer(zlib.decompress(_pixels(content)), np.uint8)
            assert len(np.unique(pixels)) > 50
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red"}):  # a style of the user's
        again = catalogue.write(results, tmp_path / "again", ["map", "complexity"])
    assert [path.name for path in again] == [
        "map.pdf",
        "map.png",
        "complexity.pdf",
        "complexity.png",
        "captions.tex",
    ]
    for path in again[:-1]:
        assert path.read_bytes() == (tmp_path / "new" / "figures" / path.name).read_bytes()


def _pixels(png):
    """Return the compressed pixels of a PNG: its chunks of this kind, joined."""
    pixels = b""
    place = 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            pixels += png[place + 8 : place + 8 + length]
        place += 12 + length
    return pixels


@pytest.mark.parametrize(
    ("options", "widths", "points"),
    [
        ({"venue": "neurips"}, (2.7, 5.5), 8),
        ({"venue": "nature", "font": 6.0}, (89 / 25.4, 183 / 25.4), 6),
        ({"width": 6.0}, (3.3, 6.0), 8),
    ],
)
def test_width_and_type_are_those_of_the_venue(results, options, widths, points):
    for name, width in zip(("complexity", "spectrum"), widths, strict=True):
        drawn = FIGURES[name].whole(results, paper(**options))
        assert drawn.get_figwidth() == pytest.approx(width)
        assert drawn.axes[0].xaxis.label.get_size() == points
        drawn.canvas.draw()
        inside = drawn.get_tightbbox().transformed(drawn.dpi_scale_trans)
        assert inside.x0 >= -1 and inside.x1 <= drawn.bbox.width + 1  # nothing is cut off


def test_panels_have_letters_and_a_notebook_shows_them_all(results):
    ax = results.plot.spectrum()
    letters = [each.texts[-1].get_text() for each in ax.figure.axes[:3]]
    assert letters == ["(a)", "(b)", "(c)"]
    for shown in (ax, results.plot.complexity(None)):
        assert shown._repr_png_().startswith(b"\x89PNG")


def test_curves_of_support_are_told_apart_in_grey(results):
    lines = results.plot.support(None, in_turn=True).get_lines()
    looks = [(line.get_linestyle(), luminance(line.get_color())) for line in lines]
    assert len(looks) == 5
    for number, (dashes, light) in enumerate(looks):
        for other, grey in looks[:number]:
            assert dashes != other or abs(light - grey) > 0.2


def luminance(colour):
    return mpl.colors.to_rgb(colour) @ np.array([0.2126, 0.7152, 0.0722])
