import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vinfo_mpi.numerics.moments import Moments

F = 3
D = 5
K = 4


def sample(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, D, generator=generator, dtype=torch.float64)
    z = torch.rand(n, K, generator=generator, dtype=torch.float64)
    return x, z, torch.randint(0, F, (n,), generator=generator)


def moments_of(x, z, fold):
    moments = Moments(F, D, K)
    moments.add(x, z, fold)
    return moments


def test_moments_are_the_sums_they_are_called():
    x, z, fold = map(np.asarray, sample(50))
    moments = moments_of(*sample(50))
    for f in range(F):
        xf = x[fold == f]
        zf = z[fold == f]
        assert moments.n[f] == len(xf)
        for sums, expected in [
            (moments.x[f], xf.sum(0)),
            (moments.z[f], zf.sum(0)),
            (moments.zz[f], (zf**2).sum(0)),
            (moments.xx[f], xf.T @ xf),
            (moments.zx[:, f], zf.T @ xf),
        ]:
            np.testing.assert_allclose(sums, expected, rtol=1e-13, atol=1e-13)


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_moments_of_parts_add_up_to_those_of_the_whole(cuts):
    x, z, fold = sample(60)
    ends = sorted({0, 60, *(min(60, 2 * cut) for cut in cuts)})
    total = Moments(F, D, K)
    for a, b in itertools.pairwise(ends):
        total = total + moments_of(x[a:b], z[a:b], fold[a:b])
    torch.testing.assert_close(total.shared, moments_of(x, z, fold).shared, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(total.zx, moments_of(x, z, fold).zx, rtol=1e-12, atol=1e-12)


def test_reduced_keeps_the_concepts_of_this_rank():
    whole = moments_of(*sample(40))
    reduced = moments_of(*sample(40)).reduced(
        reduce_scatter=lambda zx: zx[1:3], concepts=range(1, 3)
    )
    assert (reduced.zx == whole.zx[1:3]).all()
    assert (reduced.z == whole.z[:, 1:3]).all()
    assert (reduced.zz == whole.zz[:, 1:3]).all()
    assert (reduced.xx == whole.xx).all()


def test_float32_products_are_summed_in_float64():
    x, z, fold = sample(4000)
    moments = Moments(F, D, K)
    for start in range(0, 4000, 100):
        rows = slice(start, start + 100)
        moments.add(x[rows].float(), z[rows].float(), fold[rows], torch.float32)
    torch.testing.assert_close(moments.xx, moments_of(x, z, fold).xx, rtol=1e-5, atol=1e-4)


def test_float32_products_leave_the_sums_of_codes_exact():
    """A constant concept must stay one: its squares may not be rounded."""
    x, _, fold = sample(1000)
    z = torch.full((1000, K), 0.1, dtype=torch.float64)
    moments = Moments(F, D, K)
    moments.add(x, z, fold, torch.float32)
    mean_square = moments.z.sum(0).square() / moments.n.sum()
    squares = moments.zz.sum(0)
    assert ((squares - mean_square).abs() < 1e-13 * squares).all()
