import json
import math
from dataclasses import replace

import pytest
import torch
import yaml

from benchmarks import check, machine, model, scale, study
from benchmarks.machine import PUBLISHED
from benchmarks.model import GRID
from vinfo_mpi.concepts.vinformation import TOGETHER
from vinfo_mpi.config.schema import Network
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.networks import architectures
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.pipeline.plan import costs_of_stages

TRAINING_IMAGES = 1_281_167


@pytest.fixture(scope="module")
def target():
    return machine.load()


def by_stage(estimates):
    return {estimate.stage: estimate for estimate in estimates}


def of_the_paper(target, ranks, **options):
    return by_stage(study.study(target, TRAINING_IMAGES, ranks, **options))


def test_the_network_of_the_paper_is_that_network():
    network = architectures.build(Network(name="resnet50"), 1000)
    sizes, _ = study.paper(100)
    assert sum(value.numel() for value in network.parameters()) * 4 == sizes.weights
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, sizes.size, sizes.size))
    assert counter.get_total_flops() == pytest.approx(sizes.operations, rel=1e-3)
    blocks = [
        block
        for name, block in network.named_modules()
        if name.count(".") == 1 and name.startswith("layer")
    ]
    assert [block.conv3.out_channels for block in blocks] == list(sizes.widths.values())


def test_the_model_is_the_plan_and_the_rates(target):
    sizes, config = study.paper(1000)
    work = Workload(sizes, config, 16)
    stages = ("dictionary", "encode", "score", "importance", "dynamics", "flow")
    costs = costs_of_stages(stages, work)
    estimates = by_stage(model.estimate(target, work))
    for stage in stages:
        estimate = estimates[stage]
        assert estimate.parts["matrix"] == pytest.approx(
            costs[stage].operations / 16 / target.rates["matrix"].reached
        )
        assert estimate.communicated == costs[stage].sent
        assert estimate.memory == sizes.base + sizes.remembered + costs[stage].memory
        assert estimate.seconds == pytest.approx(sum(estimate.parts.values()))
    extract = estimates["extract"]
    assert extract.seconds == max(extract.parts.values()) < sum(extract.parts.values())


def test_what_limits_a_stage_is_what_makes_it_faster(target):
    before = of_the_paper(target, 8)["encode"]
    assert before.limit.startswith("matrix products")
    faster = target.reaching({"matrix": 1e30})
    after = of_the_paper(faster, 8)["encode"]
    assert before.seconds - after.seconds == pytest.approx(before.parts["matrix"])
    assert after.limit.startswith("memory bandwidth")


@pytest.mark.parametrize("stage", ["extract", "encode"])
def test_what_is_divided_takes_less_on_more_gpus(target, stage):
    few = of_the_paper(target, 8)[stage].seconds
    many = of_the_paper(target, 64)[stage].seconds
    assert many == pytest.approx(few / 8, rel=0.05)


