import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from vinfo_mpi.numerics import bootstrap, correlation
from vinfo_mpi.numerics.correlation import pearson, spearman

REFERENCES = {pearson: stats.pearsonr, spearman: stats.spearmanr}
both = pytest.mark.parametrize("ours", REFERENCES)


def concepts(n=60, seed=0, ties=False):
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    y = 0.7 * x + random.gamma(1, size=n)
    return (x.round(), y.round()) if ties else (x, y)


@both
@pytest.mark.parametrize("ties", [False, True])
def test_the_value_equals_scipy(ours, ties):
    for seed in range(5):
        x, y = concepts(seed=seed, ties=ties)
        correlated = ours(x, y, draws=2)
        assert correlated.value == pytest.approx(REFERENCES[ours](x, y).statistic, abs=1e-14)
        assert correlated.n == 60


@both
@pytest.mark.parametrize("ties", [False, True])
def test_the_standard_error_equals_the_bootstrap_of_scipy(ours, ties):
    x, y = concepts(ties=ties)
    reference = stats.bootstrap(
        (x, y),
        lambda x, y: REFERENCES[ours](x, y).statistic,
        paired=True,
        vectorized=False,
        n_resamples=3000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    # Two independent estimates from 3000 draws and more differ by about 2 %.
    assert ours(x, y, draws=10_000).standard_error == pytest.approx(
        reference.standard_error, rel=0.06
    )


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_the_standard_error_of_many_normals_has_a_closed_form(rho):
    n = 4000
    x, noise = np.random.default_rng(2).normal(size=(2, n))
    correlated = pearson(x, rho * x + (1 - rho**2) ** 0.5 * noise)
    assert correlated.standard_error == pytest.approx((1 - rho**2) / n**0.5, rel=0.1)


@pytest.mark.parametrize("ties", [False, True])
def test_ranks_within_a_draw_are_those_of_the_concepts_drawn(ties):
    x, _ = concepts(n=20, ties=ties)
    taken = np.random.default_rng(0).integers(0, 20, (8, 20))
    counts = np.stack([np.bincount(draw, minlength=20) for draw in taken])
    ranks = correlation._ranks(x, counts)
    for draw, ranks_of_draw in zip(taken, ranks, strict=True):
        np.testing.assert_array_equal(ranks_of_draw[draw], stats.rankdata(x[draw]))


pairs = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=25)


@given(pairs, st.integers(0, 5))
def test_spearman_depends_on_the_order_alone(points, seed):
    x, y = np.array(points, float).T
    correlated = spearman(x, y, 20, seed)
    assert repr(spearman(x**3, np.exp(y), 20, seed)) == repr(correlated)
    turned = spearman(-x, y, 20, seed)
    np.testing.assert_allclose(
        [turned.value, turned.standard_error],
        [-correlated.value, correlated.standard_error],
        atol=1e-12,
    )


@given(pairs, st.floats(0.1, 100), st.floats(-1e3, 1e3))
def test_pearson_depends_on_neither_scale_nor_origin(points, scale, origin):
    x, y = np.array(points, float).T
    assume(np.ptp(x) > 0 and np.ptp(y) > 0)
    correlated = pearson(x, y, 20)
    moved = pearson(scale * x + origin, y, 20)
    assert -1 <= correlated.value <= 1
    np.testing.assert_allclose(
        [moved.value, moved.standard_error],
        [correlated.value, correlated.standard_error],
        atol=1e-8,
    )


@both
def test_concepts_without_a_value_are_left_out(ours):
    x, y = concepts()
    expected = ours(x, y)
    x = np.append(x, [np.nan, 1, np.nan])
    y = np.append(y, [2, np.nan, np.nan])
    assert ours(x, y) == expected


@both
@pytest.mark.parametrize(
    ("x", "n"),
    [
        ([1, 2, np.nan, np.nan], 2),
        ([0.1, 0.1, 0.1, 0.1], 4),
        ([1e8 + 0.1] * 4, 4),
        ([np.nan] * 4, 0),
    ],
)
def test_too_few_concepts_or_a_constant_have_no_correlation(ours, x, n):
    for pair in ((x, [3, 1, 2, 5]), ([3, 1, 2, 5], x)):
        correlated = ours(*map(np.array, pair))
        assert np.isnan([correlated.value, correlated.standard_error]).all()
        assert correlated.n == n


