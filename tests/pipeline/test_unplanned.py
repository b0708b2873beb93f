"""A stage whose module does not say what it takes: the plan says so, and goes on."""

import pytest
from small_run import on

from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.pipeline import plan

SIZES = Sizes(
    n=400,
    steps_of=800,
    remembered=0,
    size=16,
    checkpoints=3,
    classes=[str(digit) for digit in range(10)],
    outputs=10,
    positions=4,
    map=4,
    d=32,
    widths={"layer3.1": 16, "layer4.1": 32},
    branches={"layer4.1.main": 32, "layer4.1.shortcut": 32},
    maps=3,
    concepts=40,
    groups=10,
    linear=True,
    weights=10**6,
    trainable=10**6,
    tensors=100,
    batch=128,
    forward=1e7,
    training=1e7,
    backward=1e7,
    operations=10**6,
    head=2 * 32 * 10,
    base=1e8,
)


@pytest.fixture
def without_costs(monkeypatch):
    """Return without_costs(*modules), which takes `costs` away from these modules of stages."""

    def take_away(*modules):
        for module in modules:
            monkeypatch.delattr(f"vinfo_mpi.{module}.costs")

    return take_away


def test_it_is_said_in_the_plan(without_costs, tmp_path):
    without_costs("analyses.hoyer", "stages.report")
    run = on(tmp_path, "pages=[report]")
    made = plan.make(run, SIZES, Limit(1e12, "of the test"))
    assert made.costs["hoyer"] is None
    assert made.text().endswith("not planned    hoyer, report: what they take is not known")
    made.check()
    assert made.disk["activations"] > 0
    assert set(made.memory) == set(run.config.stages) - {"hoyer", "report"}


def test_all_stages_say_what_they_take(tmp_path):
    made = plan.make(on(tmp_path, "pages=[report]"), SIZES, Limit(1e12, "of the test"))
    assert made.known == made.costs
    assert "not planned" not in made.text()


def test_one_that_others_repeat_costs_them_nothing(without_costs, tmp_path):
    work = Workload(SIZES, on(tmp_path).config, ranks=2)
    planned = plan.costs_of_stages(["sedimentation"], work)
    without_costs("stages.encode")
    assert planned != plan.costs_of_stages(["sedimentation"], work)


def test_a_plan_of_nothing_known(without_costs, tmp_path):
    without_costs("stages.report")
    run = on(tmp_path, "pages=[report]")
    costs = plan.costs_of_stages(["report"], Workload(SIZES, run.config, ranks=1))
    limit = Limit(1e12, "of the test")
    made = plan.Plan({}, costs, 1e8, limit, limit)
    assert made.memory == {}
    assert made.temporary == 0
    made.check()
    assert "report: what they take is not known" in made.text()


def test_who_repeats_a_stage_is_told_of_no_costs_where_nobody_says(tmp_path):
    work = Workload(SIZES, on(tmp_path).config, ranks=1)
    with pytest.raises(LookupError, match="the costs of score are not known"):
        work.costs_of("score")
    assert Costs().memory == 0
