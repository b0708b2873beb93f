"""The report in a browser, from a disk, and what it shows against the files of the run."""

import base64
import json
import shutil
import zlib
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
import small_run
import torch
from contents import ROOT, SMALL, datasets
from PIL import Image
from playwright.sync_api import sync_playwright
from scipy.optimize import nnls
from sklearn.datasets import load_sample_images

from vinfo_mpi import Results
from vinfo_mpi.errors import Stopped
from vinfo_mpi.figures import catalogue
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.pages import sheets, site
from vinfo_mpi.pages.cards import pictures
from vinfo_mpi.pages.thumbnails import Shown
from vinfo_mpi.parallel import signals
from vinfo_mpi.run import freshness
from vinfo_mpi.stages import dictionary, encode, importance, report, score
from vinfo_mpi.storage.hdf5 import Table, fixed_width, write_tables
from vinfo_mpi.storage.rows import fingerprint

EVIL = '<script>document.body.dataset.evil = "1"</script>'  # a class of this name is class 3
PICTURED = [1, 12]
SETTINGS = ["report.examples=5", "report.thumbnail=16"]


def on(folder, *settings):
    """Return the small run, with these settings, on one rank in this process."""
    return small_run.on(folder, *SETTINGS, *settings)


@pytest.fixture(scope="module")
def reported(run, tmp_path_factory, mpirun):
    """The small run in a folder with a name that has to be escaped, and such a class, with pictures and a report by two ranks."""
    folder = tmp_path_factory.mktemp("report") / "<i>small & fine"
    shutil.copytree(run[0], folder)
    one = on(folder)
    path = one.activations(one.final)
    with h5py.File(path, "r+") as file:
        names = [EVIL if number == 3 else name.decode() for number, name in enumerate(file["classes"][()])]
        del file["classes"]
        file["classes"] = fixed_width(names)
    draw = np.random.default_rng(0)
    tables = {
        "concepts": Table(np.array(PICTURED), "numbers of the concepts"),
        "images": Table(draw.integers(0, 256, (2, 24, 24, 3), np.uint8), "pictures"),
        "transparency": Table(draw.integers(0, 256, (2, 24, 24), np.uint8), "255 = opaque"),
        "activations": Table(draw.random(2), "codes of the pictures"),
        "reference": Table(draw.random(2), "99th percentiles"),
    }
    made_from = json.dumps({"codes": fingerprint(one.codes, "vinfo-codes")})
    attributes = {"filetype": "vinfo-visualisation", "format_version": 1, "fingerprint": "made up", "inputs": made_from}
    write_tables(one.visualisation, tables, attributes)
    options = [word for setting in SETTINGS for word in ("--set", setting)]
    done = mpirun(2, "-m", "vinfo_mpi.report", *SMALL, *options, "--only", "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    return one


@pytest.fixture(scope="module")
def chromium():
    """One browser for all tests."""
    with sync_playwright() as play:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=options)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Return visit(path, fragment, ...), which opens a page; what goes wrong in it, or leaves the disk, fails the test."""
    pages = []

    def open_page(path, fragment="", **options):
        pages.append(Watched(chromium, path.as_uri() + fragment, options))
        return pages[-1].page

    yield open_page
    for one in pages:
        one.page.context.close()
    assert [wrong for one in pages for wrong in one.wrong] == []


class Watched:
    """A page, and what goes wrong in it."""

    def __init__(self, chromium, address, options):
        self.page, self.wrong = chromium.new_context(**options).new_page(), []
        self.page.set_default_timeout(20000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda one: one.url.startswith(("file:", "data:", "blob:")) or self.wrong.append(one.url))
        self.page.goto(address)

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # the page was left while it was loading
            self.wrong.append(f"{request.url}: {request.failure}")

    def _said(self, message):
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:  # of a machine without a graphics card
            self.wrong.append(message.text)


@pytest.fixture(scope="module")
def opened(chromium, reported):
    """The index, once."""
    return Watched(chromium, (reported.report / "index.html").as_uri(), {})


@pytest.fixture
def index(opened):
    """The index as it is when it has just been opened."""
    opened.page.click("button[type=reset]")
    opened.page.wait_for_function(r"/^\d+ concepts$/.test(document.getElementById('count').value)")
    if opened.page.get_attribute("th[data-column=concept]", "aria-sort") != "ascending":
        sort(opened.page, "concept")
    yield opened.page
    assert opened.wrong == []


@pytest.fixture(scope="module")
def concepts(reported):
    """What results.h5 says of the concepts."""
    return Results(reported.results).concepts


@pytest.fixture(scope="module")
def cards(reported):
    """What the scripts of all sheets say of the concepts."""
    found = []
    for path in sorted((reported.report / "data").glob("sheet_*.js")):
        found += json.loads(path.read_text().split(", ", 1)[1].removesuffix(");\n"))
    return found


def table(page):
    """Return the numbers of the concepts in the rows that are there."""
    return page.eval_on_selector_all("#table tbody tr[data-concept]", "all => all.map(one => Number(one.dataset.concept))")


def sort(page, column, times=1):
    for _ in range(times):
        page.click(f"th[data-column={column}] button")


# --- what is shown of a concept ---


def test_the_most_activating_images_are_those_of_the_codes(reported, cards):
    stored = datasets(reported.codes)
    codes, ids = stored["codes"], stored["samples/id"]
    for concept in np.linspace(0, len(cards) - 1, 20).astype(int):
        column, shown = codes[:, concept], cards[concept]["examples"]
        order = np.lexsort((ids, -column))[:5]
        assert [one["id"] for one in shown[:5]] == ids[order].tolist()
        assert [one["code"] for one in shown[:5]] == column[order].tolist()
        positive = column[column > 0]
        for level, one in zip((0.75, 0.5, 0.25), shown[5:8], strict=True):
            assert np.quantile(positive, level, method="lower") * 0.97 <= one["code"] <= np.quantile(positive, level)
        assert shown[8]["code"] == positive.min()


def test_examples_carry_label_and_prediction_of_their_image(reported, cards):
    samples = datasets(reported.activations(reported.final))
    place = {number: row for row, number in enumerate(samples["samples/id"])}
    for one in (one for card in cards for one in card["examples"]):
        row = place[one["id"]]
        assert (one["label"], one["prediction"]) == (samples["samples/label"][row], samples["samples/prediction"][row])


def test_images_are_those_that_the_network_saw(reported, cards):
    sheet = np.asarray(Image.open(reported.report / "images/examples_0000.webp").convert("RGB"), float)
    loader = reported.subject.loader
    for concept, column in ((0, 0), (7, 3), (39, 8)):
        [(image, _, _)] = loader.batches([np.array([cards[concept]["examples"][column]["id"]])])
        seen = 255 * (image[0].permute(1, 2, 0).numpy() * 0.5 + 0.5)  # normalised by 0.5 and 0.5
        tile = sheet[16 * concept : 16 * (concept + 1), 16 * column : 16 * (column + 1)]
        assert np.abs(tile - seen).mean() < 8  # of 255: WebP loses a little
        assert np.corrcoef(tile.ravel(), seen.ravel())[0, 1] > 0.99


def test_heat_maps_are_codes_at_positions(reported, cards):
    samples, exact = datasets(reported.activations(reported.final)), on(reported.folder, "encode.tolerance=1e-9")
    atoms = datasets(reported.dictionary)["atoms"]
    for concept in (0, 13, 39):
        one = cards[concept]["examples"][0]
        [row] = np.flatnonzero(samples["samples/id"] == one["id"])
        vectors = samples["penultimate/activations"][row].astype(float)
        codes = np.array([nnls(atoms.T, vector)[0][concept] for vector in vectors])
        with exact.open_activations(exact.final) as activations:
            found = Shown(exact, activations).codes(np.array([row]), np.array([concept]))[0]
        np.testing.assert_allclose(found, codes, atol=1e-6)
        heat = np.frombuffer(base64.b64decode(one["heat"]), np.uint8)
        np.testing.assert_allclose(heat, 254 * codes / codes.max(), atol=3)
        assert codes.mean() == pytest.approx(one["code"], abs=1e-3)


def test_positions_that_were_not_kept_are_marked(copy):
    one = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"))
    whole = shown_heat(one, [0, 5])
    path = one.activations(one.final)
    with h5py.File(path, "r+") as file:  # as extract.positions: 2 keeps them
        partly = on(one.folder, "extract.positions=2")
        kept = kept_positions(partly, file["samples/id"][()], 4)
        values = np.take_along_axis(file["penultimate/activations"][()], kept[:, :, None], axis=1)
        column = file["checksums"].attrs["columns"].split().index("penultimate/activations")
        del file["penultimate/activations"]
        file["penultimate/activations"] = values
        sums = file["checksums"][()]
        sums[:, column] = [zlib.crc32(row.tobytes()) for row in values]
        file["checksums"][...] = sums
    found = shown_heat(partly, [0, 5])
    for row, heat, all_of_it in zip((0, 5), found, whole, strict=True):
        assert set(np.flatnonzero(heat == 255)) == set(range(4)) - set(kept[row])
        largest = all_of_it[kept[row]].max().astype(float)
        np.testing.assert_allclose(heat[kept[row]] * largest / 254, all_of_it[kept[row]], atol=2)


def shown_heat(one, rows):
    """Return the heat maps of images 0, 1, ... of concepts 0, 1, ..."""
    with one.open_activations(one.final) as activations:
        return Shown(one, activations).heat(np.array([rows]))[0]


def test_importance_by_class_adds_up_to_the_importance(reported, cards, concepts):
    predicted = datasets(reported.activations(reported.final))["samples/prediction"]
    with reported.open_activations(reported.final) as activations, reported.open_codes() as codes:
        atoms = torch.from_numpy(datasets(reported.dictionary)["atoms"])
        found = np.nan_to_num(report.by_class(reported, activations, codes, atoms))
    weights = np.bincount(predicted, minlength=len(found)) / len(predicted)
    np.testing.assert_allclose(weights @ found, concepts["importance"])
    for concept, card in enumerate(cards):
        largest = np.argsort(-found[:, concept], kind="stable")[:5]
        largest = largest[found[largest, concept] > 0]
        assert [number for number, _ in card["classes"]] == largest.tolist()
        np.testing.assert_allclose([value for _, value in card["classes"]], found[largest, concept])


def test_every_number_is_that_of_the_results(cards, concepts, reported):
    results = Results(reported.results)
    assert len(cards) == len(concepts)
    for concept, card in enumerate(cards):
        row = concepts.loc[concept].drop("name", errors="ignore")
        assert set(card["values"]) == set(row.index)
        for name, value in card["values"].items():
            assert value == row[name] or (value is None and np.isnan(row[name]))
        for name, dataset in (("taps", "vinformation"), ("epochs", "dynamics/vinformation"), ("shortcut", "flow/shortcut_cka")):
            np.testing.assert_array_equal(np.array(card[name], float), results.read(dataset)[:, concept])


# --- the index ---


def test_every_figure_and_thumbnail_is_there(index, reported):
    names = [one.name for one in catalogue.available(Results(reported.results))]
    assert index.eval_on_selector_all("figure", "all => all.map(one => one.id)") == [f"figure-{name}" for name in names]
    assert len(names) == len(catalogue.FIGURES)
    index.wait_for_function("[...document.images].every(one => one.complete)")
    images = index.eval_on_selector_all("img", "all => all.map(one => [one.naturalWidth, one.alt])")
    assert len(images) > 30
    assert all(width > 0 and text for width, text in images)
    for link in index.query_selector_all(".files a"):
        assert (reported.report / link.get_attribute("href")).stat().st_size > 1000


def test_plots_show_the_concept_that_is_pointed_at_and_open_it(visit, reported, concepts):
    index = visit(reported.report / "index.html")
    index.locator("#figure-complexity_importance").scroll_into_view_if_needed()
    index.wait_for_selector("#figure-complexity_importance.live .points path")
    drawn = index.evaluate(
        "(({x, y}) => [Array.from(x), Array.from(y)])(document.querySelector('[data-figure=complexity_importance]').data[0])"
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
        left = float(link.evaluate("one => one.style.left").removesuffix("%")) / 100
        same = concepts[concepts["alive"] & ((concepts["complexity"] - left).abs() <= 0.5 / 20)]
        assert same["importance"].idxmax() == number


def test_sorting(index, concepts):
    numbers = pd.Series(range(len(concepts)), index=concepts.index)
    for column in ("complexity", "importance", "temporal", "class"):
        first_falls = column != "class"
        for times, falling in ((1, first_falls), (1, not first_falls)):
            sort(index, column, times)
            expected = concepts.assign(number=numbers).sort_values([column, "number"], ascending=[not falling, True]).index
            shown = table(index)
            assert shown == expected[: len(shown)].tolist()
            assert len(shown) > 10
            assert index.get_attribute(f"th[data-column={column}]", "aria-sort") == ("descending" if falling else "ascending")


def test_filtering(index, concepts):
    index.select_option("#filter-class", "3")
    assert table(index) == concepts.index[concepts["class"] == 3].tolist()
    low, high = concepts["complexity"].quantile([0.4, 0.6])
    index.select_option("#filter-class", "")
    index.fill("#complexity-low", str(low))
    index.fill("#complexity-high", str(high))
    middle = concepts["complexity"].between(low, high)
    assert table(index) == concepts.index[middle].tolist()
    index.fill("#importance-low", str(concepts["importance"].median()))
    both = middle & (concepts["importance"] >= concepts["importance"].median())
    assert table(index) == concepts.index[both].tolist()
    assert index.inner_text("#count") == f"{both.sum()} of {len(concepts)} concepts"
    index.click("button[type=reset]")
    index.wait_for_function(r"/^\d+ concepts$/.test(document.getElementById('count').value)")
    assert table(index)[:3] == [0, 1, 2]


def test_numbers_in_the_table_are_those_of_the_results(index, concepts):
    cells = index.eval_on_selector_all(
        "#table tbody td data",
        "all => all.map(one => [one.closest('tr').dataset.concept, one.closest('td').dataset.column, one.value, one.textContent])",
    )
    assert {column for _, column, _, _ in cells} >= {"complexity", "importance", "temporal", "redundancy", "stability"}
    for concept, column, value, text in cells:
        assert float(value) == concepts.loc[int(concept), column]
        assert float(text) == pytest.approx(float(value), rel=0.006)


def test_a_concept_opens_by_click_and_by_key(visit, reported, concepts):
    page = visit(reported.report / "index.html")
    sort(page, "complexity")
    page.click("#table tbody tr[data-concept] td:nth-child(3)")
    page.wait_for_url(f"**/concept.html#{concepts['complexity'].idxmax()}")
    page.go_back()
    sort(page, "complexity")
    page.focus("#table tbody a[tabindex='0']")
    for key in ("ArrowDown", "ArrowDown", "End", "Home", "ArrowDown"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/concept.html#{concepts['complexity'].nlargest(2).index[1]}")
    page.wait_for_selector("main[data-concept]")


def test_what_the_index_says_of_the_run(index, reported):
    text = index.inner_text("main")
    codes = datasets(reported.codes)
    kept = codes["fidelity/kept"].mean()
    assert f"{100 * kept:.2f} % of the predictions kept" in text
    assert "the smallest 40 (fewer than 50)" in text  # a warning: 40 images per class
    assert "resnet18" in text and "digits" in text
    assert str(reported.folder) in text


def test_pictures_of_other_concepts_are_not_shown(copy):
    one = on(copy("codes.h5", "visualisation.h5"))
    assert pictures(one)
    with h5py.File(one.visualisation, "r+") as file:
        file.attrs["inputs"] = json.dumps({"codes": "of another dictionary"})
    assert pictures(one) == {}


def test_what_was_not_computed_says_which_command_adds_it(reported, copy, visit, monkeypatch):
    monkeypatch.setattr(
        catalogue, "write", lambda _, folder: shutil.copytree(reported.report / "figures", folder)
    )  # it takes seconds
    one = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"), "spectrum.taps=last")
    with h5py.File(one.results, "r+") as file:
        for stage in ("robustness", "sedimentation", "flow", "dynamics"):
            for name in file[f"provenance/{stage}"].attrs["datasets"].split():
                del file[name]
            del file[f"provenance/{stage}"]
    report.run(one)
    page = visit(one.report / "index.html")
    assert page.inner_text("#run").count("of other settings") == 1
    assert f"python -m vinfo_mpi.analyses.spectrum --config {one.folder}/config.yaml" in page.inner_text("#run")
    text = page.inner_text(".missing")
    for name in ("analyses.robustness", "analyses.sedimentation", "analyses.flow", "dynamics", "visualise"):
        assert f"python -m vinfo_mpi.{name}" in text
    assert page.query_selector("#figure-robustness") is None
    assert page.query_selector("th[data-column=temporal]") is None
    page.goto((one.report / "concept.html").as_uri() + "#2")
    page.wait_for_selector("main[data-concept='2']")
    assert len(page.query_selector_all(".chart")) == 1  # the taps
    assert page.query_selector(".picture") is None


# --- the page of a concept ---


def test_the_page_of_a_concept(visit, reported, cards):
    page = visit(reported.report / "concept.html", f"#{PICTURED[1]}")
    card = cards[PICTURED[1]]
    page.wait_for_selector(f"main[data-concept='{PICTURED[1]}']")
    page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert len(page.query_selector_all(".examples figure")) == 9
    assert len(page.query_selector_all(".heatmap")) == 9
    codes = page.eval_on_selector_all(".examples data", "all => all.map(one => Number(one.value))")
    assert codes == [one["code"] for one in card["examples"]]
    assert page.eval_on_selector_all("#values data", "all => all.map(one => Number(one.value))") == pytest.approx(
        [np.nan if value is None else value for value in card["values"].values()], rel=0, abs=0, nan_ok=True
    )
    numbers = page.eval_on_selector_all(
        ".chart", "all => all.map(one => [...one.querySelectorAll('data')].map(one => Number(one.value)))"
    )
    assert numbers[:2] == [card["taps"], card["epochs"]]
    assert numbers[2] == [value for pair in zip(card["shortcut"], card["main"], strict=True) for value in pair]
    stored = datasets(reported.visualisation)
    shown = page.eval_on_selector_all(".picture data", "all => all.map(one => Number(one.value))")
    assert shown == [stored["activations"][1], stored["reference"][1]]
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
    assert page.query_selector(".facts i") is None and "<i>small & fine" in page.inner_text(".facts")
    assert page.evaluate("document.body.dataset.evil") is None
    page.goto((reported.report / "concept.html").as_uri() + f"#{three}")
    page.wait_for_selector(f"main[data-concept='{three}']")
    assert EVIL in page.inner_text("main")
    assert page.evaluate("document.body.dataset.evil") is None


@pytest.mark.parametrize("dark", ["light", "dark"])
def test_on_a_phone_in_light_and_dark(visit, reported, dark):
    page = visit(reported.report / "index.html", viewport={"width": 390, "height": 844}, color_scheme=dark)
    page.wait_for_selector("#table tbody img")
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[4:-1].split(","))) < 200) == (dark == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto((reported.report / "concept.html").as_uri() + "#1")
    page.wait_for_selector("main[data-concept]")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


# --- other concepts ---


def test_concepts_that_have_names_and_are_nowhere_in_the_image(copy, visit, reported, monkeypatch):
    """Logits: codes of any sign, named, of no class, not found in the last tap."""
    monkeypatch.setattr(catalogue, "write", lambda _, folder: shutil.copytree(reported.report / "figures", folder))
    one = on(copy("activations", "checkpoints"), "dictionary.source=logits")
    for stage in (dictionary, encode, score, importance, report):
        stage.run(one)
    names, codes = datasets(one.dictionary)["names"], datasets(one.codes)
    page = visit(one.report / "index.html")
    assert table(page) == list(range(10))
    assert page.inner_text("tr[data-concept='7']").split()[:3] == ["7:", names[7].decode(), "all"]
    page.goto((one.report / "concept.html").as_uri() + "#7")
    page.wait_for_selector("main[data-concept='7']")
    assert page.query_selector(".heatmap") is None and page.query_selector("#heat") is None
    shown = page.eval_on_selector_all(".examples data", "all => all.map(one => Number(one.value))")
    column = np.sort(codes["codes"][:, 7])[::-1]
    assert shown[:5] == column[:5].tolist()
    assert shown[-1] == column[column > 0].min()


def test_projections_are_found_at_positions(copy):
    one = on(copy("activations", "checkpoints"), "dictionary.source=pca")
    for stage in (dictionary, encode):
        stage.run(one)
    stored, made = datasets(one.codes), datasets(one.dictionary)
    with one.open_activations(one.final) as activations:
        found = Shown(one, activations).codes(np.array([3, 9]), np.array([0, 2]))
        vectors = activations.read("penultimate/activations")[[3, 9]].astype(float)
    for codes, one_map, row, concept in zip(found, vectors, (3, 9), (0, 2), strict=True):
        np.testing.assert_allclose(codes, (one_map - made["offset"]) @ made["projection"][:, concept], atol=1e-9)
        assert codes.mean() == pytest.approx(stored["codes"][row, concept], abs=1e-5)


# --- like make ---


def test_made_anew_where_what_it_shows_has_changed(reported):
    one = on(reported.folder)
    key = freshness.fingerprint(one, "report")
    assert freshness.is_current(one, "report")
    assert not freshness.is_current(on(reported.folder, "report.neighbours=3"), "report")
    assert freshness.is_current(on(reported.folder, "machine.rows=7"), "report")
    before = one.visualisation.read_bytes()
    with h5py.File(one.visualisation, "r+") as file:
        file.attrs["fingerprint"] = "other"
    assert freshness.fingerprint(one, "report") != key
    one.visualisation.write_bytes(before)
    assert freshness.is_current(one, "report")


def test_goes_on_where_a_job_was_ended(copy, monkeypatch):
    one = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"))
    monkeypatch.setattr(sheets, "CONCEPTS", 20)
    monkeypatch.setattr(catalogue, "write", lambda *_: [])  # they take seconds
    monkeypatch.setattr(signals, "wished", lambda: any(one.folder.glob(".report.partial/data/*.js")))
    with pytest.raises(Stopped):
        report.run(one)
    assert not one.report.exists()
    [first] = one.folder.glob(".report.partial/data/*.js")
    kept = first.stat().st_mtime_ns
    monkeypatch.setattr(signals, "wished", lambda: False)
    report.run(one)
    assert [path.name for path in sorted((one.report / "data").iterdir())] == ["concepts.js", "sheet_0000.js", "sheet_0001.js"]
    assert (one.report / "data" / first.name).stat().st_mtime_ns == kept
    assert not list(one.folder.glob(".report*"))


# --- ten thousand concepts ---


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A report of 10,000 made-up concepts whose first sheet shows photographs."""
    folder, draw, count = tmp_path_factory.mktemp("large") / "report", np.random.default_rng(0), 10_000
    table = pd.DataFrame({name: draw.random(count) for name in site.COLUMNS}, index=pd.RangeIndex(count, name="concept"))
    table["class"], table["alive"] = np.arange(count) // 10, draw.random(count) < 0.99
    table.loc[~table["alive"], ["complexity", "temporal"]] = np.nan
    photographs = [np.asarray(image) for image in load_sample_images().images]

    def crop():
        photograph, size = photographs[draw.integers(2)], 4 * draw.integers(16, 64)
        top, left = (draw.integers(0, side - size) for side in photograph.shape[:2])
        step = size // 64 or 1
        return photograph[top : top + 64 * step : step, left : left + 64 * step : step][:64, :64]

    images = np.stack([crop() for _ in range(50 * 13)]).reshape(50, 13, 64, 64, 3)
    examples = [{"id": 10**6, "label": 1, "prediction": 2, "code": 1 / 3, "heat": site.packed(np.full(49, 9, np.uint8))}] * 13
    curves = {name: (draw.random(16)).tolist() for name in ("taps", "epochs", "main", "shortcut")}
    values = {f"{name}{end}": 1 / 7 for name in site.COLUMNS for end in ("", "_se")}
    card = {"values": values, "nearest": [(9999, 1 / 3)] * 8, "classes": [(999, 1 / 3)] * 5, "examples": examples} | curves
    site.write_sheet(folder, 0, images, [card] * 50, 75)
    for number in range(1, count // sheets.CONCEPTS):
        (folder / f"images/thumbnails_{number:04d}.webp").hardlink_to(folder / "images/thumbnails_0000.webp")
    one = catalogue.FIGURES
    shown = [site.Figure(name, one[name].title, "What to see.", "A figure.") for name in site.INTERACTIVE]
    (folder / "figures").mkdir()
    for name in site.INTERACTIVE:
        shutil.copy(ROOT / "docs/quickstart.png", folder / f"figures/{name}.png")
    names = [f"class number {number}" for number in range(1000)]
    taps = [f"layer{number}" for number in range(16)]
    layout = site.Layout(names, taps, taps, list(range(16)), ["most activating"] * 9 + ["a level"] * 4, {}, 7)
    site.write_pages(folder, site.Index("large", {"Network": "made up"}, [], shown), layout, table)
    return SimpleNamespace(folder=folder, table=table)


def test_sizes_of_ten_thousand_concepts(large):
    size = {path.relative_to(large.folder).as_posix(): path.stat().st_size for path in large.folder.rglob("*") if path.is_file()}
    sheet = [name for name in size if name.endswith(("sheet_0000.js", "_0000.webp"))]
    others = {name: value for name, value in size.items() if not name.startswith(("images", "figures")) and name not in sheet}
    assert len(sheet) == 3
    assert sum(others.values()) + sum(size[name] for name in sheet) * 10_000 / sheets.CONCEPTS < 300e6
    assert sum(others.values()) - others["assets/plotly.min.js"] < 2e6


def test_ten_thousand_concepts_in_a_table_of_a_few_rows(large, visit):
    page = visit(large.folder / "index.html")
    page.wait_for_selector("#table tbody tr[data-concept]")
    assert len(table(page)) < 60
    page.evaluate("document.getElementById('scroll').scrollTop = 56 * 5000")
    page.wait_for_selector("tr[data-concept='5000']")
    assert len(table(page)) < 60
    assert page.get_attribute("#table", "aria-rowcount") == "10001"
    page.emulate_media(media="print")
    page.wait_for_timeout(300)
    assert len(table(page)) <= 200
    assert page.is_visible(".still >> nth=0")


def test_ten_thousand_concepts_are_sorted(large, visit):
    page = visit(large.folder / "index.html")
    sort(page, "complexity")
    expected = large.table.sort_values("complexity", ascending=False, kind="stable").index
    shown = table(page)
    assert shown == expected[: len(shown)].tolist()
    page.focus("#table tbody a[tabindex='0']")
    page.keyboard.press("End")
    page.wait_for_selector("tr[aria-rowindex='10001']")
    dead = large.table.index[~large.table["alive"]]
    assert table(page) == dead[-len(table(page)) :].tolist()  # those without complexity come last
