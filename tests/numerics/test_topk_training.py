"""Training of TopK autoencoders: a step in closed form, planted atoms."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics.recovery import Dictionary, plant, recovery
from vinfo_mpi.numerics.topk_training import TopKTraining


def trained(x, *options):
    training = TopKTraining(torch.from_numpy(x).float(), *options)
    training.advance(range(training.steps))
    return training.trained()


def test_a_step_follows_the_gradient_in_closed_form():
    """The first step of Adam is the rate times the sign of the gradient."""
    x = np.random.default_rng(0).normal(size=(1, 6)) + np.zeros((40, 1))  # all batches are equal
    x = x + np.linspace(-1, 1, 40)[:, None] ** 3 * np.arange(6)
    training = TopKTraining(torch.from_numpy(x).float(), 9, 2, 1, 1000, 1e-3, 3)
    scale = np.sqrt(np.square(x - x.mean(0)).sum(1).mean())
    old = [part.detach().double().numpy().copy() for part in parts(training)]
    atoms, weight, bias, centre = old
    random = torch.Generator().manual_seed(3)
    torch.randint(40, (9,), generator=random)
    torch.randn(9, 6, generator=random)
    rows = torch.randint(40, (1000,), generator=random).numpy()
    y = x[rows] / scale
    z = np.maximum((y - centre) @ weight.T + bias, 0)
    z[z < np.sort(z, 1)[:, -2:-1]] = 0
    residual = y - centre - z @ atoms
    back = (z > 0) * (residual @ atoms.T)
    gradients = [
        -2 * z.T @ residual,
        -2 * back.T @ (y - centre),
        -2 * back.sum(0),
        -2 * residual.sum(0) + 2 * (back @ weight).sum(0),
    ]
    training.advance(range(1))
    for part, before, gradient in zip(parts(training), old, gradients, strict=True):
        gradient = gradient / len(y)
        assert (np.abs(gradient) > 1e-5).any()
        expected = before - 1e-3 * gradient / (np.abs(gradient) + 1e-8)
        if part is training.atoms:
            expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        clear = (np.abs(gradient) > 1e-5) | (gradient == 0)
        got = part.detach().double().numpy()
        np.testing.assert_allclose(got[clear], expected[clear], atol=3e-6)


def parts(training):
    return [training.atoms, training.weight, training.bias, training.centre]


def test_planted_atoms_are_found_and_vectors_rebuilt_in_their_own_scale():
    x, planted = plant(1000, 32, 6, active=1, seed=1)
    x = 30 * x
    model = trained(x, 12, 2, 300, 64, 1e-2)
    codes = model.encoder(torch.from_numpy(x))
    rebuilt = codes @ model.atoms + model.offset
    assert np.linalg.norm(x - rebuilt.numpy()) < 0.2 * np.linalg.norm(x)
    found = recovery(Dictionary(model.atoms.numpy(), codes.numpy()), planted)
    assert found.cosine.min() > 0.98
    assert ((codes > 0).sum(1) <= 2).all()
    torch.testing.assert_close(model.atoms.norm(dim=1), torch.ones(12, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_gives_the_same_features_however_the_steps_are_taken(seed):
    x, _ = plant(100, 8, 4, active=2, seed=1)
    training = TopKTraining(torch.from_numpy(x).float(), 5, 2, 9, 16, 1e-2, seed)
    for steps in (range(4), range(4, 9)):
        training.advance(steps)
    again = trained(x, 5, 2, 9, 16, 1e-2, seed)
    assert torch.equal(training.trained().atoms, again.atoms)
    assert not torch.equal(again.atoms, trained(x, 5, 2, 9, 16, 1e-2, seed + 1).atoms)
