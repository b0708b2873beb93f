"""Draw pictures that activate concepts most: of the simplest, the most complex, some in between.

Of a concept with several facets, where these are known, one of each facet as well.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from vinfo_mpi import units
from vinfo_mpi.concepts import encoders, encoders_costs, selection
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.parallel.prefetch import AHEAD
from vinfo_mpi.results.schema import COMPLEXITY
from vinfo_mpi.results.schema_facets import FACET_IMAGES, FACET_OF_IMAGE
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import Table
from vinfo_mpi.storage.rows import RowReader
from vinfo_mpi.visualisation.facets import Facets
from vinfo_mpi.visualisation.optimise import TOGETHER
from vinfo_mpi.visualisation.painter import FacetPainter, Painter

PERCENTILE = 99  # of the codes of real images, which a picture should exceed
AGAIN = 1.3  # pictures drawn, with those of later attempts, relative to pictures
FACETS = 1.5  # pictures of facets, relative to those of concepts: in the sample 1.4
# Arrays as large as a picture that changing it takes: parameters, moments, transforms, crops,
# their gradients.
ARRAYS = 16


def draw_pictures(run: Run, part: Part) -> None:
    """Write a picture of every chosen concept, which pixels matter, its code, and a reference."""
    dictionary = run.config.dictionary
    if not dictionary.kind_of_source.of_network:
        raise NotApplicable(
            "visualise changes images so that codes rise; those of dictionary.source: "
            f"{dictionary.source} stay as they are"
        )
    run.subject.require_images("visualise")
    channels, height, width = run.subject.preprocessing.shape
    if channels != 3 or height != width:
        raise NotApplicable(
            f"visualise draws square pictures in colour; this network takes {channels} channels "
            f"of {height} × {width} pixels"
        )
    complexity = part.read_results(COMPLEXITY)
    concepts = selection.choose(run.config.visualise, complexity, run.config.seed)
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        reference = _percentiles(run, codes, concepts)
        painter = Painter(run, activations.map_tap)
        pictures = _draw(run, part, painter, "concepts", concepts, reference)
        log.info(
            "visualise: %d of %d pictures (%s) activate their concept above the %dth percentile of "
            "real images",
            (pictures["activations"] > reference).sum(),
            len(concepts),
            painter.method,
            PERCENTILE,
        )
        tables = _tables(concepts, pictures, reference)
        if part.reads("facets"):
            tables |= _draw_facets(run, part, painter, activations, concepts, reference)
    part.write_file(tables, {"method": painter.method})


def costs(work: Workload) -> Costs:
    """Return what drawing takes."""
    concepts = selection.count(work.config.visualise, work.sizes.concepts)
    with_facets = work.config.visualise.facets and "facets" in work.config.stages
    pictures = round(concepts * (1 + FACETS)) if with_facets else concepts
    datasets = 16 if with_facets else 6
    side = work.config.visualise.size or work.sizes.size
    steps = work.config.visualise.steps * pictures
    pixels = 4.0 * side**2 * (pictures + 3)  # and the spectrum
    return Costs(
        memory=_memory(work, pictures, side),
        host=_host(work, pictures, side),
        operations=2.0 * work.sizes.operations * steps * AGAIN,  # forward, and back to the pixels
        sent=work.sent(3 * side**2),
        disk={"pictures": pixels + 2 * formulas.FILE + datasets * formulas.DATASET},
    )


def _memory(work: Workload, pictures: int, side: int) -> float:
    """Return the bytes of what is largest: the steps, images with their spectra, or codes.

    Beside it, the codes of all images, and the pictures.
    """
    batch = work.sizes.batch
    together = min(TOGETHER, batch, pictures)
    drawn = 2 * together * 3 * side**2 * 4  # noise that is waiting or being drawn
    step = together / batch * work.sizes.backward + together * 3 * side**2 * 4 * ARRAYS + drawn
    transforms = batch * 3 * side**2 * 8 * 4
    images = formulas.images_in_flight(work, batch, AHEAD) + transforms
    largest = max(step, images, encoders_costs.memory(work))
    pixels = 4 * side**2 * pictures
    return 2 * work.sizes.weights + _reference(work, pictures) + pixels + largest


def _host(work: Workload, pictures: int, side: int) -> float:
    """Return the bytes beside those on a device: weights as read, codes, images, pictures."""
    images = formulas.images_in_flight(work, work.sizes.batch, AHEAD)
    # In use, sent, waiting and being drawn.
    noise = min(TOGETHER, pictures) * 3 * side**2 * 4 * 4
    beside = max(images, noise, encoders_costs.host(work))
    return work.sizes.weights + _reference(work, pictures) + 4 * side**2 * pictures + beside


def _reference(work: Workload, pictures: int) -> float:
    """Return the bytes of the codes of real images."""
    return 8.0 * pictures * work.images_of_rank + 8 * min(pictures, TOGETHER) * work.sizes.n


def _percentiles(run: Run, codes: RowReader, concepts: np.ndarray) -> np.ndarray:
    """Return what real images reach: a percentile of the codes of some concepts over all images."""
    blocks = batches(run.ranks.block(codes.shape("codes")[0]), run.config.machine.rows)
    codes_of_blocks = [codes.read("codes", block)[:, concepts] for block in blocks]
    codes_of_rank = np.concatenate([np.empty((0, len(concepts))), *codes_of_blocks])
    percentiles = []
    for columns in batches(range(len(concepts)), TOGETHER):
        codes_of_all = run.ranks.concatenate(codes_of_rank[:, columns.start : columns.stop])
        percentiles.append(np.percentile(codes_of_all, PERCENTILE, axis=0))
    return np.concatenate(percentiles)


def _draw_facets(
    run: Run,
    part: Part,
    painter: Painter,
    activations: ActivationReader,
    concepts: np.ndarray,
    reference: np.ndarray,
) -> dict[str, Table]:
    """Return the datasets of the facets of those concepts that have several."""
    images = part.read_results(FACET_IMAGES)[concepts]
    facet = part.read_results(FACET_OF_IMAGE)[concepts]
    tap = run.config.facets.tap or activations.map_tap
    facets = Facets(run, activations, tap, concepts, images, facet)
    if not len(facets.concepts):
        return {}
    of_facet = reference[np.searchsorted(concepts, facets.concepts)]
    indices = np.arange(len(facets.concepts))
    pictures = _draw(run, part, FacetPainter(painter, facets), "facets", indices, of_facet)
    log.info(
        "visualise: %d of %d pictures of facets are nearest to the centre of their facet, %d would "
        "be by chance; %d activate their concept above the %dth percentile of real images",
        (pictures["nearest"] == facets.number).sum(),
        len(indices),
        len(np.unique(facets.concepts)),
        (pictures["activations"] > of_facet).sum(),
        PERCENTILE,
    )
    return _tables_of_facets(facets, pictures, of_facet)


def _draw(
    run: Run,
    part: Part,
    painter: Painter | FacetPainter,
    kind: str,
    numbers: np.ndarray,
    reference: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return pictures, the best of several where the first stay below a code.

    Of what they are, and which of these: what the painter is told to draw.
    """
    pictures = _attempt(run, part, painter, kind, numbers, 0)
    for attempt in range(1, len(encoders.SHARPNESS)):
        [missed] = np.nonzero(pictures["activations"] <= reference)
        if not len(missed):
            break
        log.info("visualise: drawing %s again", units.counted(len(missed), "picture"))
        again = _attempt(run, part, painter, kind, numbers[missed], attempt)
        better = again["activations"] > pictures["activations"][missed]
        for name, values in pictures.items():
            values[missed[better]] = again[name][better]
    part.partial_results.log_reused("blocks")
    return pictures


