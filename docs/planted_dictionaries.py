"""The table of validity.md that says how much of a planted dictionary is recovered.

OMP_NUM_THREADS=1 python docs/planted_dictionaries.py

It takes half an hour. Names of cases or methods as arguments choose rows.
"""

import sys
import warnings

import numpy as np
import torch
from sklearn.decomposition import NMF as SklearnNMF

from vinfo_mpi import NMF
from vinfo_mpi.numerics.recovery import Dictionary, plant, recovery
from vinfo_mpi.numerics.topk_training import TopKTraining

IMAGES = 2000
WIDTH = 64
CONCEPTS = 20
SEEDS = 2
ABOVE = 0.05  # of the largest code of an atom: what counts as firing, beside all above 0
CASES = {
    "2 of 20 atoms active": {"active": 2},
    "5 active": {"active": 5},
    "10 active": {"active": 10},
    "5 active, noise 0.1": {"active": 5, "noise": 0.1},
    "5 active, noise 0.5": {"active": 5, "noise": 0.5},
    "5 active, correlation 0.9": {"active": 5, "correlation": 0.9},
    "5 active, hierarchical": {"active": 5, "hierarchical": True},
    "5 active, atoms of all channels": {"active": 5, "channels": 1.0},
    "5 of 96 atoms active, 64 channels": {"active": 5, "concepts": 96},
}


def ours(solver):
    """Return a method: this package's NMF as it is by default, and codes by NNLS."""

    def fit(x, case, seed):
        concepts = case.get("concepts", CONCEPTS)
        factorisation = NMF(concepts, solver=solver, seed=seed).fit(x)
        return Dictionary(factorisation.atoms_, factorisation.encode(x)), 0.0

    return fit


def scikit_learn(x, case, seed):
    """Return what scikit-learn's NMF recovers: coordinate descent with its default settings."""
    concepts = case.get("concepts", CONCEPTS)
    init = "nndsvda" if concepts <= WIDTH else "random"
    peer = SklearnNMF(concepts, init=init, max_iter=500, random_state=seed)
    codes = peer.fit_transform(x)
    return Dictionary(peer.components_, codes), 0.0


def sparse_autoencoder(times):
    """Return a method: this package's TopK autoencoder, told how many atoms are active.

    It has so many `times` as many features as there are atoms.
    """

    def fit(x, case, seed):
        rows = torch.from_numpy(x)
        features = times * case.get("concepts", CONCEPTS)
        options = {"steps": 3000, "batch": 256, "rate": 1e-2, "seed": seed}
        training = TopKTraining(rows.float(), features, case["active"], **options)
        training.advance(range(training.steps))
        model = training.trained()
        return Dictionary(model.atoms.numpy(), model.encoder(rows).numpy()), model.offset.numpy()

    return fit


METHODS = {
    "NMF, HALS": ours("hals"),
    "NMF, MU": ours("mu"),
    "NMF of scikit-learn": scikit_learn,
    "TopK autoencoder": sparse_autoencoder(1),
    "TopK, twice the features": sparse_autoencoder(2),
}


def measure(method, case):
    """Return the cells of a method: means over atoms and seeds."""
    cells = []
    for seed in range(SEEDS):
        x, planted = plant(IMAGES, WIDTH, **{"concepts": CONCEPTS} | case, seed=seed)
        recovered, offset = method(x, case, seed)
        all_codes = recovery(recovered, planted)
        large = recovery(recovered, planted, ABOVE)
        rebuilt = recovered.codes @ recovered.atoms + offset
        scale = all_codes.scale
        cells.append(
            [
                all_codes.cosine.mean(),
                (all_codes.cosine > 0.95).mean(),
                all_codes.unique,
                all_codes.precision.mean(),
                all_codes.recall.mean(),
                all_codes.f1.mean(),
                large.f1.mean(),
                np.nanmean(scale) if np.isfinite(scale).any() else np.nan,
                np.linalg.norm(x - rebuilt) / np.linalg.norm(x),
            ]
        )
    return np.array(cells)


def show(chosen):
    """Print the table, or the rows of some cases or methods."""
    warnings.simplefilter("ignore")  # fits that reach max_iterations
    print(
        "| planted | method | cosine (of seeds) | above 0.95 | unique | precision | recall | F1 "
        f"| F1 above {ABOVE} | scale | error |"
    )
    print("|---" * 11 + "|")
    for name, case in CASES.items():
        for number, (label, method) in enumerate(METHODS.items()):
            if chosen and not {name, label} & chosen:
                continue
            cells = measure(method, case)
            means = [f"{value:.2f}" for value in cells.mean(0)]
            low, high = cells[:, 0].min(), cells[:, 0].max()
            means[0] += f" ({low:.2f} to {high:.2f})"
            print(f"| {'' if number else name} | {label} | {' | '.join(means)} |", flush=True)


if __name__ == "__main__":
    show(set(sys.argv[1:]))
