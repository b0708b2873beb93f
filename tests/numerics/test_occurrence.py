import numpy as np
import pytest
import torch
from scipy import stats

from vinfo_mpi.numerics.occurrence import Occurrence


def test_shares_are_those_of_an_analysis_of_variance():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    labels[labels == 2] = 5  # a class without images
    codes = np.maximum(0, random.normal(size=(200, 6)) + labels[:, None] * [0, 1, 2, 0.5, 0.1, 0])
    codes[:, 5] = 0.1
    occurrence = Occurrence(6, 6)
    for rows in (slice(0, 70), slice(70, 200)):
        occurrence.add(torch.tensor(codes[rows]), torch.tensor(labels[rows]))
    np.testing.assert_allclose(occurrence.firing_rate(), (codes > 0).mean(0), rtol=1e-15)
    present = np.unique(labels)
    between = occurrence.between_classes().numpy()
    for concept in range(5):
        groups = [codes[labels == number, concept] for number in present]
        f = stats.f_oneway(*groups).statistic
        odds = f * (len(present) - 1) / (200 - len(present))
        np.testing.assert_allclose(between[concept], odds / (1 + odds), rtol=1e-12)
    assert np.isnan(between[5])


def test_one_hot_codes_are_as_many_effective_concepts_as_there_are():
    occurrence = Occurrence(2, 8)
    labels = torch.arange(12) % 2
    occurrence.add(3.0 * torch.eye(6, 8, dtype=torch.float64).repeat(2, 1), labels)
    assert occurrence.effective_concepts().item() == pytest.approx(6, rel=1e-12)
    random = np.random.default_rng(0)
    codes = random.exponential(size=(50, 8))
    uneven = Occurrence(2, 8)
    uneven.add(torch.tensor(codes), torch.zeros(50, dtype=torch.int64))
    np.testing.assert_allclose(uneven.mean(), codes.mean(0), rtol=1e-12)
    assert uneven.effective_concepts().item() == pytest.approx(
        np.exp(stats.entropy(codes.sum(0))), rel=1e-12
    )
    signed = Occurrence(2, 8)
    signed.add(torch.tensor(codes - [[2] + [0] * 7]), torch.zeros(50, dtype=torch.int64))
    assert signed.effective_concepts().isnan()
