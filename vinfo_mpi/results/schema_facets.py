"""results.h5: every dataset of facets once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CONCEPT

_STRONGEST = ("concept", "place")

FACETS = Dataset(
    "concepts/facets",
    CONCEPT,
    "groups into which its strongest images fall; 1: they do not; 0: it fires on no image",
    "int64",
    None,
)
FACET_SILHOUETTE = Dataset(
    "concepts/facet_silhouette",
    CONCEPT,
    "silhouette of the least distinct group of the best division of these images, whether or not "
    "it counts; NaN: none has groups that are large enough",
)
FACET_NEEDED = Dataset(
    "concepts/facet_needed", CONCEPT, "silhouette from which on the division counts"
)
FACET_CLASSES = Dataset(
    "concepts/facet_classes",
    CONCEPT,
    "adjusted Rand index of facets and classes of these images: 1: they are the same, 0: as by "
    "chance; NaN: fewer than two facets, or images without labels",
)
FACET_IMAGES = Dataset(
    "facets/images",
    _STRONGEST,
    "id of the images on which the concept is strongest, strongest first; -1: none",
    "int64",
    None,
)
FACET_CODES = Dataset(
    "facets/codes", _STRONGEST, "code of the concept for each of them; 0: no image", unit=None
)
FACET_OF_IMAGE = Dataset(
    "facets/facet",
    _STRONGEST,
    "facet of each of them, numbered by its strongest image; -1: no image",
    "int64",
    None,
)
FACETS_OF_IMAGES = (
    *(FACETS, FACET_SILHOUETTE, FACET_NEEDED, FACET_CLASSES),
    *(FACET_IMAGES, FACET_CODES, FACET_OF_IMAGE),
)
