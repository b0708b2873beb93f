"""results.h5: every dataset of migration once; see `vinfo_mpi.results.schema`."""

from __future__ import annotations

from vinfo_mpi.results.dataset import Dataset
from vinfo_mpi.results.schema import CONCEPT, epochs, names
from vinfo_mpi.results.schema_analyses import OVER_CLASSES

_NEVER = "NaN: never available"
MIGRATION_CHECKPOINTS = epochs("migration/checkpoints")
KIND_NAMES = names("migration/kinds", "kind", "names of the kinds of paths")
KIND_SHARE = Dataset(
    "migration/share", ("kind",), "share of the living concepts of each kind", error=OVER_CLASSES
)


def _path(name: str, sentence: str, unit: str | None = "1") -> Dataset:
    axes = ("checkpoint", "concept")
    return Dataset(f"migration/{name}", axes, sentence, unit=unit)


ACTIVITY = _path(
    "activity", "mean over the taps of the V-information, where that is above the threshold"
)
CENTRE = _path(
    "centre", "mean number of the tap, of those above the threshold; NaN: none is", "tap"
)
WIDTH = _path("width", "standard deviation of the tap's number around the centre", "tap")
LOCALISED = _path("localised", "1 = available at one tap, 0 = at all taps alike")


def _of_concept(name: str, sentence: str, unit: str | None = "1") -> Dataset:
    return Dataset(f"concepts/{name}", CONCEPT, sentence, unit=unit)


EMERGENCE = _of_concept("emergence", f"epoch from which on it is available; {_NEVER}", "epoch")
LIFETIME = _of_concept("lifetime", f"epochs for which it is available; {_NEVER}", "epoch")
LOCALISATION = _of_concept("localisation", f"localised, mean over its life; {_NEVER}")
ANCHOR = Dataset(
    "concepts/anchor",
    CONCEPT,
    "number of the tap where it is available most of its life; -1: at none, or at all alike",
    "int64",
    None,
)
AT_ANCHOR = _of_concept(
    "at_anchor", "share of its occupancy of taps at the anchor and the taps beside it"
)
DRIFT = _of_concept(
    "drift",
    "centre in the last third of its life less that in the first; < 0: towards the input",
    "tap",
)
KIND = Dataset(
    "concepts/path_kind", CONCEPT, "kind of its path; -1: never available", "int64", None
)
PATHS = (ACTIVITY, CENTRE, WIDTH, LOCALISED)
OF_PATHS = (EMERGENCE, LIFETIME, LOCALISATION, ANCHOR, AT_ANCHOR, DRIFT, KIND)
