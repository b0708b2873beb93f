import json
import math

import pytest
import torch
import yaml

from benchmarks import check, machine, model, scale
from benchmarks.machine import PUBLISHED
from benchmarks.model import GRID
from vinfo_mpi.concepts.vinformation import TOGETHER
from vinfo_mpi.config.schema import Network
from vinfo_mpi.costs import communication, memory, operations
from vinfo_mpi.networks import architectures
from vinfo_mpi.numerics.moments import Moments


@pytest.fixture(scope="module")
def target():
    return machine.load()


def by_stage(estimates):
    return {one.stage: one for one in estimates}


def test_the_network_of_the_paper_is_that_network():
    network, (sizes, _) = architectures.build(Network(name="resnet50"), 1000), scale.paper(100)
    assert sum(value.numel() for value in network.parameters()) * 4 == sizes.weights
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, sizes.size, sizes.size))
    assert counter.get_total_flops() == pytest.approx(sizes.operations, rel=1e-3)
    blocks = [block for name, block in network.named_modules() if name.count(".") == 1 and name.startswith("layer")]
    assert [block.conv3.out_channels for block in blocks] == list(sizes.widths.values())


def test_the_model_is_the_plan_and_the_rates(target):
    sizes, config = scale.paper(1000)
    found = by_stage(model.estimate(target, sizes, config, 16))
    products, sent, held = operations.of(sizes, config), communication.of(sizes, config, 16), memory.of(sizes, config, 16)
    for stage in ("dictionary", "encode", "score", "importance", "dynamics", "flow"):
        one = found[stage]
        assert one.parts["matrix"] == pytest.approx(products[stage] / 16 / target.rates["matrix"].reached)
        assert (one.communicated, one.memory) == (sent[stage], held[stage])
        assert one.seconds == pytest.approx(sum(one.parts.values()))
    assert found["extract"].seconds == max(found["extract"].parts.values()) < sum(found["extract"].parts.values())


def test_what_limits_a_stage_is_what_makes_it_faster(target):
    before = by_stage(scale.study(target, 1_281_167, 8))["encode"]
    assert before.limit.startswith("matrix products")
    faster = target.reaching({"matrix": 1e30})
    after = by_stage(scale.study(faster, 1_281_167, 8))["encode"]
    assert before.seconds - after.seconds == pytest.approx(before.parts["matrix"])
    assert after.limit.startswith("memory bandwidth")


@pytest.mark.parametrize("stage", ["extract", "encode"])
def test_what_is_divided_takes_less_on_more_gpus(target, stage):
    few, many = (by_stage(scale.study(target, 1_281_167, ranks))[stage].seconds for ranks in (8, 64))
    assert many == pytest.approx(few / 8, rel=0.05)


def test_codes_are_read_once_for_as_many_taps_as_have_room(target):
    now = by_stage(scale.study(target, 1_281_167, 8))
    codes, tap = 8 * 10_000 * 1_281_167, 2 * 2048 * 1_281_167
    passes = -(-90 // (TOGETHER["cuda"] // Moments.bytes(5, 2048, 10_000)))
    assert 1 < passes < 90
    assert now["dynamics"].read == passes * codes + 90 * tap


def test_what_could_be_done_otherwise(target):
    now, otherwise = (by_stage(scale.study(target, 1_281_167, 8, networks_at_once=count)) for count in (1, 10))
    assert otherwise["extract"].parts["decode"] == now["extract"].parts["decode"] / 10
    for options in scale.OTHERWISE.values():
        assert scale.total(scale.study(target, 1_281_167, 8, **options)) > 0


def test_what_is_asked_for_beside_the_study(target):
    sizes, config = scale.paper(1000)
    estimates = model.estimate(target, sizes, config, 8)
    found = by_stage(estimates)
    assert found[GRID].communicated == 90 * found["score"].communicated
    assert found[GRID].parts["matrix"] == pytest.approx(90 * found["score"].parts["matrix"])
    own = sum(found[stage].seconds for stage in ("dictionary", "encode", "score", "importance"))
    assert scale.with_sedimentation(estimates) - scale.total(estimates) == pytest.approx(found[GRID].seconds + 89 * own)


def test_files_and_network_of_nodes(target):
    rate = {name: one.reached for name, one in target.rates.items()}
    assert target.seconds("files", 1e12, 8) == 1e12 / rate["files_node"] == 2 * target.seconds("files", 1e12, 16)
    assert target.seconds("files", 1e12, 8000) == 1e12 / rate["files_all"]
    assert target.seconds("network", 1e12, 8) == 2e12 / rate["within"]
    assert target.seconds("network", 1e12, 16) == 2e12 / (2 * rate["network"])


def test_a_machine_of_ones_own(tmp_path):
    content = yaml.safe_load(PUBLISHED.read_text())
    assert content["rates"].keys() == machine.measured(1.0, 1.0).rates.keys()
    content["rates"]["decode"] |= {"peak": 7.0, "share": 1.0}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    own = machine.load(tmp_path / "own.yaml")
    assert own.seconds("decode", 70, 1) == 10
    assert own.reaching({"decode": 35.0}).seconds("decode", 70, 1) == 2


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
    monkeypatch.setattr("sys.argv", ["scale", "--no-check", "--gpus", "1", "8", "--set", "decode=99", "--json", str(path)])
    scale.main()
    printed = capsys.readouterr().out
    assert "not measured by us" in printed and "too much" in printed  # the dictionary on one GPU
    found = json.loads(path.read_text())
    assert {(one["images"], one["gpus"]) for one in found["study"]} == {(n, gpus) for n in (1_281_167, 50_000) for gpus in (1, 8)}
    assert found["target"]["rates"]["decode"]["peak"] == 99
    extract = next(one for one in found["study"] if one["stage"] == "extract")
    assert extract["seconds"] == pytest.approx(90 * 1_281_167 / 99)


def test_an_unknown_rate(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["scale", "--set", "nonsense=1"])
    with pytest.raises(SystemExit):
        scale.main()
    assert "nonsense: rates are matrix, " in capsys.readouterr().err
