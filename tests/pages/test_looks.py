"""The index as it looks: on a phone, in the dark, on paper, without scripts, without a mouse."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from report_pages import Watched

PHONE = {"viewport": {"width": 390, "height": 844}}
UNFOLD = "document.querySelectorAll('details').forEach(node => { node.open = true; })"


@pytest.fixture(scope="module")
def index_page(reported):
    return (reported.report / "index.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe_on_a_phone(chromium, index_page, scheme):
    watched = Watched(chromium, index_page, PHONE | {"color_scheme": scheme})
    page = watched.page
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    cut_off = page.eval_on_selector_all(
        "main .panel svg, main .tile, .findings, figcaption",
        "all => all.filter(node => node.getBoundingClientRect().right > 390).length",
    )
    assert cut_off == 0
    assert watched.wrong == []
    assert serious(page, "#answer, #findings, #figures, #terms, #cite, header") == {}
    page.context.close()


def serious(page, context):
    """Return what axe-core finds serious in parts of a page, and where."""
    # It asks for the style sheets once more, which a page on a disk may not.
    found = Axe().run(page, context=context)
    return {
        each["id"]: [node["html"] for node in each["nodes"]]
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    }


def test_no_serious_finding_of_axe_on_the_page_of_a_concept(chromium, reported):
    watched = Watched(chromium, (reported.report / "concept.html").as_uri() + "#0", {})
    watched.page.wait_for_selector("main[data-concept='0']")
    watched.page.evaluate(UNFOLD)
    assert serious(watched.page, "main, header") == {}
    watched.page.context.close()


def test_text_of_figures_is_the_pages(chromium, index_page):
    page = Watched(chromium, index_page, PHONE | {"color_scheme": "dark"}).page
    styles = page.eval_on_selector_all(
        ".panel text",
        "all => all.map(node => [getComputedStyle(node).fill, getComputedStyle(node).fontFamily,"
        " parseFloat(getComputedStyle(node).fontSize) * node.getScreenCTM().a])",
    )
    colour, family = page.evaluate(
        "(style => [style.color, style.fontFamily])(getComputedStyle(document.body))"
    )
    page.context.close()
    assert {style[0] for style in styles} == {colour}
    assert {style[1] for style in styles} == {family}
    sizes = [style[2] for style in styles if style[2] > 0]  # 0: of figures that are folded
    assert min(sizes) > 6 and sum(size > 8.5 for size in sizes) > 0.9 * len(sizes)


def test_without_scripts_answer_figures_and_terms_are_there(chromium, index_page):
    page = Watched(chromium, index_page, {"java_script_enabled": False}).page
    for what in (".answer", ".findings", ".shown img", "#figure-vinformation svg", "#terms"):
        assert page.locator(what).first.is_visible()
    term = page.locator(".answer .term").first
    assert not term.locator(".tip").is_visible()
    term.focus()
    assert term.locator(".tip").is_visible()
    page.locator("summary").last.click()
    assert page.locator("#run").is_visible()
    page.context.close()


def test_every_link_within_the_page_leads_somewhere(chromium, index_page):
    page = Watched(chromium, index_page, {}).page
    lost = page.eval_on_selector_all(
        "a[href^='#']",
        "all => all.filter(node => !document.getElementById(node.hash.slice(1))).map(n => n.hash)",
    )
    ids = page.eval_on_selector_all("[id]", "all => all.map(node => node.id)")
    page.context.close()
    assert lost == []
    assert len(ids) == len(set(ids))


def test_on_paper_figures_are_dark_on_light(chromium, index_page):
    page = Watched(chromium, index_page, {"color_scheme": "dark"}).page
    page.emulate_media(media="print")
    colours = page.evaluate(
        "['--line-0', '--text', '--warn'].map("
        "name => getComputedStyle(document.documentElement).getPropertyValue(name))"
    )
    page.context.close()
    assert colours == ["#0072b2", "#000", "#fff"]
