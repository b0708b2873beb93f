"""The README: its Python runs, and all links of the documentation lead somewhere."""

import re
from collections import OrderedDict
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from contents import ROOT
from torch import nn

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.filterwarnings("ignore:NMF")
def test_ten_lines_of_python():
    torch.manual_seed(0)
    widths = [3, 8, 8, 12, 12]
    layers = {
        f"layer{depth}": nn.Sequential(nn.Conv2d(*widths[depth - 1 : depth + 1], 3), nn.ReLU())
        for depth in range(1, 5)
    }
    network = nn.Sequential(OrderedDict(layers))
    names = {"network": network, "images": torch.rand(40, 3, 12, 12)}
    exec(BLOCKS[0], names)
    table = names["table"]
    assert len(table) == 10
    assert {"complexity", "unreadable", "late", "discarded", "complexity_se"} <= set(table)
    parts = table[["unreadable", "late", "discarded"]].sum(axis=1)
    assert parts.tolist() == pytest.approx(table["complexity"].tolist())


def test_results_in_python(run, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/quickstart").symlink_to(run[0])
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[1], {})
    plt.close("all")
    assert Path("concepts.csv").read_text().count("\n") == 41


def slugs(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link
