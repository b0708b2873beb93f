"""Images that are not in the data set, encoded as the stage encode does it with those that are."""

from __future__ import annotations

import numpy as np
import torch

from vinfo_mpi.concepts import encoders
from vinfo_mpi.networks import taps
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.run.run import Run


class Coder:
    """The final network, followed by what finds codes in the run's dictionary.

    Parameters
    ----------
    run : Run
    tap : str
        Name of the last tap.
    """

    def __init__(self, run: Run, tap: str) -> None:
        self.run = run
        self.network = run.subject.network(run.final).requires_grad_(False)
        self.tap, _ = run.subject.tap(self.network, tap)
        self.encoder = encoders.encoder(run)

    @torch.no_grad()
    def codes(self, images: torch.Tensor, ids: np.ndarray | None = None) -> torch.Tensor:
        """Return the codes of normalised images: (B, 3, H, W) to (B, K).

        `ids` (B,) are those of the images that they were made from, and decide which positions are
        kept; None: all.
        """
        observed = self._observed(images, ids)
        names = self.encoder.reads
        positions = observed["map"].shape[1]
        size = max(1, self.run.config.machine.rows // positions)
        blocks = zip(*[observed[name].split(size) for name in names], strict=True)
        with self.run.clock.phase("encode"):
            codes = [
                self.encoder.encode(dict(zip(names, block, strict=True))).codes.mean(1)
                for block in blocks
            ]
        return torch.cat(codes)

    def objective(
        self, images: torch.Tensor, concepts: torch.Tensor, attempt: int = 0
    ) -> torch.Tensor:
        """Return what rises with the code of one concept in each normalised image: (B,).

        It is differentiable. See `Encoder`.
        """
        return self.encoder.objective(self._observed(images, None), concepts, attempt)

    def _observed(self, images: torch.Tensor, ids: np.ndarray | None) -> dict[str, torch.Tensor]:
        """Return what `Observed` reads of stored images."""
        with self.run.clock.phase("network"):
            reading = taps.read(self.network, [self.tap], images, self.run.config.extract)
        pooled = reading.pooled[self.tap.name]
        if pooled.shape[1] != reading.map.shape[2]:  # cells of a grid, which may overlap
            pooled = reading.map.mean(1)
        return {
            "map": self._at_kept_positions(reading.map, ids).double(),
            "pooled": pooled.double(),
            "logits": reading.outputs.double(),
        }

    def _at_kept_positions(self, feature_map: torch.Tensor, ids: np.ndarray | None) -> torch.Tensor:
        """Return (B, P, d) vectors at the positions that are kept of images with these ids."""
        if ids is None:
            return feature_map
        positions = kept_positions(self.run.config, ids, feature_map.shape[1])
        indices = torch.from_numpy(positions).to(feature_map.device)
        return torch.take_along_dim(feature_map, indices[:, :, None], 1)
