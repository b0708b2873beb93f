"""Which device and how many threads a rank gets."""

import os
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import devices, gpus
from vinfo_mpi.parallel.ranks import Ranks

# A node's devices, as CUDA would name them.
GPUS = [f"GPU-{letter * 8}" for letter in "abcdefgh"]


def visible_through(mask, devices=8):
    """Return what CUDA_VISIBLE_DEVICES leaves of a node's devices.

    Numbers or unique ids, None for all, up to a wrong one.
    """
    if mask is None:
        return GPUS[:devices]
    visible = []
    for name in filter(None, mask.split(",")):
        if name.startswith("GPU-"):
            matching = [uuid for uuid in GPUS[:devices] if uuid.startswith(name)]
        else:
            matching = [GPUS[int(name)]] if name.isdigit() and int(name) < devices else []
        if not matching:
            break
        visible += matching
    return visible


@pytest.mark.parametrize(
    ("devices_of_node", "masks", "expected"),
    [
        # unmasked: mpirun, or srun --gpus-per-node
        (1, [None], "a"),
        (2, [None] * 2, "ab"),
        (4, [None] * 4, "abcd"),
        (8, [None] * 8, "abcdefgh"),
        (4, [None] * 2, "ab"),  # fewer ranks than devices
        (2, [None] * 5, "ababa"),  # more ranks than devices
        (1, [None] * 3, "aaa"),
        (8, ["0,1,2,3"] * 4, "abcd"),  # half a node, as the job got it
        (8, ["4,5,6,7"] * 4, "efgh"),
        # each rank its own: srun --gpus-per-task=1, or --gpu-bind=single:1
        (4, ["0", "1", "2", "3"], "abcd"),
        (8, ["4", "5", "6", "7"], "efgh"),
        (4, ["GPU-dddddddd", "GPU-cccccccc", "GPU-b", "GPU-a"], "dcba"),
        # map_gpu:2,3,0,1, and two ranks on one by --gpu-bind=single:2
        (4, ["2", "3", "0", "1"], "cdab"),
        (2, ["0", "0", "1", "1"], "aabb"),
        # groups: --gpu-bind=closest on two sockets, ranks dealt out in blocks and in turn
        (4, ["0,1", "0,1", "2,3", "2,3"], "abcd"),
        (4, ["0,1", "2,3", "0,1", "2,3"], "acbd"),
        (4, ["2,3", "2,3", "0,1", "0,1"], "cdab"),
        (8, ["4,5", "6,7"] * 3, "egfheg"),  # more ranks than devices of the group
        # each rank all devices, its own first
        (4, ["0,1,2,3", "1,2,3,0", "2,3,0,1", "3,0,1,2"], "abcd"),
        # one sees more than another: who sees few comes first
        (2, ["0,1", "0"], "ba"),
        (4, ["0,1,2,3", "0,1", "0,1", "0"], None),
        # none: CPU
        (0, [None] * 3, "..."),
        (4, ["", "0", "9"], ".a."),
    ],
)
def test_device_of_each_rank_of_a_node(devices_of_node, masks, expected):
    visible = [visible_through(mask, devices_of_node) for mask in masks]
    chosen = devices.assign(visible)
    letters = [
        uuids[index][4] if index is not None else "."
        for uuids, index in zip(visible, chosen, strict=True)
    ]
    if expected is None:
        assert len(set(letters[1:])) == 2 and letters[0] in "cd"
    else:
        assert "".join(letters) == expected


@pytest.mark.parametrize("placement", ["block", "cyclic"])
def test_nodes_do_not_mind_each_other(placement):
    nodes = 3
    per_node = 4
    node_of = [
        rank // per_node if placement == "block" else rank % nodes
        for rank in range(nodes * per_node)
    ]
    visible = [[f"GPU-{node}-{number}" for number in range(per_node)] for node in node_of]
    chosen = devices.assign(visible)
    for node in range(nodes):
        of_node = [index for index, home in zip(chosen, node_of, strict=True) if home == node]
        assert of_node == list(range(per_node))


@given(st.lists(st.tuples(st.integers(1, 4), st.data()), min_size=1, max_size=4))
def test_no_device_is_shared_where_masks_are_disjoint_and_ranks_few(groups):
    visible = []
    for group, (count, data) in enumerate(groups):
        uuids = [f"{group}-{number}" for number in range(count)]
        ranks = data.draw(st.integers(0, count))
        visible += [data.draw(st.permutations(uuids)) for _ in range(ranks)]
    order = groups[0][1].draw(st.permutations(range(len(visible))))
    visible = [visible[rank] for rank in order]
    chosen = devices.assign(visible)
    used = [uuids[index] for uuids, index in zip(visible, chosen, strict=True)]
    assert len(set(used)) == len(used)


@given(st.integers(1, 8), st.integers(0, 40))
def test_without_masks_the_load_is_even(count, ranks):
    load = [devices.assign([GPUS[:count]] * ranks).count(number) for number in range(count)]
    assert max(load) - min(load) <= 1


