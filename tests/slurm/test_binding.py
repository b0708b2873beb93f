"""Ranks take GPUs of their own, whichever way Slurm hands them out."""

from collections import Counter

import pytest

from vinfo_mpi.parallel.devices import assign

RANKS, GPUS = 2, 4  # on every node


@pytest.mark.parametrize("placement", ["block", "cyclic"])
@pytest.mark.parametrize(
    "options",
    [
        "--gpus-per-node=4",
        "--gpus-per-node=2",
        "--gpus-per-task=1",
        "--gpus-per-task=2",
        "--gpus-per-node=4 --gpu-bind=single:1",
        "--gpus-per-node=4 --gpu-bind=map_gpu:3,1",
        "--gpus-per-node=4 --gpu-bind=none",
    ],
)
def test_no_two_ranks_take_the_same_gpu(what_ranks_see, slurm, options, placement):
    nodes = min(2, slurm.nodes)
    told = what_ranks_see(
        f"--nodes={nodes}",
        f"--ntasks-per-node={RANKS}",
        f"--distribution={placement}",
        *options.split(),
    )
    assert len(told) == RANKS * nodes
    # What CUDA would show to each rank: the numbers that Slurm names, or all of the node's.
    seen = [
        [
            f"{one['host']}/{number}"
            for number in one.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(GPUS)))).split(
                ","
            )
        ]
        for one in told
    ]
    taken = [visible[index] for visible, index in zip(seen, assign(seen), strict=True)]
    assert max(Counter(taken).values()) == 1
    assert [gpu.split("/")[0] for gpu in taken] == [one["host"] for one in told]
