from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError
from vinfo_mpi.results import curves, findings
from vinfo_mpi.results.schema import LATE
from vinfo_mpi.results.schema_analyses import LAZINESS
from vinfo_mpi.results.schema_sedimentation import MEAN_PARTS


@pytest.mark.parametrize(
    ("expected", "value", "error", "verdict"),
    [
        ("> 0", 0.5, 0.1, "yes"),
        ("> 0", 0.1, 0.1, "unclear"),
        ("> 0", -0.5, 0.1, "no"),
        ("> 0", 0.1, np.nan, "yes"),
        ("< 0", -0.5, 0.1, "yes"),
        ("< 0", -0.1, 0.1, "unclear"),
        ("< 0", 0.5, 0.1, "no"),
        ("about 0", -0.1, 0.3, "yes"),
        ("about 0", 0.3, 0.1, "unclear"),
        ("about 0", 0.5, 0.1, "no"),
        ("> 0", np.nan, np.nan, "undefined"),
        ("", 0.5, 0.1, ""),
    ],
)
def test_verdicts_leave_room_for_two_standard_errors(expected, value, error, verdict):
    assert findings.verdict(expected, value, error) == verdict


def test_all_signs_of_a_run_with_all_analyses(run):
    results = Results(run[0])
    table = results.signs
    assert not table["verdict"].str.contains("not computed").any()
    living = results.concepts[results.concepts["alive"]]
    row = table.set_index("sign").loc["complexity ~ redundancy"]
    assert row["value"] == pytest.approx(
        spearmanr(living["complexity"], living["redundancy"]).statistic
    )
    assert 0 < row["standard_error"] < 0.3
    rise = table.set_index("sign").loc["mean complexity rises over the epochs"]
    curve = results.read("sedimentation/mean_complexity")
    error = results.read("sedimentation/mean_complexity_se")
    assert rise["value"] == pytest.approx(curve[-1] - curve[0])
    assert rise["standard_error"] == pytest.approx((error[0] ** 2 + error[-1] ** 2) ** 0.5)
    text = findings.text(results)
    of_digits = [sign for sign in findings.SIGNS if "bias" not in sign.needs]
    assert all(sign.text in text for sign in of_digits)
    own, *others, notes = text.split("\n\n")
    assert "complexity ~ redundancy" in own and "NC1" not in own
    assert notes.startswith("yes and no: by more than two standard errors; about 0 is up to 0.2")
    assert [part.splitlines()[0] for part in others] == table["source"].unique()[1:].tolist()
    assert len(table) == len(of_digits)


def test_every_correlation_with_complexity_stands_beside_those_with_its_parts(run):
    results = Results(run[0])
    signs = results.signs.set_index("sign")
    living = results.concepts[results.concepts["alive"]]
    whole = [
        name
        for name in signs.index
        if name.startswith("complexity ~") and "own" not in name and "confound" not in name
    ]
    assert len(whole) == 5
    for name in whole:
        for given in ("variance", "V of the last tap", "all four"):
            row = signs.loc[name.replace("complexity", f"... given {given}")]
            assert row["verdict"] in ("", "undefined")
        for part_of in ("unreadable", "late", "discarded"):
            row = signs.loc[name.replace("complexity", f"... {part_of}")]
            assert row["verdict"] in ("", "undefined")
    late = spearmanr(living["late"], living["importance"]).statistic
    assert signs.loc["... late ~ importance, final network", "value"] == pytest.approx(late)


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        ([0.2, 0.3, 0.4, 0.41, 0.41], "yes"),
        ([0.4, 0.3, 0.2, 0.19, 0.19], "no"),  # falls and flattens
        ([0.2, 0.25, 0.3, 0.35, 0.4], "unclear"),  # rises on and on
        ([0.2, 0.2, 0.2, 0.2, 0.2], "unclear"),
        ([0.2, 0.2, 0.2, 0.3, 0.4], "no"),
        ([0.2, 0.3, 0.4, 0.3, 0.2], "unclear"),  # falls again
    ],
)
def test_a_curve_that_does_not_rise_and_flatten_does_not_pass(curve, verdict):
    results = SimpleNamespace(read_with_error=lambda _: (np.array(curve), np.full(5, 0.005)))
    measured = curves.rises_and_flattens(MEAN_PARTS[LATE])(results)
    assert findings.verdict("> 0", *measured) == verdict


