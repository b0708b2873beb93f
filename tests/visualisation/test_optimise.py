import numpy as np
import pytest
import torch

from vinfo_mpi.visualisation.optimise import method_for, optimise
from vinfo_mpi.visualisation.parametrisations import Fourier, Maco


@pytest.mark.parametrize("kind", [Maco, Fourier])
def test_the_objective_rises_and_its_pixels_are_opaque(kind):
    random = torch.Generator().manual_seed(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(16), np.fft.fftfreq(16))).clip(1 / 16)
    scale = torch.tensor([1.0, 0.2, 0.2])[:, None, None]
    magnitudes = torch.from_numpy(8 / frequency).float().expand(3, -1, -1) * scale
    magnitudes[:, 0, 0] = torch.tensor([0.5 * 3**0.5 * 256, 0, 0])
    weights = torch.zeros(3, 16, 16)
    weights[0, 2:6, 8:14] = 1  # red, up on the right
    objectives = []

    def objective(images, step):
        objectives.append((images * weights).sum((1, 2, 3)))
        return objectives[-1]

    steps = []
    pictures = kind(magnitudes, torch.randn(2, 3, 16, 16, generator=random))
    images, opacity = optimise(pictures, objective, 30, lambda: steps.append(1))
    assert len(steps) == len(objectives) == 30
    assert ((images * weights).sum((1, 2, 3)) > objectives[0] + 1).all()
    assert not images.requires_grad
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(opacity[:, weights[0] == 0], 0)
    assert (opacity[:, weights[0] == 1] > 0.2).float().mean() > 0.9
    assert opacity.max() == 1


def test_tiny_images_are_not_left_to_their_phases():
    for size in (8, 32, 63):
        assert method_for("auto", size) == "fourier"
    for size in (64, 224):
        assert method_for("auto", size) == "maco"
    assert method_for("maco", 8) == "maco"
    assert method_for("fourier", 224) == "fourier"
