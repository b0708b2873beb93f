"""The worked example of the documentation runs on a run, to its end."""

import runpy

from contents import ROOT


def test_the_worked_example(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VINFO_RUN", str(run[0]))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "docs/explore.py"))
    assert "complexity ~ temporal score" in capsys.readouterr().out
    figures = {
        f"{name}.{kind}"
        for name in ("complexity", "complexity_importance")
        for kind in ("pdf", "png")
    }
    tables = {"concepts.csv", "concepts.parquet"}
    written = {path.name for path in (tmp_path / "explored").iterdir()}
    assert written == figures | tables | {"overview.png", "captions.tex"}
