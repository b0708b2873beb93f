"""Words for the concepts: every score again by NumPy, and what is refused."""

import json
import sys

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
DRAWS = 39
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
        "draws": DRAWS,
    } | changes
    return [f"names.{name}={value}" for name, value in given.items()]


def named(folder, *options):
    run_stage(on(folder, *options), "names")
    return datasets(folder / "results.h5")


def computed(folder, words, images):
    """Soft WPMI of every concept and word, image by image; share of draws as good, and their mean.

    Words (5, e) and images of all ids (N, e).
    """
    words, images = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (words, images))
    codes = datasets(folder / "codes.h5")
    ids = codes["samples/id"]

    def explain(rows):
        total = np.full(len(words), 0.0 if len(rows) else np.nan)
        for place, row in enumerate(rows):
            odds = np.exp(10 * words @ images[ids[row]])
            belief = 0.998 - 0.028 * place / len(rows)
            total = total + np.log(1 + belief * (odds / odds.sum() - 1) + 1e-7)
        return STRONGEST / max(1, len(rows)) * total

    orders = [
        [row for row in np.argsort(-column, kind="stable")[:STRONGEST] if column[row] > 0]
        for column in codes["codes"].T
    ]
    explained = np.array([explain(order) for order in orders])
    of_concepts = np.nansum(np.exp(explained), axis=0)
    count = sum(map(bool, orders))
    random = np.random.default_rng(0)
    draws = [random.permutation(len(ids))[:STRONGEST] for _ in range(DRAWS)]

    def by_chance(draw):
        likelihood = np.exp(explain(draw))
        return np.log(likelihood * (count + 1) / (of_concepts + likelihood)).max()

    chance = np.array([[by_chance(draw[: len(order)]) for draw in draws] for order in orders])
    scores = explained - np.log(of_concepts / count)
    as_good = (1 + (chance >= scores.max(1)[:, None]).sum(1)) / (1 + DRAWS)
    return scores, np.where(np.isnan(scores[:, 0]), np.nan, as_good), chance.mean(1)


@pytest.fixture(scope="module")
def expected(run, embeddings):
    return computed(run[0], embeddings[1]["words"], embeddings[1]["images"])


def test_the_best_words_are_those_of_a_direct_computation(copy, embeddings, expected):
    folder = copy("config.yaml", "checkpoints", "activations", "codes.h5", "results.h5")
    results = named(folder, *settings(embeddings[0]))
    scores_of_all, as_good, by_chance = expected
    order = np.argsort(-scores_of_all, axis=1)
    assert np.isfinite(scores_of_all).all(1).sum() > 30
    np.testing.assert_allclose(results["concepts/word_as_good"], as_good)
    np.testing.assert_allclose(results["concepts/word_by_chance"], by_chance, rtol=1e-5, atol=1e-5)
    for place, name in enumerate(("word", "runner_up")):
        scores = results[f"concepts/{name}_score"]
        wanted = np.take_along_axis(scores_of_all, order[:, place, None], 1)[:, 0]
        np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
        for concept, word in enumerate(results[f"concepts/{name}"]):
            alive = np.isfinite(scores[concept])
            assert word.decode() == (WORDS[order[concept, place]] if alive else "")
    # The report shows and finds them as names, but for those that chance gives as well.
    read = Results(folder)
    words = [word.decode() for word in results["concepts/word"]]
    names = [word if share <= 0.05 else "" for word, share in zip(words, as_good, strict=True)]
    assert read.concepts["name"].tolist() == names
    assert Contents(read).name(3) == f"3: {names[3]}".removesuffix(": ")
    assert "word" not in Contents(read).concept(3)["values"]