@pytest.mark.parametrize(("curve", "verdict"), [([0.4, 0.2], "yes"), ([0.4], "undefined")])
def test_nothing_changes_over_a_single_checkpoint(curve, verdict):
    errors = np.full(len(curve), 0.005)
    results = SimpleNamespace(read_with_error=lambda _: (np.array(curve), errors))
    measured = curves.change(LAZINESS)(results)
    assert findings.verdict("< 0", *measured) == verdict


def test_flow_is_judged_by_v_information_and_cka_stands_beside(run):
    results = Results(run[0])
    signs = results.signs.set_index("sign")
    for name, beside, dataset in (
        (
            "V of simple concepts in shortcuts: change after the first blocks",
            "... CKA, as in the paper",
            "flow/simple_shortcut",
        ),
        (
            "V of complex concepts in shortcuts: rise over all blocks",
            "... CKA over all blocks, as in the paper",
            "flow/complex_shortcut",
        ),
    ):
        start = 2 if "simple" in dataset else 0
        judged = results.read(f"{dataset}_vinformation")
        assert signs.loc[name, "value"] == pytest.approx(judged[-1] - judged[start])
        paper = results.read(f"{dataset}_cka")
        assert signs.loc[beside, "value"] == pytest.approx(paper[-1] - paper[start])
        assert signs.loc[name, "verdict"] and not signs.loc[beside, "verdict"]


def test_what_an_earlier_version_has_not_written_says_which_command_does(run, monkeypatch):
    results = Results(run[0])
    missing = {dataset.name for dataset in MEAN_PARTS.values()}
    monkeypatch.setattr(results, "datasets", tuple(set(results.datasets) - missing))
    verdicts = results.signs.set_index("sign")["verdict"]
    command = "python -m vinfo_mpi.analyses.sedimentation --force"
    assert verdicts["... its late part"] == f"not computed: {command}"
    assert verdicts["mean complexity rises over the epochs"] in ("yes", "no", "unclear")


def test_support_by_complexity_is_judged_in_turn_over_the_classes(run):
    results = Results(run[0])
    signs = results.signs.set_index("sign")
    orders = results.names("support/orders")
    areas = dict(zip(orders, results.read("support/area"), strict=True))
    in_turn = signs.loc["accuracy by the simplest first less random, in turn over classes"]
    expected = areas["complexity-ascending-in-turn"] - areas["random-in-turn"]
    assert in_turn["value"] == pytest.approx(expected)
    assert in_turn["verdict"]
    plain = signs.loc["... whatever their class"]
    assert plain["value"] == pytest.approx(areas["complexity-ascending"] - areas["random"])
    assert not plain["verdict"]


def test_what_may_stand_behind_is_shown(run):
    results = Results(run[0])
    signs = results.signs.set_index("sign")
    living = results.concepts[results.concepts["alive"]]
    names = {
        "variance": "variance",
        "last_tap": "V of the last tap",
        "firing_rate": "firing rate",
        "eta2": "share between classes",
    }
    for column, name in names.items():
        expected = spearmanr(living["complexity"], living[column]).statistic
        row = signs.loc[f"complexity ~ {name} (a confound)"]
        assert row["value"] == pytest.approx(expected)


def test_an_older_run_is_told_how_to_add_what_it_has_not(run):
    results = Results(run[0])
    results.concepts = results.concepts.drop(columns="eta2")
    verdicts = results.signs.set_index("sign")["verdict"]
    missing = "not computed: python -m vinfo_mpi.score --force"
    assert verdicts["complexity ~ share between classes (a confound)"] == missing
    assert verdicts["... given all four ~ redundancy"] == missing
    assert verdicts["complexity ~ redundancy"] in ("yes", "no", "unclear")
    with pytest.raises(InputError, match=r"no column 'eta2'.*vinfo_mpi\.score --force"):
        results.correlation("complexity", "eta2")


def test_what_was_not_computed_says_which_command_does(run, monkeypatch):
    results = Results(run[0])
    results.inputs = {"score": results.inputs["score"], "importance": results.inputs["importance"]}
    table = results.signs.set_index("sign")["verdict"]
    assert (
        table["complexity ~ redundancy"] == "not computed: python -m vinfo_mpi.analyses.redundancy"
    )
    assert table["complexity ~ temporal score"] == "not computed: python -m vinfo_mpi.dynamics"
    assert "not computed" not in table["complexity ~ importance, final network"]


def test_the_command_needs_a_run(python, tmp_path):
    done = python("-m", "vinfo_mpi.signs", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("vinfo_mpi: ")
    assert len(done.stderr.splitlines()) == 1
