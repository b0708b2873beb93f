"""The index of a report in a browser, and what it shows against the files of the run."""

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
    assert ids == [f"figure-{name}" for name in names]
    assert len(names) == len(catalogue.FIGURES)
    index.wait_for_function("[...document.images].every(node => node.complete)")
    images = index.eval_on_selector_all(
        "img", "all => all.map(node => [node.naturalWidth, node.alt])"
    )
    assert len(images) > 30
    assert all(width > 0 and text for width, text in images)
    for link in index.query_selector_all(".files a"):
        assert (reported.report / link.get_attribute("href")).stat().st_size > 1000


def test_plots_show_the_concept_that_is_pointed_at_and_open_it(visit, reported, concepts):
    index = visit(reported.report / "index.html")
    index.locator("#figure-complexity_importance").scroll_into_view_if_needed()
    index.wait_for_selector("#figure-complexity_importance.live .points path")
    drawn = index.evaluate(
        "(({x, y}) => [Array.from(x), Array.from(y)])"
        "(document.querySelector('[data-figure=complexity_importance]').data[0])"
    )
    living = concepts[concepts["alive"]]
    assert drawn == [living["complexity"].tolist(), living["importance"].tolist()]
    most = living["importance"].idxmax()
    place = list(living.index).index(most)
    box = index.locator("#figure-complexity_importance .points path").nth(place).bounding_box()
    index.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    index.wait_for_selector("#card:not([hidden]) img")
    assert f"Concept {most}" in index.inner_text("#card")
    index.mouse.down()
    index.mouse.up()
    index.wait_for_url(f"**/concept.html#{most}")


def test_example_concepts_stand_along_the_axis(index, concepts):
    index.locator("#figure-complexity").scroll_into_view_if_needed()
    index.wait_for_selector(".strip a")
    for link in index.query_selector_all(".strip a"):
        number = int(link.get_attribute("href").split("#")[1])
        left = float(link.evaluate("node => node.style.left").removesuffix("%")) / 100
        same = concepts[concepts["alive"] & ((concepts["complexity"] - left).abs() <= 0.5 / 20)]
        assert same["importance"].idxmax() == number


def test_what_the_index_says_of_the_run(index, reported):
    text = index.inner_text("main")
    same_prediction = datasets(reported.codes)["fidelity/kept"]
    assert f"{100 * np.mean(same_prediction):.2f} % of the predictions kept" in text
    assert "the smallest 40 (fewer than 50)" in text  # a warning: 40 images per class
    assert "resnet18" in text and "digits" in text
    assert str(reported.folder) in text
