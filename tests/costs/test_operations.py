"""The operations of a plan against the matrix products and convolutions that stages do."""

from functools import partial

import pytest
import torch
from small_run import on, run_stage
from torch.utils.flop_counter import FlopCounterMode

from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.networks import heads
from vinfo_mpi.pipeline import measure
from vinfo_mpi.pipeline.plan import costs_of_stages
from vinfo_mpi.storage.hdf5 import read_table

ITERATIONS = 10  # of every code: its residual is looked at for the first time then
SETTINGS = (
    "data.per_class=4", "extract.maps=final", "dictionary.kind=joint", "dictionary.concepts=5",
    "dictionary.max_iterations=30", f"encode.max_iterations={ITERATIONS}", "encode.tolerance=1e-12",
    "score.also=[random-features,in-sample,within-classes]", "score.random_features=40",
    "redundancy={rates: [0.25, 0.5], masks: 2}",
)  # fmt: skip
OF_HEADS = ("extract", "dictionary", "encode", "importance")
STAGES = (*OF_HEADS, "score", "dynamics", "flow", "redundancy", "pointwise")
aten = torch.ops.aten
MORE = {
    aten.addmm_: lambda _, left, right, *__, **___: 2 * left[0] * left[1] * right[1],
    aten.mv: lambda matrix, *_, **__: 2 * matrix[0] * matrix[1],
}


def operations(call):
    """Return how many operations a call does."""
    with FlopCounterMode(display=False, custom_mapping=MORE) as counter:
        call()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    "head, stages, settings",
    [
        ("linear", STAGES, ()),
        ("a part of the network", OF_HEADS, ()),
        ("behind another tap", OF_HEADS, ("dictionary.tap=layer3.1",)),
    ],
)
def test_the_plan_counts_what_is_done(run, tmp_path, monkeypatch, head, stages, settings):
    (tmp_path / "checkpoints").symlink_to(run[0] / "checkpoints")
    if head == "a part of the network":
        monkeypatch.setattr(heads, "linear", lambda *_: None)
    view = on(tmp_path, *SETTINGS, *settings)
    if "dynamics" not in stages:
        view.checkpoints = [view.final]
    sizes = measure.sizes(view)
    assert sizes.linear == (head == "linear")
    counted = {}
    for stage in stages:
        view.begin()
        counted[stage] = operations(partial(run_stage, view, stage))
        # So many passes through a head that those which a stage begins with do not count.
        view.batch = sizes.batch = 1
    fit = len(read_table(view.dictionary, "vinfo-dictionary", "objective"))
    iterations = {"dictionary": fit, "encode": ITERATIONS}
    costs = costs_of_stages(stages, Workload(sizes, view.config, 1, iterations=iterations))
    planned = {stage: costs[stage].operations for stage in stages}
    assert planned == pytest.approx(counted, rel=0.2)
