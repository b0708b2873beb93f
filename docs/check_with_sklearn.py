"""Compute complexity and parts of a run's concepts again, with scikit-learn alone, and compare.

    python docs/check_with_sklearn.py runs/quickstart

Nothing of vinfo_mpi is imported: the folds, the ridge regressions, the choice of the penalty and
the sums over the taps are done here in the plainest way, from the HDF5 files. Ends with 1 where any
number differs by more than 1e-3.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

TOLERANCE = 1e-3


def folds_of(ids: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deal the samples of each class out in the order of a hash of their ids (SplitMix64)."""

    def mixed(value: int) -> int:
        value = (int(value) + (seed + 1) * 0x9E3779B97F4A7C15) % 2**64
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
        return value ^ value >> 31

    order = sorted(range(len(ids)), key=lambda i: (labels[i], mixed(ids[i]), ids[i]))
    fold = np.empty(len(ids), int)
    fold[order] = np.arange(len(ids)) % folds
    return fold


def vinformation(folder: Path) -> np.ndarray:
    """Return the held-out R² of ridge regression, per tap and concept."""
    with h5py.File(folder / "results.h5") as file:
        provenance = file["provenance/score"].attrs
        settings = json.loads(provenance["config"])
        analysed = next(
            name for name in json.loads(provenance["inputs"]) if name.startswith("activations/")
        )
    if settings["score"]["estimator"] != "held-out":
        sys.exit(
            "this check knows the held-out estimator only; score with score.estimator: held-out"
        )
    with h5py.File(folder / "codes.h5") as file:
        codes = file["codes"][()]
        ids = file["samples/id"][()]
    with h5py.File(folder / f"{analysed}.h5") as file:
        labels = file["samples/label"][()]
        taps = [
            (tap["activations"][()] + tap["shift"][()]).astype(float)
            for tap in file["taps"].values()
            if tap["activations"].attrs["kind"] == "block"
        ]
    fold = folds_of(ids, labels, settings["score"]["folds"], settings["seed"])
    penalties = settings["score"]["penalties"]
    spread = np.square(codes - codes.mean(0)).sum(0)
    decodable = []
    for activations in taps:
        errors = np.zeros((len(penalties), codes.shape[1]))
        for held_out in range(settings["score"]["folds"]):
            train = fold != held_out
            test = ~train
            scaler = StandardScaler().fit(activations[train])
            x = scaler.transform(activations[train])
            x_test = scaler.transform(activations[test])
            varying = x.std(0) > 0
            for row, penalty in enumerate(penalties):
                model = Ridge(alpha=penalty * train.sum() * varying.mean()).fit(x, codes[train])
                errors[row] += np.square(codes[test] - model.predict(x_test)).sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            decodable.append(np.maximum(0, 1 - errors.min(0) / spread))
    return np.array(decodable)


def expected(r2: np.ndarray) -> dict[str, np.ndarray]:
    """Return what follows for every concept, tap by tap."""
    running = np.array([r2[: tap + 1].max(0) for tap in range(len(r2))])
    return {
        "complexity": 1 - r2.mean(0),
        "unreadable": 1 - r2.max(0),
        "late": r2.max(0) - running.mean(0),
        "discarded": (running - r2).mean(0),
    }


def main() -> None:
    """Compare the run named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/quickstart")
    largest = 0.0
    with h5py.File(folder / "results.h5") as file:
        alive = file["concepts/alive"][()] == 1
        for name, values in expected(vinformation(folder)).items():
            difference = np.abs(values[alive] - file[f"concepts/{name}"][()][alive]).max()
            print(f"{alive.sum()} concepts: {name} differs from scikit-learn's by at most "
                  f"{difference:.1e}")  # fmt: skip
            largest = max(largest, difference)
    sys.exit(int(largest > TOLERANCE))


if __name__ == "__main__":
    main()
