import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.numerics.support import Curves, orders, right

B, K, D, C = 200, 12, 9, 4
COUNTS = [0, 1, 2, 2, 5, 11, 12]


def problem(seed=0):
    random = np.random.default_rng(seed)
    codes, atoms, offset = random.gamma(0.5, size=(B, K)), random.gamma(0.5, size=(K, D)), random.random(D)
    first, second = random.normal(size=(D, 16)), random.normal(size=(16, C))

    def head(vectors):
        return np.tanh(vectors - 1) @ first @ second

    # Labels that the head mostly gives itself, and that every class takes part in.
    labels = np.where(random.random(B) < 0.8, head(offset + codes @ atoms).argmax(1), random.integers(0, C, B))
    return codes, atoms, offset, head, labels, random.permutation(K)


def found(codes, atoms, offset, head, labels, order, counts, dtype=torch.float64):
    tensors = [torch.from_numpy(part).to(dtype) for part in (codes, atoms, offset)]
    return right(*tensors, numpy_head(head), torch.from_numpy(labels), order, counts).sum(1)


def numpy_head(head):
    return lambda vectors: torch.from_numpy(head(vectors.double().numpy()))


@given(st.integers(0, 1000), st.lists(st.integers(0, K), min_size=1, max_size=5).map(sorted))
def test_the_curve_is_that_of_codes_with_the_others_set_to_zero(seed, counts):
    codes, atoms, offset, head, labels, order = problem(seed)
    expected = []
    for count in counts:
        kept = np.zeros_like(codes)
        for concept in order[:count]:
            kept[:, concept] = codes[:, concept]
        expected.append(sum(head((offset + kept @ atoms)[i]).argmax() == labels[i] for i in range(B)))
    assert found(*problem(seed), counts).tolist() == expected


def test_the_curve_goes_from_the_offset_to_the_whole_reconstruction():
    codes, atoms, offset, head, labels, order = problem()
    curve = found(codes, atoms, offset, head, labels, order, COUNTS)
    assert curve[0] == (labels == head(offset).argmax()).sum()
    assert curve[-1] == (labels == head(offset + codes @ atoms).argmax(1)).sum()
    assert curve[2] == curve[3]
    assert len(set(curve.tolist())) > 3


def curves(rows=(slice(0, B),)):
    codes, atoms, offset, head, labels, order = problem()
    result = Curves(
        {"one": order, "many": np.array([np.flip(order), np.roll(order, 5), np.roll(order, 9)])}, np.array([0, 2, 7, 12]), B
    )
    for part in rows:
        batch = [torch.from_numpy(values) for values in (codes[part], atoms, offset)]
        result.add(*batch, numpy_head(head), torch.from_numpy(labels[part]))
    return result


