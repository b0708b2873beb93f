"""results.h5: every dataset of sedimentation once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import PARTS, epochs
from vinfo_mpi.results.schema_analyses import OVER_CLASSES, OVER_IMAGES

_OWN = "of the concepts that were found in the network of this epoch"
OWN_AXES = ("epoch", "own concept")
GRID_CHECKPOINTS = epochs("sedimentation/checkpoints")
GRID = Dataset(
    "sedimentation/grid",
    ("checkpoint", "tap", "concept"),
    "V-information from the tap at this epoch to the final network's concept",
)
OWN_EPOCHS = epochs(
    "sedimentation/epochs", "epoch", "epochs whose own concepts were found; 0 = untrained"
)
OWN_COMPLEXITY = Dataset(
    "sedimentation/complexity", OWN_AXES, f"complexity {_OWN}; NaN: no variance"
)
OWN_IMPORTANCE = Dataset("sedimentation/importance", OWN_AXES, f"importance {_OWN}", unit="logit")


def _epoch_curve(name: str, sentence: str, error: str | None = None) -> Dataset:
    return Dataset(f"sedimentation/{name}", ("epoch",), sentence, error=error)


MEAN_COMPLEXITY = _epoch_curve(
    "mean_complexity",
    "complexity of the epoch's own concepts, mean over the living ones",
    OVER_CLASSES,
)
MEAN_PARTS = {  # by the part that they are the means of
    part_of: _epoch_curve(
        f"mean_{part_of.column}",
        f"{part_of.column} part of the complexity of the epoch's own concepts, mean over them",
        OVER_CLASSES,
    )
    for part_of in PARTS
}
TOP_COMPLEXITY = _epoch_curve(
    "top_complexity",
    "complexity of the epoch's own concepts, mean over the most important ones",
    OVER_CLASSES,
)
OWN_CORRELATION = _epoch_curve(
    "correlation",
    "Spearman's correlation of complexity and importance over the epoch's own concepts",
    OVER_CLASSES,
)
OWN_ACCURACY = _epoch_curve(
    "accuracy",
    "share of the images that the network classifies as their label at this epoch",
    OVER_IMAGES,
)
OWN_RELATIVE_ERROR = _epoch_curve(
    "relative_error", "relative error of the pooled last tap, rebuilt from the epoch's own codes"
)
OWN_PREDICTIONS_KEPT = _epoch_curve(
    "predictions_kept",
    "share of the images whose prediction at this epoch is the same from the rebuilt vector",
)
