"""results.h5: every dataset of the analyses once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CONCEPT, PARTS, TAPS, epochs, names

OVER_CLASSES = (
    "its standard error (bootstrap over the classes of the concepts; over the concepts where they "
    "belong to fewer than five)"
)
OVER_FITS = "its standard error over the fits"
OVER_IMAGES = "its standard error over the images"
OVER_MASKS = "standard error over the masks"
OVER_PARTS = "its standard error (jackknife over {folds} parts of the images)"
OVER_DRAWS = "standard error over the images, for random orders also over the draws"

# flow

ENDS = ("simple", "complex")  # of the order of concepts by complexity
BRANCHES = ("main", "shortcut")
MEASURES = {"cka": "linear CKA", "vinformation": "V-information"}
FLOW_BLOCKS = names("flow/blocks", "block", "names of the residual blocks in forward order")


def flow(branch: str, measure: str) -> Dataset:
    """Return what one branch of every block has of every concept."""
    sentence = f"{MEASURES[measure]} of the {branch} branch and every concept"
    return Dataset(f"flow/{branch}_{measure}", ("block", "concept"), sentence)


def flow_mean(end: str, branch: str, measure: str) -> Dataset:
    """Return its mean over the simplest or the most complex concepts."""
    sentence = f"{MEASURES[measure]} of the {branch} branch, mean over the {end} concepts"
    return Dataset(f"flow/{end}_{branch}_{measure}", ("block",), sentence, error=OVER_CLASSES)


# redundancy

_LEFT = "V-information from kept channels of the last tap to the concept, relative to that from all"
REDUNDANCY_RATES = Dataset("redundancy/rates", ("rate",), "share of the channels that is kept")
REDUNDANCY_VALUES = Dataset(
    "redundancy/values",
    ("rate", "concept"),
    f"{_LEFT}: mean over random masks; NaN: not readable from all",
    error=OVER_MASKS,
)
REDUNDANCY = Dataset(
    "concepts/redundancy",
    CONCEPT,
    f"{_LEFT}: mean over random masks and rates",
    error=OVER_MASKS,
)

# names

_OF_WORD = "soft WPMI of the concept and {}, in nats; NaN: it fires on no image"
WORD = names("concepts/word", "concept", "word that explains best on which images it is strongest")
WORD_SCORE = Dataset("concepts/word_score", CONCEPT, _OF_WORD.format("its word"), unit="nat")
CHANCE = 0.05  # share of draws up to which a concept is called by its word
WORD_BY_CHANCE = Dataset(
    "concepts/word_by_chance",
    CONCEPT,
    "soft WPMI of the best word of as many random images, in nats: mean over the draws; "
    "NaN: it fires on no image",
    unit="nat",
)
WORD_AS_GOOD = Dataset(
    "concepts/word_as_good",
    CONCEPT,
    "share of draws of random images whose best word scores at least as high, the concept among "
    "them; NaN: it fires on no image",
)
RUNNER_UP = names("concepts/runner_up", "concept", "the second best word")
RUNNER_UP_SCORE = Dataset(
    "concepts/runner_up_score", CONCEPT, _OF_WORD.format("the second best word"), unit="nat"
)

# support

_ORDERS = (
    "which concepts are kept first: importance-descending keeps the most important; "
    "in-turn: the first of every class, then the second; random: mean over the draws"
)
SUPPORT_ORDERS = names("support/orders", "order", _ORDERS)
SUPPORT_PROPORTIONS = Dataset(
    "support/proportions", ("proportion",), "share of the concepts that is kept"
)
SUPPORT_ACCURACY = Dataset(
    "support/accuracy",
    ("order", "proportion"),
    "share of the images classified as their label from what is kept",
    error=OVER_DRAWS,
)
SUPPORT_RELATIVE = Dataset(
    "support/relative",
    ("order", "proportion"),
    "accuracy relative to that with all concepts",
    error=OVER_DRAWS,
)
SUPPORT_AREA = Dataset(
    "support/area",
    ("order",),
    "area under the relative accuracy over the proportions",
    error=OVER_DRAWS,
)

# hoyer

HOYER = Dataset(
    "concepts/hoyer",
    CONCEPT,
    "Hoyer's sparseness of the atom, 1 = a single channel, 0 = all alike; NaN: an atom of zeros",
)

# spectrum

SPECTRUM_CHECKPOINTS = epochs("spectrum/checkpoints")
SPECTRUM_TAPS = TAPS.within("spectrum")


def _spectrum_curve(name: str, sentence: str, unit: str | None = "1") -> Dataset:
    axes = ("checkpoint", "tap", "feature")
    return Dataset(f"spectrum/{name}", axes, f"{sentence}; NaN beyond the last", unit=unit)


def _spectrum_number(
    name: str, sentence: str, dtype: str = "float64", error: str | None = None
) -> Dataset:
    return Dataset(f"spectrum/{name}", ("checkpoint", "tap"), sentence, dtype, error=error)


EIGENVALUES = _spectrum_curve(
    "eigenvalues", "mean square of the features along each eigenfunction, the largest first", None
)
QUALITY = _spectrum_curve(
    "quality", "share of the eigenfunction that lies in the span of the classes"
)
UTILISATION = _spectrum_curve(
    "utilisation",
    "share of the eigenfunction that lies in the span of the outputs and the constant",
)
CUMULATED_QUALITY = _spectrum_curve(
    "cumulated_quality", "sum of the quality so far over the number of outputs"
)
CUMULATED_UTILISATION = _spectrum_curve(
    "cumulated_utilisation", "sum of the utilisation so far over the number of outputs"
)
EFFECTIVE_DIMENSION = _spectrum_number(
    "effective_dimension",
    "exp of the entropy of the eigenvalues, relative to their sum",
    error=OVER_PARTS,
)
LAZINESS = _spectrum_number(
    "laziness",
    "1 - CKA of the features and the projection on the outputs: 0 = rich, 1 = lazy",
    error=OVER_PARTS,
)
SIGNIFICANT = _spectrum_number(
    "significant", "first eigenfunctions that it takes to hold 90 % of the utilisation", "int64"
)
MINIMAL = _spectrum_number(
    "minimal",
    "1 where these are no more than the outputs and the constant have dimensions; 0: extended",
    "uint8",
)
SPECTRUM_CURVES = (EIGENVALUES, QUALITY, UTILISATION, CUMULATED_QUALITY, CUMULATED_UTILISATION)
SPECTRUM_NUMBERS = (EFFECTIVE_DIMENSION, SIGNIFICANT, MINIMAL, LAZINESS)

# robustness

_VARIANCE = (
    "variance of the code over noise on the image, mean over images, "
    "relative to the variance over all images"
)
SIGMAS = Dataset(
    "robustness/sigmas", ("sigma",), "standard deviation of the noise on inputs in [0, 1]"
)
VARIANCE = Dataset(
    "robustness/variance",
    ("sigma", "concept"),
    f"{_VARIANCE}; NaN: no variance",
    error=OVER_IMAGES,
)
NOISE_VARIANCE = Dataset(
    "concepts/noise_variance", CONCEPT, f"{_VARIANCE}; mean over the sigmas", error=OVER_IMAGES
)
_UNDIVIDED = "variance of the code over noise on the image, mean over images"
VARIANCE_UNDIVIDED = Dataset(
    "robustness/variance_undivided",
    ("sigma", "concept"),
    _UNDIVIDED,
    unit=None,
    error=OVER_IMAGES,
)
NOISE_VARIANCE_UNDIVIDED = Dataset(
    "concepts/noise_variance_undivided",
    CONCEPT,
    f"{_UNDIVIDED}; mean over the sigmas",
    unit=None,
    error=OVER_IMAGES,
)
_RANGE = "largest less smallest code over the draws of noise on the image, mean over images"
RANGE = Dataset("robustness/range", ("sigma", "concept"), _RANGE, unit=None, error=OVER_IMAGES)
NOISE_RANGE = Dataset(
    "concepts/noise_range",
    CONCEPT,
    f"{_RANGE}; mean over the sigmas",
    unit=None,
    error=OVER_IMAGES,
)

# stability

SEEDS = Dataset(
    "stability/seeds",
    ("seed",),
    "seed of the random atoms that the fit started from",
    "int64",
    None,
)
SIMILARITY = Dataset(
    "stability/similarity",
    ("seed", "concept"),
    "cosine of the atom and its counterpart in the fit, matched within its class",
)
FIT_ERROR = Dataset("stability/relative_error", ("seed",), "||X - Z D|| / ||X|| of the fit")
STABILITY = Dataset(
    "concepts/stability",
    CONCEPT,
    "mean cosine of the atom and its counterparts in other fits",
    error=OVER_FITS,
)
_SCORED_ALIKE = "of the counterpart in the fit, encoded and scored alike; NaN: no variance"
FIT_COMPLEXITY = Dataset("stability/complexity", SIMILARITY.axes, f"complexity {_SCORED_ALIKE}")
FIT_PARTS = {  # by those of the dictionary's own concepts
    own: Dataset(
        f"stability/{own.column}",
        SIMILARITY.axes,
        f"{own.column} part of the complexity {_SCORED_ALIKE}",
    )
    for own in PARTS
}
DICTIONARY_SE = Dataset(
    "concepts/dictionary_se",
    CONCEPT,
    "standard error of the complexity for the start of the dictionary's fit: standard deviation "
    "over the concept and its counterparts in the other fits",
)
