"""What comes from a device: on the CPU it is there already."""

import numpy as np
import pytest
import torch

from vinfo_mpi.parallel.transfer import Arriving, one_ahead


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_what_is_not_finite_is_named(dtype):
    fine = torch.ones(3, 2, dtype=dtype)
    values = {"numbers": torch.arange(3), "fine": fine}
    for bad in (torch.nan, torch.inf, -torch.inf):
        values[f"with {bad}"] = fine.clone()
        values[f"with {bad}"][1, 1] = bad
    arrays, not_finite = Arriving(values).arrays()
    assert not_finite == ["with nan", "with inf", "with -inf"]
    assert list(arrays) == list(values)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, values[name].numpy())


@pytest.mark.parametrize(("device", "ahead"), [("cpu", 0), ("cuda", 1)])
def test_the_next_one_is_under_way_on_a_device(device, ahead):
    made = []
    items = (made.append(number) or number for number in range(4))
    seen = [(item, len(made) - 1) for item in one_ahead(items, torch.device(device))]
    assert seen == [(number, min(3, number + ahead)) for number in range(4)]
    assert list(one_ahead([], torch.device(device))) == []
