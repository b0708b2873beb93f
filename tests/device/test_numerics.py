"""Every function of numerics that takes tensors: on a device it is what it is on the CPU."""

import pytest
import torch

from benchmarks.gpu.case import difference
from benchmarks.gpu.cases import CASES
from benchmarks.model import OF_EXCHANGE, OF_LOOK, OF_PART

EQUAL = 1e-9  # relative to the largest value


@pytest.fixture(scope="module")
def cases(outcomes):
    """What the cases have come to on the pretended device, by name."""
    return outcomes("numerics.py")


@pytest.mark.parametrize("name", CASES)
def test_equals_the_cpu(name, cases):
    assert "error" not in cases[name], cases[name]["error"]
    assert cases[name]["difference"] < EQUAL
    assert cases[name]["operations"] > 0


def test_working_sets_wait_as_often_for_many_rows_as_for_few(cases):
    """Once for every exchange, four times for every look; once more for sizes of the many."""
    few, more, many = (
        cases[f"working_sets_of_{rows}_rows"]["synchronisations"]
        for rows in ("few", "more", "many")
    )
    assert few == more
    exchanges = sum(count for line, count in few.items() if "pivoting" in line)
    assert sum(few.values()) - exchanges <= 4 * 5 + 2  # looks, and where the data are placed
    assert sum(few.values()) <= sum(many.values()) <= sum(few.values()) + exchanges


def test_the_model_knows_how_many_operations_working_sets_ask_for(cases):
    few, many = (cases[f"working_sets_of_{rows}_rows"] for rows in ("few", "many"))
    waits = few["synchronisations"]
    exchanges = sum(count for line, count in waits.items() if "pivoting" in line)
    looks = (sum(waits.values()) - exchanges) // 4
    steps = looks * OF_LOOK + exchanges * OF_EXCHANGE
    assert few["operations"] == pytest.approx(steps, rel=0.1)
    parts = 2 * sum(
        count for line, count in many["synchronisations"].items() if "from device" in line
    )
    assert many["operations"] - few["operations"] == pytest.approx(parts * OF_PART, rel=0.2)


def test_differences_are_seen():
    values = torch.tensor([1.0, 2.0, torch.nan])
    assert difference([values], [values]) == 0
    assert difference([values], [values * 1.5]) == pytest.approx(0.5)
    assert difference([values], [values.nan_to_num()]) == float("inf")
    assert difference([values], [values[:2]]) == float("inf")
