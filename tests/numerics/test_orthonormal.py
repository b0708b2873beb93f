import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import orthonormal


@pytest.mark.parametrize("way", [orthonormal.orthonormal, orthonormal._gram_schmidt])
def test_columns_are_orthonormal_and_span_the_same(way):
    """Also where columns are nearly dependent, which one pass of Gram-Schmidt does not bear."""
    random = np.random.default_rng(0)
    matrices = random.standard_normal((3, 40, 6))
    matrices[1, :, 1:] = matrices[1, :, :1] + 1e-7 * matrices[1, :, 1:]
    bases = way(torch.from_numpy(matrices)).numpy()
    for matrix, basis in zip(matrices, bases, strict=True):
        np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-12)
        expected = np.linalg.svd(matrix, full_matrices=False)[0]
        np.testing.assert_allclose(basis @ basis.T, expected @ expected.T, atol=1e-8)


def test_columns_that_depend_on_others_leave_finite_numbers():
    matrices = torch.ones(2, 10, 3, dtype=torch.float64)
    matrices[1] = 0
    bases = orthonormal._gram_schmidt(matrices)
    assert bases.isfinite().all()
    torch.testing.assert_close(bases[0, :, 0], torch.full((10,), 10**-0.5, dtype=torch.float64))
