"""What figures say and draw, in numbers."""

import re

import numpy as np
import pytest
from scipy.stats import spearmanr


def numbers(text):
    """Return all numbers of a sentence, in order, without those in names such as layer4.1."""
    return [float(number) for number in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?", text)]


def lines(ax):
    """Return the heights of all curves, by their labels."""
    return {line.get_label(): line.get_ydata() for line in ax.lines}


def says_correlation(text, x, y):
    """Check a correlation, its number of concepts, and its error.

    Against scipy's, and against a bootstrap of our own.
    """
    value, error, n = re.search(r"Spearman (\S+) ± (\S+), n = (\d+)", text).groups()
    assert float(value) == pytest.approx(spearmanr(x, y).statistic, abs=0.005)
    assert int(n) == len(x)
    random = np.random.default_rng(1)
    draws = random.integers(0, len(x), (300, len(x)))
    resampled = [spearmanr(x[draw], y[draw]).statistic for draw in draws]
    assert float(error) == pytest.approx(np.std(resampled), rel=0.25, abs=0.006)


def has_band(band, mean, error):
    """Check that a band reaches a standard error beyond a curve to either side."""
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx((mean - error).min())
    assert heights.max() == pytest.approx((mean + error).max())