def binding(uuid, host="node1", card=None):
    card = uuid if card is None else card
    return devices.Binding(host, "cuda:0" if uuid else "cpu", "", uuid, 1, card)


@pytest.mark.parametrize(
    ("uuids", "expected"),
    [(["", ""], None), (["a", "b"], None), (["a", "b", "a"], "3 ranks share 2 GPUs")],
)
def test_shared_gpus_are_told(uuids, expected):
    bindings = [binding(uuid) for uuid in uuids]
    devices.check(bindings)
    problem = devices.shared(bindings)
    assert problem == expected if expected is None else problem.startswith(expected)
    counts = [uuids.count(uuid) for uuid in uuids]
    assert [devices.sharing(bindings, rank) for rank in range(len(uuids))] == counts


def test_some_ranks_without_a_gpu_are_refused():
    with pytest.raises(InputError, match=r"1 of 3 ranks see no GPU \(rank 1 on node2 is one\)"):
        devices.check([binding("a"), binding("", "node2"), binding("b")])


@pytest.mark.parametrize(
    ("bindings", "own"),
    [
        ([binding("a"), binding("b")], True),
        ([binding("a", "node1", "0:1:0"), binding("b", "node2", "0:1:0")], True),
        ([binding("a"), binding("a")], False),
        # two instances of one GPU (MIG), which have ids of their own
        ([binding("MIG-a", card="0:1:0"), binding("MIG-b", card="0:1:0")], False),
        ([binding(""), binding("")], False),
    ],
)
def test_whose_cards_are_their_own(bindings, own):
    assert devices.own_cards(bindings) == own


TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 12040). Please update your GPU "
    "driver by downloading and installing a new version"
)


def refuses_with(text):
    def refuse(*_):
        raise RuntimeError(text)

    return refuse


@pytest.mark.parametrize(
    ("setting", "environment", "count", "refusal", "sentence"),
    [
        ("cuda", {}, 0, None, "machine.device: cuda, but a rank sees no GPU"),
        ("cuda", {"CUDA_VISIBLE_DEVICES": ""}, 0, None, "no GPU"),
        ("auto", {"SLURM_GPUS_ON_NODE": "4"}, 0, None, "SLURM_GPUS_ON_NODE is 4, but"),
        (
            "auto",
            {},
            2,
            TOO_OLD,
            r"for CUDA 12\.4 and before, .* for CUDA 12 \(hpc/setup.sh --torch=cu12N",
        ),
        ("auto", {}, 1, "CUDA error: ECC\nand more", r"CUDA error: ECC \(nvidia-smi"),
    ],
)
def test_gpus_that_cannot_be_used(monkeypatch, setting, environment, count, refusal, sentence):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if refusal:
        monkeypatch.setattr(torch.cuda, "get_device_properties", refuses_with(refusal))
    with pytest.raises(InputError, match=sentence) as refused:
        gpus.seen(setting, environment)
    assert "machine.device: cpu" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_driver_that_complains_while_gpus_are_counted(monkeypatch):
    def count():
        warnings.warn(f"CUDA initialization: {TOO_OLD}", stacklevel=1)
        return 0

    monkeypatch.setattr(torch.cuda, "device_count", count)
    with pytest.raises(InputError, match=r"driver is for CUDA 12\.4"):
        gpus.seen("auto", {})


def test_no_gpu_is_asked_for_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", refuses_with("never asked"))
    assert gpus.seen("cpu", {"SLURM_GPUS_ON_NODE": "4"}) == []


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("torch_threads")
def test_bound_to_the_cpu(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    device, bindings = devices.bind(Ranks(), "cpu")
    assert device == torch.device("cpu")
    assert torch.get_num_threads() == 3
    assert [str(binding) for binding in bindings] == [f"{os.uname().nodename} cpu threads=3"]


@pytest.mark.usefixtures("torch_threads")
def test_threads_are_the_ranks_share_of_its_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    allowed = sorted(os.sched_getaffinity(0))
    devices.bind(Ranks(), "cpu")
    assert 1 <= torch.get_num_threads() <= len(allowed)
    os.sched_setaffinity(0, allowed[:1])
    try:
        devices.bind(Ranks(), "cpu")
        assert torch.get_num_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.usefixtures("torch_threads")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_bound_to_a_gpu():
    device, bindings = devices.bind(Ranks())
    assert device == torch.device("cuda:0")
    assert len(bindings) == 1
    assert bindings[0].device == "cuda:0"
    assert bindings[0].name == torch.cuda.get_device_name(0)
    assert bindings[0].uuid


SHARING = """
import warnings
from vinfo_mpi.parallel import devices
from vinfo_mpi.parallel.ranks import Ranks
warnings.simplefilter("always")
devices.bind(Ranks())
"""


@pytest.mark.skipif(torch.cuda.device_count() != 1, reason="needs exactly one GPU")
def test_ranks_that_share_a_gpu_are_warned_once(mpirun):
    done = mpirun(2, "-c", SHARING)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("2 ranks share 1 GPUs") == 1
