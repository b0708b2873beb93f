"""results.h5: every dataset of the audit once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import epochs, names
from vinfo_mpi.results.schema_analyses import OVER_IMAGES, OVER_PARTS

_FACTOR = ("factor",)
_SIDES = ("factor", "side")
_WITHIN = "with the means of the classes taken off"

AUDIT_FACTORS = names("audit/factors", "factor", "names of the factors that are audited")
AUDIT_KINDS = names(
    "audit/kinds", "factor", "given: what the data set knows; picture: measured on the pictures"
)
AUDIT_TAPS = names("audit/taps", "tap", "taps in forward order")
AUDIT_CHECKPOINTS = epochs("audit/checkpoints")
AUDIT_VINFORMATION = Dataset(
    "audit/vinformation",
    ("tap", "factor"),
    "V-information from the tap to the factor",
    error=OVER_PARTS,
)
AUDIT_WITHIN = Dataset(
    "audit/within",
    ("tap", "factor"),
    f"the same {_WITHIN}",
    error=OVER_PARTS,
)
AUDIT_EPOCHS = Dataset(
    "audit/epochs",
    ("checkpoint", "factor"),
    "V-information from the last tap to the factor at this epoch",
    error=OVER_PARTS,
)
AUDIT_EPOCHS_WITHIN = Dataset(
    "audit/epochs_within",
    ("checkpoint", "factor"),
    f"the same {_WITHIN}",
    error=OVER_PARTS,
)
AUDIT_BETWEEN = Dataset(
    "audit/between_classes",
    _FACTOR,
    "share of the factor's variance that lies between the classes, corrected for chance",
)
AUDIT_IMAGES = Dataset(
    "audit/images",
    _SIDES,
    "images that accuracies are of: the held-out ones, where there are any",
    "int64",
    None,
)
AUDIT_ACCURACY = Dataset(
    "audit/accuracy",
    _SIDES,
    "share of these that the network classifies as their label",
    error=OVER_IMAGES,
)
AUDIT_WORST = Dataset(
    "audit/worst",
    _FACTOR,
    "lowest accuracy of a class on a side, of those with at least 10 images",
    error=OVER_IMAGES,
)
AUDIT_WORST_SIDE = Dataset("audit/worst_side", _FACTOR, "which side; -1: none", "int64", None)
AUDIT_WORST_CLASS = Dataset("audit/worst_class", _FACTOR, "which class; -1: none", "int64", None)
AUDIT_GAP = Dataset(
    "audit/gap",
    _FACTOR,
    "accuracy where the factor is as usual for the class, less that where it is not; NaN: never",
    error=OVER_IMAGES,
)
AUDIT_REBUILT_GAP = Dataset(
    "audit/rebuilt_gap",
    _FACTOR,
    "the same of decisions from all concepts",
    error=OVER_IMAGES,
)
AUDIT_GAP_WITHOUT = Dataset(
    "audit/gap_without",
    _FACTOR,
    "the same of decisions without the factor's carriers",
    error=OVER_IMAGES,
)
AUDIT_ACCURACIES = {
    "rebuilt_accuracy": "accuracy of decisions from all concepts",
    "accuracy_without": "accuracy without the factor's carriers",
    "accuracy_random": "accuracy without as many random concepts",
}
AUDIT_OTHER_WAYS = {
    name: Dataset(f"audit/{name}", _SIDES, sentence, error=OVER_IMAGES)
    for name, sentence in AUDIT_ACCURACIES.items()
}
AUDIT_CORRELATION = Dataset(
    "audit/correlation", ("factor", "concept"), "correlation of the codes with the factor"
)
AUDIT_CORRELATION_WITHIN = Dataset(
    "audit/correlation_within", ("factor", "concept"), f"the same {_WITHIN}"
)
AUDIT_CARRIERS = Dataset(
    "audit/carriers",
    ("factor", "place"),
    "concepts that go most with the factor, the first the most, by the latter",
    "int64",
    None,
)
AUDIT_IMPORTANCE = Dataset(
    "audit/importance",
    _SIDES,
    "share of the importance, for images on this side, that goes with the factor: mean of the "
    "squared correlation within classes, weighted by importance",
)

AUDIT = (
    *(AUDIT_FACTORS, AUDIT_KINDS, AUDIT_TAPS, AUDIT_CHECKPOINTS, AUDIT_VINFORMATION),
    *(AUDIT_WITHIN, AUDIT_EPOCHS, AUDIT_EPOCHS_WITHIN, AUDIT_BETWEEN, AUDIT_IMAGES),
    *(AUDIT_ACCURACY, AUDIT_WORST, AUDIT_WORST_SIDE, AUDIT_WORST_CLASS),
    *(AUDIT_GAP, AUDIT_REBUILT_GAP, AUDIT_GAP_WITHOUT, *AUDIT_OTHER_WAYS.values()),
    *(AUDIT_CORRELATION, AUDIT_CORRELATION_WITHIN, AUDIT_CARRIERS, AUDIT_IMPORTANCE),
)
_WITH_ERRORS = (AUDIT_VINFORMATION, AUDIT_WITHIN, AUDIT_WORST, AUDIT_GAP, AUDIT_GAP_WITHOUT)
# What the figure and its sentence read.
AUDIT_SHOWN = (
    *(AUDIT_FACTORS, AUDIT_KINDS, AUDIT_TAPS, AUDIT_CHECKPOINTS, AUDIT_EPOCHS_WITHIN),
    *(AUDIT_WORST_SIDE, AUDIT_WORST_CLASS, AUDIT_CORRELATION_WITHIN, AUDIT_CARRIERS),
    AUDIT_IMPORTANCE,
    *_WITH_ERRORS,
    *(dataset.se for dataset in _WITH_ERRORS),
)
