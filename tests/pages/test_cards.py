"""What the report shows of each concept, against the files of the run."""

import json

import h5py
import numpy as np
import pytest
import torch
from contents import datasets
from PIL import Image
from report_pages import on

from vinfo_mpi import Results
from vinfo_mpi.pages.cards import pictures_by_concept
from vinfo_mpi.pages.facets import pictures_of_facets
from vinfo_mpi.stages import report


def test_the_most_activating_images_are_those_of_the_codes(reported, cards):
    stored = datasets(reported.codes)
    ids = stored["samples/id"]
    facets = datasets(reported.results)["concepts/facets"]
    for concept in np.linspace(0, len(cards) - 1, 20).astype(int):
        if facets[concept] > 1:
            continue  # they come from all facets: see below
        column = stored["codes"][:, concept]
        examples = cards[concept]["examples"]
        order = np.lexsort((ids, -column))[:5]
        assert [example["id"] for example in examples[:5]] == ids[order].tolist()
        assert [example["code"] for example in examples[:5]] == column[order].tolist()
        positive = column[column > 0]
        for level, example in zip((0.75, 0.5, 0.25), examples[5:8], strict=True):
            lowest = np.quantile(positive, level, method="lower") * 0.97
            assert lowest <= example["code"] <= np.quantile(positive, level)
        assert examples[8]["code"] == positive.min()


def test_the_hardest_images_are_those_of_the_results(reported, cards):
    codes = datasets(reported.codes)
    row_of = {number: row for row, number in enumerate(codes["samples/id"])}
    for concept, images in enumerate(datasets(reported.results)["pointwise/images"]):
        hardest = cards[concept]["examples"][9:]
        assert [example["id"] for example in hardest] == images.tolist()
        for example in hardest:
            assert example["code"] == codes["codes"][row_of[example["id"]], concept]


def test_examples_carry_label_and_prediction_of_their_image(reported, cards):
    samples = datasets(reported.activations(reported.final))
    row_of = {number: row for row, number in enumerate(samples["samples/id"])}
    for card in cards:
        for example in card["examples"]:
            row = row_of[example["id"]]
            assert example["label"] == samples["samples/label"][row]
            assert example["prediction"] == samples["samples/prediction"][row]


def test_images_are_those_that_the_network_saw(reported, cards):
    path = reported.report / "images/examples_0000.webp"
    sheet = np.asarray(Image.open(path).convert("RGB"), float)
    loader = reported.subject.loader
    for concept, column in ((0, 0), (7, 3), (39, 8)):
        [(image, _, _)] = loader.batches([np.array([cards[concept]["examples"][column]["id"]])])
        pixels = 255 * (image[0].permute(1, 2, 0).numpy() * 0.5 + 0.5)  # normalised by 0.5, 0.5
        tile = sheet[16 * concept : 16 * (concept + 1), 16 * column : 16 * (column + 1)]
        assert np.abs(tile - pixels).mean() < 8  # of 255: WebP loses a little
        assert np.corrcoef(tile.ravel(), pixels.ravel())[0, 1] > 0.99


def test_importance_by_class_adds_up_to_the_importance(reported, cards, concepts):
    predicted = datasets(reported.activations(reported.final))["samples/prediction"]
    with reported.open_activations(reported.final) as activations, reported.open_codes() as codes:
        atoms = torch.from_numpy(datasets(reported.dictionary)["atoms"])
        by_class = report.importance_by_class(reported, activations, codes, atoms)
    importance = np.nan_to_num(by_class)
    weights = np.bincount(predicted, minlength=len(importance)) / len(predicted)
    np.testing.assert_allclose(weights @ importance, concepts["importance"])
    for concept, card in enumerate(cards):
        values = importance[:, concept]
        largest = np.argsort(-values, kind="stable")[:5]
        largest = largest[values[largest] > 0]
        assert [number for number, _ in card["classes"]] == largest.tolist()
        np.testing.assert_allclose([value for _, value in card["classes"]], values[largest])


def test_every_number_is_that_of_the_results(cards, concepts, reported):
    results = Results(reported.results)
    curves = {
        "taps": "vinformation",
        "taps_se": "vinformation_se",
        "epochs_se": "dynamics/vinformation_se",
        "epochs": "dynamics/vinformation",
        "shortcut": "flow/shortcut_cka",
    }
    assert len(cards) == len(concepts)
    for concept, card in enumerate(cards):
        row = concepts.loc[concept].drop("name", errors="ignore")
        assert set(card["values"]) == set(row.index)
        for name, value in card["values"].items():
            assert value == row[name] or (value is None and np.isnan(row[name]))
        for name, dataset in curves.items():
            expected = results.read(dataset)[:, concept]
            np.testing.assert_array_equal(np.array(card[name], float), expected)


def test_errors_of_the_curves_are_those_of_their_ends_and_of_their_mean(cards):
    for card in cards:
        last = card["values"]["last_tap_se"]
        assert card["taps_se"][-1] == last
        assert card["epochs_se"][-1] == pytest.approx(last, rel=1e-6)  # the same tap and epoch
        # The error of a mean is at most the mean of the errors.
        assert 0 < card["values"]["complexity_se"] <= np.mean(card["taps_se"]) + 1e-12


def test_pictures_of_other_concepts_are_not_shown(copy):
    run = on(copy("codes.h5", "visualisation.h5"))
    assert pictures_by_concept(run)
    with h5py.File(run.visualisation, "r+") as file:
        file.attrs["inputs"] = json.dumps({"codes": "of another dictionary"})
    assert pictures_by_concept(run) == {}


def test_the_images_of_a_concept_with_facets_are_from_all_of_them(reported, cards):
    results = datasets(reported.results)
    samples = datasets(reported.activations(reported.final))
    label_of = dict(zip(samples["samples/id"], samples["samples/label"], strict=True))
    codes = datasets(reported.codes)
    row_of = {number: row for row, number in enumerate(codes["samples/id"])}
    several = results["concepts/facets"] > 1
    assert 0 < several.sum() < len(cards)
    for concept, card in enumerate(cards):
        images = results["facets/images"][concept]
        facet = results["facets/facet"][concept]
        facet_of = dict(zip(images, facet + 1, strict=True)) if several[concept] else {}
        for example in card["examples"]:
            assert example.get("facet") == facet_of.get(example["id"])
            assert example["code"] == codes["codes"][row_of[example["id"]], concept]
        assert ("facets" in card) == several[concept]
        if not several[concept]:
            continue
        turns = [list(images[facet == number]) for number in range(facet.max() + 1)]
        taken = [of_facet[turn] for turn in range(5) for of_facet in turns][:5]
        shown = [example["id"] for example in card["examples"][:5]]
        assert shown == sorted(
            taken, key=lambda image: (facet_of[image], list(images).index(image))
        )
        for number, said in enumerate(card["facets"]):
            labels = [label_of[image] for image in turns[number]]
            assert said["images"] == len(labels)
            assert said["of_class"] == labels.count(said["class"]) == np.bincount(labels).max()


def test_pictures_of_other_facets_are_not_shown(copy):
    run = on(copy("codes.h5", "visualisation.h5", "results.h5"))
    with h5py.File(run.visualisation, "r+") as file:
        inputs = json.loads(file.attrs["inputs"])
        if "facets" not in file:
            for name, values in (("concepts", [3, 3]), ("facet", [0, 1])):
                file[f"facets/{name}"] = np.array(values)
    assert pictures_of_facets(run)
    with h5py.File(run.visualisation, "r+") as file:
        file.attrs["inputs"] = json.dumps(inputs | {"facets": "of other settings"})
    assert pictures_of_facets(run) == {}
