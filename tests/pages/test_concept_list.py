"""The list of concepts in a browser, as a gallery and as a table, against results.h5."""

import csv
import re

import numpy as np
import pandas as pd
import pytest
from report_pages import Watched, gallery, sort, table

TABLE = "?view=table&sort=concept"


@pytest.fixture(scope="module")
def opened(chromium, reported):
    """The index, once."""
    return Watched(chromium, (reported.report / "index.html").as_uri(), {})


@pytest.fixture
def index(opened, reported):
    """The table by number, without filters."""
    opened.page.goto((reported.report / "index.html").as_uri() + TABLE)
    yield opened.page
    assert opened.wrong == []


def test_sorting(index, concepts):
    numbers = pd.Series(range(len(concepts)), index=concepts.index)
    for column in ("complexity", "importance", "temporal", "class"):
        first_falls = column != "class"
        for times, falling in ((1, first_falls), (1, not first_falls)):
            sort(index, column, times)
            numbered = concepts.assign(number=numbers)
            in_order = numbered.sort_values([column, "number"], ascending=[not falling, True])
            rows = table(index)
            assert rows == in_order.index[: len(rows)].tolist()
            assert len(rows) > 10
            order = index.get_attribute(f"th[data-column={column}]", "aria-sort")
            assert order == ("descending" if falling else "ascending")


def test_filtering(index, concepts):
    index.select_option("#filter-class", "3")
    assert table(index) == concepts.index[concepts["class"] == 3].tolist()
    low, high = concepts["complexity"].quantile([0.4, 0.6])
    index.select_option("#filter-class", "")
    index.fill("[name=complexity-low]", str(low))
    index.fill("[name=complexity-high]", str(high))
    middle = concepts["complexity"].between(low, high)
    assert table(index) == concepts.index[middle].tolist()
    index.fill("[name=importance-low]", str(concepts["importance"].median()))
    both = middle & (concepts["importance"] >= concepts["importance"].median())
    assert table(index) == concepts.index[both].tolist()
    assert index.inner_text("#count") == f"{both.sum()} of {len(concepts)} concepts"
    index.click("button[type=reset]")
    index.wait_for_function(r"/^\d+ concepts$/.test(document.getElementById('count').value)")
    assert table(index)[:3] == [0, 1, 2]


def test_finding_by_number_and_by_the_name_of_a_class(index, concepts):
    index.fill("[name=find]", "13")
    assert table(index) == [13]
    index.fill("[name=find]", "<SCRIPT")  # what class 3 is called
    assert table(index) == concepts.index[concepts["class"] == 3].tolist()
    index.fill("[name=find]", "no such name")
    assert index.is_visible("#empty") and not index.is_visible("#table")
    assert index.is_disabled("#csv")
    index.click("#empty button")
    index.wait_for_selector("#table:not([hidden])")
    assert len(table(index)) > 10


def test_numbers_in_the_table_are_those_of_the_results(index, concepts):
    cells = index.eval_on_selector_all(
        "#table tbody td data",
        "all => all.map(node => [node.closest('tr').dataset.concept, node.closest('td')"
        ".dataset.column, node.value, node.textContent, node.nextSibling?.textContent])",
    )
    columns = {column for _, column, *_ in cells}
    assert columns >= {"complexity", "importance", "temporal", "redundancy", "stability"}
    for concept, column, value, text, error in cells:
        row = concepts.loc[int(concept)]
        assert float(value) == row[column]
        assert float(text) == pytest.approx(float(value), rel=0.006)
        if f"{column}_se" in row:
            assert float(error.removeprefix(" ± ")) == pytest.approx(row[f"{column}_se"], rel=0.06)
    assert index.eval_on_selector_all("td[data-column=complexity] .error", "all => all.length") > 10


