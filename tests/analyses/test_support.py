"""Support, from the stored codes, atoms and head: every image, every concept that is left out."""

import numpy as np
import pytest
from contents import datasets

ORDERS = [
    "importance-descending",
    "importance-ascending",
    "complexity-ascending",
    "complexity-descending",
    "random",
    "complexity-ascending-in-turn",
    "complexity-descending-in-turn",
    "random-in-turn",
]


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "dictionary.h5", "codes.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def right(files, concepts):
    """Return which images get their label from these concepts."""
    stored, dictionary, codes, _ = files
    atoms = dictionary["atoms"]
    vectors = np.zeros((len(codes["codes"]), atoms.shape[1]))
    for concept in concepts:
        vectors += np.outer(codes["codes"][:, concept], atoms[concept])
    logits = vectors @ stored["head/weight"].T.astype(float) + stored["head/bias"]
    return logits.argmax(1) == stored["samples/label"]


def order_of(files, name):
    column, direction, *in_turn = name.split("-", 2)
    values = files[3][f"concepts/{column}"]
    order = np.argsort(values if direction == "ascending" else -values)
    if not in_turn:
        return order
    classes = files[3]["concepts/class"]
    turns = [order[classes[order] == number] for number in range(10)]  # 4 concepts of each
    return [k for turn in np.transpose(turns) for k in order if k in turn]


def test_names_and_proportions(files):
    results = files[3]
    assert [name.decode() for name in results["support/orders"]] == ORDERS
    np.testing.assert_allclose(results["support/proportions"], np.arange(21) / 20)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5, 6])
def test_accuracy_and_relative_accuracy_are_those_of_the_rebuilt_vectors(files, order):
    results = files[3]
    concepts = order_of(files, ORDERS[order])
    by_all = right(files, concepts)
    assert 0.2 < by_all.mean() < 1  # else the test says little
    for step in (0, 3, 11, 20):
        by_some = right(files, concepts[: 2 * step])
        share = by_some.mean()
        assert results["support/accuracy"][order, step] == pytest.approx(share, abs=1e-12)
        assert results["support/accuracy_se"][order, step] == pytest.approx(
            np.sqrt(share * (1 - share) / len(by_some)), abs=1e-12
        )
        assert results["support/relative"][order, step] == pytest.approx(
            share / by_all.mean(), abs=1e-12
        )
    assert results["support/relative_se"][order, 20] == 0  # it is 1 whatever the images


def test_area_is_that_under_the_relative_accuracy(files):
    results = files[3]
    expected = np.trapezoid(results["support/relative"], results["support/proportions"], axis=1)
    np.testing.assert_allclose(results["support/area"], expected, rtol=1e-12)
    assert (results["support/area_se"] > 0).all()


def test_random_orders_lie_between_the_ends_and_their_draws_spread(files):
    results = files[3]
    area = results["support/area"]
    for row in (4, 7):
        assert area[1] < area[row] < area[0]
        share = results["support/accuracy"][row]
        binomial = np.sqrt(share * (1 - share) / 400)
        assert (results["support/accuracy_se"][row, 3:15] > binomial[3:15]).all()
