"""Groups of channels of traced networks: shuffled, copied and merged, outputs stay the same."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.networks import channel_groups, folded, slimmer
from vinfo_mpi.networks.small_variants import small_resnet
from vinfo_mpi.numerics import merging


class Mixed(nn.Module):
    """A stream of depthwise and grouped convolutions, a gate, a concatenation, a shuffled half."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.GELU())
        self.deep = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.grouped = nn.Conv2d(6, 8, 1, groups=2)
        self.back = nn.Conv2d(8, 6, 1)
        self.gate = nn.Conv2d(6, 6, 1)
        self.early = nn.BatchNorm2d(14)
        self.wide = nn.Conv2d(14, 10, 1)
        self.norm = nn.LayerNorm(10)
        self.head = nn.Sequential(nn.Linear(10, 12), nn.SiLU(), nn.Linear(12, 4))

    def forward(self, x):
        x = self.stem(x)
        y = self.back(F.relu(self.grouped(x)))
        x = x + self.deep(y) * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        x = self.early(torch.cat([x, self.grouped.weight.sum() + F.pad(x, (0,) * 5 + (2,))], 1))
        return self.head(self.norm(self.wide(x).mean((-1, -2))))


class Flat(nn.Module):
    """A map that is flattened by a view, and a layer that is called twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, stride=2)
        self.hidden = nn.Linear(5 * 49, 8)
        self.twice = nn.Linear(8, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.first(x)), 1)
        x = torch.relu(self.hidden(x.view(x.size(0), -1)))
        return self.last(self.twice(torch.relu(self.twice(x))))


class Deciding(nn.Module):
    """A network whose way depends on the image."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        return x if x.sum() > 0 else -x


def random_norms(network):
    """Return a network in evaluation mode whose batch norms do something."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


NETWORKS = {
    "mixed": Mixed,
    "flat": Flat,
    "resnet": lambda: small_resnet("resnet18", 0.0625, 5),
    "densenet": lambda: models.DenseNet(4, (2, 2), 8, num_classes=5),
    "transformer": lambda: models.VisionTransformer(16, 8, 1, 2, 8, 16, num_classes=5),
}


OF_STAGE = ("0.conv1", "0.conv2", "1.conv1")


@pytest.fixture(params=NETWORKS, scope="module")
def traced(request):
    """A network, its graph, its groups and an image."""
    torch.manual_seed(0)
    network = random_norms(NETWORKS[request.param]())
    image = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    graph = folded.fold(network)
    return request.param, network, graph, channel_groups.find(graph, image), image


def test_folded_networks_give_the_same(traced):
    _, network, graph, _, image = traced
    expected = network.double()(image)
    network.float()
    torch.testing.assert_close(graph(image), expected, rtol=1e-9, atol=1e-12)


def test_shuffled_channels_give_the_same(traced):
    """That of every group by itself: nothing else depends on the order of its channels."""
    _, network, graph, groups, image = traced
    shuffled = [np.random.default_rng(group.width).permutation(group.width) for group in groups]
    slim = slimmer.load(network, slimmer.merged(graph, groups, shuffled)).double()
    torch.testing.assert_close(slim(image), graph(image), rtol=1e-5, atol=1e-6)


def test_which_layers_can_be_merged(traced):
    name, _, _, groups, _ = traced
    names = [group.name for group in groups]
    expected = {
        "mixed": ["head.0"],  # the rest meets a grouped convolution, a padding, a layer norm
        "flat": ["first"],
        "resnet": [
            *("conv1", "layer1.0.conv1", "layer1.1.conv1"),
            *(f"layer{stage}.{rest}" for stage in (2, 3, 4) for rest in OF_STAGE),
        ],
        "transformer": ["encoder.layers.encoder_layer_0.mlp.0"],
    }
    assert names == expected.get(name, names)
    if name == "densenet":
        assert len(names) == 10


def with_copies(graph, groups, rng, least):
    """Return a state dict in which every channel has up to two copies, and its own channels.

    What makes them is the same, what takes them is split at random: `least` of the smallest share
    to the largest.
    """
    state = {key: value.clone() for key, value in graph.state_dict().items()}
    changes = []
    origins = []
    for group in groups:
        copies = rng.integers(1, 4, group.width)
        origin = rng.permutation(np.repeat(np.arange(group.width), copies))
        origins.append(origin)
        shares = rng.uniform(least, 1, len(origin))
        for channel in range(group.width):
            shares[origin == channel] /= shares[origin == channel].sum()
        changes += [(place, torch.from_numpy(origin), shares) for place in group.places]
    for place, origin, shares in sorted(changes, key=lambda change: -change[0].start):
        first = state[place.parameter].movedim(place.axis, 0)
        width = int(origin.max() + 1)
        stop = place.start + width * place.each
        rows = first[place.start : stop].reshape(width, place.each, *first.shape[1:])[origin]
        if place.takes:
            rows = rows * torch.from_numpy(shares).reshape(-1, *[1] * (rows.ndim - 1))
        joined = torch.cat([first[: place.start], rows.flatten(0, 1), first[stop:]])
        state[place.parameter] = joined.movedim(0, place.axis)
    return state, origins


def test_planted_copies_are_undone(traced):
    _, network, graph, groups, image = traced
    state, origins = with_copies(graph, groups, np.random.default_rng(0), least=0.2)
    wide = slimmer.load(network, state).double()
    torch.testing.assert_close(wide(image), graph(image), rtol=1e-5, atol=1e-6)
    again = channel_groups.find(wide, image)
    assert [group.width for group in again] == [len(origin) for origin in origins]
    slim = slimmer.load(network, slimmer.merged(wide, again, origins))
    assert {key: value.shape for key, value in slim.state_dict().items()} == {
        key: value.shape for key, value in graph.state_dict().items()
    }
    torch.testing.assert_close(slim.double()(image), graph(image), rtol=1e-5, atol=1e-6)


def test_copies_are_found(traced):
    """Those that are equal in what takes them as well, in all groups at once, to the last one."""
    _, network, graph, groups, image = traced
    state, origins = with_copies(graph, groups, np.random.default_rng(0), least=1)
    wide = slimmer.load(network, state).double()
    again = channel_groups.find(wide, image)
    labels = [merging.merge(*channel_groups.grams(wide, group)).labels(1e-9) for group in again]
    for of_group, origin in zip(labels, origins, strict=True):
        np.testing.assert_array_equal(of_group[:, None] == of_group, origin[:, None] == origin)
    slim = slimmer.load(network, slimmer.merged(wide, again, labels)).double()
    torch.testing.assert_close(slim(image), graph(image), rtol=1e-5, atol=1e-6)


def test_refusals_are_sentences():
    with pytest.raises(NotApplicable, match=r"which fails for Deciding, in conv"):
        folded.fold(Deciding())
    graph = folded.fold(Flat())
    with pytest.raises(InputError, match=r"'bias' is in only one of them"):
        slimmer.load(Flat(), graph.state_dict() | {"bias": torch.zeros(1)})
    reshaped = graph.state_dict() | {"first.weight": torch.zeros(5)}
    with pytest.raises(InputError, match=r"'first\.weight' has shape \(5,\)"):
        slimmer.load(Flat(), reshaped)