def test_curves_in_the_table_are_vinformation(index, reported, cards):
    for concept in (0, 7):
        points = index.get_attribute(f"tr[data-concept='{concept}'] polyline", "points")
        drawn = np.array([point.split(",") for point in points.split()], float)
        expected = np.clip(cards[concept]["taps"], 0, 1)
        np.testing.assert_allclose(1 - drawn[:, 1] / 24, expected, atol=0.005)


def test_a_file_of_what_is_shown(index, concepts, tmp_path):
    index.select_option("#filter-class", "3")
    with index.expect_download() as download:
        index.click("#csv")
    download.value.save_as(tmp_path / "concepts.csv")
    with (tmp_path / "concepts.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = concepts[concepts["class"] == 3]
    assert [int(row["concept"]) for row in rows] == expected.index.tolist()
    for column in ("complexity", "complexity_se", "importance", "temporal_se"):
        assert [float(row[column]) for row in rows] == expected[column].tolist()


def test_the_gallery_comes_first_by_complexity(visit, reported, concepts):
    page = visit(reported.report / "index.html")
    order = concepts.sort_values("complexity", kind="stable").index.tolist()
    shown = gallery(page)
    assert shown == order[: len(shown)] and len(shown) > 10
    page.click("#direction")
    falling = concepts.sort_values("complexity", ascending=False, kind="stable").index.tolist()
    assert gallery(page) == falling[: len(shown)]
    page.focus("#gallery a[tabindex='0']")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/concept.html#{falling[1]}")


def test_the_address_holds_what_was_chosen_and_back_shows_it_again(visit, reported, concepts):
    page = visit(reported.report / "index.html", TABLE + "#concepts")
    page.select_option("#filter-class", "2")
    sort(page, "complexity")
    assert re.search(r"\?class=2&view=table&sort=-complexity#concepts$", page.url)
    two = concepts[concepts["class"] == 2]
    expected = two.sort_values("complexity", ascending=False).index.tolist()
    assert table(page) == expected
    page.click(f"tr[data-concept='{expected[1]}'] td:nth-child(2)")
    page.wait_for_selector("main[data-concept]")
    page.go_back()
    page.wait_for_selector("#table tbody tr[data-concept]")
    assert page.input_value("#filter-class") == "2"
    assert table(page) == expected
    assert page.inner_text("#count") == f"{len(two)} of {len(concepts)} concepts"
    page.click("[data-view=gallery]")
    assert gallery(page) == expected
    page.reload()
    assert gallery(page) == expected


def test_a_concept_opens_by_key(visit, reported, concepts):
    page = visit(reported.report / "index.html", "?view=table&sort=-complexity")
    page.focus("#table tbody a[tabindex='0']")
    for key in ("ArrowDown", "ArrowDown", "End", "Home", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/concept.html#{concepts['complexity'].nlargest(2).index[1]}")
    page.wait_for_selector("main[data-concept]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_borders_and_arrows_can_be_told_from_the_page(visit, reported, scheme):
    """WCAG 1.4.11: 3 to 1."""
    page = visit(reported.report / "index.html", TABLE, color_scheme=scheme)
    page.wait_for_selector("#table tbody tr")
    colour = (
        "(([selector, name, pseudo]) => "
        "getComputedStyle(document.querySelector(selector), pseudo)[name])"
    )
    ground = luminance(page.evaluate(colour, ["#scroll", "backgroundColor", None]))
    for selector, name, pseudo in (
        ("[name=find]", "borderTopColor", None),
        ("#scroll", "borderTopColor", None),
        ("#csv", "borderTopColor", None),
        ("th[data-column=importance] button", "color", "::after"),
        ("th[data-column=concept] button", "color", "::after"),
        ("#table polyline", "stroke", None),
    ):
        other = luminance(page.evaluate(colour, [selector, name, pseudo]))
        assert (max(ground, other) + 0.05) / (min(ground, other) + 0.05) >= 3, selector


def luminance(colour):
    """Return the relative luminance of a computed colour, as in WCAG 2."""
    channels = np.array([float(text) for text in re.findall(r"[\d.]+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]
