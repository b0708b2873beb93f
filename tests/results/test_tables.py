"""Results as tables, what is exported of them, and what users of the library get."""

import pandas as pd
import pytest
from contents import datasets
from scipy.stats import spearmanr

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError
from vinfo_mpi.results import tables
from vinfo_mpi.results.schema import COMPLEXITY, PENALTY, TAPS, TEMPORAL


@pytest.fixture
def results(run):
    return Results(run[0])


@pytest.mark.parametrize(
    ("write", "read"), [("to_csv", pd.read_csv), ("to_parquet", pd.read_parquet)]
)
def test_what_is_exported_is_what_the_file_holds(results, tmp_path, write, read):
    path = tmp_path / "new" / "concepts"
    getattr(results, write)(path)
    table = read(path).reset_index()
    stored = datasets(results.path)
    assert table["concept"].tolist() == stored["concepts/index"].tolist()
    for name in ("class", "complexity", "importance", "redundancy"):
        assert table[name].tolist() == pytest.approx(
            stored[f"concepts/{name}"].tolist(), nan_ok=True, rel=1e-15
        )
    for row, tap in enumerate(stored["taps"]):
        assert table[f"vinformation_{tap.decode()}"].tolist() == pytest.approx(
            stored["vinformation"][row].tolist(), nan_ok=True
        )
    columns = {name.split("/")[1] for name in stored if name.startswith("concepts/")} - {"index"}
    assert columns <= set(table)


def test_a_place_that_cannot_be_written_to(results, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        results.to_csv(tmp_path / "file" / "concepts.csv")


def test_names_of_classes_also_without_activations(results, copy):
    assert results.classes == [str(digit) for digit in range(10)]
    folder = copy("results.h5")
    assert Results(folder).classes == results.classes
    (folder / "activations").mkdir()
    (folder / "activations/epoch_002.h5").write_text("damaged")
    assert Results(folder).classes == results.classes


def test_the_table_before_anything_is_scored(results):
    results.datasets = tuple(name for name in results.datasets if name != "vinformation")
    assert results.table.equals(results.concepts)


def test_settings_and_datasets(results):
    assert results.settings["support"]["data"]["per_class"] == 40
    assert set(results.datasets) == set(datasets(results.path))
    assert results.read("flow/blocks")[0] == b"layer1.0"
    with pytest.raises(KeyError, match=r"no dataset 'flow'.*score"):
        results.read("flow")


def test_a_correlation_is_computed_once(results, monkeypatch):
    living = results.concepts[results.concepts["alive"]]
    first = results.correlation("complexity", "temporal")
    expected = spearmanr(living["complexity"], living["temporal"]).statistic
    assert first.value == pytest.approx(expected)
    monkeypatch.setattr("vinfo_mpi.numerics.correlation.spearman", None)
    assert results.correlation("complexity", "temporal") is first
    assert results.correlation(COMPLEXITY, TEMPORAL) is first


def test_datasets_are_asked_for_by_the_schema_or_by_name(results):
    assert (results.read(PENALTY) == results.read("penalty")).all()
    assert results.description(COMPLEXITY) == results.description("concepts/complexity")
    assert results.names(TAPS) == results.vinformation.index.tolist()
    assert PENALTY in results
    assert "penalty" in results
    assert "penalties" not in results
    values, errors = results.read_with_error(COMPLEXITY)
    assert (values == results.concepts["complexity"]).all()
    assert (errors == results.concepts["complexity_se"]).all()


def test_the_living_are_those_that_vary(results):
    assert results.living.equals(results.concepts[results.concepts["alive"]])
    unscored = Results(results.path)
    unscored.concepts = results.concepts.drop(columns="alive")
    assert unscored.living is unscored.concepts


def test_plain_tables_draw_and_judge_nothing(results):
    assert isinstance(results, tables.Results)
    assert not hasattr(tables.Results, "plot")
    assert not hasattr(tables.Results, "signs")


def test_plain_tables_import_no_figures(python):
    program = (
        "import sys, vinfo_mpi.results.tables; "
        "print([name for name in sys.modules if 'figures' in name or 'findings' in name])"
    )
    done = python("-c", program)
    assert done.stdout.strip() == "[]", done.stderr
