"""Atoms from a file: which files are refused, and what follows from those that are not."""

import json

import numpy as np
import pytest
import torch
from contents import SMALL, datasets
from safetensors.torch import save_file
from small_run import run_stage

from vinfo_mpi.errors import InputError
from vinfo_mpi.run import freshness
from vinfo_mpi.run.part import Part
from vinfo_mpi.storage import atom_files


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
    "name, more",
    [
        ("anything.npy", {}),
        ("D.npz", {"bias": np.zeros(3)}),
        ("whatever.npz", {}),
        ("components_.safetensors", {"mean": np.ones(2)}),
    ],
)
def test_the_atoms_of_the_nmf_in_a_file_give_its_codes(
    run, with_source, atoms, tmp_path, name, more
):
    path = tmp_path / name
    lengths = np.random.default_rng(0).uniform(0.1, 10, (len(atoms), 1))
    made = with_source(
        write(path, **{path.stem: lengths * atoms}, **more), stages=("dictionary", "encode")
    )
    np.testing.assert_allclose(datasets(made.dictionary)["atoms"], atoms, atol=1e-12)
    np.testing.assert_allclose(
        datasets(made.codes)["codes"], datasets(run[0] / "codes.h5")["codes"], rtol=1e-6, atol=1e-6
    )


def test_half_precision_and_whole_numbers_are_numbers(tmp_path):
    save_file({"atoms": torch.eye(3, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    np.save(tmp_path / "whole.npy", np.eye(3, dtype=int))
    for name in ("half.safetensors", "whole.npy"):
        np.testing.assert_array_equal(atom_files.read(tmp_path / name, 3, "last", False), np.eye(3))


def test_negative_atoms_where_they_are_allowed(with_source, atoms, tmp_path):
    path = write(tmp_path / "signed.npy", atoms=-atoms)
    made = with_source(path, "dictionary.atoms=signed", stages=("dictionary",))
    np.testing.assert_allclose(datasets(made.dictionary)["atoms"], -atoms, atol=1e-12)


BAD = {
    "a vector": (
        np.ones(4),
        r"has shape \(4,\); expected \(K, 4\): a row per atom, a column per channel of last$",
    ),
    "transposed": (np.ones((4, 3)), r"has shape \(4, 3\); expected \(K, 4\)"),
    "empty": (np.ones((0, 4)), r"has shape \(0, 4\); expected \(K, 4\)"),
    "nan": (np.array([[1, 2, 3, 4], [1, 2, np.nan, 4]]), "atom 1 holds NaN or infinity"),
    "negative": (
        np.array([[1, 2, 3, -4.0]]),
        r"atom 0 has negative numbers; set dictionary\.atoms: signed",
    ),
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
    with pytest.raises(
        InputError, match=r"bad\.\w+ does not exist; give the path of a file of atoms$"
    ):
        atom_files.read(path, 4, "last", signed=False)
    for content in (b"", b"no numbers at all"):
        path.write_bytes(content)
        with pytest.raises(
            InputError,
            match=rf"bad{suffix} is not a {suffix} file of numbers \([^\n]+\); write it again$",
        ):
            atom_files.read(path, 4, "last", signed=False)


@pytest.mark.parametrize(
    "content",
    [np.array([["a", "b"]]), np.array([[1j, 2]]), np.array([[None, {}]])],
    ids=["text", "complex", "objects"],
)
def test_what_is_not_numbers_is_refused(tmp_path, content):
    np.save(tmp_path / "bad.npy", content, allow_pickle=True)
    with pytest.raises(InputError, match=r"is not a \.npy file of numbers"):
        atom_files.read(tmp_path / "bad.npy", 2, "last", signed=False)


def test_which_of_several_arrays_is_not_guessed(tmp_path):
    path = write(tmp_path / "many.npz", a=np.eye(2), b=np.eye(2))
    sentence = (
        "holds the arrays 'a', 'b'; keep one of them, or call one of: "
        "atoms, dictionary, D, components_"
    )
    with pytest.raises(InputError, match=sentence):
        atom_files.read(path, 2, "last", signed=False)


def test_a_wrong_file_ends_a_run_before_its_work(tmp_path, python):
    path = write(tmp_path / "wide.npy", atoms=np.ones((3, 33)))
    done = python(
        "-m",
        "vinfo_mpi",
        *SMALL,
        "--set",
        f"dictionary.source={path}",
        "--run-dir",
        tmp_path / "run",
    )
    assert done.returncode == 2
    assert (
        f"vinfo_mpi: dictionary.source: {path} has shape (3, 33); expected (K, 32)" in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_dictionary_follows_the_content_of_the_file(with_source, atoms, tmp_path):
    path = write(tmp_path / "mine.npy", atoms=atoms)
    made = with_source(path, stages=("dictionary", "encode"))
    assert freshness.is_current(made, "dictionary") and freshness.is_current(made, "encode")
    assert json.loads(Part(made, "dictionary", run_stage).provenance["inputs"])["atoms"]
    write(path, atoms=atoms[::-1])
    assert not freshness.is_current(made, "dictionary")
    run_stage(made, "dictionary")
    assert freshness.is_current(made, "dictionary")
    assert not freshness.is_current(made, "encode")
