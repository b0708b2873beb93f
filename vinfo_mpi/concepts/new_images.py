"""Images that are not in the data set, encoded as the stage encode does it with those that are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from vinfo_mpi.concepts import encoders
from vinfo_mpi.concepts.encoders import SMALLEST_COSINE
from vinfo_mpi.networks import taps
from vinfo_mpi.networks.layouts import Tap
from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.run.run import Run


class Towards(NamedTuple):
    """Where the activations of images are to lie.

    Attributes
    ----------
    tap : str
        Whose activations, pooled.
    origin, direction : (B, d) float64 tensors
        From where, and in which direction.
    """

    tap: str
    origin: torch.Tensor
    direction: torch.Tensor


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
        self._taps: dict[str, Tap] = {}
        self.tap = self._tap(tap)
        self.encoder = encoders.encoder(run)

    @torch.no_grad()
    def codes(self, images: torch.Tensor, ids: np.ndarray | None = None) -> torch.Tensor:
        """Return the codes of normalised images: (B, 3, H, W) to (B, K).

        `ids` (B,) are those of the images that they were made from, and decide which positions are
        kept; None: all.
        """
        observed = self._observed(self._read(images, [self.tap]), ids)
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

    @torch.no_grad()
    def vectors(self, images: torch.Tensor, name: str) -> torch.Tensor:
        """Return what a tap shows of normalised images, pooled: (B, 3, H, W) to (B, d) float64."""
        return self._read(images, [self._tap(name)]).pooled[name].double()

    def objective(
        self,
        images: torch.Tensor,
        concepts: torch.Tensor,
        attempt: int = 0,
        towards: Towards | None = None,
    ) -> torch.Tensor:
        """Return what rises with the code of one concept in each normalised image: (B,).

        It is differentiable. See `Encoder`. With `towards`, what is positive is multiplied by
        the cosine of the image's activations, seen from the origin, with the direction.
        """
        if towards is None:
            reading = self._read(images, [self.tap])
            return self.encoder.objective(self._observed(reading, None), concepts, attempt)
        reading = self._read(images, [self._tap(towards.tap), self.tap])
        rising = self.encoder.objective(self._observed(reading, None), concepts, attempt)
        along = reading.pooled[towards.tap].double() - towards.origin
        cosine = cosine_similarity(along, towards.direction).clamp(min=SMALLEST_COSINE)
        return torch.where(rising > 0, rising * cosine, rising)

    def _tap(self, name: str) -> Tap:
        """Return a tap of the network, looked for once."""
        if name not in self._taps:
            self._taps[name], _ = self.run.subject.tap(self.network, name)
        return self._taps[name]

    def _read(self, images: torch.Tensor, read: list[Tap]) -> taps.Reading:
        """Return what some taps show, the last of them with its map."""
        with self.run.clock.phase("network"):
            different = list(dict.fromkeys(read))
            extract = self.run.config.extract
            return taps.read(self.network, different, images, extract, map_tap=self.tap.name)

    def _observed(self, reading: taps.Reading, ids: np.ndarray | None) -> dict[str, torch.Tensor]:
        """Return what `Observed` reads of stored images."""
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
        indices = torch.from_numpy(positions).to(feature_map.device, non_blocking=True)
        return torch.take_along_dim(feature_map, indices[:, :, None], 1)
