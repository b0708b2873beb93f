"""The page of a concept in a browser, and what people have named on both pages."""

import base64

import numpy as np
import pytest
from contents import datasets
from report_pages import EVIL, PICTURED

from vinfo_mpi import Results

# Machado et al. (2009), "A Physiologically-based Model for Simulation of Color Vision Deficiency".
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)


def test_the_page_of_a_concept(visit, reported, cards):
    page = visit(reported.report / "concept.html", f"#{PICTURED[1]}")
    card = cards[PICTURED[1]]
    page.wait_for_selector(f"main[data-concept='{PICTURED[1]}']")
    page.wait_for_function(
        "[...document.images].every(node => node.complete && node.naturalWidth > 0)"
    )
    assert len(page.query_selector_all(".examples figure")) == 14
    assert len(page.query_selector_all(".heatmap")) == 14
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
    bars = page.eval_on_selector_all(
        ".chart .error",
        "all => all.map(node => (node.y2.baseVal.value - node.y1.baseVal.value) / 300)",
    )  # one standard error to either side; 150 pixels for 1
    expected = [*card["taps_se"], *card["epochs_se"]]
    assert np.abs(bars) == pytest.approx(np.array(expected), abs=1e-4)
    branches = zip(card["shortcut"], card["main"], strict=True)
    assert numbers[2] == [value for pair in branches for value in pair]
    stored = datasets(reported.visualisation)
    row = stored["concepts"].tolist().index(PICTURED[1])
    of_picture = page.eval_on_selector_all(
        ".picture data", "all => all.map(node => Number(node.value))"
    )
    assert of_picture == [stored["activations"][row], stored["reference"][row]]
    assert page.query_selector(".heatmap:not([hidden])") is None  # the bare image comes first
    page.keyboard.press("h")
    assert len(page.query_selector_all(".heatmap:not([hidden])")) == 14
    assert page.query_selector(".eigencam:not([hidden])") is None
    page.keyboard.press("e")  # Eigen-CAM instead
    assert len(page.query_selector_all(".eigencam:not([hidden])")) == 14
    assert page.query_selector(".heatmap:not([hidden])") is None and not page.is_checked("#heat")
    assert float(page.get_attribute("#follows data", "value")) == card["eigen_cam"]["correlation"]
    page.click("#eigencam")
    assert page.query_selector(".eigencam:not([hidden])") is None


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
    page = visit(reported.report / "index.html", "?view=table")
    three = int(concepts.index[concepts["class"] == 3][0])
    page.select_option("#filter-class", "3")
    assert EVIL in page.inner_text(f"tr[data-concept='{three}']")
    assert page.query_selector("h1 i") is None and page.inner_text("h1") == "<i>small & fine"
    assert page.query_selector(".facts i") is None
    assert "<i>small & fine" in page.text_content(".facts")
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
    page.wait_for_selector("#gallery img")
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[4:-1].split(","))) < 200) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto((reported.report / "concept.html").as_uri() + "#1")
    page.wait_for_selector("main[data-concept]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_heat_maps_of_a_concept_have_one_scale(visit, reported, cards):
    page = visit(reported.report / "concept.html", "#13")
    page.wait_for_selector("main[data-concept='13']")
    pixels = page.eval_on_selector_all(
        ".heatmap",
        "all => all.map(node => [...node.getContext('2d')"
        ".getImageData(0, 0, node.width, node.height).data])",
    )
    examples = cards[13]["examples"]
    heat = [np.frombuffer(base64.b64decode(each["heat"]), np.uint8) for each in examples]
    codes = np.array(
        [values / 254 * each["largest"] for values, each in zip(heat, examples, strict=True)]
    )
    drawn = np.array(pixels).reshape(len(examples), -1, 4)
    np.testing.assert_allclose(drawn[:, :, 3], 230 * codes / codes.max(), atol=0.51)
    assert drawn[8, :, 3].max() < 0.1 * drawn[0, :, 3].max()  # the least active image hardly glows
    assert float(page.get_attribute("#legend data", "value")) == codes.max()
    assert page.evaluate("getComputedStyle(document.querySelector('.heatmap')).imageRendering") == (
        "pixelated"
    )
    colour = drawn.reshape(-1, 4)[drawn[:, :, 3].argmax()]
    for grey in (0, 128, 255):
        opaque = colour[3] / 255
        over = opaque * colour[:3] + (1 - opaque) * grey
        assert np.abs(PROTANOPIA @ (over - grey)).max() > 100


def test_the_sentence_and_the_distribution_are_those_of_the_files(reported, cards):
    codes = datasets(reported.codes)["codes"]
    results = Results(reported.results)
    epochs = results.dynamics.index
    for concept, card in enumerate(cards):
        nearest, cosine = card["nearest"][0]
        assert card["sentence"].endswith(f"nearest: {nearest} (cosine {cosine:.2f}).")
        start = first_lasting(results.vinformation[concept])
        when = first_lasting(results.dynamics[concept])
        readable = card["sentence"].startswith("Readable to half (V ≥ 0.5) from ")
        assert readable == (start is not None)
        if readable:
            tap = results.vinformation.index[start]
            from_epoch = f"and epoch {epochs[when]} on" if epochs[when] else "on, even untrained"
            assert f"from {tap} {from_epoch};" in card["sentence"]
        column = codes[:, concept]
        low, high = card["histogram"]["ends"]
        assert (low, high) == (min(0, column.min()), max(0, column.max()))
        counts, _ = np.histogram(column[column != 0].astype(float), 32, (low, high))
        assert card["histogram"]["zeros"] == (column == 0).sum()
        assert np.abs(np.cumsum(card["histogram"]["counts"]) - np.cumsum(counts)).max() <= 1


def first_lasting(values):
    """Return the first place from which on no value is below a half."""
    lowest = np.minimum.accumulate(values.to_numpy()[::-1])[::-1]
    places = np.flatnonzero(lowest >= 0.5)
    return places[0] if len(places) else None


def test_a_picture_below_its_percentile_says_so(visit, reported):
    stored = datasets(reported.visualisation)
    page = visit(reported.report / "concept.html", f"#{PICTURED[0]}")
    names = ("concepts", "activations", "reference")
    for concept, code, usual in zip(*[stored[name] for name in names], strict=True):
        page.goto((reported.report / "concept.html").as_uri() + f"#{concept}")
        page.wait_for_selector(f"main[data-concept='{concept}']")
        assert (page.query_selector(".picture .weak") is not None) == (code < usual)


@pytest.mark.parametrize("width", [1400, 390])
def test_the_images_of_a_concept_with_facets_stand_under_their_facets(
    visit, reported, cards, width
):
    several = next(number for number, card in enumerate(cards) if "facets" in card)
    facets = cards[several]["facets"]
    viewport = {"width": width, "height": 844}
    page = visit(reported.report / "concept.html", f"#{several}", viewport=viewport)
    page.wait_for_selector(f"main[data-concept='{several}']")
    headings = page.eval_on_selector_all("h3.facet", "all => all.map(node => node.textContent)")
    with reported.open_activations(reported.final) as activations:
        names = activations.classes
    assert headings == [
        f"Facet {number} of {len(facets)}: {facet['images']} of its strongest images, "
        f"{facet['of_class']} of class {names[facet['class']]}"
        for number, facet in enumerate(facets, start=1)
    ]
    numbers = "node => [...node.querySelectorAll('data')].map(data => Number(data.value))"
    codes = page.eval_on_selector_all("h3.facet + .examples", f"all => all.map({numbers})")
    examples = cards[several]["examples"][:5]
    pictures = datasets(reported.visualisation)
    for row, facet in enumerate(facets):
        of_facet = [each["code"] for each in examples if each["facet"] == row + 1]
        assert codes[row] == [pictures["facets/activations"][row], *of_facet]
        said = page.locator("h3.facet + .examples").nth(row).locator(".drawn").inner_text()
        activation, reference = (facet["picture"][name] for name in ("activation", "reference"))
        assert ("does not show the concept well" in said) == (activation < reference)
        assert ("nearer to the images of facet 1" in said) == (row > 0)
    page.wait_for_function("[...document.images].every(node => node.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h3:has-text('Most activating')").count() == 0
