"""results.h5: every dataset of merging once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import epochs, names
from vinfo_mpi.results.schema_analyses import OVER_IMAGES

MERGING_CHECKPOINTS = epochs("merging/checkpoints")
MERGING_LAYERS = names(
    "merging/layers", "layer", "layers whose channels can be merged, in forward order"
)
WIDTHS = Dataset("merging/widths", ("layer",), "channels of the layer", "int64", None)
THRESHOLDS = Dataset(
    "merging/thresholds",
    ("threshold",),
    "squared distance, relative to the largest in the layer, up to which channels are merged",
)
CHANNELS = Dataset(
    "merging/channels",
    ("checkpoint", "threshold", "layer"),
    "channels left in the layer: its feature complexity",
    "int64",
    None,
)
ACCURACY_BEFORE = Dataset(
    "merging/accuracy_before",
    ("checkpoint",),
    "share of some images that the network classifies as their label; NaN: no classifier or labels",
    error=OVER_IMAGES,
)
ACCURACY = Dataset(
    "merging/accuracy",
    ("checkpoint", "threshold"),
    "share of these images that the merged network classifies as their label",
    error=OVER_IMAGES,
)
PARAMETERS_BEFORE = Dataset(
    "merging/parameters_before", ("checkpoint",), "weights, batch norms folded", "int64", None
)
PARAMETERS = Dataset(
    "merging/parameters",
    ("checkpoint", "threshold"),
    "weights of the merged network",
    "int64",
    None,
)
OPERATIONS_BEFORE = Dataset(
    "merging/operations_before",
    ("checkpoint",),
    "floating-point operations of convolutions and products for an image",
    "int64",
    None,
)
OPERATIONS = Dataset(
    "merging/operations",
    ("checkpoint", "threshold"),
    "the same of the merged network",
    "int64",
    None,
)
OF_NETWORKS = (ACCURACY_BEFORE, ACCURACY, PARAMETERS_BEFORE, PARAMETERS, OPERATIONS_BEFORE,
               OPERATIONS)  # fmt: skip
MERGING = (MERGING_CHECKPOINTS, MERGING_LAYERS, WIDTHS, THRESHOLDS, CHANNELS, *OF_NETWORKS)
