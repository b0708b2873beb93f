"""Which units are nearly always on, or off, for a class.

The relaxed dominant patterns of Geng et al. 2023, "Towards Reliable Neural Specifications".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SLACK = 1e-12  # of a share: 1 - 0.9 is more than 0.1 in floating point


@dataclass(frozen=True)
class Patterns:
    """The patterns of C classes in b units, and what follows them.

    Attributes
    ----------
    on, off : (C,) float64 array
        Share of the units that the pattern wants on, off; NaN: no image of the class to learn from.
    recall : (C,) float64 array
        Share of the judged images of the class that follow its pattern; NaN: there is none.
    ambiguity : (C,) float64 array
        Share of those of other classes that do; NaN: there is none, or no pattern.
    exclusive : float
        Share of the pairs of classes whose patterns no image can follow both: one wants a unit on
        that the other wants off.
    """

    on: np.ndarray
    off: np.ndarray
    recall: np.ndarray
    ambiguity: np.ndarray
    exclusive: float


class ClassShares:
    """How often each unit is on in each class.

    Parameters
    ----------
    bits : (N, b) bool array
    labels : (N,) integer array
    judged : (N,) bool array
        Images that are not learned from, but must follow.
    classes : int
    """

    def __init__(
        self, bits: np.ndarray, labels: np.ndarray, judged: np.ndarray, classes: int
    ) -> None:
        member = labels[~judged, None] == np.arange(classes)  # (n, C)
        counts = member.T.astype(np.float32) @ bits[~judged].astype(np.float32)
        images = member.sum(0)
        self.there = images > 0
        self.on = counts / np.maximum(1, images)[:, None].astype(np.float64)  # (C, b)
        self.judged = bits[judged].astype(np.float32)
        self.own = labels[judged, None] == np.arange(classes)  # (n, C)

    def patterns(self, relaxation: float) -> Patterns:
        """Return the patterns whose units are as wanted in all but this share of the images."""
        there = self.there[:, None]
        on = there & (1 - self.on <= relaxation + SLACK)
        off = there & (self.on <= relaxation + SLACK)
        wants_on = on.astype(np.float32)
        wants_off = off.astype(np.float32)
        # Units that are not as wanted: wanted ones less those that are on, unwanted ones that are.
        against = wants_on.sum(1) - self.judged @ (wants_on - wants_off).T  # (n, C)
        follows = against == 0
        contrary = wants_on @ wants_off.T > 0
        pairs = np.triu(self.there[:, None] & self.there, 1)
        return Patterns(
            on=np.where(self.there, on.mean(1), np.nan),
            off=np.where(self.there, off.mean(1), np.nan),
            recall=self._share(follows, self.own),
            ambiguity=self._share(follows, ~self.own),
            exclusive=_mean((contrary | contrary.T)[pairs]),
        )

    def _share(self, follows: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Return the share of the images asked that follow, class by class: (n, C) to (C,)."""
        count = asked.sum(0)
        known = self.there & (count > 0)
        return np.where(known, (follows & asked).sum(0) / np.maximum(1, count), np.nan)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
