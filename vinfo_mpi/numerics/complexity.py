"""Complexity of concepts, and its parts: unreadable, late, discarded.

With V_l the V-information from tap l and M_l the largest of V_1 ... V_l, in forward order,

    K = 1 - mean V_l = (1 - M_L) + (M_L - mean M_l) + mean (M_l - V_l),

each part at least 0: what no tap makes readable; what becomes readable only late; what is readable
somewhere and less so further on. K itself is eq. 2 of Fel et al. 2024, "Understanding Visual
Feature Reliance through the Lens of Complexity". The same holds over epochs instead of taps, with
any means that have weights.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Parts:
    """Parts of the complexity of each concept, and what follows from them: (..., K) float64 arrays.

    Attributes
    ----------
    unreadable : array
        1 - the largest V-information of any tap.
    late : array
        That largest less the mean of the running maximum: by how much taps wait for it.
    discarded : array
        Mean of the running maximum less V-information: what taps had and have no more.
    depth : array
        late / (1 - unreadable): at which relative depth the concept becomes readable, 0 at the
        first tap, near 1 at the last; NaN for a concept that no tap makes readable.
    peak : array
        The largest V-information of any tap, 1 - unreadable.
    kept : array
        V-information of the last tap over the peak; NaN where that is 0.
    """

    unreadable: np.ndarray
    late: np.ndarray
    discarded: np.ndarray
    depth: np.ndarray
    peak: np.ndarray
    kept: np.ndarray


def epoch_weights(epochs: np.ndarray) -> np.ndarray:
    """Return what each epoch kept counts in a mean over all epochs from 1 to the last.

    V-information of an epoch that was not kept is taken to lie on the line between its neighbours:
    the trapezoidal rule. Where all are kept each counts the same. The untrained network, epoch 0,
    counts only as the neighbour of an epoch 1 that was not kept; without it, epochs before the
    first that was kept are taken to be like that one.

    Parameters
    ----------
    epochs : (E,) integer array
        Ascending, the last at least 1.

    Returns
    -------
    (E,) float64 array
        Weights that add up to 1.

    >>> epoch_weights(np.array([0, 1, 2, 4])).tolist()
    [0.0, 0.25, 0.375, 0.375]
    """
    every = np.arange(1, epochs[-1] + 1)
    hats = [np.interp(every, epochs, hat) for hat in np.eye(len(epochs))]
    return np.mean(hats, axis=1)


def complexity(vinformation: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return K, 1 - mean V-information over the taps: (L, ..., K) to (..., K).

    Parameters
    ----------
    vinformation : (L, ..., K) array
    weights : (L,) array, optional
        Of the taps in the mean; default: all the same.
    """
    return 1 - np.average(vinformation, axis=0, weights=weights)


def parts(vinformation: np.ndarray, weights: np.ndarray | None = None) -> Parts:
    """Return the parts of the complexity.

    Parameters
    ----------
    vinformation : (L, ..., K) array
        Taps in forward order; NaN for a concept without variance, whose parts are NaN as well.
    weights : (L,) array, optional
        Of the taps in the means; default: all the same.
    """
    running = np.maximum.accumulate(vinformation, axis=0)
    peak = running[-1]
    late = peak - np.average(running, axis=0, weights=weights)
    readable = np.where(peak > 0, peak, np.nan)
    return Parts(
        unreadable=1 - peak,
        late=late,
        discarded=np.average(running - vinformation, axis=0, weights=weights),
        depth=late / readable,
        peak=peak,
        kept=vinformation[-1] / readable,
    )


def extrapolated(all_images: np.ndarray, fewer: np.ndarray, share: float) -> np.ndarray:
    """Return what a number of images without end would give.

    What N images give differs from that by about c/N, wherever regressions have as many variables:
    two numbers of images give c.

    Parameters
    ----------
    all_images, fewer : (..., K) arrays
        From all images, and from a share of them.
    share : float
        How large that is, in (0, 1).
    """
    return (all_images - share * fewer) / (1 - share)


def jackknife(without: np.ndarray) -> np.ndarray:
    """Return the delete-one standard error of a statistic from its values without each fold.

    Parameters
    ----------
    without : (F, K) array
    """
    folds = len(without)
    return np.sqrt((folds - 1) / folds * np.square(without - without.mean(0)).sum(0))


def standard_errors(without: np.ndarray, weights: np.ndarray | None = None) -> Parts:
    """Return the jackknife standard error of every part.

    Parameters
    ----------
    without : (L, F, K) array
        V-information without each fold.
    weights : (L,) array, optional
        As in `parts`.
    """
    without_folds = parts(without, weights)
    return Parts(
        **{each.name: jackknife(getattr(without_folds, each.name)) for each in fields(Parts)}
    )
