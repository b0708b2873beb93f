"""Change of the codes when images are noisy, relative to their differences between images.

mpirun -n 8 python -m vinfo_mpi.analyses.robustness
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("robustness", __doc__)

from functools import partial
from typing import Any

import numpy as np
import torch

from vinfo_mpi.concepts import encoders_costs, vinformation
from vinfo_mpi.concepts.new_images import Coder
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.numerics import noise
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.numerics.noise import Spread
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.prefetch import AHEAD, ahead
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_analyses import (
    NOISE_RANGE,
    NOISE_VARIANCE,
    NOISE_VARIANCE_UNDIVIDED,
    RANGE,
    SIGMAS,
    VARIANCE,
    VARIANCE_UNDIVIDED,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.rows import RowReader

# For each sigma, and their mean.
QUANTITIES = (
    (VARIANCE, NOISE_VARIANCE),
    (VARIANCE_UNDIVIDED, NOISE_VARIANCE_UNDIVIDED),
    (RANGE, NOISE_RANGE),
)
BLOCK = 8  # images whose noisy copies are one piece of work: what a job that is ended loses


def measure_robustness(run: Run, part: Part) -> None:
    """Write the variance of every code over the noise, for each size of it and on average."""
    if not run.config.dictionary.kind_of_source.of_network:
        raise NotApplicable(
            "robustness looks at codes that the network gives; those of dictionary.source: factors "
            "do not depend on the pixels"
        )
    run.subject.require_images("robustness")
    options = run.config.robustness
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        n, k = codes.shape("codes")
        images = NoisyImages(run, activations, codes)
        chosen = evenly_spaced(n, options.images)
        sums = np.zeros((2, len(QUANTITIES), len(options.sigmas) + 1, k))
        for block in run.progress(batches(range(len(chosen)), BLOCK), "robustness: blocks"):
            measure = partial(images.measure, chosen[block.start : block.stop])
            sums += part.partial_results.get(f"images_{block.start:06d}", measure)["sums"]
            run.safe_point()
    part.partial_results.log_reused("blocks")
    values, squares = sums / len(chosen)
    errors = np.sqrt((squares - values**2).clip(0) / max(1, len(chosen) - 1))
    means = [
        f"{np.nanmean(of_sigma):.3g} at sigma {sigma}"
        for of_sigma, sigma in zip(values[0, :-1], options.sigmas, strict=True)
    ]
    log.info("robustness: mean variance relative to that between images: %s", ", ".join(means))
    datasets: dict[Dataset, Any] = {SIGMAS: options.sigmas}
    for (of_sigmas, mean), value, error in zip(QUANTITIES, values, errors, strict=True):
        datasets[of_sigmas] = value[:-1]
        datasets[of_sigmas.se] = error[:-1]
        datasets[mean] = value[-1]
        datasets[mean.se] = error[-1]
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what encoding noisy images takes."""
    sizes = work.sizes
    options = work.config.robustness
    images = min(sizes.n, options.images)
    noisy = images * len(options.sigmas)
    share = images * options.draws * len(options.sigmas) / sizes.n  # of what the stages take
    batch = work.sizes.batch
    in_flight = formulas.images_in_flight(work, batch, AHEAD)
    in_flight += 2 * formulas.images_of_network(work, batch)  # noise that is waiting or being drawn
    operations = encoders_costs.operations(work) + sizes.operations * sizes.n
    return Costs(
        memory=sizes.weights + sizes.forward + in_flight + encoders_costs.memory(work),
        host=sizes.weights + in_flight + encoders_costs.host(work),
        operations=share * operations,
        sent=work.sent(2 * (2 * noisy + 1) * sizes.concepts),
    )


class NoisyImages:
    """Noisy copies of the analysed images, encoded as the stage encode does it."""

    def __init__(self, run: Run, activations: ActivationReader, codes: RowReader) -> None:
        self.run = run
        self.activations = activations
        self.codes = codes
        self.coder = Coder(run, activations.map_tap)
        self.sigmas = run.tensor(np.array(run.config.robustness.sigmas)).float()
        self.std = torch.tensor(run.subject.preprocessing.std, device=run.device)
        self.between_images = _variance_between_images(run, codes)

    def measure(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sums over some images, given by their rows, of what noise does to codes.

        Returns
        -------
        dict
            ``sums``, (2, 3, sigmas + 1, K) array: of the variance over the noise relative to that
            between images, of this variance, and of the range, for each sigma and averaged over
            them; and of their squares. NaN for a code that is the same for all images.
        """
        clean = np.concatenate([self.codes.read("codes", range(row, row + 1)) for row in rows])
        ids = [self.activations.read("samples/id", range(row, row + 1)) for row in rows]
        between = torch.where(self.between_images > 0, self.between_images, torch.nan)
        variance, reach = self.under_noise(np.concatenate(ids), self.run.tensor(clean))
        quantities = torch.stack([variance / between, variance, reach], 1)
        mean = quantities.mean(2, keepdim=True)
        of_images = torch.cat([quantities, mean], 2)  # (images, quantities, sigmas + 1, K)
        sums = torch.stack([of_images.sum(0), of_images.square().sum(0)])
        return {"sums": sums.cpu().numpy()}

    def under_noise(
        self, ids: np.ndarray, clean: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return variance and range of the codes over the draws, from the work of all ranks.

        Parameters
        ----------
        ids : (B,) int64 array
        clean : (B, K) tensor
            Codes without noise.

        Returns
        -------
        two (B, sigmas, K) tensors
        """
        run = self.run
        levels = len(self.sigmas)
        draws = run.config.robustness.draws
        spread = Spread(clean.repeat_interleave(levels, 0))
        copies = run.ranks.block(len(ids) * levels * draws)
        jobs = []  # each an image, a level and a draw a row
        for block in batches(copies, run.batch):
            numbers = np.arange(block.start, block.stop)
            jobs.append(np.stack(np.unravel_index(numbers, (len(ids), levels, draws)), 1))
        batches_of_images = run.subject.loader.batches([ids[np.unique(job[:, 0])] for job in jobs])
        all_keys = [np.column_stack([ids[job[:, 0]], job[:, 1:]]) for job in jobs]
        shape = run.subject.preprocessing.shape
        # Each batch's while the network is busy with the one before.
        noises = ahead((noise.normal(run.config.seed, keys, shape) for keys in all_keys), 1)
        each = zip(jobs, all_keys, batches_of_images, noises, strict=True)
        for job, keys, (images, _, _), drawn in each:
            image, level, _ = torch.from_numpy(job.T).to(run.device)
            with run.clock.phase("noise"):
                noisy = torch.from_numpy(drawn).to(run.device)
                noisy *= self.sigmas[level][:, None, None, None] / self.std[:, None, None]
                noisy += images[image - image[0]]
            spread.add(self.coder.codes(noisy, keys[:, 0]), image * levels + level)
        variance = spread.variance(draws, run.ranks.sum)
        reach = spread.range(run.ranks.largest)
        return variance.reshape(len(ids), levels, -1), reach.reshape(len(ids), levels, -1)


def _variance_between_images(run: Run, codes: RowReader) -> torch.Tensor:
    """Return the variance of every code over all images: (K,)."""
    n, _ = codes.shape("codes")
    first = run.tensor(codes.read("codes", range(1)))
    spread = Spread(first)
    for block in batches(run.ranks.block(n), run.config.machine.rows):
        values = run.tensor(codes.read("codes", block))
        spread.add(values, torch.zeros(len(block), dtype=torch.int64, device=run.device))
    return spread.variance(n, run.ranks.sum)[0]
