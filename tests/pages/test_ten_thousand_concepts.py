"""A report of 10,000 made-up concepts: how large it is, and how its table works."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from report_pages import gallery, sort, table
from sklearn.datasets import load_sample_images

from vinfo_mpi.figures import style
from vinfo_mpi.figures.themed import panel
from vinfo_mpi.pages import sheets, site
from vinfo_mpi.pages.groups import Figure, Group

COUNT = 10_000
EXAMPLES = 13


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A report whose first sheet shows photographs."""
    folder = tmp_path_factory.mktemp("large") / "report"
    draw = np.random.default_rng(0)
    concepts = made_up_concepts(draw)
    images = crops(draw, 50 * EXAMPLES).reshape(50, EXAMPLES, 64, 64, 3)
    site.write_sheet(folder, 0, images, [made_up_card(draw)] * 50, 75)
    for number in range(1, COUNT // sheets.CONCEPTS):
        thumbnails = folder / f"images/thumbnails_{number:04d}.webp"
        thumbnails.hardlink_to(folder / "images/thumbnails_0000.webp")
    names = [f"class number {number}" for number in range(1000)]
    taps = [f"layer{number}" for number in range(16)]
    captions = ["most activating"] * 9 + ["a level"] * 4
    curves = site.packed(draw.integers(0, 256, (COUNT, 16), np.uint8))
    layout = site.Layout(names, taps, taps, list(range(16)), captions, {}, 7, curves)
    index = site.Index("large", {"Network": "made up"}, [], groups=[drawn_group(concepts)])
    site.write_pages(folder, index, layout, concepts)
    return SimpleNamespace(folder=folder, table=concepts)


def drawn_group(concepts):
    """Return a scatter plot of all concepts."""
    living = concepts[concepts["alive"]]

    def draw(ax):
        style.points(ax, living["complexity"].to_numpy(), living["importance"].to_numpy())
        ax.set(xlim=(0, 1), ylim=(0, 1))

    drawn = (panel(draw, "large"),)
    return Group("Figures", (Figure("complexity_importance", "A figure", "Many.", drawn, 1),))


def made_up_concepts(draw):
    """Return the table of concepts."""
    concepts = pd.DataFrame(
        {f"{name}{end}": draw.random(COUNT) for name in site.COLUMNS for end in ("", "_se")},
        index=pd.RangeIndex(COUNT, name="concept"),
    )
    concepts["class"] = np.arange(COUNT) // 10
    concepts["alive"] = draw.random(COUNT) < 0.99
    concepts.loc[~concepts["alive"], ["complexity", "temporal"]] = np.nan
    return concepts


def made_up_card(draw):
    """Return what a sheet says of a concept."""
    heat = site.packed(np.full(49, 9, np.uint8))
    example = {
        "id": 10**6,
        "label": 1,
        "prediction": 2,
        "code": 1 / 3,
        "heat": heat,
        "largest": 1 / 3,
    }
    curves = {name: (draw.random(16)).tolist() for name in ("taps", "epochs", "main", "shortcut")}
    return {
        "values": {f"{name}{end}": 1 / 7 for name in site.COLUMNS for end in ("", "_se")},
        "nearest": [(9999, 1 / 3)] * 8,
        "classes": [(999, 1 / 3)] * 5,
        "examples": [example] * EXAMPLES,
        "histogram": {"ends": [0, 1 / 3], "counts": [999] * 32, "zeros": 999},
        "sentence": "Readable to half from layer2.0 and epoch 3 on; nearest: 9999 (cosine 0.33).",
    } | curves


def crops(draw, count):
    """Return random parts of two photographs: (count, 64, 64, 3)."""
    photographs = [np.asarray(image) for image in load_sample_images().images]

    def crop():
        photograph = photographs[draw.integers(2)]
        size = 4 * draw.integers(16, 64)
        top, left = [draw.integers(0, side - size) for side in photograph.shape[:2]]
        step = size // 64 or 1
        square = photograph[top : top + 64 * step : step, left : left + 64 * step : step]
        return square[:64, :64]

    return np.stack([crop() for _ in range(count)])


def test_sizes_of_ten_thousand_concepts(large):
    size = {
        path.relative_to(large.folder).as_posix(): path.stat().st_size
        for path in large.folder.rglob("*")
        if path.is_file()
    }
    sheet = [name for name in size if name.endswith(("sheet_0000.js", "_0000.webp"))]
    shared = {
        name: value
        for name, value in size.items()
        if not name.startswith(("images", "figures")) and name not in sheet
    }
    assert len(sheet) == 3
    of_sheets = sum(size[name] for name in sheet) * COUNT / sheets.CONCEPTS
    assert sum(shared.values()) + of_sheets < 300e6
    assert sum(shared.values()) < 3e6


def test_ten_thousand_concepts_in_a_table_of_a_few_rows(large, visit):
    page = visit(large.folder / "index.html", "?view=table&sort=concept")
    page.wait_for_selector("#table tbody tr[data-concept]")
    assert len(table(page)) < 60
    page.evaluate("document.getElementById('scroll').scrollTop = 56 * 5000")
    page.wait_for_selector("tr[data-concept='5000']")
    assert len(table(page)) < 60
    assert page.get_attribute("#table", "aria-rowcount") == "10001"
    page.emulate_media(media="print")
    page.wait_for_timeout(300)
    assert len(table(page)) <= 200
    assert page.is_visible(".panel svg")


def test_ten_thousand_concepts_are_sorted(large, visit):
    page = visit(large.folder / "index.html", "?view=table&sort=concept")
    sort(page, "complexity")
    expected = large.table.sort_values("complexity", ascending=False, kind="stable").index
    rows = table(page)
    assert rows == expected[: len(rows)].tolist()
    page.focus("#table tbody a[tabindex='0']")
    page.keyboard.press("End")
    page.wait_for_selector("tr[aria-rowindex='10001']")
    dead = large.table.index[~large.table["alive"]]
    assert table(page) == dead[-len(table(page)) :].tolist()  # those without complexity come last


def test_ten_thousand_concepts_in_a_gallery_of_a_few_tiles(large, visit):
    page = visit(large.folder / "index.html")
    page.wait_for_selector("#gallery [data-concept]")
    page.focus("#gallery a[tabindex='0']")
    page.keyboard.press("End")
    page.wait_for_function("document.activeElement.closest('[aria-posinset=\"10000\"]')")
    shown = gallery(page)
    assert len(shown) <= 200
    rising = large.table.sort_values("complexity", kind="stable").index
    assert shown == rising[-len(shown) :].tolist()


def test_the_nearest_of_ten_thousand_is_pointed_at(large, visit):
    page = visit(large.folder / "index.html")
    living = large.table[large.table["alive"]]
    panel_of_all = page.locator(".panel")
    panel_of_all.scroll_into_view_if_needed()
    box = panel_of_all.bounding_box()
    left, top, right, bottom = map(float, panel_of_all.get_attribute("data-box").split())
    x, y = 0.4, 0.6
    page.mouse.move(
        box["x"] + box["width"] * (left + (right - left) * x),
        box["y"] + box["height"] * (bottom - (bottom - top) * y),
    )
    distance = np.hypot(
        (living["complexity"] - x) * (right - left) * box["width"],
        (living["importance"] - y) * (bottom - top) * box["height"],
    )
    near = distance.nsmallest(3).index  # the pointer stands on whole pixels
    page.wait_for_selector("#card:not([hidden])")
    shown = int(page.inner_text("#card strong").split()[1])
    assert shown in near
