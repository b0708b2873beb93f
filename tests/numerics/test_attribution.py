import numpy as np
import torch
from scipy.stats import sem

from vinfo_mpi.numerics.attribution import Attribution, ClassAttribution, variance_shares
from vinfo_mpi.numerics.slopes import network_slopes

N = 30
K = 7
D = 5
C = 4


def problem(seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.rand(N, K, generator=generator, dtype=torch.float64)
    codes[0] = 0
    atoms = torch.rand(K, D, generator=generator, dtype=torch.float64)
    weight = torch.randn(C, D, generator=generator, dtype=torch.float64)
    classes = torch.randint(0, C, (N,), generator=generator)
    return codes, atoms, weight, classes


def test_gradient_times_input_equals_autograd_with_respect_to_the_codes():
    codes, atoms, weight, classes = problem()
    attribution = Attribution(K)
    for half in (slice(0, 11), slice(11, N)):
        attribution.add(codes[half] * (weight @ atoms.T)[classes[half]])
    z = codes.clone().requires_grad_()
    logits = (z @ atoms @ weight.T).gather(1, classes[:, None]).sum()
    contribution = (torch.autograd.grad(logits, z)[0] * codes).detach()
    torch.testing.assert_close(attribution.sums[0], contribution.abs().sum(0))
    torch.testing.assert_close(attribution.sums[1], contribution.sum(0))


def test_importance_for_groups_of_classes_and_its_error_over_their_images():
    codes, atoms, weight, classes = problem()
    slopes = (weight @ atoms.T)[classes]
    labels = classes.clone()
    labels[labels == 3] = 2
    labels[:1] = 3  # a class of one image; the last one has none
    attribution = ClassAttribution(C + 1, K)
    for half in (slice(0, 11), slice(11, N)):
        attribution.add(codes[half], slopes[half], labels[half])
    groups = np.array([0, 1, 0, 2, 3])
    mean, error = attribution.importance(groups)
    contribution = np.abs((codes * slopes).numpy())
    for number in range(2):
        of_group = contribution[groups[labels] == number]
        np.testing.assert_allclose(mean[number], of_group.mean(0))
        np.testing.assert_allclose(error[number], sem(of_group))
    np.testing.assert_allclose(mean[2], contribution[0])
    assert np.isnan(error[2:]).all() and np.isnan(mean[3]).all()


def test_any_head_gives_the_derivatives_of_a_linear_one():
    codes, atoms, weight, classes = problem()
    slopes = network_slopes(
        lambda vectors: vectors @ weight.T + 3, atoms, torch.zeros(1, dtype=torch.float64), batch=7
    )
    torch.testing.assert_close(slopes(codes, classes), (weight @ atoms.T)[classes])


def test_a_curved_head_is_differentiated_at_the_reconstruction():
    codes, atoms, weight, classes = problem()
    offset = torch.linspace(-1, 1, atoms.shape[1], dtype=torch.float64)
    slopes = network_slopes(lambda vectors: (vectors @ weight.T).square(), atoms, offset, batch=100)
    expected = (
        2
        * ((offset + codes @ atoms) @ weight.T).gather(1, classes[:, None])
        * (weight @ atoms.T)[classes]
    )
    torch.testing.assert_close(slopes(codes, classes), expected)


def test_shares_equal_a_monte_carlo_estimate_of_the_total_sobol_index():
    random = np.random.default_rng(0)
    contribution = random.normal(size=K)
    samples = 200_000
    # Jansen's estimator: half the mean squared change when one mask alone is drawn anew, over the
    # variance.
    masks = random.integers(0, 2, size=(samples, K))
    others = random.integers(0, 2, size=(samples, K))
    logits = masks @ contribution
    estimate = np.empty(K)
    for k in range(K):
        changed = masks.copy()
        changed[:, k] = others[:, k]
        estimate[k] = 0.5 * np.square(logits - changed @ contribution).mean() / logits.var()
    shares = variance_shares(torch.from_numpy(contribution[None]))[0].numpy()
    np.testing.assert_allclose(shares, estimate, atol=0.01)
    np.testing.assert_allclose(shares.sum(), 1)


def test_an_image_without_contributions_gives_no_share():
    assert variance_shares(torch.zeros(1, K, dtype=torch.float64)).sum() == 0
