"""Sparse autoencoders: codes of vectors, and the decoder that rebuilds them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Encoder:
    """The encoder of a sparse autoencoder of F features: z = s(x Wᵀ + b).

    A bias b_dec that is subtracted from the input is part of b: b - W b_dec. The activation s is a
    ReLU, after which all that are positive are kept (vanilla), the k largest (TopK), or those above
    a threshold (JumpReLU, BatchTopK when it is not trained). A gated autoencoder, which fires where
    w·x + b_gate > 0 with magnitude relu(e^r w·x + b_mag), is one with the weight e^r w, the bias
    b_mag and the threshold b_mag - e^r b_gate.

    Attributes
    ----------
    weight : (F, d) tensor
    bias : (F,) tensor
    top_k : int, or None
        How many features of a vector are kept at most.
    threshold : (F,) tensor, or None
        Features are kept where z before the activation is above it.
    reached : bool
        Whether it is enough to reach the threshold.
    signed : bool
        Whether there is no ReLU: the k largest may be negative.

    References
    ----------
    Gao et al. 2024, arXiv:2406.04093 (TopK); Bussmann et al. 2024, arXiv:2412.06410 (BatchTopK);
    Rajamanoharan et al. 2024, arXiv:2404.16014 (gated), arXiv:2407.14435 (JumpReLU).
    """

    weight: torch.Tensor
    bias: torch.Tensor
    top_k: int | None = None
    threshold: torch.Tensor | None = None
    reached: bool = False
    signed: bool = False

    def to(self, device: torch.device) -> Encoder:
        """Return the same encoder on a device."""
        threshold = None if self.threshold is None else self.threshold.to(device)
        return replace(
            self, weight=self.weight.to(device), bias=self.bias.to(device), threshold=threshold
        )

    def before(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the activation is given: (..., d) to (..., F)."""
        return x @ self.weight.T + self.bias

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes: (..., d) to (..., F)."""
        before = self.before(x)
        codes = before if self.signed else before.relu()
        if self.top_k is not None:
            largest = codes.topk(min(self.top_k, codes.shape[-1]), dim=-1, sorted=False)
            return torch.zeros_like(codes).scatter(-1, largest.indices, largest.values)
        if self.threshold is not None:
            kept = before >= self.threshold if self.reached else before > self.threshold
            return codes * kept
        return codes


@dataclass(frozen=True)
class Autoencoder:
    """A sparse autoencoder: x ≈ offset + z @ atoms.

    Attributes
    ----------
    encoder : Encoder
    atoms : (F, d) tensor
    offset : (d,) tensor
    """

    encoder: Encoder
    atoms: torch.Tensor
    offset: torch.Tensor


def unshifted(weight: torch.Tensor, bias: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return the bias of an encoder that is given x instead of x - shift."""
    return bias - weight @ shift
