"""How much the codes change when images are noisy, relative to how much they differ between images.

mpirun -n 8 python -m vinfo_mpi.analyses.robustness
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("robustness", __doc__)

import numpy as np
import torch

from vinfo_mpi.concepts import vinformation
from vinfo_mpi.concepts.new_images import Coder
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import noise
from vinfo_mpi.numerics.noise import Spread
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results import store
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import RowReader

BLOCK = 8  # images whose noisy copies are one piece of work: what a job that is ended loses


def run(run: Run, force: bool = False) -> None:
    """Write the variance of every code over the noise, for each size of the noise and averaged over them."""
    if run.config.dictionary.source == "factors":
        raise NotApplicable("robustness looks at codes that the network gives; those of dictionary.source: factors know no noise")
    provenance = freshness.provenance(run, "robustness", "vinfo-results")
    options, pieces = run.config.robustness, run.pieces("robustness", provenance["fingerprint"], force)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        variance, n = _variance(run, codes), codes.shape("codes")[0]
        rows = np.unique(np.linspace(0, n - 1, min(options.images, n)).astype(int))
        noisy = Noisy(run, activations.taps[-1])
        sums = np.zeros((2, len(options.sigmas) + 1, len(variance)))
        for block in run.progress(batches(range(len(rows)), BLOCK), "robustness: blocks"):

            def make(chosen: np.ndarray = rows[block.start : block.stop]) -> dict[str, np.ndarray]:
                clean = np.concatenate([codes.read("codes", range(row, row + 1)) for row in chosen])
                ids = np.concatenate([activations.read("samples/id", range(row, row + 1)) for row in chosen])
                relative = noisy.variance(ids, run.tensor(clean)) / torch.where(variance > 0, variance, torch.nan)
                every = torch.cat([relative, relative.mean(1, keepdim=True)], 1)  # (images, sigmas + 1, K)
                return {"sums": torch.stack([every.sum(0), every.square().sum(0)]).cpu().numpy()}

            sums += pieces.get(f"images_{block.start:06d}", make)["sums"]
            run.safe_point()
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read
    if pieces.reused:
        log.info("robustness: %d blocks reused", pieces.reused)
    values, squares = sums / len(rows)
    errors = np.sqrt((squares - values**2).clip(0) / max(1, len(rows) - 1))
    found = ", ".join(f"{np.nanmean(one):.3g} at sigma {sigma}" for one, sigma in zip(values[:-1], options.sigmas, strict=True))
    log.info("robustness: mean variance relative to that between images: %s", found)
    concept, both = ("concept",), ("sigma", "concept")
    text = "variance of the code over noise on the image, mean over images, relative to the variance over all images"
    over = "its standard error over the images"
    tables = {
        "robustness/sigmas": Table(
            np.array(options.sigmas), "standard deviation of the noise on inputs in [0, 1]", "1", ("sigma",)
        ),
        "robustness/variance": Table(values[:-1], f"{text}; NaN: no variance", "1", both),
        "robustness/variance_se": Table(errors[:-1], over, "1", both),
        "concepts/noise_variance": Table(values[-1], f"{text}; mean over the sigmas", "1", concept),
        "concepts/noise_variance_se": Table(errors[-1], over, "1", concept),
    }
    run.ranks.on_root(store.update, run.results, "robustness", tables, provenance)
    pieces.remove()


class Noisy:
    """Noisy images, encoded as the stage encode does it."""

    def __init__(self, run: Run, tap: str) -> None:
        self.run, self.coder = run, Coder(run, tap)
        self.sigmas = run.tensor(np.array(run.config.robustness.sigmas)).float()
        self.std = torch.tensor(run.subject.preprocessing.std, device=run.device)

    def variance(self, ids: np.ndarray, clean: torch.Tensor) -> torch.Tensor:
        """Return the variance of the codes over the draws, from the work of all ranks: (B, sigmas, K).

        Parameters
        ----------
        ids : (B,) int64 array
        clean : (B, K) tensor
            Codes without noise.
        """
        run = self.run
        sizes = len(ids), len(self.sigmas), run.config.robustness.draws
        spread = Spread(clean.repeat_interleave(sizes[1], 0))
        parts = [
            np.stack(np.unravel_index(np.arange(part.start, part.stop), sizes), 1)  # image, sigma, draw
            for part in batches(run.ranks.block(int(np.prod(sizes))), run.config.machine.batch)
        ]
        images = run.subject.loader.batches([ids[np.unique(part[:, 0])] for part in parts])
        for part, (shown, _, _) in zip(parts, images, strict=True):
            image, level, _ = torch.from_numpy(part.T).to(run.device)
            keys = np.column_stack([ids[part[:, 0]], part[:, 1:]])
            with run.clock.phase("noise"):
                drawn = torch.from_numpy(noise.normal(run.config.seed, keys, shown.shape[1:])).to(run.device)
                drawn *= self.sigmas[level][:, None, None, None] / self.std[:, None, None]
                drawn += shown[image - image[0]]
            spread.add(self.coder.codes(drawn, keys[:, 0]), image * sizes[1] + level)
        return spread.variance(sizes[2], run.ranks.sum).reshape(*sizes[:2], -1)


def _variance(run: Run, codes: RowReader) -> torch.Tensor:
    """Return the variance of every code over all images: (K,)."""
    n, first = codes.shape("codes")[0], run.tensor(codes.read("codes", range(1)))
    spread = Spread(first)
    for block in batches(run.ranks.block(n), run.config.machine.rows):
        values = run.tensor(codes.read("codes", block))
        spread.add(values, torch.zeros(len(block), dtype=torch.int64, device=run.device))
    return spread.variance(n, run.ranks.sum)[0]
