"""The report of other runs: of other concepts, of less than all analyses; and like make."""

import shutil

import h5py
import numpy as np
import pytest
from contents import datasets
from report_pages import on, table
from small_run import run_stage

from vinfo_mpi.errors import Stopped
from vinfo_mpi.figures import catalogue
from vinfo_mpi.figures.figure import Figure
from vinfo_mpi.figures.themed import Panel
from vinfo_mpi.pages import sheets
from vinfo_mpi.parallel import signals
from vinfo_mpi.run import freshness


@pytest.fixture
def figures_at_hand(reported, monkeypatch):
    """Figures are copied, not drawn: that takes seconds."""
    draw_nothing(monkeypatch)
    monkeypatch.setattr(
        catalogue,
        "write",
        lambda _, folder, **__: shutil.copytree(reported.report / "figures", folder),
    )


def draw_nothing(monkeypatch):
    empty = Panel("<svg></svg>", (0, 0, 1, 1), (0, 1, 0, 1))
    monkeypatch.setattr(Figure, "on_page", lambda *_: [empty])


# --- other concepts, other analyses ---


def test_what_was_not_computed_says_which_command_adds_it(copy, visit, figures_at_hand):
    run = on(
        copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"),
        "spectrum.taps=last",
    )
    with h5py.File(run.results, "r+") as file:
        for stage in ("robustness", "migration", "sedimentation", "flow", "dynamics"):
            for name in file[f"provenance/{stage}"].attrs["datasets"].split():
                del file[name]
            del file[f"provenance/{stage}"]
    run_stage(run, "report")
    page = visit(run.report / "index.html")
    text = page.text_content("#answer")
    assert text.count("of other settings") == 1
    assert f"python -m vinfo_mpi.analyses.spectrum --config {run.folder}/config.yaml" in text
    missing = page.text_content(".missing")
    for name in ("robustness", "migration", "flow"):
        assert f"python -m vinfo_mpi.analyses.{name}" in missing
    for name in ("dynamics", "visualise"):
        assert f"python -m vinfo_mpi.{name}" in missing
    assert page.query_selector("#figure-robustness") is None
    assert page.query_selector("th[data-column=temporal]") is None
    assert page.query_selector("#sort [value=temporal]") is None
    answers = page.inner_text(".answer")
    assert "Not computed: python -m vinfo_mpi.dynamics adds it." in answers
    verdicts = dict(
        page.eval_on_selector_all(
            "#findings > .sideways tbody tr",
            "all => all.map(row => [row.cells[0].innerText, row.cells[3].innerText])",
        )
    )
    assert verdicts["complexity ~ temporal score"] == "not run"
    assert verdicts["complexity ~ importance, final network"] in ("yes", "no", "unclear")
    page.goto((run.report / "concept.html").as_uri() + "#2")
    page.wait_for_selector("main[data-concept='2']")
    assert len(page.query_selector_all(".chart")) == 1  # the taps
    assert page.query_selector(".picture") is None


def test_concepts_that_have_names_and_are_nowhere_in_the_image(copy, visit, figures_at_hand):
    """Logits: codes of any sign, named, of no class, not found in the last tap."""
    run = on(copy("activations", "checkpoints"), "dictionary.source=logits")
    for stage in ("dictionary", "encode", "score", "importance", "report"):
        run_stage(run, stage)
    names = datasets(run.dictionary)["names"]
    column = np.sort(datasets(run.codes)["codes"][:, 7])[::-1]
    page = visit(run.report / "index.html", "?view=table&sort=concept")
    assert table(page) == list(range(10))
    assert page.inner_text("tr[data-concept='7']").split()[:3] == ["7:", names[7].decode(), "all"]
    page.goto((run.report / "concept.html").as_uri() + "#7")
    page.wait_for_selector("main[data-concept='7']")
    assert page.query_selector(".heatmap") is None and page.query_selector("#heat") is None
    assert page.query_selector(".eigencam") is None and page.query_selector("#eigencam") is None
    codes = page.eval_on_selector_all(
        ".examples data", "all => all.map(node => Number(node.value))"
    )
    assert codes[:5] == column[:5].tolist()
    assert codes[-1] == column[column > 0].min()


# --- like make ---


def test_made_anew_where_what_it_shows_has_changed(reported, tmp_path):
    run = on(shutil.copytree(reported.folder, tmp_path / "copy"))
    key = freshness.fingerprint(run, "report")
    assert freshness.is_current(run, "report")
    assert not freshness.is_current(on(run.folder, "report.neighbours=3"), "report")
    assert freshness.is_current(on(run.folder, "machine.rows=7"), "report")
    before = run.visualisation.read_bytes()
    with h5py.File(run.visualisation, "r+") as file:
        file.attrs["fingerprint"] = "other"
    assert freshness.fingerprint(run, "report") != key
    run.visualisation.write_bytes(before)
    assert freshness.is_current(run, "report")


def test_goes_on_where_a_job_was_ended(copy, monkeypatch):
    run = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"))
    monkeypatch.setattr(sheets, "CONCEPTS", 20)
    monkeypatch.setattr(catalogue, "write", lambda *_, **__: [])  # they take seconds
    draw_nothing(monkeypatch)
    monkeypatch.setattr(
        signals, "wished", lambda: any(run.folder.glob(".report.partial/data/*.js"))
    )
    with pytest.raises(Stopped):
        run_stage(run, "report")
    assert not run.report.exists()
    [first] = run.folder.glob(".report.partial/data/*.js")
    written = first.stat().st_mtime_ns
    monkeypatch.setattr(signals, "wished", lambda: False)
    run_stage(run, "report")
    assert [path.name for path in sorted((run.report / "data").iterdir())] == [
        "concepts.js",
        "sheet_0000.js",
        "sheet_0001.js",
    ]
    assert (run.report / "data" / first.name).stat().st_mtime_ns == written
    assert not list(run.folder.glob(".report*"))