def _attempt(
    run: Run,
    part: Part,
    painter: Painter | FacetPainter,
    kind: str,
    numbers: np.ndarray,
    attempt: int,
) -> dict[str, np.ndarray]:
    """Return what the painter draws, from the work of all ranks, block by block."""
    blocks = batches(range(len(numbers)), run.ranks.size * min(TOGETHER, run.batch))
    with run.bar("visualise: steps", len(blocks) * run.config.visualise.steps) as bar:

        def after_step() -> None:
            bar.update()
            run.safe_point()

        def draw(block: range) -> dict[str, np.ndarray]:
            numbers_of_block = numbers[block.start : block.stop]
            rows = run.ranks.block(len(numbers_of_block))
            pictures = painter.draw(numbers_of_block[rows.start : rows.stop], after_step, attempt)
            return {name: run.ranks.concatenate(values) for name, values in pictures.items()}

        drawn = []
        for block in blocks:
            name = f"attempt_{attempt}_{kind}_{block.start:06d}_{block.stop:06d}"
            drawn.append(part.partial_results.get(name, partial(draw, block)))
            run.safe_point()
    return {name: np.concatenate([values[name] for values in drawn]) for name in drawn[0]}


def _tables(
    concepts: np.ndarray, pictures: dict[str, np.ndarray], reference: np.ndarray
) -> dict[str, Table]:
    """Return the datasets of pictures in visualisation.h5."""
    axes = ("picture",)
    return {
        "concepts": Table(concepts, "number of the concept: its row in dictionary.h5", axes=axes),
        "images": Table(
            pictures["images"],
            "picture that activates the concept, RGB",
            axes=(*axes, "y", "x", "colour"),
        ),
        "transparency": Table(
            pictures["transparency"],
            "how much the pixel matters to the concept; 255: opaque",
            axes=(*axes, "y", "x"),
        ),
        "activations": Table(
            pictures["activations"], "code of the concept for its picture", axes=axes
        ),
        "reference": Table(
            reference, f"{PERCENTILE}th percentile of its codes over the analysed images", axes=axes
        ),
    }


def _tables_of_facets(
    facets: Facets, pictures: dict[str, np.ndarray], reference: np.ndarray
) -> dict[str, Table]:
    """Return the datasets of pictures of facets in visualisation.h5."""
    axes = ("picture",)
    tables = _tables(facets.concepts, pictures, reference) | {
        "facet": Table(facets.number, "facet of the concept, as in results.h5", axes=axes),
        "nearest": Table(
            pictures["nearest"], "facet whose images' centre is nearest to the picture", axes=axes
        ),
        "distance": Table(
            pictures["distance"],
            f"from the picture to the centre of its facet, in activations of {facets.tap}",
            axes=axes,
        ),
        "distance_to_others": Table(
            pictures["distance_to_others"], "to the nearest centre of another facet", axes=axes
        ),
    }
    return {f"facets/{name}": table for name, table in tables.items()}