def test_what_embeddings_say_of_classes_chance_seldom_says(copy, run, embeddings, tmp_path):
    """Half of the images are near the word of their class, of half of the concepts."""
    codes = datasets(run[0] / "codes.h5")
    random = np.random.default_rng(1)
    labels = on(run[0]).subject.images.labels
    near = np.eye(5)[labels % 5] + 0.3 * random.normal(size=(len(labels), 5))
    np.save(tmp_path / "words.npy", np.eye(5))
    np.save(tmp_path / "near.npy", near)
    folder = copy("config.yaml", "checkpoints", "activations", "codes.h5", "results.h5")
    given = {"words": tmp_path / "words.npy", "images": tmp_path / "near.npy"}
    results = named(folder, *settings(embeddings[0], **given))
    assert np.median(results["concepts/word_as_good"]) == 1 / (1 + DRAWS)
    assert codes["codes"].shape[1] == len(results["concepts/word"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder with an untrained model of open_clip, the model, and what it does to images."""
    import open_clip
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 12, "vision_cfg": vision, "text_cfg": text}
    own = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear"}
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    model = open_clip.CLIP(**config).eval()
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    described = {"model_cfg": config, "preprocess_cfg": own}
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    transform = open_clip.image_transform(
        32, is_train=False, mean=own["mean"], std=own["std"], interpolation="bilinear"
    )
    return folder, model, transform


def test_a_model_of_open_clip_embeds_words_and_images(copy, run, embeddings, clip):
    import open_clip

    model, transform = clip[1:]
    folder = copy("config.yaml", "checkpoints", "activations", "codes.h5", "results.h5")
    given = {"words": "null", "images": "null", "open_clip": clip[0]}
    results = named(folder, *settings(embeddings[0], **given))
    ids = datasets(folder / "codes.h5")["samples/id"]
    images = on(run[0]).subject.images
    pictures = [images.read(int(index)) for index in ids]
    with torch.no_grad():
        words = model.encode_text(open_clip.get_tokenizer("ViT-B-32", context_length=8)(WORDS))
        some = model.encode_image(torch.stack([transform(picture) for picture in pictures]))
    of_all = np.ones((len(images.labels), some.shape[1]))
    of_all[ids] = some.numpy()
    scores, as_good, _ = computed(folder, words.double().numpy(), of_all)
    np.testing.assert_allclose(results["concepts/word_score"], scores.max(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(results["concepts/word_as_good"], as_good, atol=1.5 / DRAWS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"open_clip": "ViT-B-33"}, "is not a folder, and open_clip has no model .* 'ViT-B-32'"),
        ({"open_clip": "ViT-B-32"}, "has no weights; set names.open_clip_weights"),
        ({"open_clip": "ViT-B-32", "open_clip_weights": "no.pt"}, "ViT-B-32 cannot be made from"),
        ({"open_clip": "{}"}, "cannot be made from what is on this machine .*config file missing"),
    ],
)
def test_models_that_are_not_there_are_refused(run, embeddings, tmp_path, changes, sentence):
    changes = {name: value.format(tmp_path) for name, value in changes.items()}
    given = {"words": "null", "images": "null"} | changes
    with pytest.raises(InputError, match=sentence):
        run_stage(on(run[0], *settings(embeddings[0], **given)), "names")


def test_open_clip_is_asked_for_where_it_is_not_installed(run, embeddings, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    given = {"words": "null", "images": "null", "open_clip": "ViT-B-32"}
    with pytest.raises(InputError, match=r"names\.open_clip: .*pip install open_clip_torch"):
        run_stage(on(run[0], *settings(embeddings[0], **given)), "names")


def test_the_mean_over_concepts_leaves_out_those_without_images():
    values = torch.tensor([[-1.0, -300.0], [-2.0, -900.0], [-torch.inf, -torch.inf]])
    mean, count = soft_wpmi.log_mean(values)
    assert count == 2
    expected = [np.log((np.exp(-1) + np.exp(-2)) / 2), -300 - np.log(2)]
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    assert soft_wpmi.log_mean(values[:0])[0].shape == (2,)


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
