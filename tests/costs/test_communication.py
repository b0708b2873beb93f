"""What the ranks of the finished small run sent is what the formulas say, to the byte."""

import json
from dataclasses import replace

import pytest
from contents import datasets

from vinfo_mpi.config.load import load_config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.pipeline.plan import costs_of_stages

MAIN = ("extract", "dictionary", "encode", "score", "importance", "dynamics")
ANALYSES = (
    "flow",
    "redundancy",
    "support",
    "hoyer",
    "metafeatures",
    "sparsity",
    "spectrum",
    "collapse",
    "robustness",
    "patterns",
    "merging",
    "pointwise",
    "monosemanticity",
    "filters",
    "facets",
)


@pytest.fixture(scope="module")
def work(run):
    sizes = Sizes(**json.loads((run[0] / "plan.json").read_text())["sizes"])
    return Workload(sizes, load_config(run[0] / "config.yaml"), ranks=2)


@pytest.fixture(scope="module")
def sent(run):
    timings = json.loads((run[0] / "timings.json").read_text())
    return {stage: timing["bytes"]["communicated"] for stage, timing in timings.items()}


def planned(work, **changes):
    """Return the bytes that the formulas say each stage sends."""
    work = replace(work, **changes)
    stages = costs_of_stages(work.config.stages, work)
    return {stage: costs.sent for stage, costs in stages.items()}


def iterations(folder):
    return len(datasets(folder / "dictionary.h5")["objective"])


@pytest.mark.parametrize("stage", [*MAIN, *ANALYSES, "visualise"])
def test_every_stage_sends_what_its_formula_says(run, work, sent, stage):
    assert sent[stage] == planned(work, iterations=fit(iterations(run[0])))[stage]


def test_stability_sends_the_iterations_of_its_fits(work, sent):
    """Of these fits only the sums over all iterations together are known afterwards."""
    without = planned(work, iterations=fit(0))["stability"]
    with_first = planned(work, iterations=fit(1))["stability"]
    assert sent["stability"] > with_first
    seeds = work.config.stability.seeds
    assert (sent["stability"] - without) % ((with_first - without) / seeds) == 0


def test_sedimentation_sends_the_stages_of_every_epoch(run, work, sent):
    of_epochs = [iterations(folder) for folder in (run[0] / "sedimentation").iterdir()]
    assert len(of_epochs) == work.sizes.maps - 1 > 1
    mean = sum(of_epochs) / len(of_epochs)
    assert sent["sedimentation"] == planned(work, iterations=fit(mean))["sedimentation"]


def test_one_rank_sends_nothing(work):
    assert not any(planned(work, ranks=1).values())


def test_what_grows_with_what(work):
    """Twice the ranks, twice the bytes, but for what one rank alone sends.

    The number of images does not count.
    """
    few = planned(work, ranks=2)
    many = planned(work, ranks=4)
    assert all(many[stage] == 2 * few[stage] for stage in ("dictionary", "encode", "importance"))
    assert few["score"] < many["score"] < 2 * few["score"]
    more_images = planned(work, sizes=replace(work.sizes, n=10 * work.sizes.n))
    assert all(more_images[stage] == few[stage] for stage in MAIN)


def fit(count):
    """Return how many iterations a fit has taken, and the codes, which are not sent."""
    return {"dictionary": count, "encode": 0}
