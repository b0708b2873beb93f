"""results.h5: every dataset of monosemanticity once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CONCEPT
from vinfo_mpi.results.schema_analyses import OVER_PARTS

_ALIKE = "mean cosine of the reference's embeddings of two images, over all pairs"
MONOSEMANTICITY = Dataset(
    "concepts/monosemanticity",
    CONCEPT,
    f"{_ALIKE}, weighted by the product of their codes, scaled to 0 to 1; NaN: no variance",
    error=OVER_PARTS,
)
CLARITY = Dataset(
    "concepts/clarity",
    CONCEPT,
    f"{_ALIKE} of the images in which the concept is strongest; NaN: fewer than two",
    error=OVER_PARTS,
)
ALL_PAIRS = Dataset(
    "monosemanticity/all_pairs",
    (),
    f"{_ALIKE} of the images analysed: what a concept has that tells no images apart",
    error=OVER_PARTS,
)
OF_MONOSEMANTICITY = (MONOSEMANTICITY, CLARITY, ALL_PAIRS)
