"""The pretended device refuses what CUDA refuses, and counts what a real one would be asked for."""

import pytest

REFUSED = {
    "torch.empty(2**55, device=cuda)": "out of memory",
    "x + torch.ones(4)": "same device",
    "torch.ones(3, 3) @ x": "same device",
    "torch.stack([x.sum(), torch.tensor(1.0)])": "same device",
    "torch.rand(3, device=cuda, generator=torch.Generator())": "generator",
    "torch.ones(3)[x[0, :2].long()]": "index on cuda:0",
    "x.index_put_((x[0, :2].long(),), torch.ones(2, 4))": "values on the CPU",
    "x.numpy()": "numpy",
    "np.asarray(x)": "numpy",
}
# Synchronisations, and bytes copied: x has 12 values of 8 bytes.
COUNTED = {
    "x * 2": (0, 0),
    "x + torch.tensor(1.0)": (0, 0),
    "torch.zeros(3, device=cuda)": (0, 0),
    "x.to(cuda)": (0, 0),
    "x[1:, ::2]": (0, 0),
    "x[x[0, :2].long()]": (0, 0),
    "x.sum().item()": (1, 0),
    "bool((x > 1).all())": (1, 0),
    "x[x > 3]": (1, 0),
    "torch.linalg.eigh(x.T @ x)": (1, 0),
    "x.tolist()": (1, 96),
    "x.cpu()": (1, 96),
    "torch.zeros(3, 4).copy_(x)": (1, 96),
    "x[torch.tensor([0, 1])]": (1, 16),
    "torch.tensor([1.0, 2.0], device=cuda)": (1, 8),
    "torch.ones(3, 4).to(cuda)": (1, 48),
    "torch.ones(3, 4).to(cuda, torch.float64)": (1, 96),
    "torch.ones(3, 4).to(cuda, non_blocking=True)": (0, 48),
    "torch.zeros(3, 4).copy_(x, non_blocking=True)": (1, 96),
    "torch.zeros(3, 4, pin_memory=True).copy_(x, non_blocking=True)": (0, 96),
    # what is sent to be converted there; many tensors, and which of them are finite, in one copy
    "Run.tensor(SimpleNamespace(device=cuda), np.ones((3, 4), np.float16))": (1, 24),
    "Arriving({'a': x, 'b': x[0] > 1, 'c': x.half()})": (0, 12 * 8 + 4 + 12 * 2 + 2),
    "Arriving({'a': x}).arrays()": (1, 12 * 8 + 1),
}
TRUE = {
    "computes": "x.sum().item() == 66",
    "changes views in place": "[x[1].zero_(), x.sum().item() == 44][1]",
    "sets": "[x.__setitem__((x > 3, ), 0.0), x.sum().item() == 6][1]",
    "conjugates": "bool(((x + 1j).conj() * (x + 1j) == x ** 2 + 1).all())",
    "differentiates": "torch.equal(torch.func.grad(lambda v: (v**2).sum())(x), 2 * x)",
    "brings several types at once": "[np.array_equal(a, b) for a, b in zip("
    "Arriving({'h': x.half()[:, :1], 'f': x, 'i': x.long()[1]}).arrays()[0].values(), "
    "(np.array([[0], [4], [8]]), np.arange(12).reshape(3, 4), np.arange(4, 8)))] == [True] * 3",
    "finds what is not finite": "Arriving({'a': x, 'b': x / x}).arrays()[1] == ['b']",
    "reads in other threads": "len(list(ahead(iter([x.sum(), x]), device=cuda))) == 2",
}


# Whose memory is full, by the number of ranks that share the device.
FULL = {
    "full(1)": "the memory of the A GPU (cuda:0, 80.0 GiB) on ",
    "full(3)": "is full: rank 0 holds 0.0 B, 80.0 GiB are free, 3 ranks share it",
}


@pytest.fixture(scope="module")
def evaluated(outcomes):
    """What the expressions have come to, by expression."""
    return outcomes("expressions.py", *REFUSED, *COUNTED, *TRUE.values(), *FULL)


@pytest.mark.parametrize("expression", REFUSED)
def test_refuses(expression, evaluated):
    assert REFUSED[expression] in evaluated[expression]["error"]


@pytest.mark.parametrize("expression", COUNTED)
def test_counts(expression, evaluated):
    counted = evaluated[expression]
    assert counted["error"] is None
    assert (sum(counted["synchronisations"].values()), sum(counted["copied"].values())) == COUNTED[
        expression
    ]


@pytest.mark.parametrize("what", TRUE)
def test_behaves_as_a_device(what, evaluated):
    assert evaluated[TRUE[what]]["error"] is None
    assert evaluated[TRUE[what]]["value"] == "True"


@pytest.mark.parametrize("expression", FULL)
def test_says_whose_memory_is_full(expression, evaluated):
    assert FULL[expression] in evaluated[expression]["value"]