@both
@pytest.mark.filterwarnings("error")
def test_draws_of_a_single_value_do_not_count(ours):
    # The one concept that differs is missing from every third draw; 0.1 - mean(0.1, 0.1, ...) is
    # not 0 exactly.
    x = np.array([0.1] * 20 + [0.7])
    y = np.arange(21.0)
    taken = np.random.default_rng(0).integers(0, 21, (1000, 21))
    left = [REFERENCES[ours](x[draw], y[draw]).statistic for draw in taken if np.ptp(x[draw])]
    assert 500 < len(left) < 800
    assert ours(x, y, 1000, seed=0).standard_error == pytest.approx(np.std(left, ddof=1), rel=1e-9)


@both
def test_blocks_of_draws_do_not_change_the_result(ours, monkeypatch):
    x, y = concepts(n=61)
    whole = ours(x, y, 100)
    assert whole != ours(x, y, 100, seed=1)
    monkeypatch.setattr(bootstrap, "BLOCK", 7 * 61)
    assert ours(x, y, 100) == whole


def test_partial_correlation_is_that_of_the_residuals_of_ranks():
    random = np.random.default_rng(0)
    third = random.random(300)
    x = third + random.normal(size=300)
    y = -third + random.normal(size=300) + 0.3 * x
    residuals = []
    for values in (x, y):
        ranks = stats.rankdata(values)
        slope, intercept = np.polyfit(stats.rankdata(third), ranks, 1)
        residuals.append(ranks - slope * stats.rankdata(third) - intercept)
    partial = correlation.partial_spearman(x, y, [third])
    assert partial.value == pytest.approx(np.corrcoef(residuals)[0, 1], abs=1e-12)
    assert 0.03 < partial.standard_error < 0.08
    assert partial.n == 300


def test_partial_correlation_given_several_is_that_of_the_residuals_of_ranks():
    random = np.random.default_rng(4)
    given = random.random((3, 200))
    x = given[0] - given[1] + random.normal(size=200)
    y = given[1] + given[2] + random.normal(size=200) + 0.3 * x
    predictors = np.column_stack([np.ones(200), *(stats.rankdata(values) for values in given)])
    residuals = []
    for values in (x, y):
        ranks = stats.rankdata(values)
        residuals.append(ranks - predictors @ np.linalg.lstsq(predictors, ranks)[0])
    partial = correlation.partial_spearman(x, y, list(given), draws=2)
    assert partial.value == pytest.approx(np.corrcoef(residuals)[0, 1], abs=1e-12)


def test_what_the_third_quantity_explains_is_gone():
    random = np.random.default_rng(1)
    third = random.normal(size=500)
    x = third + 0.2 * random.normal(size=500)
    y = third + 0.2 * random.normal(size=500)
    assert correlation.spearman(x, y).value > 0.9
    partial = correlation.partial_spearman(x, y, [third])
    assert abs(partial.value) < 3 * partial.standard_error
    assert np.isnan(correlation.partial_spearman(x, y, [x]).value)


@pytest.mark.parametrize("n", range(5, 30))
def test_nothing_is_left_of_what_the_third_quantity_orders_alike(n):
    """Whatever rounding leaves of 1 - r²."""
    x = np.arange(n)
    y = np.random.default_rng(n).normal(size=n) + x
    assert np.isnan(correlation.partial_spearman(x, y, [x**3], draws=2).value)


@pytest.mark.parametrize("clusters", [None, 12])
def test_a_matrix_is_the_correlations_of_all_pairs(clusters):
    x, y = concepts(ties=True)
    quantities = (x, y, x - y, np.where(np.arange(60) % 9 == 0, np.nan, y**2))
    complete = ~np.isnan(quantities[3])
    cluster = None if clusters is None else np.arange(60) % clusters
    matrix = correlation.spearman_matrix(quantities, draws=200, cluster=cluster)
    assert matrix.n == complete.sum() == 53
    for first in range(4):
        assert matrix.values[first, first] == pytest.approx(1, abs=1e-14)
        for second in range(first):
            pair = spearman(
                quantities[first][complete],
                quantities[second][complete],
                draws=200,
                cluster=None if cluster is None else cluster[complete],
            )
            there = matrix.values[first, second], matrix.standard_errors[first, second]
            assert there == pytest.approx((pair.value, pair.standard_error), abs=1e-12)
    assert np.array_equal(matrix.values, matrix.values.T)


def test_a_matrix_has_no_number_where_a_quantity_is_constant():
    x, y = concepts()
    matrix = correlation.spearman_matrix((x, np.ones(60), y), draws=20)
    assert np.isnan(matrix.values[1]).all()
    assert np.isnan(matrix.standard_errors[1]).all()
    assert matrix.values[0, 2] == pytest.approx(spearman(x, y, draws=2).value, abs=1e-14)
    assert np.isnan(correlation.spearman_matrix((x[:2], y[:2])).values).all()
