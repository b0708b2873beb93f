"""results.h5: every dataset of the shortcut bias once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import names
from vinfo_mpi.results.schema_analyses import OVER_IMAGES, OVER_PARTS

_TABLE = ("bit", "factor")

BIAS_BITS = names("bias/bits", "bit", "names of the bits of the label")
BIAS_FACTORS = names("bias/factors", "factor", "names of the binary factors")
BIAS_TAPS = names("bias/taps", "tap", "taps in forward order")
PREDICTIVITY = Dataset(
    "bias/predictivity",
    _TABLE,
    "share of the training images whose bit the factor alone tells",
)
RELIANCE = Dataset(
    "bias/reliance",
    _TABLE,
    "mean agreement of the predicted bit with the factor, from -1 to 1, where factors are crossed",
    error=OVER_IMAGES,
)
OPTIMUM = Dataset(
    "bias/optimum",
    _TABLE,
    "the same of the Bayes rule, mean over what the training images leave open",
)
PAIRS = names("bias/pairs", "pair", "two factors that may predict the same bit")
BIAS = Dataset(
    "bias/bias",
    ("pair",),
    "by how much more than the optimum decisions follow the first factor rather than the second, "
    "from -1 to 1",
    error=f"{OVER_IMAGES} and over what the training images leave open",
)
AVAILABILITY = Dataset(
    "bias/availability",
    ("tap", "factor"),
    "V-information from the tap to the factor, crossed, before any training",
    error=OVER_PARTS,
)
OF_BIAS = (
    *(BIAS_BITS, BIAS_FACTORS, BIAS_TAPS, PREDICTIVITY, RELIANCE, OPTIMUM),
    *(PAIRS, BIAS, AVAILABILITY),
)
