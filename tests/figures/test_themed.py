"""Figures on a page: its colours and type, within a phone's width, where the marks lie."""

import re
from importlib.resources import files
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from vinfo_mpi.figures import style
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.figures.themed import panel

ASSETS = files("vinfo_mpi.pages").joinpath("assets")


@pytest.fixture(scope="module")
def support(results):
    return FIGURES["support"].on_page(results)


def test_every_colour_is_the_pages_and_so_is_the_type(support, results):
    [tree, _] = FIGURES["tree"].on_page(results)
    for drawn in (*support, tree):
        without_variables = re.sub(r"var\(--[a-z0-9-]+, #[0-9a-f]{6}\)", "", drawn.svg)
        assert re.findall(r"#[0-9a-f]{6}", without_variables) == []
        assert "font-family" not in drawn.svg and "<text" in drawn.svg
        assert "<style" not in drawn.svg


def test_variables_stand_for_the_colours_of_the_marks(results, support):
    assert f"var(--line-0, {style.DARK.lower()})" in support[0].svg
    [mapped, *_, by_class] = FIGURES["map"].on_page(results)
    scale = [to_hex(colour) for colour in style.scale_of_marks().colors]
    used = re.findall(r"fill: var\(--scale-(\d+), (#[0-9a-f]{6})\)", mapped.svg)
    assert {"0", "15"} <= {number for number, _ in used}
    assert all(scale[int(number)] == colour for number, colour in used)
    assert "var(--class-0" in by_class.svg


def test_pixels_keep_their_colours_and_what_explains_them_does_too(results):
    [drawn] = FIGURES["vinformation"].on_page(results)
    assert "<image" in drawn.svg and "--scale-" not in drawn.svg


def test_names_within_a_page_are_different(support):
    ids = [re.findall(r' id="([^"]+)"', drawn.svg) for drawn in support]
    assert set(ids[0]).isdisjoint(ids[1])
    for drawn, own in zip(support, ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawn.svg)) == set(own)
        ElementTree.fromstring(drawn.svg)


def test_box_and_limits_say_where_a_mark_lies():
    x, y = np.array([0.25, 2.0]), np.array([3.0, -1.0])
    drawn = panel(lambda ax: (style.points(ax, x, y), ax.set(xlim=(0, 3), ylim=(-2, 4))), "marks")
    _, _, width, height = map(float, re.search(r'viewBox="([^"]+)"', drawn.svg)[1].split())
    left, top, right, bottom = drawn.box
    expected = [
        (
            width * (left + (right - left) * a / 3),
            height * (bottom - (bottom - top) * (b + 2) / 6),
        )
        for a, b in zip(x, y, strict=True)
    ]
    marks = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*fill-opacity', drawn.svg)
    np.testing.assert_allclose(np.array(marks, float), expected, atol=0.02)
    assert drawn.limits == (0, 3, -2, 4)


def test_what_is_written_stays_as_it_is_and_only_places_are_rounded():
    names = ["0.0625", "#0072b2", 'an id="x" --', "<b>"]
    drawn = panel(lambda ax: ax.set_xticks(range(4), names), "ticks")
    texts = [node.text for node in ElementTree.fromstring(drawn.svg).iter() if node.text]
    assert set(names) <= set(texts)
    assert not re.search(r' (?:d|x|y)="[^"]*\d\.\d{3}', drawn.svg)


def test_the_same_bytes_each_time(results, support):
    assert FIGURES["support"].on_page(results)[0].svg == support[0].svg


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_marks_are_seen_on_the_card_behind_them(mode):
    card = _variables("report", mode)["card"]
    colours = _variables("figures", mode)
    names = {f"line-{number}" for number in range(5)} | {f"class-{n}" for n in range(10)}
    names |= {f"scale-{number}" for number in range(style.LEVELS)} | {"faint-line"}
    assert set(colours) == names
    assert {name for name in names if _contrast(colours[name], card) < 3} == set()
    scale = [_luminance(colours[f"scale-{number}"]) for number in range(style.LEVELS)]
    assert (np.diff(scale) > 0).all(), "rises in lightness all along"


def _variables(sheet, mode):
    """Return the colours that a style sheet names."""
    light, dark = ASSETS.joinpath(f"{sheet}.css").read_text().split("prefers-color-scheme: dark", 1)
    text = light if mode == "light" else dark
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", text))


def _luminance(colour):
    """Return the relative luminance of WCAG 2."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def _contrast(colour, background):
    low, high = sorted([_luminance(colour), _luminance(background)])
    return (high + 0.05) / (low + 0.05)
