"""What is optimised instead of the pixels of a picture: its Fourier transform, or only the phases of that."""

from __future__ import annotations

from typing import Protocol

import torch

from vinfo_mpi.vision.colours import to_rgb

DARKEST = 0.05  # mean colour that the Fourier parametrisation starts from at least: black would not change
CONTRAST = 0.1  # standard deviation, before the sigmoid, of the picture that the Fourier parametrisation starts from


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
    """Phases are optimised, the magnitude spectrum is fixed (MACO; Fel et al. 2023, arXiv 2306.06805, section 3).

    Parameters
    ----------
    magnitudes : (3, S, S) tensor
        Of the opponent channels.
    noise : (B, 3, S, S) tensor
        Standard normal; the phases at the start follow from it.
    """

    rate = 1.0

    def __init__(self, magnitudes: torch.Tensor, noise: torch.Tensor) -> None:
        self.magnitudes = magnitudes.to(noise)
        self.parameters = (torch.pi * noise).requires_grad_()

    def channels(self) -> torch.Tensor:
        """Return the opponent channels, whose magnitude spectrum is the prescribed one: (B, 3, S, S)."""
        opposite = self.parameters.flip(2, 3).roll((1, 1), (2, 3))  # at minus the frequency
        phase = self.parameters - opposite  # antisymmetric: that of real channels, and none for their means
        return torch.fft.ifft2(torch.polar(self.magnitudes.expand_as(phase), phase)).real

    def images(self) -> torch.Tensor:
        """Return the pictures, what is darker than black or brighter than white cut off. See `Parametrisation`."""
        return to_rgb(self.channels()).clamp(0, 1)


class Fourier:
    """Amplitudes and phases are optimised, each in units of the mean amplitude of real images.

    That of photographs falls as 1/f, the scale of Olah, Mordvintsev, Schubert (2017), "Feature Visualization"; images that
    were enlarged lack high frequencies altogether, and so do their pictures. Grey images have grey pictures.

    Parameters
    ----------
    magnitudes : (3, S, S) tensor
        Of the opponent channels.
    noise : (B, 3, S, S) tensor
        Standard normal; it is added to the images' mean colour, faintly, for the start.
    """

    rate = 0.1

    def __init__(self, magnitudes: torch.Tensor, noise: torch.Tensor) -> None:
        magnitudes, size = magnitudes.to(noise), noise.shape[-1]
        self.mean = to_rgb(magnitudes[:, :1, :1] / size**2).clamp(DARKEST, 1 - DARKEST).logit()
        scale = magnitudes[..., : size // 2 + 1].clone()
        scale[:, 0, 0] = scale[:, [0, 1], [1, 0]].mean(1)  # the mean is there already: it may change as the longest waves do
        self.scale = scale / scale.square().mean().sqrt()
        self.parameters = torch.view_as_real(CONTRAST * torch.fft.rfft2(noise, norm="ortho")).requires_grad_()

    def images(self) -> torch.Tensor:
        """Return the pictures, through a sigmoid. See `Parametrisation`."""
        size = self.parameters.shape[2]
        channels = torch.fft.irfft2(self.scale * torch.view_as_complex(self.parameters), s=(size, size), norm="ortho")
        return (self.mean + to_rgb(channels)).sigmoid()
