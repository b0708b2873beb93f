import numpy as np
import torch

from vinfo_mpi.numerics.histogram import histogram


def test_counts_are_those_of_numpy_for_codes_of_any_sign_in_parts():
    codes = np.random.default_rng(0).normal(size=(500, 6))
    codes[::9] = 0
    codes[:, 1] = codes[:, 1].clip(0)
    codes[:, 2] = 0
    codes[:, 3] = np.abs(codes[:, 3]) + 1
    parts = [torch.from_numpy(codes[start : start + 70]) for start in range(0, 500, 70)]
    made = histogram(lambda: parts, 6, 16)
    for concept, column in enumerate(codes.T):
        ends = (min(0, column.min()), max(0, column.max()))
        assert tuple(made.ends[:, concept].tolist()) == ends
        assert made.zeros[concept] == (column == 0).sum()
        if concept != 2:
            counts, _ = np.histogram(column[column != 0], 16, ends)
            np.testing.assert_array_equal(made.counts[concept], counts)
    assert made.counts[2].sum() == 0


def test_ranks_add_up():
    codes = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    whole = histogram(lambda: [codes], 3, 8)
    reach = torch.stack([-whole.ends[0], whole.ends[1]])
    halves = [
        histogram(lambda half=half: [half], 3, 8, largest=lambda _: reach)
        for half in codes.split(50)
    ]
    assert torch.equal(halves[0].counts + halves[1].counts, whole.counts)
