"""What goes with a factor, beside numpy, scipy and counts by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, f_oneway

from vinfo_mpi.numerics import image_statistics, shortcuts
from vinfo_mpi.numerics.shortcuts import Products, RightAnswers

N, K, F, C = 400, 6, 3, 4


@pytest.fixture(scope="module")
def case():
    random = np.random.default_rng(0)
    labels = random.integers(0, C, N)
    factors = np.stack([labels % 2 ^ (random.random(N) < 0.3), random.random(N), labels], 1) * 1.0
    codes = np.maximum(random.standard_normal((N, K)) + factors @ random.standard_normal((F, K)), 0)
    codes[:, -1] = 2
    return labels, factors, codes


def products(labels, factors, codes):
    sums = Products(C, K, F)
    for rows in np.array_split(np.arange(N), 3):
        sums.add(*(torch.from_numpy(each[rows]) for each in (codes, factors, labels)))
    return sums


def centred(values, labels):
    return values - np.stack([values[labels == label].mean(0) for label in labels])


def test_correlations_are_those_of_numpy(case):
    labels, factors, codes = case
    sums = products(*case)
    with np.errstate(invalid="ignore"):
        expected = np.corrcoef(factors.T, codes.T)[:F, F:]
    np.testing.assert_allclose(sums.correlations(), expected, atol=1e-12)
    inside = sums.correlations_within().numpy()
    expected = np.corrcoef(centred(factors, labels)[:, :2].T, centred(codes, labels)[:, :-1].T)
    np.testing.assert_allclose(inside[:2, :-1], expected[:2, 2:], atol=1e-12)
    assert np.isnan(inside[2]).all()  # it follows from the label
    assert np.isnan(inside[:, -1]).all()


def test_variance_between_classes(case):
    labels, factors, _ = case
    between = products(*case).between_classes().numpy()
    # Of η² = F (C-1) / (F (C-1) + N - C), and of η² = χ² / N for two values.
    f = f_oneway(*(factors[labels == label, 1] for label in range(C))).statistic
    eta = f * (C - 1) / (f * (C - 1) + N - C)
    table = np.histogram2d(factors[:, 0], labels, (2, C))[0]
    eta_of_two = chi2_contingency(table, correction=False).statistic / N
    corrected = [max(0, 1 - (1 - each) * (N - 1) / (N - C)) for each in (eta_of_two, eta)]
    np.testing.assert_allclose(between, [*corrected, 1], atol=1e-12)


def test_sides_are_two_values_or_halves():
    factors = np.array([[0, 1.0], [1, 2.0], [1, 3.0], [1, 4.0]])
    above = shortcuts.sides(factors).T.tolist()
    assert above == [[False, True, True, True], [False, False, True, True]]


def test_gap_and_worst_are_of_images_counted_by_hand():
    # Class 0 is usually low: 30 of 40; class 1 usually high: 40 of 60.
    labels = np.repeat([0, 0, 1, 1], [30, 10, 40, 20])
    side = np.repeat([False, True, True, False], [30, 10, 40, 20])
    right = np.ones(100, bool)
    right[30:34] = False  # 4 of 10 against the class
    right[80:85] = False  # 5 of 20 against the class
    right[40:44] = False  # 4 of 40 with it
    answers = RightAnswers.empty(1, 1, 2)
    for rows in np.array_split(np.arange(100), 4):
        answers.add(
            torch.from_numpy(side[rows, None]),
            torch.from_numpy(labels[rows]),
            torch.from_numpy(right[rows])[None, :, None],
        )
    gap, error = answers.gap()
    weights = np.array([30 * 10 / 40, 40 * 20 / 60])
    assert gap[0, 0] == pytest.approx((weights * [0.4, 0.9 - 0.75]).sum() / weights.sum())
    draws = np.random.default_rng(0).binomial(
        [30, 10, 40, 20], [31 / 32, 7 / 12, 37 / 42, 16 / 22], (20000, 4)
    ) / [30, 10, 40, 20]  # fmt: skip
    differences = (draws[:, [0, 2]] - draws[:, [1, 3]]) @ weights / weights.sum()
    assert error[0, 0] == pytest.approx(differences.std(), rel=0.03)
    worst, worst_error, worst_side, worst_class = answers.worst()
    assert (worst[0], worst_side[0], worst_class[0]) == (0.6, 1, 0)
    assert worst_error[0] == pytest.approx(np.sqrt(7 / 12 * 5 / 12 / 10))
    accuracy, _ = answers.accuracy()
    np.testing.assert_allclose(accuracy[0, 0], [45 / 50, 42 / 50])


def test_a_factor_that_follows_from_the_class_has_no_gap():
    labels = torch.arange(40) % 2
    answers = RightAnswers.empty(1, 1, 2)
    answers.add(labels.bool()[:, None], labels, torch.ones(1, 40, 1, dtype=torch.bool))
    gap, error = answers.gap()
    assert np.isnan(gap).all() and np.isnan(error).all()


def test_statistics_of_pictures():
    pictures = torch.rand(5, 3, 8, 9, generator=torch.Generator().manual_seed(0))
    pictures[0] = 0.25
    values = image_statistics.statistics(pictures).numpy()
    assert values[0] == pytest.approx([0.25, 0, 0, 0, 0, 0], abs=1e-7)
    for picture, of_picture in zip(pictures[1:].double().numpy(), values[1:], strict=True):
        grey = np.tensordot([0.299, 0.587, 0.114], picture, 1)
        steps = abs(grey[1:] - grey[:-1]).mean() + abs(grey[:, 1:] - grey[:, :-1]).mean()
        colours = [picture[0].mean() - grey.mean(), picture[2].mean() - grey.mean()]
        spread = (picture.max(0) - picture.min(0)).mean()
        expected = [grey.mean(), grey.std(), steps / grey.std(), spread, *colours]
        assert of_picture == pytest.approx(expected)
