"""The stages at the size of the paper, at a tiny one: their results are right, or it is noticed."""

import math

import pytest

from benchmarks import machine, paper_size
from benchmarks.paper_size import Size
from vinfo_mpi.numerics import nnls

SIZES = {
    "score": Size(300, {8: 2, 16: 1}, classes=5, concepts_per_class=4),
    "encode": Size(12, {16: 1}, positions=3, classes=5, concepts_per_class=8),
    "dictionary": Size(40, {16: 1}, positions=3, classes=4, concepts_per_class=3),
}


@pytest.fixture
def here():
    """The rates of no machine."""
    return machine.load()


@pytest.mark.parametrize("stage", SIZES)
def test_a_stage_is_predicted_and_does_right(tmp_path, here, stage):
    row = paper_size.measured(stage, SIZES[stage], tmp_path, here)
    assert row.stage == stage
    assert 0 < row.predicted < math.inf and 0 < row.measured < math.inf
    assert row.memory > 0 and row.products > 0
    assert row.bytes_predicted <= row.bytes_read


@pytest.mark.parametrize(
    "stage, damage",
    [
        ("score", lambda read: lambda path, kind, name: 0.9 * read(path, kind, name)),
        ("dictionary", lambda read: lambda path, kind, name: read(path, kind, name) ** 2),
    ],
)
def test_a_wrong_result_is_noticed(tmp_path, monkeypatch, here, stage, damage):
    monkeypatch.setattr(paper_size, "read_table", damage(paper_size.read_table))
    with pytest.raises(AssertionError):
        paper_size.measured(stage, SIZES[stage], tmp_path, here)


def test_codes_that_are_not_the_best_are_noticed(tmp_path, monkeypatch, here):
    solve = nnls.Dictionary.encode

    def worse(self, *arguments):
        solved = solve(self, *arguments)
        return nnls.Codes(1.1 * solved.codes, solved.residual)

    monkeypatch.setattr(nnls.Dictionary, "encode", worse)
    with pytest.raises(AssertionError):
        paper_size.measured("encode", SIZES["encode"], tmp_path, here)
