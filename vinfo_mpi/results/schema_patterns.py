"""results.h5: every dataset of patterns once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import epochs, names
from vinfo_mpi.results.schema_analyses import OVER_IMAGES

OVER_LABELS = "its standard error over the classes"
TOGETHER = "all together"  # the last of the layers

PATTERN_CHECKPOINTS = epochs("patterns/checkpoints")
SPLITS = names(
    "patterns/splits", "split", "which images: train, those learned from; test, those held out"
)
SPLIT_IMAGES = Dataset(
    "patterns/images", ("split",), "images whose codes are compared", "int64", None
)
CODE_LAYERS = names(
    "patterns/layers",
    "layer",
    f"names of the layers of hidden units in forward order; last: {TOGETHER}",
)
BITS = Dataset(
    "patterns/bits", ("layer",), "bits of the layer's code: units of all positions", "int64", None
)
KEPT = Dataset(
    "patterns/kept",
    ("layer",),
    "of these, those that categories and patterns are of",
    "int64",
    None,
)
EQUAL_BITS = Dataset(
    "patterns/equal_bits", (), "of these, those of every layer in equal_redundancy", "int64", None
)
_DIFFERENT = "share of the images that add no code of their own: (N - different codes) / N"
CODE_REDUNDANCY = Dataset(
    "patterns/redundancy",
    ("checkpoint", "split", "layer"),
    _DIFFERENT,
    error=OVER_IMAGES,
)
EQUAL_REDUNDANCY = Dataset(
    "patterns/equal_redundancy",
    ("checkpoint", "split", "layer"),
    f"{_DIFFERENT}, of as many bits of every layer",
    error=OVER_IMAGES,
)


def _accuracy(name: str, sentence: str) -> Dataset:
    told = f"share of the judged images whose class {sentence}"
    return Dataset(f"patterns/{name}", ("checkpoint", "layer"), told, error=OVER_IMAGES)


KMEANS = _accuracy("kmeans", "is that of most images of their K-means cluster of codes")
KNN = _accuracy("knn", "is that of most of the nine images with the nearest codes")
LOGISTIC = _accuracy("logistic", "a logistic regression tells from the code")
CATEGORIES = {"kmeans": KMEANS, "knn": KNN, "logistic": LOGISTIC}
NETWORK_ACCURACY = Dataset(
    "patterns/network",
    ("checkpoint",),
    "share of the judged images whose class the network predicts; NaN: no classifier",
    error=OVER_IMAGES,
)
RELAXATIONS = Dataset(
    "patterns/relaxations",
    ("relaxation",),
    "share of a class's images that need not follow in a unit of its pattern",
)
PATTERN_CLASSES = names("patterns/class_names", "class_name", "names of the classes")
_OF_PATTERNS = {
    "on": "share of the kept units that the pattern of a class wants on",
    "off": "share of the kept units that it wants off",
    "recall": "share of the judged images of the class that follow its pattern in every unit",
    "ambiguity": "share of the judged images of other classes that follow it",
}


def _of_layers(name: str, sentence: str, error: str | None = OVER_LABELS) -> Dataset:
    axes = ("checkpoint", "layer", "relaxation")
    return Dataset(f"patterns/{name}", axes, sentence, error=error)


def _of_classes(name: str) -> Dataset:
    sentence = f"{_OF_PATTERNS[name]}: last checkpoint, all layers; NaN: no image to tell from"
    return Dataset(f"patterns/class_{name}", ("class_name", "relaxation"), sentence)


MEAN_PATTERNS = {
    name: _of_layers(name, f"{sentence}: mean over the classes")
    for name, sentence in _OF_PATTERNS.items()
}
ON, OFF, RECALL, AMBIGUITY = MEAN_PATTERNS.values()
EXCLUSIVE = _of_layers(
    "exclusive", "share of the pairs of classes whose patterns contradict each other", None
)
CLASS_PATTERNS = {name: _of_classes(name) for name in _OF_PATTERNS}
PATTERNS = (
    *(PATTERN_CHECKPOINTS, SPLITS, SPLIT_IMAGES, CODE_LAYERS, BITS, KEPT, EQUAL_BITS),
    *(CODE_REDUNDANCY, EQUAL_REDUNDANCY, *CATEGORIES.values(), NETWORK_ACCURACY),
    *(RELAXATIONS, *MEAN_PATTERNS.values(), EXCLUSIVE),
    *(PATTERN_CLASSES, *CLASS_PATTERNS.values()),
)
