"""The images in which concepts are strongest, of all ranks' images."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vinfo_mpi.numerics import examples
from vinfo_mpi.numerics.examples import Examples
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.rows import RowReader


def strongest_images(run: Run, codes: RowReader, count: int) -> Examples:
    """Return the images with the largest positive codes of every concept, strongest first.

    Parameters
    ----------
    run : Run
    codes : RowReader
        The codes file.
    count : int
        At most so many images of each; none where a concept is above 0 in no more.
    """
    images, concepts = codes.shape("codes")

    def batches_of_rank() -> Iterator[tuple[int, torch.Tensor]]:
        for rows in batches(run.ranks.block(images), run.config.machine.rows):
            yield rows.start, run.tensor(codes.read("codes", rows))

    with run.clock.phase("strongest"):
        return examples.most_activating(
            batches_of_rank, concepts, count, run.ranks.join, run.device
        )
