"""The figures of a run: their names, what they read, what is written, what is lacking."""

import zlib

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures import catalogue
from vinfo_mpi.figures.catalogue import FIGURES
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
    "map",
    "metafeatures",
    "super_classes",
    "tree",
    "spectrum",
    "collapse",
    "migration",
]


def test_the_names_and_their_order():
    assert list(FIGURES) == NAMES
    assert [figure.name for figure in FIGURES.values()] == NAMES


@pytest.mark.parametrize("name", NAMES)
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
    assert [figure.name for figure in catalogue.available(results)] == NAMES
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
    assert available == set(NAMES) - set(missing)
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
    for figure in FIGURES.values():
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
    expected = [f"{name}.{kind}" for name in NAMES for kind in ("pdf", "png")]
    assert [path.name for path in written] == expected
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".pdf":
            assert content.startswith(b"%PDF")
            assert b"/FontFile2" in content, "a TrueType font is embedded"
            assert b"/Subtype /Type3" not in content
        else:
            width = int.from_bytes(content[16:20])
            assert width == round(200 * FIGURES[path.stem].size[0])
            pixels = np.frombuffer(zlib.decompress(_pixels(content)), np.uint8)
            assert len(np.unique(pixels)) > 50
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red"}):  # a style of the user's
        again = catalogue.write(results, tmp_path / "again", ["map", "complexity"])
    assert [path.name for path in again] == [
        "map.pdf",
        "map.png",
        "complexity.pdf",
        "complexity.png",
    ]
    for path in again:
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
