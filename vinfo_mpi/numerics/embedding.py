"""A plane in which atoms of similar directions lie near each other."""

from __future__ import annotations

import importlib
import warnings

import numpy as np

PERPLEXITY = 30  # about how many neighbours of an atom t-SNE looks at
NEIGHBOURS = 15  # ... and UMAP
FEWEST = 4  # atoms that there must be for a map


def plane(atoms: np.ndarray, method: str = "tsne", seed: int = 0) -> np.ndarray:
    """Return a map of the atoms.

    It is made on one core, about a minute for 10,000 atoms by t-SNE: both methods make another map
    of the least rounding, and that of sums differs with the number of threads.

    Parameters
    ----------
    atoms : (K, d) array
        None of them zero; only their directions matter.
    method : str
        ``tsne`` (van der Maaten & Hinton 2008, "Visualizing Data using t-SNE") or ``umap`` (McInnes
        et al. 2018, "UMAP: Uniform Manifold Approximation and Projection").

    Returns
    -------
    (K, 2) float64 array
        Zeros for fewer than four atoms.

    Raises
    ------
    ImportError
        For UMAP, where umap-learn is not installed.
    """
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if len(atoms) < FEWEST:
        return np.zeros((len(atoms), 2))
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        return METHODS[method](normalize(atoms), seed).astype(np.float64)


def _tsne(directions: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    # Principal components need two channels in which atoms differ; without any, scikit-learn 1.9
    # crashes.
    start = "pca" if (np.ptp(directions, axis=0) > 0).sum() > 1 else "random"
    perplexity = min(PERPLEXITY, (len(directions) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(directions)


def _umap(directions: np.ndarray, seed: int) -> np.ndarray:
    umap = importlib.import_module("umap")
    neighbours = min(NEIGHBOURS, len(directions) - 1)
    return umap.UMAP(n_neighbors=neighbours, random_state=seed).fit_transform(directions)


METHODS = {"tsne": _tsne, "umap": _umap}
