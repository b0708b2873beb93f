"""Path of a concept over the depth: where in the network it is available at each epoch.

Of a grid of similarities S of every tap and checkpoint with the concept, by Järve et al. 2026,
"Feature migration maps", with V-information for S. The concept is defined at the last tap of the
last checkpoint, the reference, which is left out of the threshold τ = max S / 2; a tap counts where
S > τ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("stable", "earlier", "deeper", "between", "spread")
SPREAD = 0.5  # mean localisation below which a concept has no place
MIGRATES = 1.0  # taps by which a path has to drift, to be called so
STAYS = 0.5  # taps by which a stable path may drift at most
AT_ANCHOR = 0.7  # share of its occupancy that a stable path has at its anchor and beside it
PART = 1 / 3  # of a concept's life, at either end, between which the drift is measured


@dataclass(frozen=True)
class Paths:
    """Paths of concepts; NaN, and -1 for numbers, where a concept is never available.

    Attributes
    ----------
    activity, centre, width, localised : (E, K) float64 arrays
        At every checkpoint: mean over the taps of S where that is above the threshold; mean and
        standard deviation of the tap's number, weighted by exp S; 1 - entropy / log L of these
        weights.
    emergence, lifetime : (K,) arrays
        Epoch from which on the concept is available, and for how many epochs.
    localisation : (K,) array
        Mean of `localised` over the checkpoints of its life where it is available.
    anchor : (K,) int64 array
        Tap where it is most of its life.
    at_anchor : (K,) array
        Share of its occupancy at the anchor and the taps beside that.
    drift : (K,) array
        Centre in the last third of its life less that in the first, in taps; < 0: to the input.
    path_kind : (K,) int64 array
        Number of its kind in `KINDS`.
    """

    activity: np.ndarray
    centre: np.ndarray
    width: np.ndarray
    localised: np.ndarray
    emergence: np.ndarray
    lifetime: np.ndarray
    localisation: np.ndarray
    anchor: np.ndarray
    at_anchor: np.ndarray
    drift: np.ndarray
    path_kind: np.ndarray


def paths(grid: np.ndarray, epochs: np.ndarray, consecutive: int) -> Paths:
    """Return the paths of all concepts.

    Parameters
    ----------
    grid : (E, L, K) float64 array
        S at every checkpoint and tap, L at least 2; NaN for a concept without variance.
    epochs : (E,) integer array
        Ascending.
    consecutive : int
        Checkpoints in a row that make an emergence or a disappearance.
    """
    mask = np.nan_to_num(grid) > _threshold(grid)
    weights = np.where(mask, np.exp(np.nan_to_num(grid)), 0.0)
    shares = _over(weights, weights.sum(1, keepdims=True))
    taps = np.arange(grid.shape[1])[:, None]
    centre = (taps * shares).sum(1)
    width = np.sqrt((np.square(taps - centre[:, None]) * shares).sum(1))
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(1)
    localised = 1 - entropy / np.log(grid.shape[1])
    activity = np.where(mask, grid, 0.0).mean(1)
    begin, end = _life(activity > 0, consecutive)
    lives = _between(begin, end, len(epochs))
    # Every checkpoint counts for the epochs around it, as long as the concept lives.
    occupied = _weight_of_epochs(epochs)[:, None] * np.where(
        lives, activity * np.nan_to_num(localised), 0.0
    )
    occupancy = (occupied[:, None] * np.nan_to_num(shares)).sum(0)
    occupancy = _over(occupancy, occupancy.sum(0))  # (L, K)
    there = np.isfinite(occupancy).all(0)
    anchor = np.where(there, np.nan_to_num(occupancy).argmax(0), -1)
    at_anchor = np.where(abs(taps - anchor) <= 1, occupancy, 0.0).sum(0)
    emerged = begin < len(epochs)
    first = epochs[np.minimum(begin, len(epochs) - 1)].astype(float)
    last = epochs[np.maximum(end, 0)].astype(float)
    localisation = _mean(localised, lives & (activity > 0))
    drift = _drift(centre, occupied, epochs, first, last)
    at_anchor = np.where(there, at_anchor, np.nan)
    return Paths(
        activity=np.where(np.isnan(grid).any(1), np.nan, activity),
        centre=centre,
        width=width,
        localised=localised,
        emergence=np.where(emerged, first, np.nan),
        lifetime=np.where(emerged, last - first, np.nan),
        localisation=localisation,
        anchor=anchor,
        at_anchor=at_anchor,
        drift=drift,
        path_kind=_kind(localisation, drift, at_anchor),
    )


def _threshold(grid: np.ndarray) -> np.ndarray:
    """Return half of the largest value but that of the reference: (K,)."""
    without = np.nan_to_num(grid.reshape(-1, grid.shape[2])[:-1])
    return without.max(0) / 2


def _over(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return values over their total, NaN where that is 0."""
    return np.where(total > 0, values / np.where(total > 0, total, 1.0), np.nan)


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of the values in question, NaN where there are none."""
    return _over(np.where(where, np.nan_to_num(values), 0.0).sum(0), where.sum(0))


def _weight_of_epochs(epochs: np.ndarray) -> np.ndarray:
    """Return half the gaps to the neighbouring checkpoints: (E,); 1 where there is only one."""
    if len(epochs) < 2:
        return np.ones(len(epochs))
    gaps = np.diff(epochs).astype(float)
    return (np.concatenate([[0.0], gaps]) + np.concatenate([gaps, [0.0]])) / 2


def _life(active: np.ndarray, consecutive: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last checkpoint of each concept's life: (K,), (K,).

    It begins with a run of active checkpoints, `consecutive` of them or up to the last one; E where
    there is none. It ends before the last run of inactive ones, where that is as long; else with
    the last checkpoint.
    """
    checkpoints = len(active)
    begin = np.full(active.shape[1], checkpoints)
    run = np.zeros(active.shape[1], int)  # of active checkpoints from here on
    for checkpoint in reversed(range(checkpoints)):
        run = np.where(active[checkpoint], run + 1, 0)
        enough = (run >= consecutive) | (run == checkpoints - checkpoint)
        begin = np.where(active[checkpoint] & enough, checkpoint, begin)
    last_active = checkpoints - 1 - active[::-1].argmax(0)
    gone = checkpoints - 1 - last_active >= consecutive
    return begin, np.where(gone & active.any(0), last_active, checkpoints - 1)


