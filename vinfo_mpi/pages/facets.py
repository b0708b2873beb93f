"""Facets of the images that show a concept."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.results.schema_facets import FACET_IMAGES, FACET_OF_IMAGE, FACETS
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run


def facets_by_image(run: Run, results: Results) -> dict[int, dict[int, int]]:
    """Return the facets of concepts that have several: number from 1, by concept and image id.

    Nothing where they are not known. All ranks together.
    """
    if not run.ranks.on_root(freshness.is_current, run, "facets"):
        return {}
    images = results.read(FACET_IMAGES)
    facet = results.read(FACET_OF_IMAGE) + 1
    return {
        concept: dict(zip(images[concept].tolist(), facet[concept].tolist(), strict=True))
        for concept in np.flatnonzero(results.read(FACETS) > 1).tolist()
    }
