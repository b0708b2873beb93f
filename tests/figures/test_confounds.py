"""The figure of what may stand behind correlations with complexity, against scipy."""

import numpy as np
import pytest
from drawings import numbers
from scipy.stats import spearmanr

from vinfo_mpi.figures.catalogue import FIGURES

CONFOUNDS = ("variance", "last_tap", "firing_rate", "eta2")
MEASURED = (
    "temporal",
    "importance",
    "redundancy",
    "hoyer",
    "noise_variance_undivided",
    "noise_variance",
)


def test_correlations_are_drawn_and_said(results, stored, living, ax):
    results.plot.confounds(ax)
    complexity = stored["concepts/complexity"][living]
    expected = [
        spearmanr(complexity, stored[f"concepts/{name}"][living], nan_policy="omit").statistic
        for name in (*CONFOUNDS, *MEASURED)
    ]
    drawn = [container[0].get_xdata() for container in ax.containers]
    assert drawn[0] == pytest.approx(expected, abs=1e-12)
    assert [len(of_given) for of_given in drawn[1:]] == [len(MEASURED)] * 3
    given = results.correlation("complexity", "importance", ["variance"])
    assert drawn[1][1] == given.value
    said = numbers(FIGURES["confounds"].sentence(results))
    assert said[:8:2] == pytest.approx(np.round(expected[:4], 3), abs=0.006)
    assert said[9:][::8] == pytest.approx(expected[4:], abs=0.006)
