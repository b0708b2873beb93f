"""Random Fourier features: a predictive family wider than the linear one, for the same regression.

Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines": with frequencies Ω from
N(0, 1/σ²) and phases b uniform on [0, 2π), the products of the features √(2/D) cos(uΩ + b) of u and
v have the mean exp(-||u - v||²/(2σ²)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class RandomFeatures:
    """Standardised activations u = (x - mean)·scale, and D random waves of them.

    The activations themselves stay among the features, so that the family contains the linear
    predictors: in the population, and without a penalty, the V-information cannot be lower than
    theirs. With the same seed, a family of more waves contains that of fewer.

    Attributes
    ----------
    mean, scale : (d,) float64 tensors
        The scale is 1 over the standard deviation, 0 for a constant channel.
    frequencies : (d, D) float64 tensor
        Ω/σ, in radians per standard deviation.
    phases : (D,) float64 tensor
        b, in radians.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    frequencies: torch.Tensor
    phases: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return [u | √(2/D) cos(uΩ/σ + b)] of activations x: (B, d) to (B, d + D) float64."""
        linear = (x - self.mean) * self.scale
        waves = torch.addmm(self.phases, linear, self.frequencies).cos_()
        return torch.cat([linear, waves.mul_((2 / len(self.phases)) ** 0.5)], dim=1)


def make(
    mean: torch.Tensor, std: torch.Tensor, pilot: torch.Tensor, count: int, seed: int = 0
) -> RandomFeatures:
    """Draw random features.

    They are the same on every rank and device, since all that is random comes from the seed on the
    host.

    Parameters
    ----------
    mean, std : (d,) tensors
        Of the activations.
    pilot : (P, d) tensor
        A handful of rows, the same on every rank: the bandwidth σ is the median distance between
        those that differ, standardised (the median heuristic; Gretton et al. 2012, "A Kernel
        Two-Sample Test", section 8).
    count : int
        Waves D, at least 1.
    seed : int
        Of frequencies and phases.
    """
    mean = mean.double()
    std = std.double()
    scale = torch.where(std > 0, 1 / std, 0.0)
    distances = torch.pdist(((pilot - mean) * scale).cpu()).numpy()
    distances = distances[distances > 0]
    # Equal rows: there is nothing to measure it by.
    bandwidth = float(np.median(distances)) if len(distances) else 1.0
    # Two streams, feature by feature: the first D waves do not depend on how many follow.
    normal, uniform = np.random.default_rng(seed).spawn(2)
    frequencies = torch.from_numpy(normal.standard_normal((count, len(mean))).T / bandwidth)
    phases = torch.from_numpy(uniform.uniform(0, 2 * np.pi, count))
    return RandomFeatures(mean, scale, frequencies.to(mean.device), phases.to(mean.device))
