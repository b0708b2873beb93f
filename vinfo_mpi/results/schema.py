"""results.h5: every dataset once.

Stages write these, readers look for these, and docs/file-formats.md lists these. Whoever renames a
dataset changes its name here and on that page.
"""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset

CONCEPT = ("concept",)
OVER_FOLDS = "(jackknife over folds)"


def names(name: str, axis: str, sentence: str) -> Dataset:
    """Return a dataset of names."""
    return Dataset(name, (axis,), sentence, "text", None)


def epochs(name: str, axis: str = "checkpoint", sentence: str = "epoch; 0 = untrained") -> Dataset:
    """Return a dataset of epochs."""
    return Dataset(name, (axis,), sentence, "int64", "epoch")


# All stages.

INDEX = Dataset(
    "concepts/index", CONCEPT, "number of the concept: its row in dictionary.h5", "int64", None
)

# score

TAPS = names("taps", "tap", "names of the taps in forward order")
VINFORMATION = Dataset(
    "vinformation",
    ("tap", "concept"),
    "V-information from tap to concept: {how} R²; NaN: no variance",
    error=f"its standard error {OVER_FOLDS}",
)
PENALTY = Dataset("penalty", ("tap", "concept"), "ridge penalty chosen, relative")
CLASS = Dataset(
    "concepts/class", CONCEPT, "class whose images the atom was fitted to; -1: all", "int64", None
)
ALIVE = Dataset(
    "concepts/alive", CONCEPT, "1 where the concept varies over the images", "uint8", None
)
NAME = names("concepts/name", "concept", "name of the concept")
COMPLEXITY = Dataset(
    "concepts/complexity",
    CONCEPT,
    "1 - mean V-information over the taps ({how})",
    error=f"standard error of the complexity {OVER_FOLDS}",
)
COMPLEXITY_HALF = Dataset(
    "concepts/complexity_half",
    CONCEPT,
    "complexity from about half of the images: `images` says from how many",
    error=f"its standard error {OVER_FOLDS}",
)
COMPLEXITY_LIMIT = Dataset(
    "concepts/complexity_limit",
    CONCEPT,
    "complexity extrapolated from both numbers of images to many, as a + c/N",
    error=f"its standard error {OVER_FOLDS}",
)
IMAGES = Dataset(
    "images",
    ("size",),
    "images that complexity_half and complexity are estimated from",
    unit=None,
)
UNREADABLE = Dataset(
    "concepts/unreadable",
    CONCEPT,
    "part of the complexity: 1 - the largest V-information of any tap ({how})",
    error=f"its standard error {OVER_FOLDS}",
)
LATE = Dataset(
    "concepts/late",
    CONCEPT,
    "part of the complexity: that largest less the mean of the running maximum over the taps",
    error=f"its standard error {OVER_FOLDS}",
)
DISCARDED = Dataset(
    "concepts/discarded",
    CONCEPT,
    "part of the complexity: mean of the running maximum less the V-information of the tap",
    error=f"its standard error {OVER_FOLDS}",
)
DEPTH = Dataset(
    "concepts/depth",
    CONCEPT,
    "late / (1 - unreadable): 0 = readable from the first tap on; NaN: from none",
    error=f"its standard error {OVER_FOLDS}",
)
PEAK = Dataset(
    "concepts/peak",
    CONCEPT,
    "the largest V-information of any tap",
    error=f"its standard error {OVER_FOLDS}",
)
KEPT = Dataset(
    "concepts/kept",
    CONCEPT,
    "V-information of the last tap over the largest of any; NaN: none is above 0",
    error=f"its standard error {OVER_FOLDS}",
)
LAST_TAP = Dataset(
    "concepts/last_tap",
    CONCEPT,
    "V-information of the last tap",
    error=f"its standard error {OVER_FOLDS}",
)
CODE_VARIANCE = Dataset(
    "concepts/variance", CONCEPT, "variance of the code over the images", unit=None
)
FIRING_RATE = Dataset("concepts/firing_rate", CONCEPT, "share of the images whose code is above 0")
BETWEEN_CLASSES = Dataset(
    "concepts/eta2",
    CONCEPT,
    "share of the code's variance that lies between the classes; NaN: no variance",
)
ENERGY = Dataset(
    "concepts/energy",
    CONCEPT,
    "squared length of the atom times the code's mean over the images: its part in the mean vector",
    unit=None,
)
EFFECTIVE_CONCEPTS = Dataset(
    "effective_concepts",
    (),
    "exp of the entropy of the concepts' shares of the sum of all codes; NaN: codes below 0",
    unit=None,
)
OUTLIER_SEVERITY = Dataset(
    "outlier_severity",
    ("tap",),
    "length of the tap's mean vector over that of its standard deviations; inf: no variance",
)
# What may stand behind a correlation with the complexity, and what it is called.
CONFOUNDS = {
    CODE_VARIANCE: "variance",
    LAST_TAP: "V of the last tap",
    FIRING_RATE: "firing rate",
    BETWEEN_CLASSES: "share between classes",
}
PARTS = (UNREADABLE, LATE, DISCARDED)  # which add up to the complexity
OF_CURVES = (*PARTS, DEPTH, PEAK, KEPT)  # what follows from V-information over the taps
# Which score.also may name.
BY_CLASS = ("within-classes", "classes-alone")
PREDICTORS = ("linear", "random-features", "in-sample", "held-out", *BY_CLASS)


def predictor(name: str, dataset: Dataset) -> Dataset:
    """Return a dataset of score for one of the other predictors."""
    return dataset.within(f"predictors/{name}")


WARNINGS = names(
    "warnings", "warning", "what makes the numbers less trustworthy, as known when scored"
)

# importance

IMPORTANCE = Dataset(
    "concepts/importance", CONCEPT, "mean |code × derivative of the class's logit|", unit="logit"
)
IMPORTANCE_SIGNED = Dataset(
    "concepts/importance_signed",
    CONCEPT,
    "the same without the absolute value: > 0 promotes",
    unit="logit",
)
IMPORTANCE_SHARE = Dataset(
    "concepts/importance_share", CONCEPT, "mean share of the logit's variance (total Sobol index)"
)

# dynamics

DYNAMICS_CHECKPOINTS = epochs("dynamics/checkpoints")
DYNAMICS_VINFORMATION = Dataset(
    "dynamics/vinformation",
    ("checkpoint", "concept"),
    "V-information from the last tap at this epoch to the final network's concept",
    error=f"its standard error {OVER_FOLDS}",
)
TEMPORAL = Dataset(
    "concepts/temporal",
    CONCEPT,
    "temporal score: 1 - mean V-information over epochs from 1 on, between those kept by lines",
    error=f"standard error of the temporal score {OVER_FOLDS}",
)
UNLEARNED = Dataset(
    "concepts/temporal_unlearned",
    CONCEPT,
    "part of the temporal score: 1 - the largest V-information of any epoch from 1 on",
    error=f"its standard error {OVER_FOLDS}",
)
LEARNED_LATE = Dataset(
    "concepts/temporal_late",
    CONCEPT,
    "part of the temporal score: that largest less the mean of the running maximum over epochs",
    error=f"its standard error {OVER_FOLDS}",
)
FORGOTTEN = Dataset(
    "concepts/temporal_forgotten",
    CONCEPT,
    "part of the temporal score: mean of the running maximum less the V-information of the epoch",
    error=f"its standard error {OVER_FOLDS}",
)
