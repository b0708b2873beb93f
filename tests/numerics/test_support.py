import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.numerics.support import Curves, classified_right, orders

B = 200
K = 12
D = 9
C = 4
COUNTS = [0, 1, 2, 2, 5, 11, 12]


def problem(seed=0):
    random = np.random.default_rng(seed)
    codes = random.gamma(0.5, size=(B, K))
    atoms = random.gamma(0.5, size=(K, D))
    offset = random.random(D)
    first = random.normal(size=(D, 16))
    second = random.normal(size=(16, C))

    def head(vectors):
        return np.tanh(vectors - 1) @ first @ second

    # Labels that the head mostly gives itself, and that every class takes part in.
    predictions = head(offset + codes @ atoms).argmax(1)
    labels = np.where(random.random(B) < 0.8, predictions, random.integers(0, C, B))
    return codes, atoms, offset, head, labels, random.permutation(K)


def images_right(codes, atoms, offset, head, labels, order, counts, dtype=torch.float64):
    """Return how many images are classified right from so many concepts."""
    tensors = [torch.from_numpy(array).to(dtype) for array in (codes, atoms, offset)]
    labels = torch.from_numpy(labels)
    return classified_right(*tensors, numpy_head(head), labels, order, counts).sum(1)


def numpy_head(head):
    return lambda vectors: torch.from_numpy(head(vectors.double().numpy()))


@given(st.integers(0, 1000), st.lists(st.integers(0, K), min_size=1, max_size=5).map(sorted))
def test_the_curve_is_that_of_codes_with_the_others_set_to_zero(seed, counts):
    codes, atoms, offset, head, labels, order = problem(seed)
    expected = []
    for count in counts:
        few = np.zeros_like(codes)
        for concept in order[:count]:
            few[:, concept] = codes[:, concept]
        vectors = offset + few @ atoms
        expected.append(sum(head(vectors[i]).argmax() == labels[i] for i in range(B)))
    assert images_right(*problem(seed), counts).tolist() == expected


def test_the_curve_goes_from_the_offset_to_the_whole_reconstruction():
    codes, atoms, offset, head, labels, order = problem()
    curve = images_right(codes, atoms, offset, head, labels, order, COUNTS)
    assert curve[0] == (labels == head(offset).argmax()).sum()
    assert curve[-1] == (labels == head(offset + codes @ atoms).argmax(1)).sum()
    assert curve[2] == curve[3]
    assert len(set(curve.tolist())) > 3


def curves(rows=(slice(0, B),)):
    codes, atoms, offset, head, labels, order = problem()
    draws = np.array([np.flip(order), np.roll(order, 5), np.roll(order, 9)])
    result = Curves({"single": order, "many": draws}, np.array([0, 2, 7, 12]), B)
    for block in rows:
        batch = [torch.from_numpy(values) for values in (codes[block], atoms, offset)]
        result.add(*batch, numpy_head(head), torch.from_numpy(labels[block]))
    return result


def test_curves_add_over_batches():
    whole = curves()
    batches = curves([slice(0, 77), slice(77, 77), slice(77, B)])
    expected = (*whole.accuracy(), *whole.relative())
    for added, at_once in zip((*batches.accuracy(), *batches.relative()), expected, strict=True):
        np.testing.assert_allclose(added, at_once, rtol=1e-12)


def test_equal_orders_are_followed_once_and_count_each():
    codes, atoms, offset, head, labels, order = problem()
    tensors = [torch.from_numpy(values) for values in (codes, atoms, offset)]
    labels = torch.from_numpy(labels)
    counts = np.array([0, 2, 7, 12])
    passes = []

    def counted(vectors):
        passes.append(len(vectors))
        return numpy_head(head)(vectors)

    turned = np.stack([np.flip(order), order])
    result = Curves({"first": order, "draws": turned, "again": order}, counts, B)
    result.add(*tensors, counted, labels)
    assert len(passes) == 2 * len(counts)
    for row, each in enumerate([order, *turned, order]):
        right = classified_right(*tensors, numpy_head(head), labels, each.copy(), counts.tolist())
        assert result.sums[0, row, :-1].tolist() == right.sum(1).tolist()


def test_accuracy_relative_accuracy_and_area_are_those_of_each_draw():
    _, _, _, _, _, order = problem()
    accuracy, _ = curves().accuracy()
    relative, _ = curves().relative()
    draws = (order, np.flip(order), np.roll(order, 5), np.roll(order, 9))
    each = [images_right(*problem()[:5], draw.copy(), [0, 2, 7, 12]).numpy() / B for draw in draws]
    np.testing.assert_allclose(accuracy, [each[0], np.mean(each[1:], 0)])
    ratios = [curve / curve[-1] for curve in each]
    np.testing.assert_allclose(relative[:, :-1], [ratios[0], np.mean(ratios[1:], 0)])
    areas = [np.trapezoid(ratio, np.array([0, 2, 7, 12]) / 12) for ratio in ratios]
    np.testing.assert_allclose(relative[:, -1], [areas[0], np.mean(areas[1:])])


