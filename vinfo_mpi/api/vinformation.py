"""V-information from the activations of several taps to concept codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal

import numpy as np
import torch

from vinfo_mpi.api.arrays import A, Rows, check_choice, host, like, rows_together, whole_numbers
from vinfo_mpi.api.ranks import ranks_of, same_on_all
from vinfo_mpi.concepts import regressions
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import folds as division
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.complexity import jackknife
from vinfo_mpi.numerics.moments import FoldedCodes, Moments
from vinfo_mpi.numerics.ridge import PENALTIES, SHIFT_ROWS, Scores

if TYPE_CHECKING:
    from mpi4py import MPI

    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.parallel.single import Single

Estimator = Literal["held-out", "in-sample"]
Products = Literal["float64", "float32"]


@dataclass(frozen=True)
class VInformation(Generic[A]):
    """V-information of K concepts at L taps, from F folds.

    Attributes
    ----------
    taps : list of str
        The L taps, in the order that they were given in.
    values : (L, K) float64 array or tensor
        V-information, in [0, 1]; NaN for a concept without variance.
    without : (L, F, K) float64 array or tensor
        The same with one fold left out of the test samples; NaN in-sample.
    penalty : (L, K) float64 array or tensor
        The penalty that was chosen, relative to the mean eigenvalue.
    alive : (K,) bool array or tensor
        Whether the concept varies at all.
    variance : (K,) float64 array or tensor
        Of the code, over all rows.
    """

    taps: list[str]
    values: A
    without: A
    penalty: A
    alive: A
    variance: A

    @property
    def standard_errors(self) -> A:
        """Jackknife standard errors over the folds: (L, K)."""
        without = host(self.without)
        return like(self.values, np.stack([jackknife(of_tap) for of_tap in without]))


def vinformation(
    activations: Mapping[str, A],
    codes: A,
    *,
    labels: Any = None,
    ids: Any = None,
    folds: Any = 5,
    penalties: tuple[float, ...] = PENALTIES,
    estimator: Estimator = "held-out",
    products: Products = "float64",
    seed: int = 0,
    comm: MPI.Comm | None = None,
) -> VInformation[A]:
    """Return the V-information from the activations of every tap to every concept.

    It is the held-out R² of the best ridge regression, at least 0 (docs/method.md, section 5). What
    the stage ``score`` computes; like it, each rank of `comm` holds its own rows alone.

    Parameters
    ----------
    activations : dict of str to (n, d) array or tensor
        The taps in forward order, averaged over positions. Arrays are read a block at a time:
        memory maps and h5py datasets will do.
    codes : (n, K) array or tensor
        How much of each concept is in each image.
    labels : (n,) array, optional
        Classes, whole numbers or names: folds are stratified by them.
    ids : (n,) integer array, optional
        Stable ids of the images, which the folds follow from; rows with the same id share a fold.
        Default: numbers of the rows.
    folds : int, or (n,) integer array
        How many folds to make, or the fold of each row, 0 .. F-1.
    penalties : tuple of float
        Ridge penalties to choose from, relative to the mean eigenvalue of the standardised
        covariance.
    estimator : str
        ``held-out``: cross-validated; ``in-sample``: trained and tested on all rows, which inflates
        by about d/n.
    products : str
        Precision of the matrix products, ``float64`` or ``float32``; sums are float64.
    seed : int
        Another seed, other folds.
    comm : mpi4py communicator, optional
        The rows are those of this rank.

    Returns
    -------
    VInformation
        The same on all ranks.

    Raises
    ------
    InputError
        If arrays do not fit together, or hold numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from vinfo_mpi import vinformation
    >>> random = np.random.default_rng(0)
    >>> image = random.normal(size=(500, 8))
    >>> codes = image[:, :2] ** 2
    >>> activations = {"early": image, "late": np.hstack([image, codes])}
    >>> vinformation(activations, codes).values.round(2)
    array([[0., 0.],
           [1., 1.]])
    """
    ranks = ranks_of(comm)
    with ranks.together():
        z = Rows(codes, "codes")
        taps = {name: Rows(x, f"activations['{name}']") for name, x in _named(activations).items()}
        rows_together(z, *taps.values())
        _check_options(penalties, estimator, products)
    widths = [(name, x.shape[1]) for name, x in taps.items()]
    same_on_all(ranks, "activations and codes", (widths, z.shape[1]))
    number_of_folds = folds if np.ndim(host(folds)) == 0 else "one for each row"
    options = (number_of_folds, tuple(penalties), estimator, products, seed)
    same_on_all(ranks, "folds, penalties, estimator, products and seed", options)
    count, fold = _folds(ranks, len(z), labels, ids, folds, seed)
    fold = fold.to(z.device)
    splits = ridge.splits(count, estimator)
    at_taps: list[Scores] = []
    for x in taps.values():
        moments = _moments(ranks, x, z, fold, count, getattr(torch, products))
        at_taps += regressions.scores([moments], splits, penalties, ranks)
    return _result(list(taps), at_taps, codes)


def _named(activations: Any) -> Mapping[str, Any]:
    if not isinstance(activations, Mapping) or not activations:
        raise InputError(
            "activations: give a dict from the name of each tap to its array, in forward order, "
            "as in {'layer1': x1, 'layer2': x2}"
        )
    return activations


def _check_options(penalties: tuple[float, ...], estimator: str, products: str) -> None:
    check_choice("estimator", estimator, Estimator)
    check_choice("products", products, Products)
    if not len(penalties) or min(penalties) <= 0:
        raise InputError(f"penalties: {penalties}; give at least one, all above 0")


def _folds(
    ranks: Ranks | Single, n: int, labels: Any, ids: Any, folds: Any, seed: int
) -> tuple[int, torch.Tensor]:
    """Return how many folds there are, and that of each of this rank's rows: (n,) int64."""
    rows_of_ranks = ranks.allgather(n)
    first = sum(rows_of_ranks[: ranks.rank])
    total = sum(rows_of_ranks)
    is_count = np.ndim(host(folds)) == 0
    with ranks.together():
        if is_count:
            ids = np.arange(first, first + n) if ids is None else whole_numbers(ids, "ids", n)
            of_rank = np.zeros(n) if labels is None else host(labels)
            if of_rank.shape != (n,):
                raise InputError(f"labels: has the shape {of_rank.shape}; give one for each row")
        else:
            fold = whole_numbers(folds, "folds", n)
    if is_count:
        all_ids = ranks.concatenate(ids)
        if folds != int(folds) or not 2 <= folds <= len(np.unique(all_ids)):
            raise InputError(
                f"folds: {folds} of {len(np.unique(all_ids))} images; "
                "give from 2 to as many as there are images"
            )
        _, classes = np.unique(ranks.concatenate(of_rank), return_inverse=True)
        fold = division.assign(all_ids, classes, int(folds), seed)[first : first + n]
        return int(folds), torch.from_numpy(fold)
    images = _images_of_folds(ranks.concatenate(fold))
    if len(images) < 2 or min(images) == 0 or total == 0:
        raise InputError(
            f"folds: have {images} images; give numbers from 0 on, at least two of them, "
            "none left out"
        )
    return len(images), torch.from_numpy(fold)


