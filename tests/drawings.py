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


def says_correlation(text, x, y, classes):
    """Check a correlation, its number of concepts and of classes, and its error.

    Against scipy's, and against a bootstrap of our own.
    """
    said = re.search(r"Spearman (\S+) ± (\S+), n = (\d+) in (\d+) classes", text).groups()
    value, error, *numbers = map(float, said)
    assert value == pytest.approx(spearmanr(x, y).statistic, abs=0.005)
    assert numbers == [len(x), len(np.unique(classes))]
    resampled = over_classes(lambda draw: spearmanr(x[draw], y[draw]).statistic, classes)
    assert error == pytest.approx(resampled, rel=0.25, abs=0.006)


def over_classes(statistic, classes, draws=300):
    """Return the standard error of a statistic of some concepts, by drawing classes."""
    random = np.random.default_rng(1)
    members = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    drawn = []
    for _ in range(draws):
        taken = random.integers(0, len(members), len(members))
        drawn.append(statistic(np.concatenate([members[number] for number in taken])))
    return np.std(drawn)


def has_band(band, mean, error):
    """Check that a band reaches a standard error beyond a curve to either side."""
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx((mean - error).min())
    assert heights.max() == pytest.approx((mean + error).max())