def test_codes_are_read_once_for_as_many_taps_as_have_room(target):
    now = of_the_paper(target, 8)
    codes = 8 * 10_000 * TRAINING_IMAGES
    tap = 2 * 2048 * TRAINING_IMAGES
    passes = -(-90 // (TOGETHER["cuda"] // Moments.bytes(5, 2048, 10_000)))
    assert 1 < passes < 90
    assert now["dynamics"].read == passes * codes + 90 * tap


def test_what_could_be_done_otherwise(target):
    now = of_the_paper(target, 8)
    otherwise = of_the_paper(target, 8, together=1)
    assert otherwise["extract"].parts["decode"] == 90 * now["extract"].parts["decode"]
    for options in study.OTHERWISE.values():
        assert study.total(study.study(target, TRAINING_IMAGES, 8, **options)) > 0


@pytest.mark.parametrize("file", ["machine.yaml", "machine_h200.yaml"])
def test_the_network_in_its_precision(file):
    """TF32 is counted at its own rate, and only where the study asks for it."""
    machine_ = machine.load(PUBLISHED.with_name(file))
    exact = of_the_paper(machine_, 8)
    rounded = of_the_paper(machine_, 8, extract={"dtype": "float16", "precision": "tf32"})
    operations = 90 * 8.178e9 * TRAINING_IMAGES / 8
    for estimates, rate in ((exact, "forward"), (rounded, "forward_tf32")):
        seconds = operations / machine_.rates[rate].reached
        assert estimates["extract"].parts[rate] == pytest.approx(seconds, rel=1e-3)
    assert rounded["extract"].seconds < exact["extract"].seconds
    assert rounded["encode"] == exact["encode"]
    with pytest.raises(ValueError, match="no rate is known of 'forward_bfloat16'"):
        of_the_paper(machine_, 8, extract={"precision": "bfloat16"})


def test_codes_by_working_sets_are_products_and_what_a_gpu_is_slow_at(target):
    """Fewer products, more launches for each; all of it by the vector, in blocks with room."""
    directions = of_the_paper(target, 1)["encode"]
    sets = of_the_paper(target, 1, encode={"solver": "working-sets"})["encode"]
    assert sets.parts["matrix"] < directions.parts["matrix"] / 20
    assert sets.parts["bandwidth"] < directions.parts["bandwidth"] / 2
    assert sets.parts["decomposition"] > sets.parts["matrix"]
    assert 2 * sets.seconds < directions.seconds
    half = study.study(target, TRAINING_IMAGES // 2, 1, encode={"solver": "working-sets"})
    assert by_stage(half)["encode"].seconds == pytest.approx(sets.seconds / 2, rel=0.01)
    small = replace(target, memory=20e9)
    crowded = of_the_paper(small, 1, encode={"solver": "working-sets"})["encode"]
    assert crowded.parts["calls"] > 3 * sets.parts["calls"]


def test_what_is_asked_for_beside_the_study(target):
    sizes, config = study.paper(1000)
    estimates = model.estimate(target, Workload(sizes, config, 8))
    stages = by_stage(estimates)
    grid = stages[GRID]
    assert 45 * stages["score"].communicated < grid.communicated < 90 * stages["score"].communicated
    # score learns from half of the images as well.
    assert 45 * stages["score"].parts["matrix"] < grid.parts["matrix"]
    assert grid.parts["matrix"] < 90 * stages["score"].parts["matrix"]
    again = sum(stages[stage].seconds for stage in ("dictionary", "encode", "score", "importance"))
    assert study.with_sedimentation(estimates) - study.total(estimates) == pytest.approx(
        grid.seconds + 89 * again
    )


def test_files_and_network_of_nodes(target):
    reached = {name: rate.reached for name, rate in target.rates.items()}
    of_one_node = target.seconds("files", 1e12, 8)
    assert of_one_node == 1e12 / reached["files_node"] == 2 * target.seconds("files", 1e12, 16)
    assert target.seconds("files", 1e12, 8000) == 1e12 / reached["files_all"]
    assert target.seconds("network", 1e12, 8) == 2e12 / reached["within"]
    assert target.seconds("network", 1e12, 16) == 2e12 / (2 * reached["network"])


def test_a_machine_of_the_users(tmp_path):
    content = yaml.safe_load(PUBLISHED.read_text())
    of_gpus = {"forward_tf32"}
    assert content["rates"].keys() == machine.measured(1.0, 1.0).rates.keys() | of_gpus
    content["rates"]["decode"] |= {"peak": 7.0, "share": 1.0}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    loaded = machine.load(tmp_path / "mine.yaml")
    assert loaded.seconds("decode", 70, 1) == 10
    assert loaded.reaching({"decode": 35.0}).seconds("decode", 70, 1) == 2


def test_the_gpu_that_was_measured():
    """It is faster than the one that was not, and says of each rate where it comes from."""
    h200 = machine.load(PUBLISHED.with_name("machine_h200.yaml"))
    assert h200.rates["matrix"].reached > 2 * machine.load().rates["matrix"].reached
    assert all(rate.source.startswith(("measured", "assumed")) for rate in h200.rates.values())


def test_the_check_runs_what_it_predicts():
    settings = {
        "data.planted.images": 96,
        "dictionary.concepts_per_class": 2,
        "dictionary.max_iterations": 3,
        "encode.max_iterations": 10,
        "network.width": 0.0625,
    }
    rows = list(check.rows({"tiny": settings}))
    assert {row.stage for row in rows} == set(check.STAGES)
    for row in rows:
        assert 0 < row.predicted < math.inf and 0 < row.measured < math.inf
        assert row.ratio == row.predicted / row.measured
        # Ids and small tables are read as well.
        assert row.bytes_predicted <= row.bytes_read <= row.bytes_predicted * 1.1 + 4096 * 4


def test_the_command_says_that_nobody_measured_these_gpus(tmp_path, monkeypatch, capsys):
    path = tmp_path / "scale.json"
    monkeypatch.setattr(
        "sys.argv",
        ["scale", "--no-check", "--gpus", "1", "8", "--set", "decode=99", "--json", str(path)],
    )
    scale.main()
    printed = capsys.readouterr().out
    assert "not measured by us" in printed and "too much" in printed  # the dictionary on one GPU
    content = json.loads(path.read_text())
    assert {(row["images"], row["gpus"]) for row in content["study"]} == {
        (n, gpus) for n in (TRAINING_IMAGES, 50_000) for gpus in (1, 8)
    }
    assert content["target"]["rates"]["decode"]["peak"] == 99
    extract = next(row for row in content["study"] if row["stage"] == "extract")
    assert extract["parts"]["decode"] == pytest.approx(TRAINING_IMAGES / 99)


def test_an_unknown_rate(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["scale", "--set", "nonsense=1"])
    with pytest.raises(SystemExit):
        scale.main()
    assert "nonsense: rates are matrix, " in capsys.readouterr().err
