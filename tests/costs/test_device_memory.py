"""Memory of a GPU in the plan: what was added up by hand for the paper's sizes, and limits."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small_run import on

from vinfo_mpi.concepts.vinformation_costs import read_together
from vinfo_mpi.config.load import check_config
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import gpus
from vinfo_mpi.parallel.limits import Limit
from vinfo_mpi.pipeline import plan

GB = 1e9
TAPS = {f"layer4.{block}": 2048 for block in range(4)}  # as many as are read together
IMAGENET = Sizes(
    n=50_000,
    steps_of=0,
    remembered=0,
    size=224,
    checkpoints=1,
    classes=[str(number) for number in range(1000)],
    outputs=1000,
    positions=49,
    map=49,
    d=2048,
    widths=TAPS,
    branches={},
    maps=1,
    concepts=10_000,
    groups=1000,
    linear=True,
    weights=10**8,
    trainable=0,
    tensors=320,
    batch=256,
    forward=6e9,
    training=0.0,
    backward=3e9,
    operations=8 * 10**9,
    head=2 * 2048 * 1000,
    base=1e9,
)
CONFIG = check_config(
    {
        "data": {"source": "digits"},
        "network": {"name": "resnet50", "weights": "DEFAULT"},
        "extract": {"dtype": "float16"},
        "dictionary": {"kind": "class-wise", "concepts_per_class": 10},
    }
)
# Bytes, from the arrays that a stage holds, one by one: the feature map in float16 (10 GB), order
# and codes, a block of 2^16 rows in float64, subspaces of 18 vectors for 1,000 classes; atoms and
# singular vectors, three arrays of the codes of 16,366 rows (3.9 GB), 12 of 4,096 open rows (3.9
# GB), six of these vectors (1.6 GB); sums of four taps (4 GB), 20 factors, as
# many for half of the images and the sums of these at a tap (0.6 GB), 10 blocks.
BY_HAND = {"extract": 6.7 * GB, "dictionary": 15.0 * GB, "encode": 10.1 * GB, "score": 8.6 * GB}


@pytest.fixture
def costs():
    """What the stages take on a GPU."""
    return plan.costs_of_stages(BY_HAND, Workload(IMAGENET, CONFIG, ranks=1, device="cuda"))


@pytest.mark.parametrize("stage", BY_HAND)
def test_what_a_stage_holds_on_a_gpu(stage, costs):
    assert costs[stage].on_device == pytest.approx(BY_HAND[stage], rel=0.2)


def test_codes_by_working_sets_hold_products_and_as_many_rows_as_have_room():
    """All products (0.8 GB), and in 60 % of the device 512 rows (9 GB), of 80 GB 4,096 (39)."""
    encode = CONFIG.encode.model_copy(update={"solver": "working-sets"})
    config = CONFIG.model_copy(update={"encode": encode})

    def planned(config, **options):
        work = Workload(IMAGENET, config, ranks=1, device="cuda", **options)
        return plan.costs_of_stages(["encode"], work)["encode"]

    directions = planned(CONFIG)
    for options, sets in (({}, 9.3 * GB), ({"room": 20 * GB}, 38.7 * GB)):
        further = planned(config, **options).on_device - directions.on_device
        assert further == pytest.approx(0.8 * GB + sets, rel=0.05)
    assert planned(config).operations < directions.operations / 20


def test_gpus_that_are_slow_in_float64_are_known(monkeypatch):
    device = torch.device("cuda")
    for capability, slow in (((9, 0), False), ((8, 9), True), ((8, 0), False), ((7, 5), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, found=capability: found)
        assert gpus.slow_in_float64(device) is slow
    assert not gpus.slow_in_float64(torch.device("cpu"))


def test_the_processor_holds_little_beside(costs):
    assert costs["dictionary"].beside_device < 1 * GB
    assert costs["score"].beside_device < costs["score"].on_device
    assert all(0 < cost.beside_device < 5 * GB for cost in costs.values())


def test_a_plan_for_a_gpu_has_limits_of_both_memories(tmp_path):
    run = SimpleNamespace(
        config=CONFIG, device=SimpleNamespace(type="cuda"), ranks=SimpleNamespace(size=1),
        bindings=[], folder=tmp_path,
    )  # fmt: skip
    roomy = Limit(8e10, "free on A GPU cuda:0 of here")
    memory = Limit(2e10, "of the test")
    made = plan.make(run, IMAGENET, memory, roomy)
    made.disk_limit = Limit(1e15, "of the test")
    made.check()
    assert "GPU memory" in made.text()
    assert made.memory["dictionary"] < made.device_memory["dictionary"]
    assert made.device_memory["hoyer"] == 0
    small = replace(made, device_limit=Limit(4e9, "free on A GPU cuda:0 of here"))
    sentence = r"^stage \w+ needs .* of its GPU's memory per rank, 3\.7 GiB are free .*A GPU cuda:0"
    with pytest.raises(InputError, match=sentence):
        small.check()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_as_many_checkpoints_are_extracted_together_as_half_of_what_is_left_holds(tmp_path, device):
    sizes = replace(IMAGENET, checkpoints=90)

    def planned(limit, **machine):
        config = CONFIG.model_copy(update={"machine": CONFIG.machine.model_copy(update=machine)})
        run = SimpleNamespace(
            config=config, device=SimpleNamespace(type=device), ranks=SimpleNamespace(size=1),
            bindings=[], folder=tmp_path,
        )  # fmt: skip
        roomy = Limit(1e15, "of the test")
        limits = (limit, None) if device == "cpu" else (roomy, limit)
        return plan.make(run, sizes, *limits)

    def need(made):
        memory = made.memory if device == "cpu" else made.device_memory
        return memory["extract"]

    alone = need(planned(Limit(1e15, "of the test"), checkpoints=1))
    assert planned(Limit(1e15, "of the test")).together == 90
    assert planned(Limit(alone, "of the test")).together == 1
    made = planned(Limit(alone + 4e9, "of the test"))  # a hundred megabytes of weights each
    assert 15 < made.together <= 20
    assert need(made) - alone <= 2e9 < need(made) - alone + 2e8
    assert planned(Limit(alone, "of the test"), checkpoints=7).together == 7
    assert (
        "each image once for 7 checkpoints together, 256 images at once"
        in planned(Limit(alone, "of the test"), checkpoints=7).text()
    )


def test_sums_of_taps_that_are_read_together_take_a_quarter_of_the_gpu(tmp_path):
    run = SimpleNamespace(
        config=CONFIG, device=SimpleNamespace(type="cuda"), ranks=SimpleNamespace(size=1),
        bindings=[], folder=tmp_path,
    )  # fmt: skip
    sums = {}
    for size in (8e9, 24e9, 80e9):
        limit = Limit(size, "of the test")
        made = plan.make(run, replace(IMAGENET, widths=TAPS), Limit(1e15, "of the test"), limit)
        assert made.room == size / 4
        sums[size] = made.device_memory["score"]
    assert sums[8e9] < sums[24e9] == sums[80e9]  # where all four taps fit
    work = Workload(IMAGENET, CONFIG, ranks=1, device="cuda", room=2e9)
    assert [len(group) for group in read_together(work, [*TAPS.values()], 0)] == [2, 2]


def test_a_plan_for_the_cpu_has_none(tmp_path):
    made = plan.make(on(tmp_path), replace(IMAGENET, n=100), Limit(1e12, "of the test"))
    assert made.device_memory == {}
    assert "GPU" not in made.text()
