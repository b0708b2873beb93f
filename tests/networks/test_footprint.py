"""Memory per image of a forward pass and of a training step."""

import pytest
import torch
from torch import nn

from vinfo_mpi.networks import footprint

FEW = 10**9  # so many images that no block comes from the heap, which has holes


def per_image(total):
    return total / FEW


def test_forward_counts_what_is_alive_at_once():
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 64, 1000), nn.Linear(1000, 10), nn.Linear(10, 1000)
    )
    # The input and the wide layer, then the narrow one: what has been used is gone.
    assert per_image(footprint.forward(network, (3, 8, 8), FEW)) == 4 * (3 * 64 + 1000 + 10)


def test_training_keeps_what_the_gradient_needs():
    layers = [
        nn.Flatten(),
        *(layer for _ in range(5) for layer in (nn.Linear(192, 192), nn.Tanh())),
    ]
    measured = per_image(footprint.training(nn.Sequential(*layers), (3, 8, 8), FEW))
    # Each Tanh keeps its output, which the next layer needs as well; two gradients are alive on the
    # way back.
    assert 4 * 192 * (1 + 5) < measured <= 4 * 192 * (1 + 5 + 4)


def test_convolutions_lay_their_operands_out_anew():
    network = nn.Conv2d(3, 5, 3, padding=1)
    image = 4 * 3 * 64
    result = 4 * 5 * 64
    assert per_image(footprint.forward(network, (3, 8, 8), FEW)) == 2 * (image + result)


def test_what_does_not_grow_with_the_batch_is_left_out():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16, 10000, bias=False), nn.Linear(10000, 1))
    # The weights' gradients are 48 times as large.
    assert per_image(footprint.training(wide, (3, 4, 4), FEW)) < 4 * 10000 * 4


def test_blocks_of_the_heap_leave_holes():
    assert footprint.held(2**20) == 2**21
    assert footprint.held(2**25) == 2**25
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 192))
    assert footprint.forward(network, (3, 8, 8), 100) == 1.5 * 100 * 4 * (192 + 192)


class Tuples(nn.Module):
    """Leaf modules that return tuples."""

    def __init__(self):
        super().__init__()
        self.recurrent = nn.LSTM(64, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, images):
        values, _ = self.recurrent(images.flatten(2))
        values, _ = self.attention(values, values, values)
        return values[:, 0]


def test_modules_that_return_tuples():
    network = Tuples().eval()
    assert footprint.forward(network, (3, 8, 8), 10) > 0
    assert footprint.training(network, (3, 8, 8), 10) > footprint.forward(network, (3, 8, 8), 10)


@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_left_as_it_was(training):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    network(torch.zeros(2, 3, 8, 8))
    network.train(training)
    footprint.training(network, (3, 8, 8), 4)
    assert network.training == training
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("pixels", "device", "images"),
    # The larger map takes 256 bytes per pixel: 12.8 MB with 224, 3.2 MB with 112.
    [(224, "cpu", 2), (112, "cpu", 8), (28, "cpu", 128), (224, "cuda", 32), (512, "cpu", 1)],
)
def test_a_batch_keeps_its_largest_feature_map_on_the_heap(pixels, device, images):
    network = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert footprint.batch(network, (3, pixels, pixels), device) == images
