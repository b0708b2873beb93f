"""The tables of seven-ways.md: their numbers again by SciPy and NumPy, from h5py alone."""

import re
import runpy

import numpy as np
import pytest
from contents import ROOT, datasets
from scipy.stats import rankdata, spearmanr

SCRIPT = runpy.run_path(str(ROOT / "docs/seven_ways.py"))
CONFOUNDS = ("variance", "last_tap", "firing_rate", "eta2")


@pytest.fixture(scope="module")
def stored(run):
    return datasets(run[0] / "results.h5")


def numbers(cell):
    return [float(word) for word in re.findall(r"-?[0-9.]+", cell.replace("\N{MINUS SIGN}", "-"))]


def test_the_tables_and_the_picture(run, stored, tmp_path, capsys):
    SCRIPT["main"]([f"small={run[0]}", f"again={run[0]}"], tmp_path / "seven.png")
    printed = capsys.readouterr().out
    assert (tmp_path / "seven.png").read_bytes().startswith(b"\x89PNG")
    tables = printed.split("\nWith ")
    titles = [table.split(";")[0].split(":")[0] for table in tables[1:]]
    assert titles == ["complexity K", "late", "unreadable", "mean V-information", "epoch"]
    rows = dict(
        line.strip("| ").split(" | ", 1) for line in tables[1].splitlines() if " | " in line
    )
    first, second = rows["redundancy"].split(" | ")
    assert first == second, "both are the same run"
    alive = stored["concepts/alive"] == 1
    names = ("complexity", "redundancy", *CONFOUNDS)
    columns = np.stack([stored[f"concepts/{name}"][alive] for name in names])
    columns = columns[:, np.isfinite(columns).all(0)]
    whole, _, partly, _ = numbers(first)
    assert whole == pytest.approx(spearmanr(*columns[:2]).statistic, abs=0.00501)
    inverse = np.linalg.inv(np.corrcoef([rankdata(column) for column in columns]))
    expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert partly == pytest.approx(expected, abs=0.00501)
    assert "→" not in rows["variance"], "what is given is not left over"
    mean_v = stored["vinformation"][:, alive].mean(1)
    rows = dict(
        line.strip("| ").split(" | ", 1) for line in tables[4].splitlines() if " | " in line
    )
    severity = numbers(rows["outlier severity"].split(" | ")[0])[0]
    expected = spearmanr(mean_v, stored["outlier_severity"]).statistic
    assert severity == pytest.approx(expected, abs=0.00501)
    # Debiased as by Song et al. (2012), here from the whole kernels.
    file = datasets(run[0] / "activations/epoch_002.h5")
    vectors = [file[f"taps/{tap.decode()}/activations"] for tap in stored["taps"]]
    kernels = [x.astype(float) @ x.T.astype(float) for x in vectors]
    alike = [
        hsic(kernel, kernels[-1]) / np.sqrt(hsic(kernel, kernel) * hsic(kernels[-1], kernels[-1]))
        for kernel in kernels[:-1]
    ]
    expected = spearmanr(mean_v[:-1], alike).statistic
    assert numbers(rows["CKA with the last tap"].split(" | ")[0])[0] == pytest.approx(
        expected, abs=0.00501
    )


def hsic(first, second):
    """Return the unbiased HSIC of two kernels, up to what all of as many images share."""
    n = len(first)
    first = first - np.diag(first.diagonal())
    second = second - np.diag(second.diagonal())
    return (
        (first * second).sum()
        + first.sum() * second.sum() / ((n - 1) * (n - 2))
        - 2 / (n - 2) * first.sum(0) @ second.sum(0)
    )
