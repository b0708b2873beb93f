"""Write the report: pages that anyone can open, with every figure and every concept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from vinfo_mpi.concepts import encoders, encoders_costs, vinformation
from vinfo_mpi.concepts.slopes import linear_slopes
from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import examples, histogram, pointwise
from vinfo_mpi.numerics.examples import Examples
from vinfo_mpi.numerics.histogram import Histogram
from vinfo_mpi.numerics.profiles import Profiles
from vinfo_mpi.pages import overview, sheets, site
from vinfo_mpi.pages.cards import Cards
from vinfo_mpi.pages.facets import ShownFacets
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.results.schema_pointwise import HARDEST_CODES, HARDEST_IMAGES
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run import freshness
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import folders
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.rows import RowReader

DRAWING = 100 * 2**20  # bytes that the program grows by when figures are drawn
FIXED = 5 * 2**20  # bytes of a report besides its concepts: figures as PDF, PNG and SVG
BINS = 32  # of the histogram of a concept's codes
EIGENVECTORS = 9  # operations of those of a symmetric matrix, over its size cubed
PIXEL = 0.2  # bytes of a pixel of a photograph in a WebP sheet


def write_report(run: Run, part: Part) -> None:
    """Write sheets of images and data, divided among the ranks; then, on one, figures and pages."""
    ranks = run.ranks
    provenance = part.provenance
    folder = ranks.on_root(folders.begin, run.report, provenance)
    results = Results(run.results)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        vinformation.same_images(activations, codes)
        atoms, _ = encoders.decoder(run)
        ids = activations.read("samples/id")
        facets = ShownFacets(run, results, ids)
        chosen = facets.among(choose_examples(run, codes), run.config.report.examples)
        chosen = with_hardest(run, chosen, ids)
        importance = importance_by_class(run, activations, codes, atoms)
        spread = code_histogram(run, codes)
        cards = Cards(run, results, activations, codes, atoms, chosen, importance, spread, facets)
        blocks = batches(range(len(atoms)), sheets.CONCEPTS)
        for turn in run.progress(range(0, len(blocks), ranks.size), "report: sheets"):
            number = turn + ranks.rank
            if number < len(blocks) and not site.has_sheet(folder, number):
                cards.write(folder, number, blocks[number])
            run.safe_point()

    def finish() -> None:
        stale = [stage for stage in results.inputs if not freshness.is_current(run, stage)]
        index = overview.make_index(results, folder, provenance, bool(cards.pictures), stale)
        site.write_pages(folder, index, cards.layout, results.concepts)
        folders.commit(run.report)

    with run.clock.phase("pages"):
        ranks.on_root(finish)
    log.info("report: open %s", run.report / "index.html")


def choose_examples(run: Run, codes: RowReader) -> Examples:
    """Return the images that show each concept, from the work of all ranks."""
    n, concepts = codes.shape("codes")

    def batches_of_rank() -> Iterator[tuple[int, torch.Tensor]]:
        for block in batches(run.ranks.block(n), run.config.machine.rows):
            yield block.start, run.tensor(codes.read("codes", block))

    options = run.config.report
    with run.clock.phase("choose"):
        return examples.choose(
            batches_of_rank,
            concepts,
            options.examples,
            tuple(options.levels),
            run.ranks.sum,
            run.ranks.join,
            run.device,
        )


def with_hardest(run: Run, chosen: Examples, ids: np.ndarray) -> Examples:
    """Return examples and, where these are known, the images of which the last tap tells least."""
    if not run.ranks.on_root(freshness.is_current, run, "pointwise"):
        return chosen
    results = Results(run.results)
    images = results.read(HARDEST_IMAGES).T
    codes = np.nan_to_num(results.read(HARDEST_CODES).T)
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids, images, sorter=order).clip(max=len(ids) - 1)]
    rows = np.where(images >= 0, rows, -1)
    return Examples(
        torch.cat([chosen.codes, run.tensor(codes)]),
        torch.cat([chosen.rows, torch.from_numpy(rows).to(run.device)]),
    )


def code_histogram(run: Run, codes: RowReader) -> Histogram:
    """Return how the codes of each concept are distributed, from the work of all ranks."""
    n, concepts = codes.shape("codes")

    def batches_of_rank() -> Iterator[torch.Tensor]:
        for block in batches(run.ranks.block(n), run.config.machine.rows):
            yield run.tensor(codes.read("codes", block))

    with run.clock.phase("histogram"):
        return histogram.histogram(
            batches_of_rank, concepts, BINS, run.ranks.sum, run.ranks.largest, run.device
        )


def importance_by_class(
    run: Run, activations: ActivationReader, codes: RowReader, atoms: torch.Tensor
) -> np.ndarray | None:
    """Return the importance of every concept over the images of each predicted class.

    The mean over all images, of whichever class, is the importance of the concept with
    importance.target: prediction.

    Returns
    -------
    (C, K) array, or None where the head is not linear, or there is none
    """
    slopes = linear_slopes(run, activations, atoms)
    if slopes is None or not run.config.network.classifies:
        return None
    n, concepts = codes.shape("codes")
    profiles = Profiles(activations.shape("outputs")[1], concepts, run.device)
    for block in batches(run.ranks.block(n), run.config.machine.rows):
        z = run.tensor(codes.read("codes", block))
        prediction = torch.from_numpy(activations.read("samples/prediction", block)).to(run.device)
        profiles.add((z * slopes(z, prediction)).abs(), prediction)
    return profiles.reduced(run.ranks.sum).means()


def costs(work: Workload) -> Costs:
    """Return what the report takes."""
    concepts = work.sizes.concepts
    images = concepts * images_per_concept(work.config)
    # An image that shows several concepts is encoded once, if its codes were not kept.
    share = 0.0 if encoders_costs.kept_by_position(work) else min(1.0, images / work.sizes.n)
    operations = share * encoders_costs.operations(work)
    operations += min(images, work.sizes.n) * _eigen_cam(work)
    return Costs(
        memory=_memory(work),
        operations=operations,
        sent=_sent(work),
        disk={"report": FIXED + concepts * _card(work)},
    )


def images_per_concept(config: Config) -> int:
    """Return how many images show a concept."""
    hardest = pointwise.IMAGES if "pointwise" in config.stages else 0
    return config.report.examples + len(config.report.levels) + hardest


def _eigen_cam(work: Workload) -> float:
    """Return the operations of Eigen-CAM of an image: products, and their eigenvectors."""
    less, more = sorted((work.sizes.positions, work.sizes.d))
    return 2.0 * less**2 * more + EIGENVECTORS * less**3


def _memory(work: Workload) -> float:
    """Return the bytes of choosing the images, or of reading them and encoding every position."""
    sizes = work.sizes
    k = sizes.concepts
    # Edges, counts, and these cumulated.
    bins = 3 * 8 * k * examples.PER_OCTAVE * examples.OCTAVES
    # Codes and rows, joined to those so far, sorted, their order.
    batch = 6 * held(8 * work.rows * k)
    importance = 3 * 8 * len(sizes.classes) * k
    per_concept = images_per_concept(work.config)
    images: float = 3 * sheets.CONCEPTS * per_concept * 3 * _thumbnail(work) ** 2
    images += formulas.images_in_flight(work, work.sizes.batch, AHEAD)
    # Heat maps of all concepts, and Eigen-CAM; codes of the rank's images.
    images += k * per_concept * sizes.map * (4 + 6 * 8 / work.ranks)
    # Vectors of Eigen-CAM in float64, their products and eigenvectors.
    maps = held(8 * work.rows * (2 * sizes.d + 3 * min(sizes.positions, sizes.d)))
    vectors = max(encoders_costs.memory(work), maps)
    return DRAWING + importance + max(bins + batch, images + vectors)


def _sent(work: Workload) -> float:
    """Return the bytes of histograms of codes, importance class by class, heat maps, Eigen-CAM."""
    sizes = work.sizes
    k = sizes.concepts
    square = round(sizes.map**0.5) ** 2 == sizes.map > 1
    found_in_map = work.config.dictionary.kind_of_source.codes != "known"
    # A byte per position; Eigen-CAM once for each image.
    shown = images_per_concept(work.config) * k
    maps = (shown + min(shown, sizes.n)) * sizes.map if square and found_in_map else 0
    classes = sizes.outputs * (k + 1) if sizes.linear else 0
    bins = k * (examples.PER_OCTAVE * examples.OCTAVES + 1)
    # Its ends and counts; the largest code of every image that is shown.
    histogram_of_codes = k * (2 + BINS + 1)
    largest = k * images_per_concept(work.config)
    sums = bins + histogram_of_codes + classes + largest
    return work.sent(sums + maps / formulas.NUMBER)


def _card(work: Workload) -> float:
    """Return the bytes that a concept takes on disk: images, heat maps, numbers."""
    sizes = work.sizes
    curves = len(sizes.widths) + sizes.checkpoints + 2 * len(sizes.branches)
    numbers = 20 * (60 + curves) + 6 * BINS
    maps = 2 * 4 * sizes.map / 3  # heat map and Eigen-CAM
    image = PIXEL * _thumbnail(work) ** 2 + 120 + maps
    return images_per_concept(work.config) * image + PIXEL * sheets.THUMBNAIL**2 + numbers


def _thumbnail(work: Workload) -> int:
    """Return the pixels of the side of an image that shows a concept."""
    return min(work.config.report.thumbnail, work.sizes.size)
