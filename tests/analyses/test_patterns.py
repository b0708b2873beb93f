"""Patterns: what two ranks have written is what plain hooks see, and scikit-learn makes of it."""

import h5py
import numpy as np
import pytest
import torch
from contents import datasets
from scipy import stats
from small_run import on
from torch import nn

from vinfo_mpi.numerics.activation_codes import some_units
from vinfo_mpi.numerics.arrays import evenly_spaced


@pytest.fixture(scope="module")
def by_hooks(run):
    """Which units of every call of a ReLU are on at epoch 2, by position; labels, held-out."""
    study = on(run[0])
    network = study.subject.network(study.final)
    rows = evenly_spaced(len(study.subject.ids), 130)
    batches = np.split(study.subject.ids[rows], [50, 100])
    calls = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(
                lambda *given: calls.append((given[2] > 0).permute(0, 2, 3, 1).flatten(1).numpy())
            )
    codes = []
    with torch.no_grad():
        for images, _, _ in study.subject.loader.batches(batches):
            network(images)
            codes.append(list(calls))
            calls.clear()
    stored = datasets(run[0] / "activations/epoch_002.h5")
    layers = [np.concatenate(parts) for parts in zip(*codes, strict=True)]
    samples = {
        name: stored[f"samples/{name}"][rows] for name in ("label", "held_out", "prediction")
    }
    return layers, samples


def ratio(codes):
    return (len(codes) - len(np.unique(codes, axis=0))) / len(codes)


def test_redundancy_is_that_of_whole_codes(results, by_hooks):
    layers, samples = by_hooks
    assert len(results["patterns/layers"]) == len(layers) + 1 == 18
    np.testing.assert_array_equal(
        results["patterns/bits"], [*(len(layer[0]) for layer in layers), len(np.hstack(layers)[0])]
    )
    splits = [samples["held_out"] == 0, samples["held_out"] == 1]
    np.testing.assert_array_equal(results["patterns/images"], [mask.sum() for mask in splits])
    for number, codes in enumerate([*layers, np.hstack(layers)]):
        for split, mask in enumerate(splits):
            redundancy = results["patterns/redundancy"][2, split, number]
            assert redundancy == pytest.approx(ratio(codes[mask]))


def test_the_redundancy_of_equally_many_bits(results, by_hooks):
    layers, samples = by_hooks
    assert results["patterns/equal_bits"] == 8
    mask = samples["held_out"] == 0
    some = some_units([len(layer[0]) for layer in layers], 8, seed=0)
    few = [layer[:, units] for layer, units in zip(layers, some.of_layers, strict=True)]
    few.append(np.hstack(few)[:, some.together])
    expected = [ratio(codes[mask]) for codes in few]
    assert max(expected) > 0.2
    np.testing.assert_allclose(results["patterns/equal_redundancy"][2, 0], expected)


def test_classes_told_from_a_layer_that_is_kept_whole(results, by_hooks):
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    layers, samples = by_hooks
    assert results["patterns/kept"][16] == layers[16].shape[1] == 128
    judged = samples["held_out"] == 1
    x, others = layers[16][~judged].astype(float), layers[16][judged].astype(float)
    labels = samples["label"][~judged]
    close = 1.5 / judged.sum()  # an image whose votes are tied, in whatever order columns come
    knn = KNeighborsClassifier(9, metric="hamming", algorithm="brute").fit(x, labels)
    expected = (knn.predict(others) == samples["label"][judged]).astype(float)
    assert results["patterns/knn"][2, 16] == pytest.approx(expected.mean(), abs=close)
    if results["patterns/knn"][2, 16] == pytest.approx(expected.mean()):
        assert results["patterns/knn_se"][2, 16] == pytest.approx(stats.sem(expected))
    logistic = LogisticRegression(max_iter=500).fit(x, labels)
    expected = logistic.score(others, samples["label"][judged])
    assert results["patterns/logistic"][2, 16] == pytest.approx(expected, abs=close)
    clusters = KMeans(10, n_init=5, random_state=3).fit(x)
    purity = sum(
        np.bincount(labels[clusters.labels_ == cluster]).max() for cluster in range(10)
    ) / len(labels)  # fmt: skip
    assert 0.1 < results["patterns/kmeans"][2, 16] < purity + 0.1
    right = (samples["prediction"] == samples["label"])[judged]
    assert results["patterns/network"][2] == pytest.approx(right.mean())


def test_patterns_of_a_layer_that_is_kept_whole(results, by_hooks):
    layers, samples = by_hooks
    judged = samples["held_out"] == 1
    np.testing.assert_array_equal(results["patterns/relaxations"], [0, 0.25])
    for relaxation, share in enumerate([0, 0.25]):
        measured = []
        for label in range(10):
            rates = layers[16][~judged & (samples["label"] == label)].mean(0)
            always, never = 1 - rates <= share + 1e-9, rates <= share + 1e-9
            follow = (layers[16][judged][:, always].all(1)) & (~layers[16][judged][:, never].any(1))
            own = samples["label"][judged] == label
            if own.any():
                measured.append(
                    (always.mean(), never.mean(), follow[own].mean(), follow[~own].mean())
                )
        names = ("on", "off", "recall", "ambiguity")
        for name, values in zip(names, np.array(measured).T, strict=True):
            at = 2, 16, relaxation
            assert results[f"patterns/{name}"][at] == pytest.approx(values.mean())
            assert results[f"patterns/{name}_se"][at] == pytest.approx(stats.sem(values))


def test_single_classes_are_those_of_the_mean(results):
    assert results["patterns/class_recall"].shape == (10, 2)
    for name in ("on", "off", "recall", "ambiguity"):
        of_classes = results[f"patterns/class_{name}"]
        known = ~np.isnan(of_classes).any(1)
        mean = results[f"patterns/{name}"][2, -1]
        np.testing.assert_allclose(of_classes[known].mean(0), mean, atol=1e-12)


def test_axes_are_numbered(run):
    with h5py.File(run[0] / "results.h5") as file:
        axes = [axis[0].name for axis in file["patterns/recall"].dims]
        assert axes == [f"/patterns/{name}" for name in ("checkpoints", "layers", "relaxations")]
        assert file["patterns/class_on"].dims[0][0].name == "/patterns/class_names"
