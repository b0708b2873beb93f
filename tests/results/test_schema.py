"""The schema of results.h5: what a run writes and the documentation lists are its datasets."""

import re
import runpy

import h5py
import pytest
from contents import ROOT, datasets

from vinfo_mpi.registry import ANALYSES
from vinfo_mpi.results.schema import ALIVE, NAME
from vinfo_mpi.results.written_by import WRITTEN_BY, stage_of

PAGE = ROOT / "docs/file-formats.md"
SCHEMA = {dataset.name: dataset for written in WRITTEN_BY.values() for dataset in written}
ERRORS = {dataset.se.name: dataset.se for dataset in SCHEMA.values() if dataset.error is not None}
EVERYTHING = SCHEMA | ERRORS


def test_every_dataset_is_there_once():
    assert len(SCHEMA) == sum(map(len, WRITTEN_BY.values()))
    assert not SCHEMA.keys() & ERRORS.keys()
    assert set(WRITTEN_BY) >= {"score", "importance", "dynamics", *ANALYSES}
    assert stage_of(ERRORS["concepts/complexity_se"]) == "score"


def test_a_run_writes_the_datasets_of_the_schema(run):
    written = set(datasets(run[0] / "results.h5"))
    assert written <= EVERYTHING.keys()
    # Of planted images alone, of other predictors, and of embeddings of words.
    others = {name for name in EVERYTHING if name.startswith(("bias/", "predictors/"))}
    words = {dataset.name for dataset in WRITTEN_BY["names"]}
    optional = {NAME.name, *others, *words}
    assert EVERYTHING.keys() - written == optional


def test_with_the_axes_types_and_units_of_the_schema(run):
    with h5py.File(run[0] / "results.h5") as file:
        for name in datasets(run[0] / "results.h5"):
            stored = file[name]
            expected = EVERYTHING[name]
            assert tuple(axis.label for axis in stored.dims) == expected.axes, name
            assert stored.attrs.get("units") == expected.unit, name
            is_text = h5py.check_string_dtype(stored.dtype) is not None
            assert ("text" if is_text else str(stored.dtype)) == expected.dtype, name
            sentence = ".+".join(map(re.escape, re.split(r"\{\w+\}", expected.sentence)))
            assert re.fullmatch(sentence, stored.attrs["description"]), name


def test_a_stage_writes_its_own_datasets(run):
    with h5py.File(run[0] / "results.h5") as file:
        for stage, provenance in file["provenance"].items():
            for name in provenance.attrs["datasets"].split():
                assert stage_of(EVERYTHING[name]) == stage


def test_the_documentation_lists_the_schema_and_nothing_else():
    table = runpy.run_path(str(ROOT / "docs/results_table.py"))["table"]()
    section = PAGE.read_text().split("\n## results.h5\n")[1].split("\n## ")[0]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    assert rows == table, (
        "the table of results.h5 in docs/file-formats.md is not that of the schema: "
        "run python docs/results_table.py, and put there what it prints"
    )


def test_the_table_has_axes_type_unit_and_stage():
    table = runpy.run_path(str(ROOT / "docs/results_table.py"))["table"]()
    row = next(line for line in table.splitlines() if "`/redundancy/values`" in line)
    cells = [cell.strip() for cell in row.split(" | ")]
    assert cells[:5] == [
        "| `/redundancy/values` (`_se`)",
        "rate, concept",
        "float64",
        "1",
        "redundancy",
    ]
    assert "predictors/<name>/penalty" in table


def test_a_dataset_without_a_standard_error_has_none():
    with pytest.raises(ValueError, match="concepts/name has no standard error"):
        NAME.se  # noqa: B018


def test_values_have_the_axes_of_their_dataset():
    with pytest.raises(ValueError, match=r"/concepts/alive has axes \('concept',\)"):
        ALIVE.table([[True], [False]])
