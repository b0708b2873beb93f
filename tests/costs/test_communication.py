"""What the ranks of the finished small run sent is what the formulas say, to the byte."""

import json

import pytest
from contents import datasets

from vinfo_mpi.config.load import load_config
from vinfo_mpi.costs import communication
from vinfo_mpi.costs.sizes import Sizes

MAIN = ("extract", "dictionary", "encode", "score", "importance", "dynamics")
ANALYSES = ("flow", "redundancy", "support", "hoyer", "metafeatures", "sparsity", "spectrum", "robustness")


@pytest.fixture(scope="module")
def settings(run):
    return Sizes(**json.loads((run[0] / "plan.json").read_text())["sizes"]), load_config(run[0] / "config.yaml"), 2


@pytest.fixture(scope="module")
def sent(run):
    return {stage: one["bytes"]["communicated"] for stage, one in json.loads((run[0] / "timings.json").read_text()).items()}


def iterations(folder):
    return len(datasets(folder / "dictionary.h5")["objective"])


@pytest.mark.parametrize("stage", [*MAIN, *ANALYSES, "visualise"])
def test_every_stage_sends_what_its_formula_says(run, settings, sent, stage):
    assert sent[stage] == communication.of(*settings, {"dictionary": iterations(run[0])})[stage]


def test_stability_sends_the_iterations_of_its_fits(settings, sent):
    """Of these fits only the sums over all iterations together are known afterwards."""
    none, one = (communication.of(*settings, {"dictionary": count})["stability"] for count in (0, 1))
    assert sent["stability"] > one
    assert (sent["stability"] - none) % ((one - none) / settings[1].stability.seeds) == 0


def test_sedimentation_sends_the_stages_of_every_epoch(run, settings, sent):
    own = [iterations(folder) for folder in (run[0] / "sedimentation").iterdir()]
    assert len(own) == settings[0].maps - 1 > 1
    assert sent["sedimentation"] == communication.of(*settings, {"dictionary": sum(own) / len(own)})["sedimentation"]


def test_one_rank_sends_nothing(settings):
    sizes, options, _ = settings
    assert not any(communication.of(sizes, options, 1).values())


def test_what_grows_with_what(settings):
    """Twice the ranks, twice the bytes, but for what one rank alone sends; the number of images does not count."""
    sizes, options, _ = settings
    few, many = (communication.of(sizes, options, ranks) for ranks in (2, 4))
    assert all(many[stage] == 2 * few[stage] for stage in ("dictionary", "encode", "importance"))
    assert few["score"] < many["score"] < 2 * few["score"]
    sizes = Sizes(**vars(sizes) | {"n": 10 * sizes.n})
    assert all(communication.of(sizes, options, 2)[stage] == few[stage] for stage in MAIN)
