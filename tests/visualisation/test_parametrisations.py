"""Pictures by their Fourier transform, against numpy's."""

import numpy as np
import pytest
import torch

from vinfo_mpi.visualisation.colours import OPPONENT, to_opponent, to_rgb
from vinfo_mpi.visualisation.parametrisations import BOUND, START, STEEPNESS, Fourier, Maco

SIZES = pytest.mark.parametrize("size", [8, 9])


@pytest.fixture
def images(size):
    """Images that are bright in the middle, in colours: (20, 3, size, size)."""
    random = torch.Generator().manual_seed(2)
    return 0.4 + 0.2 * torch.rand(20, 3, size, size, generator=random)


@pytest.fixture
def magnitudes(images):
    """As numpy finds them."""
    waves = np.fft.fft2(np.einsum("oc,nchw->nohw", OPPONENT, images))
    return torch.from_numpy(np.abs(waves).mean(0)).float()


def noise(size, count=5):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(3))


@SIZES
def test_colours_come_back_and_grey_has_no_opponent_channels(images):
    np.testing.assert_allclose(to_rgb(to_opponent(images)), images, atol=1e-6)
    grey = images[:, :1].expand(-1, 3, -1, -1)
    np.testing.assert_allclose(to_opponent(grey)[:, 0], np.sqrt(3) * grey[:, 0], rtol=1e-6)
    np.testing.assert_allclose(to_opponent(grey)[:, 1:], 0, atol=1e-6)


@SIZES
def test_maco_has_the_prescribed_spectrum_whatever_the_phases(magnitudes, size):
    pictures = Maco(magnitudes, noise(size))
    for _ in range(2):
        spectrum = np.abs(np.fft.fft2(pictures.channels().detach().double().numpy()))
        expected = np.broadcast_to(magnitudes, spectrum.shape)
        np.testing.assert_allclose(spectrum, expected, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            pictures.parameters += 7 * noise(size).flip(0)


@SIZES
def test_maco_keeps_the_mean_colour_of_real_images(images, magnitudes, size):
    means = to_rgb(Maco(magnitudes, noise(size)).channels()).mean((2, 3)).detach()
    expected = to_rgb(to_opponent(images).mean((2, 3), keepdim=True).abs().mean(0))[:, 0, 0]
    np.testing.assert_allclose(means, expected.expand(5, 3), atol=1e-5)


@SIZES
def test_fourier_is_a_sum_of_waves_in_units_of_real_amplitudes(magnitudes, size):
    pictures = Fourier(magnitudes, noise(size))
    with torch.no_grad():
        pictures.parameters *= 30  # some are near the bound
    pixels = (pictures.images().detach().double().logit() - pictures.mean).numpy()
    scale = STEEPNESS * magnitudes.numpy()
    scale[:, 0, 0] = (scale[:, 0, 1] + scale[:, 1, 0]) / 2
    waves = 30 * START * np.fft.fft2(noise(size).numpy()) / size
    waves /= np.sqrt(1 + np.abs(waves) ** 2 / BOUND**2)
    assert 3 < np.abs(waves).max() < BOUND
    expected = np.fft.ifft2(scale * waves).real
    np.testing.assert_allclose(pixels, np.einsum("oc,nohw->nchw", OPPONENT, expected), atol=1e-3)


@SIZES
def test_fourier_starts_near_the_mean_colour_of_real_images(images, magnitudes, size):
    start = Fourier(magnitudes, 0 * noise(size)).images().detach()
    expected = images.mean((0, 2, 3), keepdim=True).expand_as(start)
    np.testing.assert_allclose(start, expected, atol=0.02)


@pytest.mark.parametrize("kind", [Maco, Fourier])
def test_grey_images_have_grey_pictures(kind):
    grey = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1)).expand(-1, 3, -1, -1)
    magnitudes = torch.fft.fft2(to_opponent(grey)).abs().mean(0)
    pictures = kind(magnitudes, noise(8)).images().detach()
    np.testing.assert_allclose(pictures[:, 0], pictures[:, 2], atol=1e-5)
    np.testing.assert_allclose(pictures[:, 0], pictures[:, 1], atol=1e-5)
    assert pictures.std() > 0.01


@pytest.mark.parametrize("kind", [Maco, Fourier])
@SIZES
def test_pictures_share_nothing(kind, magnitudes, size):
    together = kind(magnitudes, noise(size))
    alone = kind(magnitudes, noise(size)[2:3])
    assert together.images().min() >= 0
    assert together.images().max() <= 1
    np.testing.assert_allclose(alone.images().detach(), together.images().detach()[2:3], atol=1e-6)
    together.images()[2].square().sum().backward()
    assert (together.parameters.grad[[0, 1, 3, 4]] == 0).all()
    assert together.parameters.grad[2].abs().max() > 0


@SIZES
def test_fourier_starts_from_an_image(images, magnitudes, size):
    start = Fourier(magnitudes, 0 * noise(size), images[:5]).images().detach()
    np.testing.assert_allclose(start, images[:5], atol=1e-4)
    nudged = Fourier(magnitudes, noise(size), images[:5]).images().detach()
    assert 1e-3 < (nudged - images[:5]).abs().mean() < 0.1


def test_fourier_starts_from_what_its_bound_allows_of_an_image():
    """Black and white, which no sigmoid reaches; and grey, where no image has any colours."""
    grey = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1)).expand(-1, 3, -1, -1)
    magnitudes = torch.fft.fft2(to_opponent(0.5 + 0.01 * grey)).abs().mean(0)
    stripes = torch.zeros(1, 3, 8, 8)
    stripes[..., ::2] = 1
    pictures = Fourier(magnitudes, noise(8)[:1], stripes)
    assert pictures.parameters.isfinite().all()
    assert pictures.images()[..., ::2].min() > pictures.images()[..., 1::2].max()


@SIZES
def test_maco_starts_from_the_phases_of_an_image(images, size):
    magnitudes = to_opponent(images[:1]).double()
    waves = torch.fft.fft2(magnitudes)
    spectrum = waves[0].abs()
    # Where a frequency is its own opposite, a phase is not free: only the sign of the mean stays.
    spectrum[:, 0, 0] = waves[0, :, 0, 0].real
    free = waves[0].imag.abs() > 1e-9
    free[:, 0, 0] = True
    start = Maco(spectrum.where(free, 0), 0 * noise(size)[:1], images[:1]).channels().detach()
    expected = torch.fft.ifft2(waves.where(free, 0)).real
    np.testing.assert_allclose(start, expected, atol=1e-5)
