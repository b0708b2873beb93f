"""Soft weighted pointwise mutual information of concepts and words, from shared embeddings."""

from __future__ import annotations

import math

import numpy as np
import torch

from vinfo_mpi.numerics.reduction import Reduce, identity

SHARPNESS = 10.0  # of the softmax over the words
FIRST = 0.998  # belief that the strongest of the images shows the concept
LAST = 0.97  # and that the last one does
TINY = 1e-7  # added before the logarithm


def log_likelihood(strongest: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Return how well each word explains the images that a concept is strongest in, as logarithm.

    log p(w | B) = Σ_i log(1 + p_i (p(w | x_i) - 1)), p_i falling linearly over the images and
    p(w | x) = softmax over the words of the cosine of image and word times `SHARPNESS`.

    Parameters
    ----------
    strongest : (n, e) tensor
        Embeddings of the images, of unit length, strongest first.
    words : (W, e) tensor
        Of the words, of unit length.

    Returns
    -------
    (W,) tensor

    References
    ----------
    Oikarinen & Weng 2023, arXiv:2204.10965, section 3, with the constants of its program.
    """
    likelihood = torch.softmax(SHARPNESS * strongest @ words.T, dim=1)
    falling = torch.arange(len(strongest), dtype=words.dtype, device=words.device) / len(strongest)
    belief = FIRST - falling * (FIRST - LAST)
    return torch.log(1 + belief[:, None] * (likelihood - 1) + TINY).sum(0)


def log_mean(
    likelihood: torch.Tensor, largest: Reduce = identity, total: Reduce = identity
) -> tuple[torch.Tensor, int]:
    """Return the logarithm of the mean of exp(likelihood) over the concepts of all ranks.

    Parameters
    ----------
    likelihood : (k, W) tensor
        Of this rank's concepts; those without images have minus infinity, and do not count.
    largest, total : functions
        Maximum and sum over the ranks.

    Returns
    -------
    mean : (W,) tensor
    count : int
        Concepts that do count.
    """
    finite = likelihood[likelihood.isfinite().all(1)]
    none = likelihood.new_full((1, likelihood.shape[1]), -torch.inf)
    most = largest(torch.cat([none, finite]).amax(0).contiguous())
    sums = torch.cat([(finite - most).exp().sum(0), likelihood.new_tensor([len(finite)])])
    sums = total(sums)
    return most + sums[:-1].log() - sums[-1].log(), int(sums[-1])


def of_another(likelihood: torch.Tensor, mean: torch.Tensor, count: int) -> torch.Tensor:
    """Return soft WPMI of what is no concept, but counted as one more: (k, W) to (k, W).

    `mean` (W,) and `count` are those of the concepts, as `log_mean` gives them.
    """
    of_all = torch.logaddexp(mean + math.log(count), likelihood) - math.log(count + 1)
    return likelihood - of_all


def share_as_good(scores: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the share of draws by chance that score at least as high, its own score among them.

    Parameters
    ----------
    scores : (k,) array
    chance : (k, R) array
        Of as many draws for each.

    Returns
    -------
    (k,) array
        1 / (R + 1) at least: p of a permutation test (Phipson & Smyth 2010); NaN without a score.
    """
    as_good = 1 + (chance >= scores[:, None]).sum(1)
    return np.where(np.isnan(scores), np.nan, as_good / (1 + chance.shape[1]))
