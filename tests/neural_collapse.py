"""Neural collapse by its definitions: class by class, pair by pair, a pseudo-inverse."""

import itertools

import numpy as np


def directly(x, labels, weight):
    """Return the measures from the raw arrays, by their definitions."""
    classes = np.unique(labels)
    means = np.array([x[labels == c].mean(0) for c in classes])
    within = np.mean([np.outer(v - means[i], v - means[i]) for v, i in index(x, labels)], axis=0)
    centred = means - means.mean(0)
    between = centred.T @ centred / len(classes)
    norms = np.linalg.norm(centred, axis=1)
    pairs = [*itertools.combinations(range(len(classes)), 2)]
    cosines = [centred[a] @ centred[b] / norms[a] / norms[b] for a, b in pairs]
    variance = [np.square(x[labels == c] - x[labels == c].mean(0)).sum(1).mean() for c in classes]
    gram = centred @ centred.T
    simplex = np.eye(len(classes)) - 1 / len(classes)
    rows = weight[classes]
    return {
        "nc1": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / len(classes),
        "nc2_norms": norms.std() / norms.mean(),
        "nc2_angles": np.abs(np.array(cosines) + 1 / (len(classes) - 1)).mean(),
        "nc2": np.linalg.norm(gram / np.linalg.norm(gram) - simplex / np.linalg.norm(simplex)),
        "nc3": np.linalg.norm(rows / np.linalg.norm(rows) - centred / np.linalg.norm(centred)),
        "cdnv": np.mean(
            [
                (variance[a] + variance[b]) / 2 / np.square(means[a] - means[b]).sum()
                for a, b in pairs
            ]
        ),
    }


def index(x, labels):
    """Return every image with the place of its class among those that there are."""
    return zip(x, np.searchsorted(np.unique(labels), labels), strict=True)
