"""Other sources of concepts than our NMF: atoms, codes and everything after them, on the small run."""

import importlib.util
import json
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from contents import ROOT, SMALL, datasets
from safetensors.torch import save_file
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from small_run import on

from vinfo_mpi import Results
from vinfo_mpi.cli import inspect
from vinfo_mpi.concepts import sources
from vinfo_mpi.concepts.slopes import network_slopes
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.config.load import load_config
from vinfo_mpi.errors import InputError
from vinfo_mpi.run import freshness
from vinfo_mpi.stages import dictionary, dynamics, encode, importance, score
from vinfo_mpi.storage import atom_files

SPINE = (dictionary, encode, score, importance, dynamics)
LAST = "layer4.1"


@pytest.fixture
def other(run, tmp_path):
    """Return other(source, *settings, stages=SPINE), the small run with these concepts, after these stages."""

    def other(source, *settings, stages=SPINE):
        made = on(run[0], f"dictionary.source={source}", *settings)
        made.outputs = tmp_path / f"outputs{len(list(tmp_path.iterdir()))}"
        made.outputs.mkdir()
        (made.outputs / "activations").symlink_to(run[0] / "activations")
        made.subject = SimpleNamespace(images=SimpleNamespace(factors=factors(), classes=[str(digit) for digit in range(10)]))
        for stage in stages:
            made.begin()
            stage.run(made)
        return made

    return other


def factors():
    """Return factors of the digits, by id: one that the pooled tap may know, one that it cannot, one that is constant."""
    ids = np.arange(1797)
    return {"even": (ids % 2).astype(float), "noise": np.random.default_rng(0).normal(size=1797), "none": np.ones(1797)}


@pytest.fixture(scope="module")
def stored(run):
    """The activations of the network that is analysed."""
    return datasets(run[0] / "activations/epoch_002.h5")


@pytest.fixture(scope="module")
def pooled(stored):
    """The pooled last tap, in float64."""
    return stored[f"taps/{LAST}/activations"].astype(float) + stored[f"taps/{LAST}/shift"]


def eigenfunctions(pooled):
    """Return the left singular vectors that have any weight, of length √N, with their largest loading positive."""
    left, singular, right = np.linalg.svd(pooled, full_matrices=False)
    kept = singular**2 > 1e-10 * singular[0] ** 2
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(1)])
    return (np.sqrt(len(pooled)) * left * signs)[:, kept]


def principal_components(pooled):
    found = PCA().fit(pooled)
    kept = found.explained_variance_ > 1e-10 * max(found.explained_variance_[0], np.square(pooled).mean(0).max())
    signs = np.sign(found.components_[np.arange(len(found.components_)), np.abs(found.components_).argmax(1)])
    return (found.transform(pooled) * signs)[:, kept]


def centred(values):
    return values - values.mean(0)


EXPECTED = {
    "neurons": lambda pooled, stored: pooled,
    "pca": lambda pooled, stored: principal_components(pooled),
    "eigenfunctions": lambda pooled, stored: eigenfunctions(pooled),
    "logits": lambda pooled, stored: centred(stored["outputs"].astype(float)),
    "factors": lambda pooled, stored: centred(np.stack([values[stored["samples/id"]] for values in factors().values()], 1)),
}


@pytest.mark.parametrize("source", EXPECTED)
def test_a_source_from_codes_to_dynamics(other, stored, pooled, source):
    run = other(source)
    found, codes = datasets(run.dictionary), datasets(run.codes)["codes"]
    np.testing.assert_allclose(codes, EXPECTED[source](pooled, stored), rtol=1e-6, atol=1e-6)
    assert (found["class"] == -1).all()

    # What the atoms say, and how faithful that is.
    rebuilt = found["offset"] + codes @ found["atoms"]
    if source in ("logits", "factors"):
        best = LinearRegression().fit(codes, pooled)
        np.testing.assert_allclose(rebuilt, best.predict(codes), atol=1e-6)
    else:
        np.testing.assert_allclose(rebuilt, pooled, atol=1e-4)
        np.testing.assert_allclose((pooled - found["offset"]) @ found["projection"], codes, atol=1e-9)
    right = (rebuilt @ stored["head/weight"].T + stored["head/bias"]).argmax(1) == stored["samples/prediction"]
    with h5py.File(run.codes) as file:
        error = np.linalg.norm(rebuilt - pooled) / np.linalg.norm(pooled)
        assert file.attrs["relative_error"] == file.attrs["relative_error_positions"] == pytest.approx(error, abs=1e-9)
        assert file.attrs["predictions_kept"] == pytest.approx(right.mean(), abs=1e-9)

    # Everything after them.
    concepts = Results(run.outputs).concepts
    alive = concepts["alive"]
    complexity = check_with_sklearn().complexity(run.outputs)
    np.testing.assert_allclose(concepts["complexity"][alive], complexity[alive], atol=1e-6)
    assert (alive == (codes.std(0) > 1e-12)).all()
    assert {"temporal", "importance", "importance_share"} <= set(concepts)
    slopes = (stored["head/weight"] @ found["atoms"].T)[stored["samples/prediction"]]
    np.testing.assert_allclose(concepts["importance"], np.abs(codes * slopes).mean(0), rtol=1e-6, atol=1e-9)
    assert sources.count(run, LAST, 32, 10) >= len(concepts)


