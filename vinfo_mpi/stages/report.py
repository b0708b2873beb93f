"""Write the report: pages that anyone can open, with every figure, and every concept with the images that show it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vinfo_mpi.concepts import encoders, vinformation
from vinfo_mpi.concepts.slopes import linear_slopes
from vinfo_mpi.numerics import examples
from vinfo_mpi.numerics.examples import Examples
from vinfo_mpi.numerics.profiles import Profiles
from vinfo_mpi.pages import overview, sheets, site
from vinfo_mpi.pages.cards import Cards
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import folders
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.rows import RowReader


def run(run: Run, force: bool = False) -> None:
    """Write sheets of images and data, divided among the ranks; then, on one rank, figures and pages."""
    ranks = run.ranks
    provenance = freshness.provenance(run, "report", "vinfo-report")
    folder = ranks.on_root(folders.begin, run.report, provenance, force)
    results = Results(run.results)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        atoms, _ = encoders.decoder(run)
        chosen, importance = choose(run, codes), by_class(run, activations, codes, atoms)
        cards = Cards(run, results, activations, atoms, chosen, importance)
        blocks = batches(range(len(atoms)), sheets.CONCEPTS)
        for turn in run.progress(range(0, len(blocks), ranks.size), "report: sheets"):
            number = turn + ranks.rank
            if number < len(blocks) and not site.has_sheet(folder, number):
                cards.write(folder, number, blocks[number])
            run.safe_point()
        run.clock.bytes_read += activations.bytes_read + codes.bytes_read

    def finish() -> None:
        stale = [stage for stage in results.inputs if not freshness.is_current(run, stage)]
        index = overview.index(results, folder, provenance, bool(cards.pictures), stale)
        site.write_pages(folder, index, cards.layout, results.concepts)
        folders.commit(run.report)

    with run.clock.phase("pages"):
        ranks.on_root(finish)
    log.info("report: open %s", run.report / "index.html")


def choose(run: Run, codes: RowReader) -> Examples:
    """Return the images that show each concept, from the work of all ranks."""
    n, concepts = codes.shape("codes")

    def own() -> Iterator[tuple[int, torch.Tensor]]:
        for block in batches(run.ranks.block(n), run.config.machine.rows):
            yield block.start, run.tensor(codes.read("codes", block))

    def join(values: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(run.ranks.concatenate(values.cpu().numpy())).to(run.device)

    options = run.config.report
    with run.clock.phase("choose"):
        return examples.choose(own, concepts, options.examples, tuple(options.levels), run.ranks.sum, join, run.device)


def by_class(run: Run, activations: ActivationReader, codes: RowReader, atoms: torch.Tensor) -> np.ndarray | None:
    """Return the importance of every concept over the images of each predicted class: (C, K); None where the head is not linear.

    The mean over all images, of whichever class, is the importance of the concept with importance.target: prediction.
    """
    slopes = linear_slopes(run, activations, atoms)
    if slopes is None:
        return None
    n, concepts = codes.shape("codes")
    classes = activations.shape("outputs")[1]
    found = Profiles(classes, concepts, run.device)
    for block in batches(run.ranks.block(n), run.config.machine.rows):
        z, predicted = run.tensor(codes.read("codes", block)), torch.from_numpy(activations.read("samples/prediction", block))
        found.add((z * slopes(z, predicted.to(run.device))).abs(), predicted.to(run.device))
    return found.reduced(run.ranks.sum).means()
