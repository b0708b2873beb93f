"""Cases of moments, V-information, Gram matrices, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks.gpu.case import (
    CHANNELS,
    CLASSES,
    CODES,
    CONCEPTS,
    FOLD,
    FOLDS,
    TARGETS,
    Cases,
    Place,
    X,
    random,
)
from vinfo_mpi.numerics import (
    attribution,
    cka,
    directions,
    eigen_cam,
    fidelity,
    fourier,
    gram,
    moments,
    ridge,
    spectrum,
)

CASES = Cases()


@CASES.add
def attribution_sums(place: Place) -> Sequence[torch.Tensor]:
    """Sums of contributions to logits."""
    sums = attribution.Attribution(CONCEPTS, place(X).device)
    sums.add(place(CODES * (2 * CODES - 1)))
    return [sums.sums]


def _moments(place: Place, folds_: int, products: torch.dtype = torch.float64) -> moments.Moments:
    sums = moments.Moments(folds_, CHANNELS, CONCEPTS, place(X).device)
    sums.add(place(X.float()), place(CODES), place(FOLD % folds_), products)
    return sums


@CASES.add
def moments_added_and_reduced(place: Place) -> Sequence[torch.Tensor]:
    """Moments of two parts of the data, those of some concepts."""
    sums = _moments(place, FOLDS)
    reduced = (sums + sums).reduced(concepts=range(2, 6))
    return [reduced.n, reduced.x, reduced.xx, reduced.z, reduced.zx, reduced.zz]


@CASES.add_float32
def moments_of_float32_products(place: Place) -> Sequence[torch.Tensor]:
    """Moments whose products are float32."""
    sums = _moments(place, FOLDS, torch.float32)
    return [sums.xx, sums.zx]


@CASES.add
def cka_of_concepts(place: Place) -> Sequence[torch.Tensor]:
    """CKA with every concept, whole and masked."""
    sums = _moments(place, 1)
    return [cka.from_moments(sums)]


@CASES.add
def ridge_held_out(place: Place) -> Sequence[torch.Tensor]:
    """V-information on folds that are held out."""
    scores = ridge.r2(place(X), place(CODES), place(FOLD))
    return [torch.from_numpy(values) for values in (scores.r2, scores.penalty, scores.without)]


@CASES.add
def ridge_own_folds(place: Place) -> Sequence[torch.Tensor]:
    """V-information on the default folds."""
    return [torch.from_numpy(ridge.r2(place(X), place(CODES)).r2)]


@CASES.add_float32
def ridge_in_sample(place: Place) -> Sequence[torch.Tensor]:
    """V-information on the rows that were fitted, float32 products."""
    scores = ridge.r2(
        place(X), place(CODES), place(FOLD), estimator="in-sample", products=torch.float32
    )
    return [torch.from_numpy(scores.r2)]


def _gram(place: Place) -> gram.Gram:
    sums = gram.Gram((CHANNELS, CONCEPTS, CLASSES), place(X).device)
    sums.add(place(X.float()), place(CODES), place(TARGETS))
    return sums


@CASES.add
def gram_of_parts(place: Place) -> Sequence[torch.Tensor]:
    """Means, covariances, principal axes, and the inverse of a covariance without full rank."""
    sums = (_gram(place) + _gram(place)).reduced()
    whitening = sums.whitening(1)
    centred, _ = sums.principal(0, centred=True)
    uncentred, _ = sums.principal(0, centred=False)
    return [
        sums.mean(0),
        sums.covariance(0, 1),
        centred,
        uncentred,
        whitening @ whitening.T,
        torch.tensor(sums.n),
    ]


@CASES.add
def eigen_cam_of_maps(place: Place) -> Sequence[torch.Tensor]:
    """Projections of maps on their first singular vector, of many positions and of few."""
    maps = place(X)[:60].reshape(3, 20, CHANNELS)
    return [eigen_cam.eigen_cam(maps), eigen_cam.eigen_cam(maps[:, :4])]


@CASES.add
def spectrum_of_gram(place: Place) -> Sequence[torch.Tensor]:
    """Eigenvalues of the feature map, and how they fit the task."""
    result = spectrum.from_gram(_gram(place))
    numbers = [
        result.laziness,
        result.effective_dimension,
        float(result.significant),
        float(result.minimal),
    ]
    return [
        result.eigenvalues,
        result.quality,
        result.utilisation,
        result.cumulated_quality,
        torch.tensor(numbers),
    ]


@CASES.add
def directions_of_gram(place: Place) -> Sequence[torch.Tensor]:
    """Principal components, eigenfunctions, and the decoder of codes."""
    sums = gram.Gram((CHANNELS, CONCEPTS), place(X).device)
    sums.add(place(X), place(CODES))
    components = directions.pca(sums)
    functions = directions.eigenfunctions(sums)
    return [
        components.projection,
        components.atoms,
        components.offset,
        functions.projection,
        functions.atoms,
        functions.offset,
        *directions.decoder(sums),
    ]


@CASES.add
def fidelity_of_codes(place: Place) -> Sequence[torch.Tensor]:
    """How well codes stand for activations, per image and in all."""
    true, rebuilt = random(3, 6, 5, CHANNELS), random(4, 6, 5, CHANNELS)
    parts = fidelity.of_images(place(true), place(rebuilt), place(torch.arange(6) < 4))
    return [*parts.values(), torch.tensor(list(fidelity.finish(parts).values()))]


@CASES.add
def fourier_features(place: Place) -> Sequence[torch.Tensor]:
    """Random Fourier features."""
    features = fourier.make(place(X.mean(0)), place(X.std(0)), place(X[:50]), 16)
    return [features(place(X)), features.frequencies, features.phases]
