"""Words for the concepts: those that explain best on which images a concept is strongest.

From embeddings that images and words share, as those of CLIP: soft WPMI of CLIP-Dissect.

mpirun -n 8 python -m vinfo_mpi.analyses.names
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: --help and mistakes answer without torch
    from vinfo_mpi.cli import command

    command.main("names", __doc__)

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vinfo_mpi.concepts.strongest import strongest_images
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import soft_wpmi
from vinfo_mpi.numerics.arrays import unit_rows
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema_analyses import RUNNER_UP, RUNNER_UP_SCORE, WORD, WORD_SCORE
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.array_files import RowsOfArray

BEST = 2  # words that are kept


@dataclass
class Embeddings:
    """Words with their embeddings, and those of the images, by their ids."""

    vocabulary: list[str]
    words: np.ndarray
    images: RowsOfArray


def name_concepts(run: Run, part: Part) -> None:
    """Write the two best words of every concept."""
    with run.ranks.together():
        embeddings = read(run)
    with run.open_codes() as codes:
        concepts = codes.shape("codes")[1]
        ids = codes.read("samples/id")
        strongest = strongest_images(run, codes, run.config.names.strongest)
    rows = strongest.cpu().numpy()
    of_rank = run.ranks.block(concepts)
    with run.clock.phase("words"), run.ranks.together():
        likelihood = _log_likelihoods(run, embeddings, ids, rows[:, of_rank.start : of_rank.stop])
    prior = soft_wpmi.log_mean(likelihood, run.ranks.largest, run.ranks.sum)
    scores, best = (likelihood - prior).topk(BEST, dim=1)
    scores = torch.where(scores.isfinite(), scores, torch.nan)
    number = run.ranks.concatenate(best.cpu().numpy())
    score = run.ranks.concatenate(scores.cpu().numpy())
    said = np.array(embeddings.vocabulary, dtype=object)[number]
    said[np.isnan(score)] = ""
    datasets: dict[Dataset, Any] = {}
    for place, (word, value) in enumerate(((WORD, WORD_SCORE), (RUNNER_UP, RUNNER_UP_SCORE))):
        datasets |= {word: said[:, place].tolist(), value: score[:, place]}
    log.info("names: %d different words for %d concepts, such as %s",
             len(set(datasets[WORD])), concepts, ", ".join(datasets[WORD][:3]))  # fmt: skip
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
    return Costs(memory=max(chosen, compared), sent=work.sent(2 * words + 1))


def read(run: Run) -> Embeddings:
    """Return words and embeddings, checked.

    Raises
    ------
    NotApplicable
        If none are given.
    InputError
        If they do not belong together, or to the images.
    """
    options = run.config.names
    if options.vocabulary is None or options.words is None or options.images is None:
        raise NotApplicable(
            "names needs words, and embeddings of words and images; set names.vocabulary, "
            "names.words and names.images"
        )
    words = RowsOfArray(options.words, "names.words:")
    images = RowsOfArray(options.images, "names.images:")
    vocabulary = _vocabulary(Path(options.vocabulary).expanduser())
    _check(run, vocabulary, words, images)
    embeddings = words.read(np.arange(words.shape[0])).astype(np.float64)
    return Embeddings(vocabulary, unit_rows(embeddings), images)


def _vocabulary(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"names.vocabulary: {path} cannot be read ({error}); give a text file in UTF-8, a word "
            "a line"
        ) from None
    words = [line.strip() for line in lines]
    if len(words) < BEST or not all(words):
        raise InputError(
            f"names.vocabulary: {path} has {len(words)} lines, of which {words.count('')} are "
            f"empty; give at least {BEST} words, one a line"
        )
    return words


def _check(run: Run, vocabulary: list[str], words: RowsOfArray, images: RowsOfArray) -> None:
    """Raise `InputError` where shapes do not fit each other, or the data set."""
    count = len(run.subject.images.labels)
    for array, rows, of_what in (
        (words, len(vocabulary), "words of names.vocabulary"),
        (images, count, "images of the data set, analysed or not, by their ids"),
    ):
        if len(array.shape) != 2 or array.shape[0] != rows:
            raise InputError(
                f"{array.where} has shape {array.shape}; expected ({rows}, e), a row for each of "
                f"the {of_what}"
            )
    if words.shape[1] != images.shape[1]:
        raise InputError(
            f"{words.where} has {words.shape[1]} numbers a row and {images.where} "
            f"{images.shape[1]}; take both from the same model"
        )


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
            images = run.tensor(unit_rows(embeddings.images.read(ids[there]).astype(np.float64)))
            mean = soft_wpmi.log_likelihood(images, words) / len(there)
            values[concept] = mean * run.config.names.strongest
    return values
