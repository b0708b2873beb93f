"""results.h5: every dataset of filters once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import epochs, names

FILTER_CHECKPOINTS = epochs("filters/checkpoints")
FILTER_LAYERS = names(
    "filters/layers", "layer", "names of the convolutions with kernels of several numbers"
)
KERNELS = Dataset(
    "filters/kernels",
    ("layer",),
    "kernels of the layer: output channels times the input channels of each",
    "int64",
    None,
)


def _of_layer(name: str, sentence: str, dtype: str = "float64") -> Dataset:
    unit = None if dtype == "uint8" else "1"
    return Dataset(f"filters/{name}", ("checkpoint", "layer"), sentence, dtype, unit)


IDLE = _of_layer(
    "sparsity", "share of the kernels of which no weight exceeds 1 % of the layer's largest"
)
VARIANCE_ENTROPY = _of_layer(
    "entropy",
    "entropy of the kernels' variance over its principal components, relative to that of as many "
    "random kernels: 0 = all alike, 1 = as varied as random ones",
)
ORTHOGONALITY = _of_layer(
    "orthogonality", "1 - mean absolute cosine of two filters of the layer; NaN: there is one"
)
DEGENERATE = _of_layer(
    "degenerate", "1 where most kernels are idle, or nearly all alike, or like random ones", "uint8"
)
QUALITIES = {"sparsity": IDLE, "entropy": VARIANCE_ENTROPY, "orthogonality": ORTHOGONALITY}
FILTERS = (FILTER_CHECKPOINTS, FILTER_LAYERS, KERNELS, *QUALITIES.values(), DEGENERATE)
