"""The worked example of the documentation runs on a run, to its end, and is a page of the site."""

import importlib.util
import re

from contents import ROOT

SPEC = importlib.util.spec_from_file_location("worked_example", ROOT / "docs/worked_example.py")


def worked_example():
    module = importlib.util.module_from_spec(SPEC)
    SPEC.loader.exec_module(module)
    return module


def test_the_page_shows_what_every_cell_prints_and_draws(run, monkeypatch):
    monkeypatch.setenv("VINFO_RUN", "")
    text, figures = worked_example().page(run[0])
    code = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    printed = re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert "complexity ~ temporal score" in text
    assert len(printed) == len(code) - 1 == 8  # one cell draws
    assert list(figures) == ["explore_1.png"]
    assert figures["explore_1.png"].startswith(b"\x89PNG") and "(explore_1.png)" in text
    written = {name for name in printed[-2].split() if "." in name}
    tables = {"concepts.csv", "concepts.parquet"}
    drawn = {
        f"{name}.{kind}"
        for name in ("complexity", "complexity_importance")
        for kind in ("pdf", "png")
    }
    assert tables | drawn | {"overview.png", "captions.tex"} <= written
    assert "unreadable" in printed[-1]


def test_without_a_run_the_page_says_so():
    text, figures = worked_example().page(None)
    assert "built without a run" in text and "```text" not in text and not figures
