"""Parametrisations of a picture: its Fourier transform, or only the phases."""

from __future__ import annotations

from typing import Protocol

import torch

from vinfo_mpi.visualisation.colours import to_opponent, to_rgb

START = 0.1  # noise at the start: amplitudes relative to those of real images, or radians
# Of the Fourier parametrisation.
BOUND = 4.0  # amplitudes at most, relative to those of real images
LARGEST = 0.9  # of the bound, of an amplitude of an image that it starts from
LEAST = 1e-6  # scale of an amplitude, relative to the largest: below it there is but rounding
DARKEST = 0.05  # mean colour that it starts from at least, because black hardly changes
STEEPNESS = 4.0  # undoes the slope of the sigmoid at medium grey


class Parametrisation(Protocol):
    """Pictures as a differentiable function of what is optimised.

    Attributes
    ----------
    parameters : (B, ...) tensor
        What is optimised; pictures do not share any of it.
    rate : float
        Learning rate that suits it.
    """

    parameters: torch.Tensor
    rate: float

    def images(self) -> torch.Tensor:
        """Return the pictures: (B, 3, S, S), values in [0, 1]."""


class Maco:
    """Pictures with a fixed magnitude spectrum whose phases are optimised.

    MACO; Fel et al. 2023, arXiv 2306.06805, section 3.

    Parameters
    ----------
    magnitudes : (3, S, S) tensor
        Of the opponent channels.
    noise : (B, 3, S, S) tensor
        Standard normal; the phases at the start follow from it.
    start : (B, 3, S, S) tensor, or None
        Images whose phases those at the start are, but for a little of the noise.
    """

    rate = 0.1

    def __init__(
        self, magnitudes: torch.Tensor, noise: torch.Tensor, start: torch.Tensor | None = None
    ) -> None:
        self.magnitudes = magnitudes.to(noise)
        if start is None:
            parameters = torch.pi * noise
        else:
            # Half of an antisymmetric phase: less that at minus the frequency it is the whole.
            parameters = torch.fft.fft2(to_opponent(start)).angle() / 2 + START * noise
        self.parameters = parameters.requires_grad_()

    def channels(self) -> torch.Tensor:
        """Return the opponent channels, with the prescribed magnitude spectrum: (B, 3, S, S)."""
        opposite = self.parameters.flip(2, 3).roll((1, 1), (2, 3))  # at minus the frequency
        # Antisymmetric: that of real channels, and none for their means.
        phase = self.parameters - opposite
        return torch.fft.ifft2(torch.polar(self.magnitudes.expand_as(phase), phase)).real

    def images(self) -> torch.Tensor:
        """Return the pictures, what is darker than black or brighter than white cut off.

        See `Parametrisation`.
        """
        return to_rgb(self.channels()).clamp(0, 1)


class Fourier:
    """Pictures whose amplitudes and phases are optimised, in units of real images' mean amplitude.

    That of photographs falls as 1/f, the scale of Olah, Mordvintsev, Schubert (2017), "Feature
    Visualization"; images that were enlarged lack high frequencies altogether, and grey ones
    colours. The bound keeps both out of pictures as well.

    Parameters
    ----------
    magnitudes : (3, S, S) tensor
        Of the opponent channels.
    noise : (B, 3, S, S) tensor
        Standard normal; the pictures at the start are the mean colour of real images and this,
        faintly.
    start : (B, 3, S, S) tensor, or None
        Images that are there at the start in place of the mean colour.
    """

    rate = 0.1

    def __init__(
        self, magnitudes: torch.Tensor, noise: torch.Tensor, start: torch.Tensor | None = None
    ) -> None:
        magnitudes = magnitudes.to(noise)
        size = noise.shape[-1]
        self.mean = to_rgb(magnitudes[:, :1, :1] / size**2).clamp(DARKEST, 1 - DARKEST).logit()
        self.scale = STEEPNESS * magnitudes[..., : size // 2 + 1]
        # The mean is there already, and changes as long waves do.
        self.scale[:, 0, 0] = self.scale[:, [0, 1], [1, 0]].mean(1)
        waves = START * torch.fft.rfft2(noise, norm="ortho")
        if start is not None:
            waves = waves + self._waves(start)
        self.parameters = torch.view_as_real(waves).requires_grad_()

    def images(self) -> torch.Tensor:
        """Return the pictures, through a sigmoid. See `Parametrisation`."""
        size = self.parameters.shape[2]
        waves = torch.view_as_complex(self.parameters)
        bounded = waves / (1 + (waves.abs() / BOUND).square()).sqrt()
        channels = torch.fft.irfft2(self.scale * bounded, s=(size, size))
        return (self.mean + to_rgb(channels)).sigmoid()

    def _waves(self, images: torch.Tensor) -> torch.Tensor:
        """Return the parameters of images, as far as the bound and the darkest colour allow."""
        channels = to_opponent(images.clamp(DARKEST, 1 - DARKEST).logit() - self.mean)
        scale = self.scale.clamp(min=LEAST * self.scale.max())
        bounded = torch.fft.rfft2(channels) / scale
        amplitude = bounded.abs().clamp(max=LARGEST * BOUND)
        return torch.polar(amplitude / (1 - (amplitude / BOUND).square()).sqrt(), bounded.angle())
