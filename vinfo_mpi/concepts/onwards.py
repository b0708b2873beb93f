"""From a tap in the middle of the network on: what the rest of it makes of rebuilt maps."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.networks import heads
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader


class Onwards:
    """The network behind the tap of the dictionary, for the analysed images, in float64.

    Parameters
    ----------
    run : Run
    activations : ActivationReader
    """

    def __init__(self, run: Run, activations: ActivationReader) -> None:
        run.subject.require_images("dictionary.tap before the last one")
        self.run = run
        self.network = run.subject.network(run.final).double().requires_grad_(False)
        self.tap, _ = run.subject.tap(self.network, activations.map_tap)

    def logits(self, ids: np.ndarray, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits of images with these maps at the tap: (B,), (B, P, d) to (B, C)."""
        size = self.run.batch
        batches = [ids[start : start + size] for start in range(0, len(ids), size)]
        read = self.run.subject.loader.batches(batches)
        pairs = zip(read, maps.split(size), strict=True)
        return torch.cat(
            [
                heads.with_map(self.network, self.tap, images.double(), vectors)
                for (images, _, _), vectors in pairs
            ]
        )

    def contributions(
        self,
        ids: np.ndarray,
        codes: torch.Tensor,
        rebuilt: torch.Tensor,
        atoms: torch.Tensor,
        classes: torch.Tensor,
    ) -> torch.Tensor:
        """Return what every concept adds to a logit of each image, over all positions: (B, K).

        It is Σ_p z_pk g_p · d_k, with g_p the derivative of the logit by the vector of a position,
        at the rebuilt map.

        Parameters
        ----------
        ids : (B,) int64 array
        codes : (B, P, K) tensor
        rebuilt : (B, P, d) tensor
        atoms : (K, d) tensor
        classes : (B,) int64 tensor
            Whose logits.
        """
        maps = rebuilt.detach().requires_grad_()
        logits = self.logits(ids, maps).gather(1, classes[:, None]).sum()
        slopes = torch.autograd.grad(logits, maps)[0]
        return (codes * (slopes @ atoms.T)).sum(1)
