"""Training of a TopK sparse autoencoder on vectors."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from vinfo_mpi.numerics.autoencoder import Autoencoder, Encoder, unshifted

DECAY = 0.2  # last share of the steps, in which the rate falls to 0


class TopKTraining:
    """The weights of an autoencoder, improved step by step.

    x ≈ c + z D with z the k largest of relu((x - c) Wᵀ + b), by Adam on the squared error. Atoms
    stay of unit length. There is no loss for dead features (AuxK): it hardly changed how many are
    dead, the error, or which planted atoms are found, see docs/validity.md.

    Parameters
    ----------
    x : (n, d) tensor
        Vectors, float32, on the device that is to compute.
    features, top_k : int
        Features F, and how many of a vector may fire.
    steps, batch : int
        Steps in all, and vectors of each, drawn with replacement.
    rate : float
        Of Adam, for vectors of mean squared length 1 once the mean is off.
    seed : int
        Of the first atoms, which are the directions of vectors from their mean, and the batches.

    References
    ----------
    Gao et al. 2024, arXiv:2406.04093.
    """

    def __init__(
        self,
        x: torch.Tensor,
        features: int,
        top_k: int,
        steps: int = 3000,
        batch: int = 512,
        rate: float = 3e-3,
        seed: int = 0,
    ) -> None:
        self.x = x
        self.steps = steps
        self.batch = batch
        self.top_k = min(top_k, features)
        self.random = torch.Generator().manual_seed(seed)
        centre = x.mean(0)
        self.scale = float((x - centre).square().sum(1).mean().sqrt().clamp(min=1e-30))
        atoms = self._directions(centre, features)
        self.atoms = atoms.requires_grad_()
        self.weight = atoms.detach().clone().requires_grad_()
        self.bias = x.new_zeros(features).requires_grad_()
        self.centre = (centre / self.scale).requires_grad_()
        self.rate = rate
        self.optimiser = torch.optim.Adam([self.atoms, self.weight, self.bias, self.centre], rate)

    def advance(self, steps: range) -> None:
        """Take these of the steps; they are taken in order."""
        for step in steps:
            left = (self.steps - step) / self.steps
            self.optimiser.param_groups[0]["lr"] = self.rate * min(1.0, left / DECAY)
            rows = torch.randint(len(self.x), (self.batch,), generator=self.random)
            self._step(self.x[rows.to(self.x.device)] / self.scale)

    def trained(self) -> Autoencoder:
        """Return what it is now: an autoencoder of vectors as they are given, in float64."""
        parts = (self.atoms, self.weight, self.bias, self.centre)
        atoms, weight, bias, centre = [part.detach().double() for part in parts]
        offset = centre * self.scale
        bias = unshifted(weight, bias * self.scale, offset)
        return Autoencoder(Encoder(weight, bias, top_k=self.top_k), atoms, offset)

    def _directions(self, centre: torch.Tensor, count: int) -> torch.Tensor:
        """Return the directions of some vectors, with noise: none comes twice."""
        rows = torch.randint(len(self.x), (count,), generator=self.random)
        noise = torch.randn(count, self.x.shape[1], generator=self.random)
        chosen = normalize(self.x[rows.to(self.x.device)] - centre, dim=1)
        return normalize(chosen + 0.1 * normalize(noise, dim=1).to(chosen), dim=1)

    def _step(self, x: torch.Tensor) -> None:
        before = (x - self.centre) @ self.weight.T + self.bias
        codes = _largest(before.relu(), self.top_k)
        residual = x - self.centre - codes @ self.atoms
        self.optimiser.zero_grad()
        residual.square().sum(1).mean().backward()
        self.optimiser.step()
        with torch.no_grad():
            self.atoms /= self.atoms.norm(dim=1, keepdim=True)


def _largest(codes: torch.Tensor, count: int) -> torch.Tensor:
    """Return the codes, 0 but for the largest of every row."""
    largest = codes.topk(count, dim=1, sorted=False)
    return torch.zeros_like(codes).scatter(1, largest.indices, largest.values)
