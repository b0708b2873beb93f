"""The figure of the parts of the complexity, against the file, by numpy alone."""

import numpy as np
import pytest
from drawings import numbers, over_classes

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
    classes = stored["concepts/class"][living]
    errors = [over_classes(lambda draw, of=values: of[draw].mean(), classes) for values in columns]
    means = [
        number
        for values, error in zip(columns, errors, strict=True)
        for number in (values.mean(), error)
    ]
    shares = [np.cov(values, complexity)[0, 1] / complexity.var(ddof=1) for values in columns]
    assert said == pytest.approx([living.sum(), *means, 10, *shares], abs=0.006)
    assert sum(shares) == pytest.approx(1)
