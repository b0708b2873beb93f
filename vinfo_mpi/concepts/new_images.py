"""Images of our own making, encoded as the stage encode does it with those of the data set."""

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
        self.run, self.tap = run, tap
        self.network, self.encoder = run.subject.network(run.final).requires_grad_(False), encoders.encoder(run)

    @torch.no_grad()
    def codes(self, images: torch.Tensor, ids: np.ndarray | None = None) -> torch.Tensor:
        """Return the codes of normalised images: (B, 3, H, W) to (B, K).

        `ids` (B,) are those of the images that they were made from, and decide which positions are kept; None: all.
        """
        seen = self._seen(images, ids)
        size = max(1, self.run.config.machine.rows // seen["map"].shape[1])
        parts = {name: seen[name].split(size) for name in self.encoder.reads}
        with self.run.clock.phase("encode"):
            every = [self.encoder.encode(dict(zip(parts, part, strict=True))) for part in zip(*parts.values(), strict=True)]
        return torch.cat([one.codes.mean(1) for one in every])

    def objective(self, images: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
        """Return what rises with the code of one concept in each normalised image, differentiable: (B,). See `Encoder`."""
        return self.encoder.objective(self._seen(images, None), concepts)

    def _seen(self, images: torch.Tensor, ids: np.ndarray | None) -> dict[str, torch.Tensor]:
        """Return what `Observed` reads of stored images."""
        with self.run.clock.phase("network"):
            reading = taps.read(self.network, [self.tap], images, self.run.config.extract)
        values, (_, positions, d) = reading.map, reading.map.shape
        if ids is not None:
            kept = torch.from_numpy(kept_positions(self.run, ids, positions)).to(values.device)
            values = values.gather(1, kept[:, :, None].expand(-1, -1, d))
        pooled = reading.pooled[self.tap].reshape(len(images), d, -1).mean(2)
        return {"map": values.double(), "pooled": pooled.double(), "logits": reading.outputs.double()}