def _between(begin: np.ndarray, end: np.ndarray, checkpoints: int) -> np.ndarray:
    """Return which checkpoints belong to each life: (E, K)."""
    numbers = np.arange(checkpoints)[:, None]
    return (numbers >= begin) & (numbers <= end)


def _drift(
    centre: np.ndarray,
    occupied: np.ndarray,
    epochs: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
) -> np.ndarray:
    """Return the centre of the occupancy in the last part of each life less that in the first."""
    part = PART * (last - first)
    at_end = np.where(epochs[:, None] >= last - part, occupied, 0.0)
    at_begin = np.where(epochs[:, None] <= first + part, occupied, 0.0)
    centre = np.nan_to_num(centre)
    return _over((centre * at_end).sum(0), at_end.sum(0)) - _over(
        (centre * at_begin).sum(0), at_begin.sum(0)
    )


def _kind(localisation: np.ndarray, drift: np.ndarray, at_anchor: np.ndarray) -> np.ndarray:
    """Return the number of each concept's kind: (K,) int64; -1: never available."""
    cases = [
        (localisation < SPREAD, "spread"),
        (drift < -MIGRATES, "earlier"),
        (drift > MIGRATES, "deeper"),
        ((abs(drift) < STAYS) & (at_anchor >= AT_ANCHOR), "stable"),
        (np.isfinite(drift), "between"),
    ]
    numbers = [KINDS.index(kind) for _, kind in cases]
    return np.select([case for case, _ in cases], numbers, default=-1)
