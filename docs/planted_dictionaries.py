"""The table of validity.md that says how much of a planted dictionary is recovered.

OMP_NUM_THREADS=1 python docs/planted_dictionaries.py

Rows of sparse autoencoders are there if Overcomplete is installed.
"""

import warnings

import numpy as np
import torch
from sklearn.decomposition import NMF as SklearnNMF

from vinfo_mpi import NMF
from vinfo_mpi.numerics.recovery import Dictionary, plant, recovery

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
}


def ours(solver):
    """Return a method: this package's NMF as it is by default, and codes by NNLS."""

    def fit(x, case, seed):
        factorisation = NMF(CONCEPTS, solver=solver, seed=seed).fit(x)
        return Dictionary(factorisation.atoms_, factorisation.encode(x))

    return fit


def scikit_learn(x, case, seed):
    """Return what scikit-learn's NMF recovers: coordinate descent with its default settings."""
    peer = SklearnNMF(CONCEPTS, init="nndsvda", max_iter=500, random_state=seed)
    codes = peer.fit_transform(x)
    return Dictionary(peer.components_, codes)


def sparse_autoencoder(x, case, seed):
    """Return what a TopK autoencoder of Overcomplete recovers, told how many atoms are active."""
    from overcomplete.sae import TopKSAE, train_sae

    torch.manual_seed(seed)
    rows = torch.from_numpy(x).float()
    model = TopKSAE(x.shape[1], CONCEPTS, top_k=case["active"], encoder_module="linear")
    loader = torch.utils.data.DataLoader(rows, batch_size=100, shuffle=True)
    train_sae(
        model,
        loader,
        lambda x, rebuilt, *_: (x - rebuilt).square().sum(1).mean(),
        torch.optim.Adam(model.parameters(), 3e-3),
        nb_epochs=75,
        clip_grad=0,
        monitoring=0,
    )
    with torch.no_grad():
        codes = model.eval().encode(rows)[1]
        atoms = model.get_dictionary()
    return Dictionary(atoms.double().numpy(), codes.double().numpy())


METHODS = {
    "NMF, HALS": ours("hals"),
    "NMF, MU": ours("mu"),
    "NMF of scikit-learn": scikit_learn,
    "TopK autoencoder": sparse_autoencoder,
}


def overcomplete_is_there():
    """Whether Overcomplete can be imported; its 0.3 asks for a function that Matplotlib dropped."""
    import matplotlib.cm

    if not hasattr(matplotlib.cm, "get_cmap"):
        matplotlib.cm.get_cmap = matplotlib.colormaps.get_cmap
    try:
        import overcomplete  # noqa: F401
    except ImportError:
        return False
    return True


def measure(method, case):
    """Return the cells of a method: means over atoms and seeds."""
    cells = []
    for seed in range(SEEDS):
        x, planted = plant(IMAGES, WIDTH, CONCEPTS, **case, seed=seed)
        recovered = method(x, case, seed)
        all_codes = recovery(recovered, planted)
        large = recovery(recovered, planted, ABOVE)
        rebuilt = recovered.codes @ recovered.atoms
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


def show():
    """Print the table."""
    warnings.simplefilter("ignore")  # fits that reach max_iterations
    if not overcomplete_is_there():
        METHODS.pop("TopK autoencoder")
    print(
        "| planted | method | cosine (of seeds) | above 0.95 | unique | precision | recall | F1 "
        f"| F1 above {ABOVE} | scale | error |"
    )
    print("|---" * 11 + "|")
    for name, case in CASES.items():
        for number, (label, method) in enumerate(METHODS.items()):
            cells = measure(method, case)
            means = [f"{value:.2f}" for value in cells.mean(0)]
            low, high = cells[:, 0].min(), cells[:, 0].max()
            means[0] += f" ({low:.2f} to {high:.2f})"
            print(f"| {'' if number else name} | {label} | {' | '.join(means)} |", flush=True)


if __name__ == "__main__":
    show()
