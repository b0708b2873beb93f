"""results.h5: every dataset of sparsity once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import TAPS, epochs, names
from vinfo_mpi.results.schema_analyses import OVER_IMAGES

SPARSITY_CHECKPOINTS = epochs("sparsity/checkpoints")
SPARSITY_TAPS = TAPS.within("sparsity")
NONZERO = Dataset(
    "sparsity/nonzero",
    ("checkpoint", "tap"),
    "share of the values, before pooling, that are not zero: mean over the images",
    error=OVER_IMAGES,
)
LAYERS = names("sparsity/layers", "layer", "names of the layers of hidden units in forward order")
UNITS = Dataset("sparsity/units", ("layer",), "hidden units of the layer", "int64", None)


def _of_layer(name: str, sentence: str, error: str | None = OVER_IMAGES) -> Dataset:
    return Dataset(f"sparsity/{name}", ("checkpoint", "layer"), sentence, error=error)


UNITS_NONZERO = _of_layer(
    "units_nonzero", "share of the hidden units' values that are not zero: mean over some images"
)
POSITIVE = _of_layer(
    "positive", "share of the hidden units' values that are above zero: mean over some images"
)
EFFECTIVE = _of_layer(
    "effective",
    "share of the units that holds 99 % of the energy of a position: mean over some images",
)
DEAD = _of_layer("dead", "share of the units that no position of these images has above zero", None)
RATE_QUANTILES = Dataset("sparsity/quantiles", ("quantile",), "quantiles of the firing rates")
FIRING_RATES = Dataset(
    "sparsity/rates",
    ("checkpoint", "layer", "quantile"),
    "firing rates of the layer's units: shares of all positions where each is above zero",
)
TOPS = Dataset("sparsity/tops", ("top",), "share of every position's hidden units that is kept")
TOP_ACCURACY = Dataset(
    "sparsity/top_accuracy",
    ("top",),
    "share of these images that the final network classifies as their label, all but the largest "
    "hidden units of every position set to zero",
    error=OVER_IMAGES,
)
TOP_CALIBRATION = Dataset(
    "sparsity/top_calibration", ("top",), "expected calibration error then, 15 bins"
)
OF_LAYERS = (UNITS_NONZERO, POSITIVE, EFFECTIVE)
OF_TOPS = (TOPS, TOP_ACCURACY, TOP_CALIBRATION)
SPARSITY = (
    *(SPARSITY_CHECKPOINTS, SPARSITY_TAPS, NONZERO, LAYERS, UNITS, *OF_LAYERS, DEAD),
    *(RATE_QUANTILES, FIRING_RATES, *OF_TOPS),
)