def check_with_sklearn():
    """Return the program that computes complexities with scikit-learn alone."""
    spec = importlib.util.spec_from_file_location("check_with_sklearn", ROOT / "docs/check_with_sklearn.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_concepts_have_the_names_of_factors_and_outputs(other):
    run = other("factors", stages=(dictionary, encode, score))
    concepts = Results(run.outputs).concepts
    assert concepts.columns[0] == "name"
    assert list(concepts["name"]) == ["even", "noise", "none"]
    assert all(isinstance(name, str) for name in concepts["name"])
    assert list(concepts["alive"]) == [True, True, False]
    assert "even" in inspect.inspect(run.results)
    run = other("logits", stages=(dictionary,))
    assert datasets(run.dictionary)["names"].tolist() == [str(digit).encode() for digit in range(10)]
    assert "names" not in datasets(other("pca", stages=(dictionary,)).dictionary)


def test_no_factors(other):
    run = other("factors", stages=())
    run.subject.images.factors = {}
    with pytest.raises(InputError, match=r"the images of data\.source digits have none; use data\.source: planted, or"):
        dictionary.run(run)


def test_the_ranks_find_what_one_finds(other, copy, mpirun):
    folder = copy("config.yaml", "checkpoints", "activations")
    done = mpirun(3, "-m", "vinfo_mpi.encode", *SMALL, "--set", "dictionary.source=pca", "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "plan.json").read_text())["sizes"]["concepts"] == 32
    alone = other("pca", stages=(dictionary, encode))
    for name in ("dictionary.h5", "codes.h5"):
        found, expected = datasets(folder / name), datasets(alone.outputs / name)
        assert found.keys() == expected.keys()
        for key in expected.keys() - {"checksums", "names"}:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-9, atol=1e-9, err_msg=key)


def test_grid_pooling_is_averaged(run):
    """The pooled vector has a value per channel, whatever the taps are pooled to."""
    maps = np.random.default_rng(0).normal(size=(5, 6, 4, 4))
    cells = maps.reshape(5, 6, 2, 2, 2, 2).mean((3, 5)).reshape(5, 24)
    shift = cells.mean(0)
    parts = {"taps/last/activations": cells - shift, "taps/last/shift": shift}
    file = SimpleNamespace(
        taps=["last"],
        shape=lambda name: (5, 16, 6),
        read=lambda name, rows=None: parts[name][rows.start : rows.stop] if rows else parts[name],
    )
    seen = Observed(SimpleNamespace(tensor=torch.from_numpy), file)
    np.testing.assert_allclose(seen.pooled(range(1, 4)), maps[1:4].mean((2, 3)))


def test_importance_of_a_curved_head_is_taken_at_the_rebuilt_vector():
    random = np.random.default_rng(0)
    codes, atoms, offset, weight = (torch.from_numpy(random.normal(size=shape)) for shape in ((9, 4), (4, 5), 5, (5, 3)))
    classes = torch.arange(9) % 3
    slopes = network_slopes(lambda x: torch.tanh(x @ weight), atoms, offset, batch=4)(codes, classes)
    flat = 1 - torch.tanh((offset + codes @ atoms) @ weight).square()  # derivative of tanh
    expected = flat.gather(1, classes[:, None]) * (atoms @ weight).T[classes]
    torch.testing.assert_close(slopes, expected)


# --- files of atoms ---


@pytest.fixture
def atoms(run):
    """The atoms of the NMF."""
    return datasets(run[0] / "dictionary.h5")["atoms"]


def write(path, **arrays):
    if path.suffix == ".npy":
        np.save(path, *arrays.values())
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file({name: torch.from_numpy(values) for name, values in arrays.items()}, path)
    return path


@pytest.mark.parametrize(
    "name, others",
    [
        ("anything.npy", {}),
        ("D.npz", {"bias": np.zeros(3)}),
        ("whatever.npz", {}),
        ("components_.safetensors", {"mean": np.ones(2)}),
    ],
)
def test_the_atoms_of_the_nmf_in_a_file_give_its_codes(run, other, atoms, tmp_path, name, others):
    path = tmp_path / name
    lengths = np.random.default_rng(0).uniform(0.1, 10, (len(atoms), 1))
    made = other(write(path, **{path.stem: lengths * atoms}, **others), stages=(dictionary, encode))
    np.testing.assert_allclose(datasets(made.dictionary)["atoms"], atoms, atol=1e-12)
    np.testing.assert_allclose(datasets(made.codes)["codes"], datasets(run[0] / "codes.h5")["codes"], rtol=1e-6, atol=1e-6)


def test_half_precision_and_whole_numbers_are_numbers(tmp_path):
    save_file({"atoms": torch.eye(3, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    np.save(tmp_path / "whole.npy", np.eye(3, dtype=int))
    for name in ("half.safetensors", "whole.npy"):
        np.testing.assert_array_equal(atom_files.read(tmp_path / name, 3, "last", False), np.eye(3))


def test_negative_atoms_where_they_are_allowed(other, atoms, tmp_path):
    path = write(tmp_path / "signed.npy", atoms=-atoms)
    made = other(path, "dictionary.atoms=signed", stages=(dictionary,))
    np.testing.assert_allclose(datasets(made.dictionary)["atoms"], -atoms, atol=1e-12)


BAD = {
    "a vector": (np.ones(4), r"has shape \(4,\); expected \(K, 4\): a row per atom, a column per channel of last$"),
    "transposed": (np.ones((4, 3)), r"has shape \(4, 3\); expected \(K, 4\)"),
    "empty": (np.ones((0, 4)), r"has shape \(0, 4\); expected \(K, 4\)"),
    "nan": (np.array([[1, 2, 3, 4], [1, 2, np.nan, 4]]), "atom 1 holds NaN or infinity"),
    "negative": (np.array([[1, 2, 3, -4.0]]), r"atom 0 has negative numbers; set dictionary\.atoms: signed"),
    "zero": (np.array([[1, 2, 3, 4], [0, 0, 0, 0.0]]), "atom 1 is zero everywhere; leave it out"),
}


@pytest.mark.parametrize("content, sentence", BAD.values(), ids=BAD)
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_what_is_no_dictionary_is_refused(tmp_path, suffix, content, sentence):
    path = write(tmp_path / f"bad{suffix}", atoms=content)
    with pytest.raises(InputError, match=rf"^dictionary\.source: {path}:? [^\n]*{sentence}"):
        atom_files.read(path, 4, "last", signed=False)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    with pytest.raises(InputError, match=r"bad\.\w+ is not there; give the path of a file of atoms$"):
        atom_files.read(path, 4, "last", signed=False)
    for content in (b"", b"no numbers at all"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"bad{suffix} is no {suffix} file of numbers \([^\n]+\); write it again$"):
            atom_files.read(path, 4, "last", signed=False)


@pytest.mark.parametrize(
    "content", [np.array([["a", "b"]]), np.array([[1j, 2]]), np.array([[None, {}]])], ids=["text", "complex", "objects"]
)
def test_what_is_not_numbers_is_refused(tmp_path, content):
    np.save(tmp_path / "bad.npy", content, allow_pickle=True)
    with pytest.raises(InputError, match=r"is no \.npy file of numbers"):
        atom_files.read(tmp_path / "bad.npy", 2, "last", signed=False)


def test_which_of_several_arrays_is_not_guessed(tmp_path):
    path = write(tmp_path / "many.npz", a=np.eye(2), b=np.eye(2))
    sentence = "holds the arrays 'a', 'b'; keep one of them, or call one of: atoms, dictionary, D, components_"
    with pytest.raises(InputError, match=sentence):
        atom_files.read(path, 2, "last", signed=False)


def test_unknown_sources_are_refused():
    for source, sentence in (("pac", "did you mean 'pca'"), ("atoms.pt", r"valid: nmf, .*factors, the path of a file \.npy, ")):
        with pytest.raises(InputError, match=rf"dictionary\.source: '{source}' is none; {sentence}"):
            load_config(SMALL[1], [f"dictionary.source={source}"])


def test_a_wrong_file_ends_a_run_before_its_work(tmp_path, python):
    path = write(tmp_path / "wide.npy", atoms=np.ones((3, 33)))
    done = python("-m", "vinfo_mpi", *SMALL, "--set", f"dictionary.source={path}", "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert f"vinfo_mpi: dictionary.source: {path} has shape (3, 33); expected (K, 32)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


# --- what depends on what ---


def test_the_dictionary_follows_the_content_of_the_file(other, atoms, tmp_path):
    path = write(tmp_path / "mine.npy", atoms=atoms)
    made = other(path, stages=(dictionary, encode))
    assert freshness.is_current(made, "dictionary") and freshness.is_current(made, "encode")
    assert json.loads(freshness.provenance(made, "dictionary", "vinfo-dictionary")["inputs"])["atoms"]
    write(path, atoms=atoms[::-1])
    assert not freshness.is_current(made, "dictionary")
    dictionary.run(made)
    assert freshness.is_current(made, "dictionary")
    assert not freshness.is_current(made, "encode")


def test_settings_of_the_nmf_do_not_matter_to_other_sources():
    def settings(*changes):
        return freshness.settings(load_config(SMALL[1], list(changes)), "dictionary")

    assert settings("dictionary.source=pca") == settings("dictionary.source=pca", "dictionary.concepts_per_class=3")
    assert settings("dictionary.source=pca") != settings("dictionary.source=neurons")
    assert settings() != settings("dictionary.concepts_per_class=3")