def _images_of_folds(fold: np.ndarray) -> list[int]:
    return np.bincount(fold).tolist() if len(fold) and fold.min() >= 0 else []


def _moments(
    ranks: Ranks | Single, x: Rows, z: Rows, fold: torch.Tensor, count: int, products: torch.dtype
) -> Moments:
    """Return the moments of all ranks' rows at one tap, for this rank's concepts."""
    concepts = z.shape[1]
    moments = Moments(count, x.shape[1], concepts, z.device)
    folded = FoldedCodes(count, products)
    shift_x = _near_mean(ranks, x)
    shift_z = _near_mean(ranks, z)
    with ranks.together():
        for (where, x_block), (_, z_block) in zip(x.blocks(), z.blocks(), strict=True):
            moments.add_with(x_block - shift_x, folded.take(z_block - shift_z, fold[where]))
        if not torch.isfinite(moments.shared).all():
            x.check_finite()
            z.check_finite()
    return moments.reduced(ranks.sum, ranks.reduce_scatter, ranks.block(concepts))


def _near_mean(ranks: Ranks | Single, rows: Rows) -> torch.Tensor:
    """Return the mean of the first rows of all ranks, which products are exact without: (d,)."""
    some = rows.read(range(min(len(rows), SHIFT_ROWS)))
    total = torch.cat([some.sum(0), some.new_tensor([float(len(some))])])
    mean = ranks.sum(total)
    return torch.nan_to_num(mean[:-1] / mean[-1], posinf=0.0, neginf=0.0)


def _result(taps: list[str], at_taps: list[Scores], codes: Any) -> VInformation:
    last = at_taps[-1]
    return VInformation(
        taps,
        like(codes, np.stack([scores.r2 for scores in at_taps])),
        like(codes, np.stack([scores.without for scores in at_taps])),
        like(codes, np.stack([scores.penalty for scores in at_taps])),
        like(codes, last.alive),
        like(codes, last.variance),
    )
