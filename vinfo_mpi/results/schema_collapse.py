"""results.h5: every dataset of collapse once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import epochs
from vinfo_mpi.results.schema_analyses import OVER_IMAGES, OVER_PARTS

COLLAPSE_CHECKPOINTS = epochs("collapse/checkpoints")


def _number(name: str, sentence: str, error: str = OVER_PARTS) -> Dataset:
    return Dataset(f"collapse/{name}", ("checkpoint",), sentence, error=error)


NC1 = _number(
    "nc1",
    "variance within the classes relative to that between them, at the last tap: "
    "trace(within between⁺) / classes",
)
NC2 = _number(
    "nc2", "distance of the Gram matrix of the centred class means from that of a simplex"
)
NC2_NORMS = _number(
    "nc2_norms", "standard deviation of the lengths of the centred class means over their mean"
)
NC2_ANGLES = _number(
    "nc2_angles",
    "difference of the cosine of two centred class means from -1 / (classes - 1), "
    "absolute, mean over the pairs",
)
NC3 = _number(
    "nc3",
    "distance of the head's weights from the centred class means, both of norm 1; "
    "NaN: no linear head",
)
NC4 = _number(
    "nc4",
    "share of the images whose prediction is not the class with the nearest mean; "
    "NaN: no classifier",
    OVER_IMAGES,
)
CDNV = _number(
    "cdnv",
    "class-distance normalised variance: mean variance of two classes over the squared distance "
    "of their means, mean over the pairs",
)
OF_FOLDS = (NC1, NC2, NC2_NORMS, NC2_ANGLES, NC3, CDNV)  # whose errors are over parts
COLLAPSE = (NC1, NC2, NC2_NORMS, NC2_ANGLES, NC3, NC4, CDNV)
# What falls where classes collapse, as Papyan et al. 2020 and Galanti et al. 2022 found it.
COLLAPSING = {
    "variance within classes (NC1)": NC1,
    "deviation from a simplex (NC2)": NC2,
    "deviation of head and class means (NC3)": NC3,
    "predictions away from the nearest mean (NC4)": NC4,
    "class-distance variance": CDNV,
}
