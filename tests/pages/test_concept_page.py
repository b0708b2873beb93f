"""The page of a concept in a browser, and what people have named on both pages."""

import numpy as np
import pytest
from contents import datasets
from report_pages import EVIL, PICTURED


def test_the_page_of_a_concept(visit, reported, cards):
    page = visit(reported.report / "concept.html", f"#{PICTURED[1]}")
    card = cards[PICTURED[1]]
    page.wait_for_selector(f"main[data-concept='{PICTURED[1]}']")
    page.wait_for_function(
        "[...document.images].every(node => node.complete && node.naturalWidth > 0)"
    )
    assert len(page.query_selector_all(".examples figure")) == 9
    assert len(page.query_selector_all(".heatmap")) == 9
    codes = page.eval_on_selector_all(
        ".examples data", "all => all.map(node => Number(node.value))"
    )
    assert codes == [example["code"] for example in card["examples"]]
    values = page.eval_on_selector_all("#values data", "all => all.map(node => Number(node.value))")
    expected = [np.nan if value is None else value for value in card["values"].values()]
    assert values == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    numbers = page.eval_on_selector_all(
        ".chart",
        "all => all.map(chart => "
        "[...chart.querySelectorAll('data')].map(node => Number(node.value)))",
    )
    assert numbers[:2] == [card["taps"], card["epochs"]]
    branches = zip(card["shortcut"], card["main"], strict=True)
    assert numbers[2] == [value for pair in branches for value in pair]
    stored = datasets(reported.visualisation)
    of_picture = page.eval_on_selector_all(
        ".picture data", "all => all.map(node => Number(node.value))"
    )
    assert of_picture == [stored["activations"][1], stored["reference"][1]]
    page.keyboard.press("h")
    assert page.query_selector(".heatmap:not([hidden])") is None


def test_going_from_concept_to_concept(visit, reported, concepts, cards):
    page = visit(reported.report / "concept.html", "#0")
    page.wait_for_selector("main[data-concept='0']")
    assert page.get_attribute("#previous", "href") is None
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("main[data-concept='1']")
    page.click("#simpler")
    order = concepts["complexity"].sort_values().index
    simpler = order[list(order).index(1) - 1]
    page.wait_for_selector(f"main[data-concept='{simpler}']")
    page.click(".neighbours a")
    page.wait_for_selector(f"main[data-concept='{cards[simpler]['nearest'][0][0]}']")
    page.goto((reported.report / "concept.html").as_uri() + "#4711")
    page.wait_for_selector(".warning:has-text('There is no concept 4711')")


def test_names_do_nothing(visit, reported, concepts):
    page = visit(reported.report / "index.html")
    three = int(concepts.index[concepts["class"] == 3][0])
    page.select_option("#filter-class", "3")
    assert EVIL in page.inner_text(f"tr[data-concept='{three}']")
    assert page.query_selector("h1 i") is None and page.inner_text("h1") == "<i>small & fine"
    assert page.query_selector(".facts i") is None
    assert "<i>small & fine" in page.inner_text(".facts")
    assert page.evaluate("document.body.dataset.evil") is None
    page.goto((reported.report / "concept.html").as_uri() + f"#{three}")
    page.wait_for_selector(f"main[data-concept='{three}']")
    assert EVIL in page.inner_text("main")
    assert page.evaluate("document.body.dataset.evil") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_in_light_and_dark(visit, reported, scheme):
    page = visit(
        reported.report / "index.html",
        viewport={"width": 390, "height": 844},
        color_scheme=scheme,
    )
    page.wait_for_selector("#table tbody img")
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[4:-1].split(","))) < 200) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto((reported.report / "concept.html").as_uri() + "#1")
    page.wait_for_selector("main[data-concept]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
