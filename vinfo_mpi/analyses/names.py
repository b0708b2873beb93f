"""Words for the concepts: those that explain best on which images a concept is strongest.

From embeddings that images and words share, as those of CLIP: soft WPMI of CLIP-Dissect.

mpirun -n 8 python -m vinfo_mpi.analyses.names
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("names", __doc__)

from pathlib import Path
from typing import Any

import numpy as np
import torch

from vinfo_mpi.concepts import shared_embeddings
from vinfo_mpi.concepts.shared_embeddings import Embeddings
from vinfo_mpi.concepts.strongest import strongest_images
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import soft_wpmi
from vinfo_mpi.numerics.arrays import unit_rows
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_analyses import (
    CHANCE,
    RUNNER_UP,
    RUNNER_UP_SCORE,
    WORD,
    WORD_AS_GOOD,
    WORD_BY_CHANCE,
    WORD_SCORE,
)
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run

BEST = 2  # words that are kept
WIDTH = 1024  # numbers of an image in the embeddings of large models


def name_concepts(run: Run, part: Part) -> None:
    """Write the two best words of every concept, and how good words are by chance."""
    with run.open_codes() as codes:
        concepts = codes.shape("codes")[1]
        ids = codes.read("samples/id")
        strongest = strongest_images(run, codes, run.config.names.strongest).rows
    rows = strongest.cpu().numpy()
    draws = _draws(run, len(ids), len(rows))
    needed = np.unique(np.concatenate([rows[rows >= 0], draws.ravel()]))
    embeddings = shared_embeddings.read(run, ids[needed])
    of_rank = run.ranks.block(concepts)
    with run.clock.phase("score"), run.ranks.together():
        likelihood = _log_likelihoods(run, embeddings, ids, rows[:, of_rank.start : of_rank.stop])
    mean, count = soft_wpmi.log_mean(likelihood, run.ranks.largest, run.ranks.sum)
    scores, best = (likelihood - mean).topk(BEST, dim=1)
    scores = torch.where(scores.isfinite(), scores, torch.nan)
    number = run.ranks.concatenate(best.cpu().numpy())
    score = run.ranks.concatenate(scores.cpu().numpy())
    words = np.array(embeddings.vocabulary, dtype=object)[number]
    words[np.isnan(score)] = ""
    with run.clock.phase("chance"), run.ranks.together():
        of_lengths = _by_chance(run, embeddings, ids[draws], (rows >= 0).sum(0), mean, count)
    by_chance = run.ranks.concatenate(of_lengths, axis=1)
    as_good = soft_wpmi.share_as_good(score[:, 0], by_chance)
    datasets: dict[Dataset, Any] = {WORD_BY_CHANCE: by_chance.mean(1), WORD_AS_GOOD: as_good}
    for place, (word, value) in enumerate(((WORD, WORD_SCORE), (RUNNER_UP, RUNNER_UP_SCORE))):
        datasets |= {word: words[:, place].tolist(), value: score[:, place]}
    log.info(
        "names: %d of %d concepts have a word that random images have in at most %g %% of the "
        "draws as well; such as %s",
        (as_good <= CHANCE).sum(), count, 100 * CHANCE,
        ", ".join(words[np.argsort(as_good, kind="stable")[:3], 0]),
    )  # fmt: skip
    part.write(datasets)


def costs(work: Workload) -> Costs:
    """Return what choosing the images, and comparing all words with them, takes."""
    concepts = work.sizes.concepts
    options = work.config.names
    path = Path(options.vocabulary or "").expanduser()
    words = len(path.read_bytes().splitlines()) if path.is_file() else 0
    # Codes and rows of a block, joined to those so far, sorted, their order.
    chosen = 6 * held(NUMBER * (work.rows + options.strongest) * concepts)
    # Likelihoods of this rank's concepts, and less their mean; of the images of one of them.
    compared = NUMBER * words * (3 * -(-concepts // work.ranks) + 4 * options.strongest)
    # A model, as it is read and as it is; its embeddings of images, this rank's and all.
    model = 2.0 * sum(file.stat().st_size for file in options.model_files)
    images = min(work.sizes.n, (concepts + options.draws) * options.strongest)
    embedded = model + (0 if options.open_clip is None else NUMBER * WIDTH * images)
    return Costs(memory=max(chosen, compared + embedded), sent=work.sent(2 * words + 1))


def _draws(run: Run, images: int, count: int) -> np.ndarray:
    """Return rows in the order of as many random permutations of the images: (R, M)."""
    random = np.random.default_rng(run.config.seed)
    size = min(images, count)
    return np.stack([random.permutation(images)[:size] for _ in range(run.config.names.draws)])


def _log_likelihoods(
    run: Run, embeddings: Embeddings, ids: np.ndarray, rows: np.ndarray
) -> torch.Tensor:
    """Return how well words explain the images of concepts: rows (M, k) to (k, W).

    Minus infinity of a concept without images.
    """
    words = run.tensor(embeddings.words)
    values = torch.full((rows.shape[1], len(words)), -torch.inf, dtype=words.dtype)
    values = values.to(run.device)
    for concept, of_concept in enumerate(rows.T):
        there = of_concept[of_concept >= 0]
        if len(there):
            values[concept] = _log_likelihood(run, _images(run, embeddings, ids[there]), words)
    return values


def _by_chance(
    run: Run,
    embeddings: Embeddings,
    draws: np.ndarray,
    lengths: np.ndarray,
    mean: torch.Tensor,
    count: int,
) -> np.ndarray:
    """Return the score of the best word of this rank's draws (R, M) of ids, for every concept.

    As many images as a concept has, its `lengths` (K,), are taken of each: (K, r).
    """
    words = run.tensor(embeddings.words)
    of_rank = run.ranks.block(len(draws))
    different = np.unique(lengths[lengths > 0])
    best = np.full((lengths.max(initial=0) + 1, len(of_rank)), np.nan)
    for place, draw in enumerate(draws[of_rank.start : of_rank.stop]):
        images = _images(run, embeddings, draw)
        likelihood = torch.stack([_log_likelihood(run, images[:n], words) for n in different])
        scores = soft_wpmi.of_another(likelihood, mean, count)
        best[different, place] = scores.amax(1).cpu().numpy()
    return best[lengths]


def _images(run: Run, embeddings: Embeddings, ids: np.ndarray) -> torch.Tensor:
    """Return embeddings of unit length: (n, e)."""
    return run.tensor(unit_rows(embeddings.images.read(ids).astype(np.float64)))


def _log_likelihood(run: Run, images: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Return how well words explain images, scaled to `names.strongest` of them: (W,)."""
    mean = soft_wpmi.log_likelihood(images, words) / len(images)
    return mean * run.config.names.strongest
