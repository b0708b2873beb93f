"""A report of the small run, and a browser that opens it from a disk."""

import json
import shutil

import h5py
import numpy as np
import pytest
from contents import SMALL
from playwright.sync_api import sync_playwright
from report_pages import EVIL, PICTURED, SETTINGS, Watched, on

from vinfo_mpi import Results
from vinfo_mpi.results import store
from vinfo_mpi.storage.hdf5 import Table, fixed_width, write_tables
from vinfo_mpi.storage.rows import fingerprint


@pytest.fixture(scope="session")
def reported(run, shared, mpirun):
    """The small run with pictures and a report by two ranks.

    It lies in a folder with a name that has to be escaped, and has such a class.
    """
    name = "<i>small & fine"

    def report(base):
        small = on(shutil.copytree(run[0], base / name))
        rename_class(small.activations(small.final), 3, EVIL)
        write_pictures(small)
        options = [word for setting in SETTINGS for word in ("--set", setting)]
        options += ["--only", "--run-dir", small.folder]
        done = mpirun(2, "-m", "vinfo_mpi.report", *SMALL, *options)
        assert done.returncode == 0, done.stderr

    base, _ = shared("reported", report)
    return on(base / name)


def rename_class(path, renamed, name):
    with h5py.File(path, "r+") as file:
        names = [stored.decode() for stored in file["classes"][()]]
        names[renamed] = name
        del file["classes"]
        file["classes"] = fixed_width(names)


def write_pictures(run):
    """Write made-up pictures of some concepts, and of the facets of one that has several."""
    draw = np.random.default_rng(0)
    facets = Results(run.results).concepts["facets"]
    several = facets.index[facets > 1][0]
    concepts = np.array(sorted({*PICTURED, several}))
    tables = made_up(draw, concepts)
    of_facets = made_up(draw, np.repeat(several, facets[several]))
    of_facets["facet"] = Table(np.arange(facets[several]), "facets")
    of_facets["nearest"] = Table(np.zeros(facets[several], int), "facets")
    tables |= {f"facets/{name}": table for name, table in of_facets.items()}
    attributes = {
        "filetype": "vinfo-visualisation",
        "format_version": 1,
        "fingerprint": "made up",
        "inputs": json.dumps(
            {
                "codes": fingerprint(run.codes, "vinfo-codes"),
                "facets": store.fingerprint(run.results, "facets"),
            }
        ),
    }
    write_tables(run.visualisation, tables, attributes)


def made_up(draw, concepts):
    """Return datasets of pictures of these concepts."""
    count = len(concepts)
    return {
        "concepts": Table(concepts, "numbers of the concepts"),
        "images": Table(draw.integers(0, 256, (count, 24, 24, 3), np.uint8), "pictures"),
        "transparency": Table(draw.integers(0, 256, (count, 24, 24), np.uint8), "255 = opaque"),
        "activations": Table(draw.random(count), "codes of the pictures"),
        "reference": Table(draw.random(count), "99th percentiles"),
    }


@pytest.fixture(scope="session")
def concepts(reported):
    """What results.h5 says of the concepts."""
    return Results(reported.results).concepts


@pytest.fixture(scope="session")
def cards(reported):
    """What the scripts of all sheets say of the concepts."""
    cards = []
    for path in sorted((reported.report / "data").glob("sheet_*.js")):
        cards += json.loads(path.read_text().split(", ", 1)[1].removesuffix(");\n"))
    return cards


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
    with sync_playwright() as play:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
        ]
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=options
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Return visit(path, fragment, ...), which opens a page.

    What goes wrong in it, or leaves the disk, fails the test.
    """
    visited = []

    def open_page(path, fragment="", **options):
        visited.append(Watched(chromium, path.as_uri() + fragment, options))
        return visited[-1].page

    yield open_page
    for watched in visited:
        watched.page.context.close()
    assert [wrong for watched in visited for wrong in watched.wrong] == []
