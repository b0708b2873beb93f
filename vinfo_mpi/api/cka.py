"""Similarity of two representations, and of a representation and single concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vinfo_mpi.api.arrays import A, Rows, like, rows_together
from vinfo_mpi.api.ranks import ranks_of, same_on_all
from vinfo_mpi.numerics import cka as of_concepts
from vinfo_mpi.numerics import hsic
from vinfo_mpi.numerics.hsic import Hsic
from vinfo_mpi.numerics.moments import Moments

if TYPE_CHECKING:
    from mpi4py import MPI

    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.parallel.single import Single


def cka(x: Any, y: Any, *, comm: MPI.Comm | None = None) -> float:
    """Return the debiased linear CKA of two representations of the same images.

    Of unrelated representations it is about 0, however wide they are (Nguyen et al. 2021, with the
    HSIC of Song et al. 2012); the plain CKA of few images is near 1 there.

    Parameters
    ----------
    x, y : (n, d), (n, e) arrays or tensors
    comm : mpi4py communicator, optional
        The rows are those of this rank.

    Returns
    -------
    float
        At most 1; NaN of fewer than 4 images, or where a representation is constant.

    Raises
    ------
    InputError
        If arrays do not fit together, or hold numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from vinfo_mpi import cka
    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(200, 50))
    >>> rotation, _ = np.linalg.qr(random.normal(size=(50, 50)))
    >>> round(cka(x, 3 * x @ rotation + 1), 6)
    1.0
    >>> abs(cka(x, random.normal(size=(200, 50)))) < 0.05
    True
    """
    ranks = ranks_of(comm)
    of_x, of_y = _together(ranks, Rows(x, "x"), Rows(y, "y"))
    mean_x = _mean(ranks, of_x)
    mean_y = _mean(ranks, of_y)
    d = of_x.shape[1]
    e = of_y.shape[1]
    sums = [Hsic(d, e, of_x.device), Hsic(d, d, of_x.device), Hsic(e, e, of_x.device)]
    for (_, x_block), (_, y_block) in zip(of_x.blocks(), of_y.blocks(), strict=True):
        centred_x = x_block - mean_x
        centred_y = y_block - mean_y
        sums[0].add(centred_x, centred_y)
        sums[1].add(centred_x, centred_x)
        sums[2].add(centred_y, centred_y)
    return hsic.cka(*(each.reduced(ranks.sum) for each in sums))


def concept_cka(x: Any, codes: A, *, comm: MPI.Comm | None = None) -> A:
    """Return the linear CKA of a representation with each concept (Kornblith et al. 2019).

    Parameters
    ----------
    x, codes : (n, d), (n, K) arrays or tensors
    comm : mpi4py communicator, optional
        The rows are those of this rank.

    Returns
    -------
    (K,) float64 array or tensor
        In [0, 1]; NaN for a concept without variance, and for all if x has none.

    Raises
    ------
    InputError
        If arrays do not fit together, or hold numbers that are not finite.
    """
    ranks = ranks_of(comm)
    of_x, z = _together(ranks, Rows(x, "x"), Rows(codes, "codes"))
    mean_x = _mean(ranks, of_x)
    mean_z = _mean(ranks, z)
    moments = Moments(1, of_x.shape[1], z.shape[1], z.device)
    for (_, x_block), (_, z_block) in zip(of_x.blocks(), z.blocks(), strict=True):
        fold = torch.zeros(len(z_block), dtype=torch.int64, device=z.device)
        moments.add(x_block - mean_x, z_block - mean_z, fold)
    moments = moments.reduced(ranks.sum)
    ranks.sum(moments.zx)
    return like(codes, of_concepts.from_moments(moments))


def _together(ranks: Ranks | Single, first: Rows, second: Rows) -> tuple[Rows, Rows]:
    with ranks.together():
        rows_together(first, second)
        first.check_finite()
        second.check_finite()
    same_on_all(
        ranks, f"channels of {first.name} and {second.name}", (first.shape[1], second.shape[1])
    )
    return first, second


def _mean(ranks: Ranks | Single, rows: Rows) -> torch.Tensor:
    """Return the mean over all ranks' rows: (d,)."""
    total = torch.zeros(rows.shape[1] + 1, dtype=torch.float64, device=rows.device)
    total[-1] = len(rows)
    for _, block in rows.blocks():
        total[:-1] += block.sum(0)
    ranks.sum(total)
    return total[:-1] / total[-1]