def test_errors_over_the_images_are_those_of_a_bootstrap():
    codes, atoms, offset, head, labels, order = problem()
    tensors = [torch.from_numpy(array) for array in (codes, atoms, offset)]
    counts = [0, 2, 7, 12]
    right = classified_right(*tensors, numpy_head(head), torch.from_numpy(labels), order, counts)
    each = right.numpy().astype(float)
    random = np.random.default_rng(0)
    shares = []
    ratios = []
    for _ in range(4000):
        share = each[:, random.integers(0, B, B)].mean(1)
        ratio = share / share[-1]
        shares.append(share)
        ratios.append([*ratio, np.trapezoid(ratio, np.array(counts) / 12)])
    np.testing.assert_allclose(curves().accuracy()[1][0], np.std(shares, 0), rtol=0.1)
    np.testing.assert_allclose(curves().relative()[1][0], np.std(ratios, 0), rtol=0.1, atol=1e-12)


def test_errors_of_random_orders_add_the_spread_over_the_draws():
    made = curves()
    share = made.sums[0, 1:, :-1].numpy() / B
    expected = (share * (1 - share) / B).mean(0) + share.var(0, ddof=1) / 3
    np.testing.assert_allclose(made.accuracy()[1][1], np.sqrt(expected))


@pytest.mark.filterwarnings("error")
def test_relative_accuracy_is_undefined_where_nothing_is_right():
    result = Curves({"single": np.arange(3)}, np.array([0, 3]), 4)
    labels = torch.full((4,), 7)
    result.add(torch.ones(4, 3), torch.eye(3), torch.zeros(3), lambda vectors: vectors, labels)
    assert np.isnan(result.relative()[0]).all()
    assert (result.accuracy()[0] == 0).all()


def test_codes_of_another_precision_are_summed_in_that_of_the_atoms():
    codes, atoms, offset, head, labels, order = problem()
    tensors = (
        torch.from_numpy(codes).float(),
        torch.from_numpy(atoms),
        torch.from_numpy(offset).float(),
    )
    labels = torch.from_numpy(labels)
    order = torch.from_numpy(order)
    mixed = classified_right(*tensors, numpy_head(head), labels, order, COUNTS).sum(1)
    assert mixed.tolist() == images_right(*problem(), COUNTS).tolist()
    assert images_right(*problem(), COUNTS, torch.float32).tolist() == mixed.tolist()


def test_inputs_stay_as_they_are():
    codes, atoms, offset, _, labels, order = problem()
    tensors = [torch.from_numpy(array.copy()) for array in (codes, atoms, offset)]
    labels = torch.from_numpy(labels)
    classified_right(*tensors, lambda vectors: vectors, labels, order, COUNTS)
    for tensor, before in zip(tensors, (codes, atoms, offset), strict=True):
        np.testing.assert_array_equal(tensor, before)


values = st.lists(
    st.tuples(*[st.one_of(st.integers(0, 3).map(float), st.just(np.nan))] * 2),
    min_size=1,
    max_size=15,
)


@given(values, st.integers(0, 3))
def test_orders_are_permutations_sorted_by_their_name(points, seed):
    complexity, importance = columns = np.array(points).T
    made = orders(complexity, importance, np.zeros(len(points), int), 3, seed)
    dead = np.isnan(columns).any(0)
    for name, key in {
        "importance-descending": -importance,
        "importance-ascending": importance,
        "complexity-ascending": complexity,
        "complexity-descending": -complexity,
    }.items():
        expected = sorted(range(len(points)), key=lambda k: (dead[k], 0 if dead[k] else key[k], k))
        assert made[name].tolist() == expected
    for name in ("complexity-ascending", "complexity-descending", "random"):
        np.testing.assert_array_equal(made[f"{name}-in-turn"], made[name])  # all of one class
    assert made["random"].shape == (3, len(points))
    for draw in made["random"]:
        assert sorted(draw) == list(range(len(points)))
        assert draw[len(points) - dead.sum() :].tolist() == np.flatnonzero(dead).tolist()


def test_equal_concepts_stay_in_the_order_of_their_index():
    made = orders(np.ones(500), np.arange(500.0) % 2, np.zeros(500, int), 1)
    assert made["complexity-ascending"].tolist() == list(range(500))
    assert made["complexity-descending"].tolist() == list(range(500))
    assert made["importance-descending"].tolist() == [*range(1, 500, 2), *range(0, 500, 2)]


def test_random_orders_come_from_the_seed():
    def draws(seed):
        return orders(np.zeros(50), np.zeros(50), np.zeros(50, int), 2, seed)["random"]

    assert (draws(0) == draws(0)).all()
    assert (draws(0) != draws(1)).any()
    assert (draws(0)[0] != draws(0)[1]).any()


def test_a_random_order_favours_no_concept():
    first = orders(np.zeros(4), np.zeros(4), np.zeros(4, int), 4000)["random"][:, 0]
    assert np.bincount(first) / 4000 == pytest.approx(0.25, abs=0.04)


@given(st.integers(0, 1000))
def test_orders_in_turn_take_the_first_of_every_class_then_the_second(seed):
    random = np.random.default_rng(seed)
    complexity = np.where(random.random(14) < 0.2, np.nan, random.random(14).round(1))
    classes = random.integers(-1, 3, 14)
    made = orders(complexity, np.ones(14), classes, 2, seed)
    dead = np.isnan(complexity)
    for name in ("complexity-ascending", "complexity-descending", "random"):
        plain = np.atleast_2d(made[name])
        for order, in_turn in zip(plain, np.atleast_2d(made[f"{name}-in-turn"]), strict=True):
            queues = {c: [k for k in order if classes[k] == c and not dead[k]] for c in classes}
            expected = []
            while any(queues.values()):
                turn = {queue.pop(0) for queue in queues.values() if queue}
                expected += [k for k in order if k in turn]
            assert in_turn.tolist() == [*expected, *np.flatnonzero(dead)]