def test_curves_add_over_batches():
    whole, parts = curves(), curves([slice(0, 77), slice(77, 77), slice(77, B)])
    for found, expected in zip((*parts.accuracy(), *parts.relative()), (*whole.accuracy(), *whole.relative()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_accuracy_relative_accuracy_and_area_are_those_of_each_draw():
    _, _, _, _, _, order = problem()
    (accuracy, _), (relative, _) = curves().accuracy(), curves().relative()
    each = [
        found(*problem()[:5], one.copy(), [0, 2, 7, 12]).numpy() / B
        for one in (order, np.flip(order), np.roll(order, 5), np.roll(order, 9))
    ]
    np.testing.assert_allclose(accuracy, [each[0], np.mean(each[1:], 0)])
    ratios = [one / one[-1] for one in each]
    np.testing.assert_allclose(relative[:, :-1], [ratios[0], np.mean(ratios[1:], 0)])
    areas = [np.trapezoid(one, np.array([0, 2, 7, 12]) / 12) for one in ratios]
    np.testing.assert_allclose(relative[:, -1], [areas[0], np.mean(areas[1:])])


def test_errors_over_the_images_are_those_of_a_bootstrap():
    codes, atoms, offset, head, labels, order = problem()
    tensors = [torch.from_numpy(part) for part in (codes, atoms, offset)]
    each = right(*tensors, numpy_head(head), torch.from_numpy(labels), order, [0, 2, 7, 12]).numpy().astype(float)
    random, shares, ratios = np.random.default_rng(0), [], []
    for _ in range(4000):
        share = each[:, random.integers(0, B, B)].mean(1)
        shares.append(share)
        ratios.append([*share / share[-1], np.trapezoid(share / share[-1], np.array([0, 2, 7, 12]) / 12)])
    np.testing.assert_allclose(curves().accuracy()[1][0], np.std(shares, 0), rtol=0.1)
    np.testing.assert_allclose(curves().relative()[1][0], np.std(ratios, 0), rtol=0.1, atol=1e-12)


def test_errors_of_random_orders_add_the_spread_over_the_draws():
    made = curves()
    share = made.sums[0, 1:, :-1].numpy() / B
    expected = (share * (1 - share) / B).mean(0) + share.var(0, ddof=1) / 3
    np.testing.assert_allclose(made.accuracy()[1][1], np.sqrt(expected))


@pytest.mark.filterwarnings("error")
def test_relative_accuracy_is_undefined_where_nothing_is_right():
    result = Curves({"one": np.arange(3)}, np.array([0, 3]), 4)
    result.add(torch.ones(4, 3), torch.eye(3), torch.zeros(3), lambda vectors: vectors, torch.full((4,), 7))
    assert np.isnan(result.relative()[0]).all()
    assert (result.accuracy()[0] == 0).all()


def test_codes_of_another_precision_are_summed_in_that_of_the_atoms():
    codes, atoms, offset, head, labels, order = problem()
    tensors = torch.from_numpy(codes).float(), torch.from_numpy(atoms), torch.from_numpy(offset).float()
    mixed = right(*tensors, numpy_head(head), torch.from_numpy(labels), torch.from_numpy(order), COUNTS).sum(1)
    assert mixed.tolist() == found(*problem(), COUNTS).tolist()
    assert found(*problem(), COUNTS, torch.float32).tolist() == mixed.tolist()


def test_inputs_stay_as_they_are():
    codes, atoms, offset, _, labels, order = problem()
    tensors = [torch.from_numpy(part.copy()) for part in (codes, atoms, offset)]
    right(*tensors, lambda vectors: vectors, torch.from_numpy(labels), order, COUNTS)
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
    made = orders(complexity, importance, 3, seed)
    dead = np.isnan(columns).any(0)
    for name, key in {
        "importance-descending": -importance,
        "importance-ascending": importance,
        "complexity-ascending": complexity,
        "complexity-descending": -complexity,
    }.items():
        expected = sorted(range(len(points)), key=lambda k: (dead[k], 0 if dead[k] else key[k], k))
        assert made[name].tolist() == expected
    assert made["random"].shape == (3, len(points))
    for one in made["random"]:
        assert sorted(one) == list(range(len(points)))
        assert one[len(points) - dead.sum() :].tolist() == np.flatnonzero(dead).tolist()


def test_equal_concepts_stay_in_the_order_of_their_index():
    made = orders(np.ones(500), np.arange(500.0) % 2, 1)
    assert made["complexity-ascending"].tolist() == made["complexity-descending"].tolist() == list(range(500))
    assert made["importance-descending"].tolist() == [*range(1, 500, 2), *range(0, 500, 2)]


def test_random_orders_come_from_the_seed():
    complexity = importance = np.zeros(50)
    one, again, other = (orders(complexity, importance, 2, seed)["random"] for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any() and (one[0] != one[1]).any()


def test_a_random_order_favours_no_concept():
    first = orders(np.zeros(4), np.zeros(4), 4000)["random"][:, 0]
    assert np.bincount(first) / 4000 == pytest.approx(0.25, abs=0.04)
