"""results.h5: every dataset of autoencoder once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import COMPLEXITY, IMPORTANCE, PARTS, names

FEATURE_AXIS = ("feature",)
FEATURE = Dataset(
    "autoencoder/feature", FEATURE_AXIS, "number of the feature, of those that fire", "int64", None
)
FIRING = Dataset("autoencoder/firing", FEATURE_AXIS, "share of all vectors at which it fires")
OF_FEATURES = {  # by the dataset of concepts that they are like
    dataset: Dataset(
        f"autoencoder/{dataset.column}",
        FEATURE_AXIS,
        f"{dataset.column} of the feature, like {dataset.name}; NaN: not known",
        unit=dataset.unit,
    )
    for dataset in (COMPLEXITY, *PARTS, IMPORTANCE)
}
TRAININGS = Dataset(
    "autoencoder/seeds", ("training",), "seed of each training; the first is scored", "int64", None
)
LIVING = Dataset("autoencoder/living", ("training",), "features that fire", "int64", None)
ACTIVE = Dataset("autoencoder/l0", ("training",), "features that are active per vector", unit=None)
SIMILARITY_OF_FEATURES = Dataset(
    "autoencoder/similarity",
    ("other training", "feature"),
    "cosine of the feature's atom and its counterpart of another training; 0: it has none",
)
DICTIONARIES = names(
    "autoencoder/dictionaries", "dictionary", "what is compared: the run's concepts, and features"
)
_FIDELITY = {
    "relative_error": "relative error of the pooled vectors, rebuilt from the averaged codes",
    "relative_error_positions": "relative error of the encoded vectors",
    "predictions_kept": "share of the images whose prediction is the same from rebuilt vectors",
}
FIDELITY = tuple(
    Dataset(f"autoencoder/{name}", ("dictionary",), text) for name, text in _FIDELITY.items()
)
AUTOENCODER = (
    *(FEATURE, FIRING, *OF_FEATURES.values()),
    *(TRAININGS, LIVING, ACTIVE, SIMILARITY_OF_FEATURES, DICTIONARIES, *FIDELITY),
)
