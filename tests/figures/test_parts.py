"""The figure of the parts of the complexity, against the file, by numpy alone."""

import numpy as np
import pytest
from drawings import numbers
from scipy.stats import sem

from vinfo_mpi.figures.catalogue import FIGURES

PARTS = ("unreadable", "late", "discarded")


def test_parts_are_stacked_up_to_the_complexity(results, stored, living, ax):
    results.plot.parts(ax)
    complexity = np.sort(stored["concepts/complexity"][living])
    *_, top = ax.patches
    np.testing.assert_allclose(top.get_data().values, complexity, atol=1e-12)
    for below, above in zip(ax.patches, ax.patches[1:], strict=False):
        np.testing.assert_array_equal(above.get_data().baseline, below.get_data().values)


def test_means_and_shares_of_the_variance(results, stored, living):
    said = numbers(FIGURES["parts"].sentence(results))
    columns = [stored[f"concepts/{name}"][living] for name in PARTS]
    complexity = stored["concepts/complexity"][living]
    means = [number for values in columns for number in (values.mean(), sem(values))]
    shares = [np.cov(values, complexity)[0, 1] / complexity.var(ddof=1) for values in columns]
    assert said == pytest.approx([living.sum(), *means, *shares], abs=0.006)
    assert sum(shares) == pytest.approx(1)
