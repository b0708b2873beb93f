"""Clusters, map and trees, from the stored atoms and codes, by scikit-learn and SciPy."""

import sys

import numpy as np
import pytest
from contents import ROOT, datasets
from drawings import over_classes
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import pdist
from scipy.stats import sem
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness

from vinfo_mpi.analyses import metafeatures, super_classes
from vinfo_mpi.errors import InputError

DIGITS = [str(number) for number in range(10)]


@pytest.fixture(scope="module")
def files(run):
    names = ("activations/epoch_002.h5", "dictionary.h5", "codes.h5", "results.h5")
    return [datasets(run[0] / name) for name in names]


def test_clusters_are_those_of_k_means(files):
    atoms = files[1]["atoms"]
    cluster = files[3]["concepts/cluster"]
    assert set(cluster) == set(range(9))  # 1.5 √40
    centres = np.array([atoms[cluster == number].mean(0) for number in range(9)])
    squared = np.square(atoms[:, None] - centres).sum(-1)
    assert (squared.argmin(1) == cluster).all()
    assert squared.min(1).sum() <= 1.05 * KMeans(9, n_init=20, random_state=7).fit(atoms).inertia_


def test_mean_complexity_of_the_clusters(files):
    results = files[3]
    complexity = results["concepts/complexity"]
    cluster = results["concepts/cluster"]
    assert (np.diff(results["metafeatures/complexity"]) >= 0).all()
    for number in results["metafeatures/clusters"]:
        members = complexity[cluster == number]
        mean = results["metafeatures/complexity"][number]
        assert results["metafeatures/size"][number] == len(members)
        assert mean == pytest.approx(members.mean(), rel=1e-12)
        error = results["metafeatures/complexity_se"][number]
        classes = results["concepts/class"][cluster == number]
        if len(members) == 1:
            assert np.isnan(error)
        elif len(set(classes)) >= 5:
            expected = over_classes(lambda draw, of=members: of[draw].mean(), classes)
            assert error == pytest.approx(expected, rel=0.15)
        else:
            assert error == pytest.approx(members.std() / np.sqrt(len(members)), rel=0.15)


def test_a_fifth_of_the_clusters_is_shown(files):
    assert files[3]["metafeatures/shown"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 1]  # 2 of 9
    shown = np.flatnonzero(metafeatures._shown(150))
    assert len(shown) == 30  # as the paper's
    assert (shown[0], shown[-1]) == (0, 149)
    assert set(np.diff(shown)) == {5, 6}


def test_the_tree_of_concepts_is_that_of_scipy(files):
    atoms = files[1]["atoms"]
    results = files[3]
    numbers = results["metafeatures/tree_concepts"]
    assert numbers.tolist() == np.flatnonzero(results["concepts/alive"]).tolist()
    expected = linkage(pdist(atoms[numbers], "cosine"), "average")
    np.testing.assert_allclose(results["metafeatures/concept_linkage"], expected, atol=1e-9)


def test_a_tree_of_many_concepts_is_of_some_evenly_spaced_by_complexity(monkeypatch):
    monkeypatch.setattr(metafeatures, "IN_TREE", 4)
    random = np.random.default_rng(0)
    atoms = random.random((12, 5))
    complexity = np.append(random.permutation(10) / 10, [np.nan, 0.95])
    used = np.arange(12) != 11  # the last atom is zero
    written = {
        dataset.column: values
        for dataset, values in metafeatures._tree_of_concepts(atoms, used, complexity).items()
    }
    assert sorted(complexity[written["tree_concepts"]]) == [0, 0.3, 0.6, 0.9]
    assert written["concept_linkage"].shape == (3, 4)


def test_the_map_keeps_neighbours_together(files):
    place = np.stack([files[3][f"concepts/map_{axis}"] for axis in "xy"], axis=1)
    assert trustworthiness(files[1]["atoms"], place) > 0.85


@pytest.mark.parametrize(
    ("prefix", "group_of"), [("", lambda label: label), ("super_", lambda label: label % 2)]
)
def test_trees_are_those_of_the_mean_codes(files, prefix, group_of):
    stored, _, codes, results = files
    groups = group_of(stored["samples/label"])
    means = np.array([codes["codes"][groups == group].mean(0) for group in np.unique(groups)])
    expected = linkage(pdist(means, "cosine"), "average")
    np.testing.assert_allclose(results[f"metafeatures/{prefix}linkage"], expected, atol=1e-9)
    leaves = dendrogram(expected, no_plot=True)["leaves"]
    assert results[f"metafeatures/{prefix}leaves"].tolist() == leaves


def test_importance_for_super_classes_is_that_of_their_images(files):
    stored, dictionary, codes, results = files
    atoms = dictionary["atoms"].astype(np.float64)
    weights = stored["head/weight"].astype(np.float64)[stored["samples/prediction"]]
    contributions = np.abs(codes["codes"].astype(np.float64) * (weights @ atoms.T))
    groups = stored["samples/label"] % 2
    for number in range(2):
        of_group = contributions[groups == number]
        mean = results["metafeatures/super_importance"][number]
        error = results["metafeatures/super_importance_se"][number]
        np.testing.assert_allclose(mean, of_group.mean(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(error, sem(of_group), rtol=1e-6, atol=1e-9)
    over_all = np.bincount(groups) / len(groups) @ results["metafeatures/super_importance"]
    np.testing.assert_allclose(over_all, results["concepts/importance"], rtol=1e-9, atol=1e-12)


def test_names_of_classes_and_super_classes(files):
    results = files[3]
    assert [name.decode() for name in results["metafeatures/classes"]] == DIGITS
    assert [name.decode() for name in results["metafeatures/super_names"]] == ["even", "odd"]
    assert results["metafeatures/super_class"].tolist() == [0, 1] * 5


def test_super_classes_are_text_whatever_they_look_like(tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text("yes: 1\n1.0: no\nno: 1\n")
    names, groups = super_classes.read(path, ["1.0", "no", "yes"])
    assert names == ["no", "1"] and groups.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("a: [", "is not YAML: "),
        ("- 0\n- 1\n", "holds no pairs; write a line for each class, such as '0: "),
        ("", "holds no pairs"),
        ("0: even", "gives class '1' no super-class; add a line '1: "),
        (
            (ROOT / "tests/parity.yaml").read_text().replace("7: odd", "7:"),
            "gives class '7' no super-class",
        ),
        (
            (ROOT / "tests/parity.yaml").read_text() + "10: even",
            "names '10', which is not a class of the data set; did you mean ",
        ),
    ],
)
def test_super_classes_that_are_not_right_are_refused_in_a_sentence(tmp_path, text, message):
    path = tmp_path / "classes.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as refused:
        super_classes.read(path, DIGITS)
    sentence = str(refused.value)
    assert sentence.startswith(f"metafeatures.super_classes: {path} ")
    assert message in sentence
    assert "\n" not in sentence


def test_umap_that_is_not_installed_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(
        InputError, match=r"needs umap-learn .*: pip install umap-learn, or use tsne"
    ):
        metafeatures._map(np.eye(8), "umap", 0)
