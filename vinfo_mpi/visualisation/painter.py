"""Pictures that activate concepts of the run's dictionary, drawn and looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from vinfo_mpi.concepts.new_images import Coder, Towards
from vinfo_mpi.numerics import noise
from vinfo_mpi.parallel.prefetch import ahead
from vinfo_mpi.run.run import Run
from vinfo_mpi.visualisation import optimise
from vinfo_mpi.visualisation.facets import Facets
from vinfo_mpi.visualisation.magnitudes import mean_magnitudes
from vinfo_mpi.visualisation.transformations import draws, transformed


class Painter:
    """Draws pictures of concepts, and looks at them.

    Parameters
    ----------
    run : Run
    tap : str
        Name of the last tap.

    Attributes
    ----------
    size : int
        Pixels of a picture's side.
    method : str
        What is optimised: a key of `optimise.METHODS`.
    """

    def __init__(self, run: Run, tap: str) -> None:
        self.run = run
        self.coder = Coder(run, tap)
        self.preprocessing = run.subject.preprocessing
        self.size = run.config.visualise.size or max(self.preprocessing.size)
        self.method = optimise.method_for(run.config.visualise.method, self.size)
        self.magnitudes = mean_magnitudes(run, self.size)

    def draw(
        self,
        concepts: np.ndarray,
        after_step: Callable[[], object],
        attempt: int = 0,
        start: torch.Tensor | None = None,
        towards: Towards | None = None,
    ) -> dict[str, np.ndarray]:
        """Return a picture of each concept, which follows from what is given for it alone.

        Parameters
        ----------
        concepts : (B,) int64 array
            Their numbers.
        after_step : function
            Called after every step, also without concepts: all ranks take as many steps.
        attempt : int
            From 1 on: from another start, with another objective. See `Encoder`.
        start : (B, 3, H, W) tensor, or None
            Images that they start from, with values in [0, 1]; None: from noise alone.
        towards : Towards, or None
            Where their activations are to lie.

        Returns
        -------
        dict
            ``images`` (B, S, S, 3) and ``transparency`` (B, S, S), uint8, ``activations`` (B,).
        """
        steps = self.run.config.visualise.steps
        if not len(concepts):
            for _ in range(steps):
                after_step()
            return {
                "images": np.empty((0, self.size, self.size, 3), np.uint8),
                "transparency": np.empty((0, self.size, self.size), np.uint8),
                "activations": np.empty(0),
            }
        seed = self.run.config.seed
        numbers = torch.from_numpy(concepts).to(self.run.device)

        def keys(step: int) -> np.ndarray:
            return np.column_stack([concepts, np.full_like(concepts, attempt * (steps + 1) + step)])

        shape = (3, self.size, self.size)
        # Each while the network is busy with the one before.
        drawn = ahead((draws(keys(step), seed, shape) for step in range(1, steps + 1)), 1)

        def objective(images: torch.Tensor, step: int) -> torch.Tensor:
            crops = transformed(images, next(drawn), self.preprocessing.size[0])
            inputs = self.preprocessing.normalise(crops)
            return self.coder.objective(inputs, numbers, attempt, towards)

        random = torch.from_numpy(noise.normal(seed, keys(0), shape)).to(self.run.device)
        if start is not None:
            start = _resized(start, (self.size, self.size))
        pictures = optimise.METHODS[self.method](self.magnitudes, random, start)
        images, opacity = optimise.optimise(pictures, objective, steps, after_step)
        images = (255 * images).round()  # as stored: what people see is what is encoded
        activations = self.codes(images / 255).gather(1, numbers[:, None])[:, 0]
        return {
            "images": images.byte().permute(0, 2, 3, 1).cpu().numpy(),
            "transparency": (255 * opacity).round().byte().cpu().numpy(),
            "activations": activations.cpu().numpy(),
        }

    def codes(self, images: torch.Tensor) -> torch.Tensor:
        """Return the codes of images, resized to the network's input: (B, 3, S, S) to (B, K).

        The values of the images are in [0, 1].
        """
        return self.coder.codes(self._input(images))

    def vectors(self, pictures: np.ndarray, tap: str) -> np.ndarray:
        """Return what a tap shows of pictures as stored: (B, S, S, 3) uint8 to (B, d) float64."""
        images = torch.from_numpy(pictures).to(self.run.device).permute(0, 3, 1, 2) / 255
        return self.coder.vectors(self._input(images), tap).cpu().numpy()

    def _input(self, images: torch.Tensor) -> torch.Tensor:
        """Return images as the network takes them."""
        return self.preprocessing.normalise(_resized(images, self.preprocessing.size))


class FacetPainter:
    """Draws pictures of facets, each from the mean image of its facet, and compares them.

    Parameters
    ----------
    painter : Painter
    facets : Facets
    """

    def __init__(self, painter: Painter, facets: Facets) -> None:
        self.painter = painter
        self.facets = facets

    def draw(
        self, chosen: np.ndarray, after_step: Callable[[], object], attempt: int = 0
    ) -> dict[str, np.ndarray]:
        """Return a picture of each facet with these indices, and which facet it is near.

        See `Painter.draw` and `Facets.compare`. What is random is the same for all facets of a
        concept: their pictures differ by where they start alone.
        """
        if not len(chosen):
            none = self.painter.draw(chosen, after_step, attempt)
            return none | self.facets.compare(chosen, np.empty((0, 0)))
        facets = self.facets
        start = facets.mean_images(chosen)
        towards = facets.towards(chosen)
        pictures = self.painter.draw(facets.concepts[chosen], after_step, attempt, start, towards)
        vectors = self.painter.vectors(pictures["images"], facets.tap)
        return pictures | facets.compare(chosen, vectors)


def _resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(images, size, mode="bilinear", antialias=True)
