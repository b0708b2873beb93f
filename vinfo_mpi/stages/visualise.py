"""Draw pictures that activate concepts most: of the simplest and the most complex, and of some in between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from vinfo_mpi.concepts import selection
from vinfo_mpi.concepts.new_images import Coder
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import noise
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import hdf5
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import RowReader
from vinfo_mpi.visualisation import magnitudes, optimise
from vinfo_mpi.visualisation.optimise import TOGETHER
from vinfo_mpi.visualisation.transformations import transformed

PERCENTILE = 99  # of the codes of real images, which a picture should exceed


def run(run: Run, force: bool = False) -> None:
    """Write a picture of every chosen concept, which of its pixels matter, its code, and what real images reach."""
    if run.config.dictionary.source == "factors":
        raise NotApplicable("visualise changes images so that codes rise; those of dictionary.source: factors stay as they are")
    provenance = freshness.provenance(run, "visualise", "vinfo-visualisation")
    options, pieces = run.config.visualise, run.pieces("visualise", provenance["fingerprint"], force)
    complexity = hdf5.read_table(run.results, "vinfo-results", "concepts/complexity")
    concepts = selection.choose(options, complexity, run.config.seed)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        reference = _reference(run, codes, concepts)
        painter = Painter(run, activations.taps[-1])
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    blocks = batches(range(len(concepts)), run.ranks.size * min(TOGETHER, run.config.machine.batch))
    found = []
    with run.bar("visualise: steps", len(blocks) * options.steps) as bar:

        def after() -> None:
            bar.update()
            run.safe_point()

        for block in blocks:

            def make(chosen: np.ndarray = concepts[block.start : block.stop]) -> dict[str, np.ndarray]:
                mine = run.ranks.block(len(chosen))
                own = painter.pictures(chosen[mine.start : mine.stop], after)
                return {name: run.ranks.concatenate(values) for name, values in own.items()}

            found.append(pieces.get(f"concepts_{block.start:06d}_{block.stop:06d}", make))
            run.safe_point()
    if pieces.reused:
        log.info("visualise: %d of %d blocks reused", pieces.reused, len(blocks))
    drawn = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    log.info("visualise: %d of %d pictures (%s) activate their concept above the %dth percentile of real images",
             (drawn["activations"] > reference).sum(), len(concepts), painter.method, PERCENTILE)  # fmt: skip
    each = ("picture",)
    tables = {
        "concepts": Table(concepts, "number of the concept: its row in dictionary.h5", axes=each),
        "images": Table(drawn["images"], "picture that activates the concept, RGB", axes=(*each, "y", "x", "colour")),
        "transparency": Table(
            drawn["transparency"], "how much the pixel matters to the concept; 255: opaque", axes=(*each, "y", "x")
        ),
        "activations": Table(drawn["activations"], "code of the concept for its picture", axes=each),
        "reference": Table(reference, f"{PERCENTILE}th percentile of its codes over the analysed images", axes=each),
    }
    run.ranks.on_root(hdf5.write_tables, run.visualisation, tables, provenance | {"method": painter.method})
    pieces.remove()


class Painter:
    """Draws pictures of concepts, and looks at them."""

    def __init__(self, run: Run, tap: str) -> None:
        self.run, self.coder, self.input = run, Coder(run, tap), run.subject.preprocessing
        self.size = run.config.visualise.size or self.input.size
        self.method = optimise.method(run.config.visualise.method, self.size)
        self.magnitudes = magnitudes.of(run, self.size)

    def pictures(self, concepts: np.ndarray, after: Callable[[], object]) -> dict[str, np.ndarray]:
        """Return images (B, S, S, 3), transparency (B, S, S) and activations (B,), each of its own concept alone.

        `after` is called after every step, also without concepts: all ranks take the same number of steps.
        """
        if not len(concepts):
            for _ in range(self.run.config.visualise.steps):
                after()
            shapes = {"images": (0, self.size, self.size, 3), "transparency": (0, self.size, self.size)}
            return {name: np.empty(shape, np.uint8) for name, shape in shapes.items()} | {"activations": np.empty(0)}
        run, numbers = self.run, torch.from_numpy(concepts).to(self.run.device)

        def keys(step: int) -> np.ndarray:
            return np.column_stack([concepts, np.full_like(concepts, step)])

        def objective(images: torch.Tensor, step: int) -> torch.Tensor:
            crops = transformed(images, keys(step), run.config.seed, self.input.size)
            return self.coder.objective(self.input.normalised(crops), numbers)

        start = torch.from_numpy(noise.normal(run.config.seed, keys(0), (3, self.size, self.size))).to(run.device)
        pictures = optimise.METHODS[self.method](self.magnitudes, start)
        parts = optimise.optimise(pictures, objective, run.config.visualise.steps, after)
        images, opacity = ((255 * part).round() for part in parts)  # as stored: what is seen is what is encoded
        found = {
            "images": images.byte().permute(0, 2, 3, 1),
            "transparency": opacity.byte(),
            "activations": self.codes(images / 255).gather(1, numbers[:, None])[:, 0],
        }
        return {name: values.cpu().numpy() for name, values in found.items()}

    def codes(self, images: torch.Tensor) -> torch.Tensor:
        """Return the codes of images with values in [0, 1], resized to the network's input: (B, 3, S, S) to (B, K)."""
        shown = functional.interpolate(images, (self.input.size, self.input.size), mode="bilinear", antialias=True)
        return self.coder.codes(self.input.normalised(shown))


def _reference(run: Run, codes: RowReader, concepts: np.ndarray) -> np.ndarray:
    """Return what real images reach: the percentile of the codes of some concepts over all images."""
    mine = batches(run.ranks.block(codes.shape("codes")[0]), run.config.machine.rows)
    own = np.concatenate([np.empty((0, len(concepts))), *(codes.read("codes", rows)[:, concepts] for rows in mine)])
    parts = [own[:, block.start : block.stop] for block in batches(range(len(concepts)), TOGETHER)]
    return np.concatenate([np.percentile(run.ranks.concatenate(part), PERCENTILE, axis=0) for part in parts])
