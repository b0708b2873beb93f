"""Functions on arrays: the numbers of the pipeline's files, in the kind that was given."""

import warnings

import numpy as np
import pytest
import torch
from contents import datasets
from scipy.optimize import nnls as scipy_nnls

from vinfo_mpi import (
    NMF,
    InputError,
    Results,
    VInformation,
    cka,
    complexity,
    concept_cka,
    concept_importance,
    nnls,
    vinformation,
)

N = 90
CHANNELS = {"early": 5, "late": 8}
CONCEPTS = 3


@pytest.fixture(scope="module")
def stored(run):
    """What the pipeline has stored of the small run."""
    return {
        **datasets(run[0] / "activations/epoch_002.h5"),
        "codes": datasets(run[0] / "codes.h5")["codes"],
        "atoms": datasets(run[0] / "dictionary.h5")["atoms"],
        "class": datasets(run[0] / "dictionary.h5")["class"],
    }


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    activations = {name: random.exponential(size=(N, d)) for name, d in CHANNELS.items()}
    mixing = random.exponential(size=(CHANNELS["late"], CONCEPTS))
    codes = activations["late"] @ mixing + 4 * random.exponential(size=(N, CONCEPTS))
    return activations, codes


def test_scores_are_those_of_the_pipeline(run, stored):
    results = Results(run[0])
    taps = {name: stored[f"taps/{name}/activations"] for name in results.names("taps")}
    scores = vinformation(
        taps, stored["codes"], labels=stored["samples/label"], ids=stored["samples/id"]
    )
    assert scores.taps == list(taps)
    np.testing.assert_allclose(scores.values, results.read("vinformation"), rtol=0, atol=1e-10)
    frame = complexity(scores).to_frame()
    assert "discarded_se" in frame
    for column in frame:
        np.testing.assert_allclose(frame[column], results.concepts[column], rtol=0, atol=1e-10)


def test_concepts_and_codes_are_those_of_the_pipeline(stored):
    with warnings.catch_warnings(action="ignore"):
        nmf = NMF(4).fit(stored["penultimate/activations"], stored["samples/label"])
    np.testing.assert_allclose(nmf.atoms_, stored["atoms"], rtol=0, atol=1e-10)
    assert (nmf.class_ == stored["class"]).all()
    codes = nmf.encode(stored["penultimate/activations"])
    np.testing.assert_allclose(codes, stored["codes"], rtol=0, atol=1e-10)


def test_importance_is_that_of_the_pipeline(run, stored):
    importance = concept_importance(
        stored["codes"], stored["atoms"], stored["head/weight"], stored["samples/prediction"]
    )
    concepts = Results(run[0]).concepts
    for column, values in (
        ("importance", importance.absolute),
        ("importance_signed", importance.signed),
        ("importance_share", importance.share),
    ):
        np.testing.assert_allclose(values, concepts[column], rtol=0, atol=1e-10)


def test_a_head_may_be_weights_or_a_module_or_a_function(data):
    _, codes = data
    head = torch.nn.Linear(CHANNELS["late"], 4)
    atoms = np.random.default_rng(1).normal(size=(CONCEPTS, CHANNELS["late"]))
    classes = np.arange(N) % 4
    weight = head.weight.detach().double()
    expected = codes * (atoms @ weight.numpy().T).T[classes]
    for each in (weight.numpy(), weight, head, torch.nn.Sequential(head), lambda x: x @ weight.T):
        importance = concept_importance(codes, atoms, each, classes)
        np.testing.assert_allclose(importance.absolute, np.abs(expected).mean(0), rtol=1e-5)
        np.testing.assert_allclose(importance.signed, expected.mean(0), rtol=1e-5, atol=1e-6)


