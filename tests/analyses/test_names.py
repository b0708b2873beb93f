"""Words for the concepts: every score again by NumPy, and what is refused."""

import numpy as np
import pytest
import torch
from contents import datasets
from small_run import on, run_stage

from vinfo_mpi import Results
from vinfo_mpi.errors import InputError, NotApplicable
from vinfo_mpi.numerics import soft_wpmi
from vinfo_mpi.pages.contents import Contents

STRONGEST = 15
WORDS = ["zero", "one", "two", "round", "a straight line"]


@pytest.fixture(scope="module")
def embeddings(run, tmp_path_factory):
    """Embeddings of words and of all images of the data set, of any length, and settings."""
    folder = tmp_path_factory.mktemp("names")
    random = np.random.default_rng(0)
    count = len(on(run[0]).subject.images.labels)
    arrays = {"words": random.normal(size=(5, 8)), "images": random.normal(size=(count, 8))}
    np.savez(folder / "both.npz", **arrays)
    np.save(folder / "images.npy", arrays["images"].astype(np.float32))
    (folder / "words.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return folder, arrays


def settings(folder, **changes):
    given = {
        "vocabulary": folder / "words.txt",
        "words": f"{folder}/both.npz:words",
        "images": folder / "images.npy",
        "strongest": STRONGEST,
    } | changes
    return [f"names.{name}={value}" for name, value in given.items()]


def named(folder, *options):
    run_stage(on(folder, *options), "names")
    return datasets(folder / "results.h5")


@pytest.fixture(scope="module")
def expected(run, embeddings):
    """Soft WPMI of every concept and word, image by image."""
    unit = {
        name: rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for name, rows in embeddings[1].items()
    }
    codes = datasets(run[0] / "codes.h5")
    explained = np.full((codes["codes"].shape[1], 5), np.nan)
    for concept, column in enumerate(codes["codes"].T):
        order = [row for row in np.argsort(-column, kind="stable")[:STRONGEST] if column[row] > 0]
        total = 0
        for place, row in enumerate(order):
            odds = np.exp(10 * unit["words"] @ unit["images"][codes["samples/id"][row]])
            belief = 0.998 - 0.028 * place / len(order)
            total = total + np.log(1 + belief * (odds / odds.sum() - 1) + 1e-7)
        if order:
            explained[concept] = STRONGEST / len(order) * total
    return explained - np.log(np.nanmean(np.exp(explained), axis=0))


def test_the_best_words_are_those_of_a_direct_computation(copy, embeddings, expected):
    folder = copy("config.yaml", "checkpoints", "activations", "codes.h5", "results.h5")
    results = named(folder, *settings(embeddings[0]))
    order = np.argsort(-expected, axis=1)
    assert np.isfinite(expected).all(1).sum() > 30
    for place, name in enumerate(("word", "runner_up")):
        scores = results[f"concepts/{name}_score"]
        wanted = np.take_along_axis(expected, order[:, place, None], 1)[:, 0]
        np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
        for concept, word in enumerate(results[f"concepts/{name}"]):
            alive = np.isfinite(scores[concept])
            assert word.decode() == (WORDS[order[concept, place]] if alive else "")
    # The report shows and finds them as names.
    read = Results(folder)
    assert read.concepts["name"].tolist() == [word.decode() for word in results["concepts/word"]]
    assert Contents(read).name(3) == f"3: {results['concepts/word'][3].decode()}"
    assert "word" not in Contents(read).concept(3)["values"]


def test_the_mean_over_concepts_leaves_out_those_without_images():
    values = torch.tensor([[-1.0, -300.0], [-2.0, -900.0], [-torch.inf, -torch.inf]])
    mean = soft_wpmi.log_mean(values)
    expected = [np.log((np.exp(-1) + np.exp(-2)) / 2), -300 - np.log(2)]
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    assert soft_wpmi.log_mean(values[:0]).shape == (2,)


def test_without_words_there_are_no_names(run):
    with pytest.raises(NotApplicable, match=r"set names\.vocabulary"):
        run_stage(on(run[0]), "names")


@pytest.mark.parametrize(
    ("changes", "content", "sentence"),
    [
        ({}, "one\n\nthree", "has 3 lines, of which 1 are empty"),
        ({}, "one\ntwo", r"both.npz:words has shape \(5, 8\); expected \(2, e\)"),
        ({"vocabulary": "nowhere.txt"}, None, "nowhere.txt cannot be read"),
        ({"images": "{}/both.npz:words"}, None, r"has shape \(5, 8\); expected \(1797, e\)"),
        ({"images": "{}/narrow.npy"}, None, "has 8 numbers a row and .*narrow.npy 3; take both"),
        ({"images": "{}/nan.npy"}, None, r"row \d+ holds NaN or infinity"),
    ],
)
def test_what_does_not_fit_is_refused(run, embeddings, tmp_path, changes, content, sentence):
    folder, arrays = embeddings
    np.save(folder / "narrow.npy", arrays["images"][:, :3])
    damaged = arrays["images"].copy()
    damaged[5:] = np.nan
    np.save(folder / "nan.npy", damaged)
    changes = {name: value.format(folder) for name, value in changes.items()}
    if content is not None:
        (tmp_path / "words.txt").write_text(content)
        changes["vocabulary"] = tmp_path / "words.txt"
    with pytest.raises(InputError, match=sentence):
        run_stage(on(run[0], *settings(folder, **changes), "names.strongest=400"), "names")
