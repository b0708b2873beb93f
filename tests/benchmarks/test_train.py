import pytest
import torch

from benchmarks import train
from benchmarks.side_by_side import Options


def test_ours_and_torchvisions_reference_learn_the_same(tmp_path):
    rows = train.trained(
        train.Case(16, 32, 32, 0, "shufflenet_v2_x0_5", 8), tmp_path, Options(repeats=1)
    )
    assert [row.method for row in rows] == ["ours", "torchvision's reference"]
    assert "weights within" in rows[0].note
    assert all("images/s" in row.note for row in rows)


def test_other_weights_are_noticed():
    with pytest.raises(AssertionError):
        train.same({"ours": {"w": torch.ones(2)}, "theirs": {"w": torch.full((2,), 1.001)}})
