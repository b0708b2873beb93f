import numpy as np
import pandas as pd
import pytest
from drawings import over_classes
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import sem
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_info, threadpool_limits

from vinfo_mpi.numerics.clustering import kmeans, ranked, standard_errors, summary

pytestmark = pytest.mark.filterwarnings("error")


def planted(groups=6, members=15, d=20, seed=0):
    """Return atoms around a few directions, of any length, and which direction each is of."""
    random = np.random.default_rng(seed)
    group = random.permutation(np.repeat(np.arange(groups), members))
    atoms = random.gamma(0.5, size=(groups, d))[group] + 0.05 * random.random((len(group), d))
    return atoms * random.uniform(0.1, 10, (len(group), 1)), group


@pytest.mark.parametrize("seed", range(3))
def test_directions_are_found_whatever_the_lengths(seed):
    atoms, group = planted(seed=seed)
    cluster = kmeans(atoms, 6, seed)
    assert adjusted_rand_score(group, cluster) == 1
    assert set(cluster) == set(range(6))


def test_there_are_no_more_clusters_than_different_atoms():
    assert sorted(kmeans(np.eye(3), 10)) == [0, 1, 2]
    cluster = kmeans(np.repeat(np.eye(4)[:2], 5, axis=0), 4)
    assert len(set(cluster[:5])) == len(set(cluster[5:])) == 1
    assert cluster[0] != cluster[5]
    assert kmeans(np.ones((1, 3)), 1).tolist() == [0]


def test_rounding_does_not_depend_on_the_threads_of_the_machine(monkeypatch):
    threads = []

    def fit_predict(model, x):
        threads.extend(library["num_threads"] for library in threadpool_info())
        return np.zeros(len(x))

    monkeypatch.setattr(KMeans, "fit_predict", fit_predict)
    with threadpool_limits(4):
        kmeans(np.eye(3), 2)
    assert set(threads) == {1}


members = st.lists(
    st.tuples(st.integers(0, 4), st.one_of(st.floats(-10, 10, width=32), st.just(np.nan))),
    min_size=1,
    max_size=40,
)


def columns(points):
    """Return clusters numbered 0, 1, ... without a gap, and values."""
    cluster = np.array([number for number, _ in points])
    values = np.array([value for _, value in points])
    return np.unique(cluster, return_inverse=True)[1], values


@given(members)
def test_summary_is_that_of_pandas(points):
    cluster, values = columns(points)
    size, mean = summary(cluster, values)
    groups = pd.Series(values).groupby(cluster)
    assert size.tolist() == groups.size().tolist()
    np.testing.assert_allclose(mean, groups.mean(), rtol=1e-12, atol=1e-12)


def test_errors_are_over_classes_and_over_members_of_few():
    random = np.random.default_rng(0)
    cluster = np.array([0] * 80 + [1] * 40 + [2])
    classes = np.r_[np.arange(80) % 8, np.arange(40) % 2, 0]
    values = random.normal(size=121) + 3 * random.normal(size=8)[classes]
    values[5] = np.nan
    errors = standard_errors(cluster, values, classes)
    members = (cluster == 0) & np.isfinite(values)
    expected = over_classes(lambda draw: values[members][draw].mean(), classes[members])
    assert errors[0] == pytest.approx(expected, rel=0.1)
    assert errors[1] == pytest.approx(sem(values[cluster == 1]), rel=0.1)
    assert np.isnan(errors[2])


@given(members)
def test_ranked_clusters_are_the_same_ones_in_the_order_of_their_means(points):
    cluster, values = columns(points)
    renumbered = ranked(cluster, values)
    pairs = set(zip(cluster, renumbered, strict=True))
    assert len(pairs) == len(set(cluster)) == len(set(renumbered))
    _, mean = summary(renumbered, values)
    known = np.isfinite(mean)
    assert (np.diff(mean[known]) >= 0).all()
    assert known[: known.sum()].all()  # clusters without a mean come last
