"""results.h5: every dataset of pointwise once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CONCEPT
from vinfo_mpi.results.schema_analyses import OVER_IMAGES

_HARDEST = ("concept", "place")

MISLED = Dataset(
    "concepts/misled",
    CONCEPT,
    "share of the images whose code the last tap tells worse than its mean does",
    error=OVER_IMAGES,
)
HARDEST_IMAGES = Dataset(
    "pointwise/images",
    _HARDEST,
    "id of the images of which the last tap tells least, hardest first; -1: none",
    "int64",
    None,
)
HARDEST_GAINS = Dataset(
    "pointwise/gains",
    _HARDEST,
    "pointwise V-information of these images, whose mean over all images is V-information",
)
HARDEST_CODES = Dataset("pointwise/codes", _HARDEST, "code of these images", unit=None)
POINTWISE = (MISLED, HARDEST_IMAGES, HARDEST_GAINS, HARDEST_CODES)
