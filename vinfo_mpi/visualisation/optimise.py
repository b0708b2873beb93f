"""Feature visualisation: pictures changed step by step so that an objective rises."""

from __future__ import annotations

from collections.abc import Callable

import torch

from vinfo_mpi.visualisation.parametrisations import Fourier, Maco, Parametrisation

TINY = 64  # pixels of a side below which the phases alone are too few to make a picture of
TOGETHER = 16  # pictures of a rank that are drawn at once, at most: what a job that is ended loses
METHODS: dict[str, type[Maco] | type[Fourier]] = {"maco": Maco, "fourier": Fourier}
OPAQUE = 0.95  # share of a picture's pixels that are less opaque than its most opaque ones


def method_for(setting: str, size: int) -> str:
    """Return the method of the setting visualise.method, for pictures of so many pixels a side."""
    if setting != "auto":
        return setting
    return "fourier" if size < TINY else "maco"


def optimise(
    pictures: Parametrisation,
    objective: Callable[[torch.Tensor, int], torch.Tensor],
    steps: int,
    after_step: Callable[[], object] = lambda: None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pictures after so many steps of Adam, and how much each pixel mattered.

    Parameters
    ----------
    pictures : Parametrisation
    objective : function of (B, 3, S, S) images and the number of the step, from 1
        What is to rise, for each picture by itself: (B,) tensor.
    steps : int
    after_step : function
        Called after every step.

    Returns
    -------
    images : (B, 3, S, S) tensor
        Values in [0, 1].
    opacity : (B, S, S) tensor
        Absolute gradient of the objective with respect to the pixel, summed over colours and
        steps, relative to that of the picture's most looked at pixels; values in [0, 1].
    """
    optimiser = torch.optim.Adam([pictures.parameters], pictures.rate)
    gradients = torch.zeros(())
    for step in range(1, steps + 1):
        images = pictures.images()
        images.retain_grad()
        optimiser.zero_grad()
        objective(images, step).sum().neg().backward()
        optimiser.step()
        assert images.grad is not None
        gradients = images.grad.abs().sum(1) + gradients.to(images)
        after_step()
    tiny = torch.finfo(gradients.dtype).tiny
    largest = gradients.flatten(1).quantile(OPAQUE, dim=1).clamp(min=tiny)
    opacity = (gradients / largest[:, None, None]).clamp(max=1)
    with torch.no_grad():
        return pictures.images(), opacity
