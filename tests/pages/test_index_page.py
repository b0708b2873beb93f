"""The index of a report in a browser, and what it shows against the files of the run."""

import itertools

import numpy as np
import pytest
from contents import datasets
from report_pages import Watched

from vinfo_mpi import Results
from vinfo_mpi.figures import catalogue


@pytest.fixture(scope="module")
def opened(chromium, reported):
    """The index, once."""
    return Watched(chromium, (reported.report / "index.html").as_uri(), {})


@pytest.fixture
def index(opened):
    yield opened.page
    assert opened.wrong == []


def test_every_figure_and_thumbnail_is_there(index, reported):
    names = [figure.name for figure in catalogue.available(Results(reported.results))]
    ids = index.eval_on_selector_all("figure", "all => all.map(node => node.id)")
    assert sorted(ids) == sorted(f"figure-{name}" for name in names)
    assert {*catalogue.FIGURES} - {*names} == {"bias"}  # of planted images alone
    counts = index.eval_on_selector_all("figure .count", "all => all.map(node => node.textContent)")
    assert counts == [f"Figure {number}." for number in range(1, len(names) + 1)]
    panels = index.eval_on_selector_all(".panel svg", "all => all.length")
    assert panels == sum(len(catalogue.FIGURES[name].panels) for name in names)
    index.wait_for_function("[...document.images].every(node => node.complete)")
    images = index.eval_on_selector_all(
        "img", "all => all.map(node => [node.naturalWidth, node.alt])"
    )
    assert len(images) > 30
    assert all(width > 0 and text for width, text in images)
    for link in index.query_selector_all(".files a"):
        assert (reported.report / link.get_attribute("href")).stat().st_size > 1000


def test_figures_show_the_concept_that_is_pointed_at_and_open_it(visit, reported, concepts):
    index = visit(reported.report / "index.html")
    panel = index.locator("#figure-complexity_importance .panel")
    panel.scroll_into_view_if_needed()
    living = concepts[concepts["alive"]]
    most = living["importance"].idxmax()
    mark = panel.locator("use[style*=fill-opacity]").nth(list(living.index).index(most))
    box = mark.bounding_box()
    index.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    index.wait_for_selector("#card:not([hidden]) img")
    assert f"Concept {most}" in index.inner_text("#card")
    index.mouse.down()
    index.mouse.up()
    index.wait_for_url(f"**/concept.html#{most}")


def test_the_map_has_images_beside_their_marks_that_do_not_cover_each_other(index, concepts):
    pins = index.eval_on_selector_all(
        "#figure-map .pin",
        """all => all.map(pin => {
            const box = pin.getBoundingClientRect();
            return [pin.querySelector("img").alt, box.x, box.y, box.width];
        })""",
    )
    most = concepts[concepts["alive"]]["importance"].idxmax()
    assert pins[0][0] == f"Concept {most}"
    assert len(pins) > 4
    for (_, x, y, width), (_, other_x, other_y, _) in itertools.combinations(pins, 2):
        assert max(abs(x - other_x), abs(y - other_y)) > width


def test_figures_are_read_with_the_keyboard(visit, reported, concepts):
    index = visit(reported.report / "index.html")
    in_order = concepts[concepts["alive"]].sort_values("complexity").index
    index.focus("#figure-vinformation .panel")
    for concept in in_order[:2]:
        index.keyboard.press("ArrowRight")
        assert f"Concept {concept}" in index.inner_text("#card")
    index.keyboard.press("Escape")
    assert index.is_hidden("#card")
    index.keyboard.press("ArrowLeft")
    assert f"Concept {in_order[-1]}" in index.inner_text("#card")
    index.keyboard.press("Enter")
    index.wait_for_url(f"**/concept.html#{in_order[-1]}")


def test_example_concepts_stand_along_the_axis(index, concepts):
    assert index.query_selector_all(".strip a")
    for link in index.query_selector_all(".strip a"):
        number = int(link.get_attribute("href").split("#")[1])
        middle = float(link.get_attribute("data-along"))
        same = concepts[concepts["alive"] & ((concepts["complexity"] - middle).abs() <= 0.5 / 20)]
        assert same["importance"].idxmax() == number


def test_what_the_index_says_of_the_run(index, reported):
    text = index.text_content("main")
    same_prediction = datasets(reported.codes)["fidelity/kept"]
    assert f"{100 * np.mean(same_prediction):.2f} % of the predictions kept" in text
    assert "the smallest 40 (fewer than 50)" in text  # a warning: 40 images per class
    assert "resnet18" in text and "digits" in text
    assert str(reported.folder) in text
