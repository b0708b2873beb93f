"""Warnings: each is given where its reason holds, and not where all is well."""

import h5py
import numpy as np
import pytest
from contents import datasets
from scipy.spatial.distance import cdist

from vinfo_mpi import Results
from vinfo_mpi.config.schema import Config
from vinfo_mpi.numerics.agreement import Reordering
from vinfo_mpi.results import facts
from vinfo_mpi.results.facts import Facts, Predictions
from vinfo_mpi.results.reliability import RULES, warnings_about
from vinfo_mpi.results.schema import WARNINGS

STRAIGHT = Reordering(np.arange(4), right=180, before=180, images=200)
WELL = {
    "network": "resnet18",
    "data": "folder",
    "random_weights": False,
    "outputs": 4,
    "classifies": True,
    "labelled": True,
    "held_out": True,
    "predictions": Predictions(400, 360, 0.25, 4, STRAIGHT),
    "analysed": 1000,
    "copies": 0,
    "per_class": np.full(4, 250),
    "widths": {"layer1": 8, "layer4": 64},
    "drawn": None,
    "concepts": 12,
    "alive": 12,
    "repeated": 0,
    "rare": 0,
    "pictures": 10,
    "activating": 8,
    "fidelity": {"predictions_kept": 1.0},
}
TWO_SWAPPED = Reordering(np.array([0, 2, 1, 3]), right=190, before=100, images=200)


def judged(right, chance=0.25, different=4, reordering=STRAIGHT):
    return {"predictions": Predictions(400, right, chance, different, reordering)}


# What is otherwise than well, and what is said of it.
REASONS = {
    "random": ({"random_weights": True}, "The network's weights are random"),
    "outputs": ({"outputs": 3}, "The network has 3 outputs, the data 4 classes"),
    "one class": (judged(100, 0.25, 1), "predicts the same class for all of 400 images"),
    "chance": (judged(110), "no better than chance (27.50 % of 400 held-out images correct, where"),
    "below": (judged(20), "right less often than by chance (5.00 %"),
    "order": (
        judged(200, reordering=TWO_SWAPPED),
        "with 2 of them exchanged (such as output 2 class 1, counted from 0) 95.0 % instead of 50",
    ),
    "unfaithful": ({"fidelity": {"predictions_kept": 0.95}}, "Only 95.00 % of the predictions"),
    "drawn positions": ({"drawn": 9}, "Codes are means over 9 drawn positions of each image"),
    "dead": ({"alive": 9}, "3 of 12 concepts are dead"),
    "repeated": ({"repeated": 5}, "Only 7 of 12 concepts are distinct: the atoms of 5 point"),
    "rare": ({"rare": 2}, "2 of 12 living concepts occur on fewer than 20 images"),
    "few images": ({"per_class": np.array([250, 0, 49, 250])}, "the smallest 49 (fewer than 50)"),
    "copies": ({"copies": 3}, "3 of 1000 images are copies of others"),
    "narrow": ({"widths": {"stem": 2, "layer4": 64}}, "The vectors of stem hold fewer numbers"),
    "filters": (
        {"convolutions": 17, "degenerate": 9},
        "The filters of 9 of 17 convolutions are degenerate",
    ),
    "pictures": ({"activating": 7}, "Only 7 of 10 drawn pictures activate their concept"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_gives_its_warning_alone(reason):
    change, expected = REASONS[reason]
    [sentence] = warnings_about(Facts(**{**WELL, **change}))
    assert expected in sentence


@pytest.mark.parametrize(
    "change",
    [
        {},
        judged(130),  # above chance: 130 of 400 at a quarter have a probability of 4e-4
        {"predictions": None, "labelled": False, "outputs": 1000},
        {"predictions": None, "classifies": False, "fidelity": {"predictions_kept": np.nan}},
        {"predictions": Predictions(400, 400, 1.0, 1, STRAIGHT), "per_class": np.array([0, 1000])}
        | {"outputs": 2},  # of one class there is nothing else to predict
        {"pictures": 0, "activating": 0},
        {"convolutions": 16, "degenerate": 8},
    ],
)
def test_no_warning_without_a_reason(change):
    assert warnings_about(Facts(**{**WELL, **change})) == []


def test_every_rule_has_a_reason_here():
    silent = [rule.__name__ for rule in RULES if not any(
        rule(Facts(**{**WELL, **change})) for change, _ in REASONS.values()
    )]  # fmt: skip
    assert not silent


@pytest.mark.parametrize(
    ("source", "setting", "drawn"),
    [("nmf", 9, 9), ("nmf", 12, None), ("nmf", "all", None), ("neurons", 9, None)],
)
def test_positions_are_drawn_where_no_more_should_be_kept_and_codes_follow_from_them(
    source, setting, drawn
):
    settings = {"dictionary": {"source": source}, "extract": {"positions": setting}}
    assert facts._drawn(settings, 9) == drawn


@pytest.mark.parametrize(
    "network, train, random",
    [
        ({"name": "resnet18"}, {}, True),
        ({"name": "resnet18"}, {"epochs": 2, "parameters": "head"}, True),
        ({"name": "resnet18"}, {"epochs": 2}, False),
        ({"name": "timm/resnet18"}, {}, True),
        ({"name": "timm/resnet18", "weights": "pretrained"}, {}, False),
        ({"name": "hf/folder"}, {}, False),
        ({"name": "resnet18", "checkpoints": ["a.pt"]}, {}, False),
        ({"target": "package.module:function"}, {}, False),
    ],
)
def test_weights_that_nothing_has_given(network, train, random):
    config = Config.model_validate({"network": network, "train": train})
    assert facts._random_weights(config.model_dump(mode="json")) == random


def test_what_is_known_of_a_run_follows_from_its_files(run):
    folder, printed = run
    results = Results(folder)
    about = facts.facts(results)
    samples = datasets(folder / "activations/epoch_002.h5")
    held_out = samples["samples/held_out"] == 1
    right = (samples["samples/prediction"] == samples["samples/label"])[held_out]
    assert (about.predictions.right, about.predictions.images) == (right.sum(), len(right))
    assert about.predictions.different == len({*samples["samples/prediction"][held_out]})
    assert (about.outputs, about.random_weights, about.drawn) == (10, False, None)
    atoms = datasets(folder / "dictionary.h5")["atoms"].astype(float)
    cosines = 1 - cdist(atoms, atoms, "cosine")
    assert about.repeated == sum((cosines[atom, :atom] > 0.9).any() for atom in range(len(atoms)))
    codes = datasets(folder / "codes.h5")["codes"]
    assert about.rare == ((codes > 0).sum(0)[results.concepts["alive"]] < 20).sum()
    degenerate = datasets(folder / "results.h5")["filters/degenerate"][-1]
    assert (about.convolutions, about.degenerate) == (len(degenerate), degenerate.sum())
    pictures = datasets(folder / "visualisation.h5")
    above = pictures["activations"] > pictures["reference"]
    assert (about.pictures, about.activating) == (len(above), above.sum())
    # The file says what was known when it was scored, the terminal all.
    stored = results.names("warnings")
    assert any("the smallest 40 (fewer than 50)" in sentence for sentence in stored)
    later = ("pictures", "filters")
    assert [said for said in results.warnings if not any(word in said for word in later)] == stored
    for sentence in results.warnings:
        assert f"note         {sentence}\n" in printed.stdout


def test_no_warning_is_stored_as_none(tmp_path):
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["warnings"] = WARNINGS.table([]).values
        assert file["warnings"].asstr()[()].tolist() == []
