"""Embeddings that words and images share: from files, or from a model that sees both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vinfo_mpi.data.loading import Loader
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.networks import image_text
from vinfo_mpi.networks.image_text import ImageText
from vinfo_mpi.numerics.arrays import unit_rows
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.array_files import RowsOfArray

LEAST = 2  # words of a vocabulary
OF_IMAGES = "images of the data set, analysed or not, by their ids"  # embeddings in files


class Rows(Protocol):
    """Rows of an array."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows, in any order."""


@dataclass
class Embeddings:
    """Words with their embeddings (W, e) of unit length, and those of images, by their ids."""

    vocabulary: list[str]
    words: np.ndarray
    images: Rows


@dataclass
class RowsOfIds:
    """Rows that are there for some ids, ascending, alone."""

    ids: np.ndarray
    values: np.ndarray

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of some of the ids."""
        return self.values[np.searchsorted(self.ids, rows)]


def read(run: Run, ids: np.ndarray) -> Embeddings:
    """Return words and embeddings, all ranks together.

    Parameters
    ----------
    run : Run
    ids : (n,) int64 array
        Images whose embeddings are needed, ascending. A model embeds no others.

    Raises
    ------
    NotApplicable
        If neither files nor a model are given.
    InputError
        If they do not belong together, or to the images.
    """
    options = run.config.names
    given = options.open_clip is not None or None not in (options.words, options.images)
    if options.vocabulary is None or not given:
        raise NotApplicable(
            "names needs words, and embeddings of words and images; set names.vocabulary, and "
            "names.open_clip to a model, or names.words and names.images to files of embeddings"
        )
    with run.ranks.together():
        vocabulary = _vocabulary(Path(options.vocabulary).expanduser())
        if options.open_clip is None:
            return _of_files(run, vocabulary, str(options.words), str(options.images))
        model = _model(run, options.open_clip)
    return _of_model(run, vocabulary, model, ids)


def _vocabulary(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"names.vocabulary: {path} cannot be read ({error}); give a text file in UTF-8, a word "
            "a line"
        ) from None
    words = [line.strip() for line in lines]
    if len(words) < LEAST or not all(words):
        raise InputError(
            f"names.vocabulary: {path} has {len(words)} lines, of which {words.count('')} are "
            f"empty; give at least {LEAST} words, one a line"
        )
    return words


def _of_files(run: Run, vocabulary: list[str], words_at: str, images_at: str) -> Embeddings:
    words = RowsOfArray(words_at, "names.words:")
    images = RowsOfArray(images_at, "names.images:")
    _check(run, vocabulary, words, images)
    embeddings = words.read(np.arange(words.shape[0])).astype(np.float64)
    return Embeddings(vocabulary, unit_rows(embeddings), images)


def _check(run: Run, vocabulary: list[str], words: RowsOfArray, images: RowsOfArray) -> None:
    """Raise `InputError` where shapes do not fit each other, or the data set."""
    words.require_rows(len(vocabulary), "words of names.vocabulary")
    images.require_rows(len(run.subject.images.labels), OF_IMAGES)
    if words.shape[1] != images.shape[1]:
        raise InputError(
            f"{words.where} has {words.shape[1]} numbers a row and {images.where} "
            f"{images.shape[1]}; take both from the same model"
        )


def _model(run: Run, name: str) -> ImageText:
    run.subject.require_images("names.open_clip")
    if run.config.data.normalised:
        raise InputError(
            "names.open_clip: the data set gives images that are normalised for the network "
            "(data.normalised); embed them yourself: names.words, names.images"
        )
    return image_text.load(name, run.config.names.open_clip_weights, run.device)


def _of_model(run: Run, vocabulary: list[str], model: ImageText, ids: np.ndarray) -> Embeddings:
    """Return what a model makes of words and images, a block of each by every rank."""
    with run.clock.phase("words"), run.ranks.together():
        block = run.ranks.block(len(vocabulary))
        some = vocabulary[block.start : block.stop]
        width = model.of_words(vocabulary[:1]).shape[1]
        words = model.of_words(some).cpu().double().numpy() if some else np.empty((0, width))
    of_rank = run.ranks.block(len(ids))
    images = np.empty((len(of_rank), width), np.float32)
    blocks = batches(of_rank, run.batch)
    loader = Loader(run.subject.images, model.preprocessing, run.device, run.config.machine.workers)
    with run.clock.phase("images"), run.ranks.together():
        read = loader.batches([ids[rows.start : rows.stop] for rows in blocks])
        for rows, (pictures, _, _) in zip(blocks, read, strict=True):
            start = rows.start - of_rank.start
            images[start : start + len(rows)] = model.of_images(pictures).cpu().numpy()
        loader.rest()
    all_words = unit_rows(run.ranks.concatenate(words))
    return Embeddings(vocabulary, all_words, RowsOfIds(ids, run.ranks.concatenate(images)))