def test_codes_are_those_of_scipy_position_by_position(data):
    activations, _ = data
    atoms = np.random.default_rng(2).normal(size=(CONCEPTS, CHANNELS["late"]))
    x = activations["late"].reshape(N // 2, 2, -1)
    expected = np.array([scipy_nnls(atoms.T, row)[0] for row in activations["late"]])
    codes = nnls(x, atoms, tolerance=1e-10, max_iterations=50000)
    np.testing.assert_allclose(codes, expected.reshape(N // 2, 2, -1).mean(1), atol=1e-8)


def test_concept_cka_is_by_definition(data):
    activations, codes = data
    x = activations["late"] - activations["late"].mean(0)
    z = codes - codes.mean(0)
    size = np.linalg.norm(x.T @ x) * np.square(z).sum(0)
    expected = np.square(x.T @ z).sum(0) / size
    np.testing.assert_allclose(concept_cka(activations["late"], codes), expected, rtol=1e-10)


def everything(activations, codes):
    """Return what all functions make of arrays."""
    x = activations["late"]
    scores = vinformation(activations, codes)
    with warnings.catch_warnings(action="ignore"):
        nmf = NMF(CONCEPTS).fit(x)
    importance = concept_importance(codes, nmf.atoms_, nmf.atoms_, np.zeros(N, int))
    parts = complexity(scores)
    return [
        scores.values, scores.standard_errors, scores.penalty, scores.alive, parts.late,
        parts.standard_errors.complexity, nmf.atoms_, nmf.class_, nmf.objective_, nmf.encode(x),
        nmf.decode(codes), concept_cka(x, codes), importance.share,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_one_kind_of_array_in_gives_the_same_kind_out(data, dtype):
    activations, codes = data
    tensors = {name: torch.from_numpy(x).to(dtype) for name, x in activations.items()}
    of_arrays = everything({name: x.numpy() for name, x in tensors.items()}, codes)
    of_tensors = everything(tensors, torch.from_numpy(codes))
    for array, tensor in zip(of_arrays, of_tensors, strict=True):
        assert isinstance(array, np.ndarray)
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(array, tensor.numpy())


def test_a_constant_far_from_zero_changes_nothing(data):
    activations, codes = data
    moved = {name: x + 1e6 for name, x in activations.items()}
    scores = vinformation(activations, codes)
    np.testing.assert_allclose(vinformation(moved, codes).values, scores.values, atol=1e-7)


def test_a_concept_without_variance_has_no_numbers(data):
    activations, codes = data
    scores = vinformation(activations, np.column_stack([codes, np.full(N, 7.0)]))
    assert scores.alive.tolist() == [True, True, True, False]
    assert np.isnan(complexity(scores).complexity).tolist() == [False, False, False, True]


def test_rows_with_the_same_id_share_a_fold_and_folds_may_be_given(data):
    activations, codes = data
    twice = {name: np.vstack([x, x]) for name, x in activations.items()}
    ids = np.tile(np.arange(N), 2)
    scores = vinformation(activations, codes)
    doubled = vinformation(twice, np.vstack([codes, codes]), ids=ids)
    np.testing.assert_allclose(doubled.values, scores.values, atol=1e-9)
    given = vinformation(activations, codes, folds=np.arange(N) % 3)
    assert given.without.shape == (2, 3, CONCEPTS)


def with_nan(x):
    x = x.copy()
    x[41, 2] = np.nan
    return x


REFUSED = {
    "not finite": (lambda x, z: vinformation({"late": with_nan(x)}, z), "'late'.*row 41"),
    "other rows": (lambda x, z: vinformation({"late": x[1:]}, z), "89 rows and codes 90"),
    "no names": (lambda x, z: vinformation(x, z), "give a dict"),
    "a map": (lambda x, z: vinformation({"a": x[:, :, None, None]}, z), "average maps"),
    "words": (lambda x, z: vinformation({"a": x.astype(str)}, z), "type <U"),
    "one fold": (lambda x, z: vinformation({"a": x}, z, folds=1), "folds: 1"),
    "an empty fold": (lambda x, z: vinformation({"a": x}, z, folds=np.zeros(N, int)), "folds: "),
    "estimator": (lambda x, z: vinformation({"a": x}, z, estimator="held"), "did you mean"),
    "ids": (lambda x, z: vinformation({"a": x}, z, ids=np.zeros(N)), "ids: .* whole number"),
    "R²": (lambda x, z: complexity(np.full((2, 3), -0.2)), "an R² below 0 counts as 0"),
    "negative": (lambda x, z: NMF(3, atoms="non-negative").fit(-x), "negative"),
    "small classes": (lambda x, z: NMF(50).fit(x, np.arange(N) % 2), "no class has more than 45"),
    "not fitted": (lambda x, z: NMF(3).encode(x), "call fit first"),
    "channels": (lambda x, z: nnls(x, z), "8 channels and atoms 3"),
    "class": (lambda x, z: concept_importance(z, x[:3], x, np.full(N, -1)), "not a class"),
    "classes": (lambda x, z: concept_importance(z, x[:3], x, np.full(N, 99)), "go up to 99"),
    "comm": (lambda x, z: cka(x, z, comm=2), "communicator of mpi4py"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(data, case):
    activations, codes = data
    call, sentence = REFUSED[case]
    with pytest.raises(InputError, match=sentence):
        call(activations["late"], codes)


def test_what_is_not_reached_is_warned_of(data):
    activations, _ = data
    x = activations["late"]
    with pytest.warns(UserWarning, match="max_iterations"):
        NMF(3, max_iterations=2).fit(x)
    with pytest.warns(UserWarning, match="did not reach"):
        nnls(x, x[:5], tolerance=1e-14, max_iterations=10)


def test_the_library_loads_no_mpi_and_the_package_next_to_nothing(python):
    program = (
        "import sys, vinfo_mpi; early = {'torch', 'numpy', 'pandas'} & set(sys.modules); "
        "from vinfo_mpi import *; import numpy as np; x = np.eye(20); "
        "vinformation({'a': x}, x); "
        "print('mpi4py.MPI' in sys.modules, len(early))"
    )
    done = python("-c", program)
    assert done.stdout.split() == ["False", "0"], done.stderr


def test_everything_public_is_there():
    import vinfo_mpi

    assert vinfo_mpi.VInformation is VInformation
    assert set(vinfo_mpi.__all__) <= set(dir(vinfo_mpi))
    for name in vinfo_mpi.__all__:
        assert getattr(vinfo_mpi, name)
