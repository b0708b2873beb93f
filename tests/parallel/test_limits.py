"""Memory, cores and open files that a rank may use, on made-up /proc and /sys trees."""

import contextlib
import re
import resource

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vinfo_mpi.parallel import limits
from vinfo_mpi.parallel.limits import Limit, Use
from vinfo_mpi.parallel.ranks import Ranks

GIB = 2**30
INFINITE = 9223372036854771712  # what version 1 says where there is no limit


@pytest.fixture
def tree(tmp_path):
    """Return tree(membership, files): a root with /proc/self/cgroup and files of /sys/fs/cgroup."""

    def make(membership, files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return tmp_path

    return make


def sizes(memory_limits):
    return sorted(limit.size for limit in memory_limits)


# --- memory ---


def test_version_2_walks_up_to_the_root(tree):
    root = tree(
        "0::/slurm/job_7/step_0\n",
        {
            "slurm/job_7/step_0/memory.max": "max",
            "slurm/job_7/step_0/memory.current": 2 * GIB,
            "slurm/job_7/memory.max": 8 * GIB,
            "slurm/job_7/memory.current": 3 * GIB,
            "slurm/memory.max": 32 * GIB,
            "slurm/memory.current": 30 * GIB,
            "memory.stat": "inactive_file 0",
        },
    )
    assert sizes(limits.cgroup_memory(root)) == [2 * GIB, 5 * GIB]


def test_cached_pages_count_as_free(tree):
    files = {"job/memory.max": 8 * GIB, "job/memory.current": 7 * GIB}
    root = tree(
        "0::/job\n", files | {"job/memory.stat": f"anon 5\nactive_file 9\ninactive_file {4 * GIB}"}
    )
    assert sizes(limits.cgroup_memory(root)) == [5 * GIB]


def test_version_1(tree):
    root = tree(
        "9:memory:/job/step\n1:cpu,cpuacct:/\n0::/\n",
        {
            "memory/job/step/memory.limit_in_bytes": INFINITE,
            "memory/job/step/memory.usage_in_bytes": GIB,
            "memory/job/memory.limit_in_bytes": 4 * GIB,
            "memory/job/memory.usage_in_bytes": 3 * GIB,
            "memory/job/memory.stat": f"inactive_file 17\ntotal_inactive_file {GIB}",
            "memory/memory.limit_in_bytes": INFINITE,
            "memory/memory.usage_in_bytes": 60 * GIB,
        },
    )
    assert sizes(limits.cgroup_memory(root)) == [2 * GIB]


def test_a_container_that_sees_only_the_top_of_its_cgroup(tree):
    files = {"memory/memory.limit_in_bytes": 4 * GIB, "memory/memory.usage_in_bytes": GIB}
    assert sizes(limits.cgroup_memory(tree("4:memory:/docker/0123abcd\n", files))) == [3 * GIB]


@pytest.mark.parametrize("membership", ["", "0::/\n", "7:memory:/gone\n"])
def test_without_any_limit(tree, membership):
    root = tree(membership, {"memory.current": GIB})
    assert limits.cgroup_memory(root) == []
    assert limits.cores(root) == float("inf")


def test_without_proc(tmp_path):
    assert limits.cgroup_memory(tmp_path) == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"SLURM_MEM_PER_NODE": "4000"}, [Limit(4000 * 2**20, "Slurm's --mem")]),
        ({"SLURM_MEM_PER_NODE": "0"}, []),  # the whole node
        (
            {"SLURM_MEM_PER_CPU": "500", "SLURM_CPUS_ON_NODE": "8"},
            [Limit(4000 * 2**20, "Slurm's --mem-per-cpu")],
        ),
        ({"SLURM_MEM_PER_CPU": "500"}, []),
        (
            {"SLURM_MEM_PER_GPU": "1000", "SLURM_GPUS_ON_NODE": "2"},
            [Limit(2000 * 2**20, "Slurm's --mem-per-gpu")],
        ),
        ({"SLURM_MEM_PER_NODE": "much"}, []),
    ],
)
def test_slurm(environment, expected):
    assert limits.slurm_memory(environment) == expected


def test_the_smallest_binds_and_is_named(tree):
    root = tree("0::/job\n", {"job/memory.max": 5 * GIB, "job/memory.current": GIB})

    def limit(available, **environment):
        return limits.memory(2, Use(GIB, 0), available, environment, root)

    assert limit(2 * GIB) == Limit(GIB + GIB, "free on the node")
    assert limit(9 * GIB) == Limit(2 * GIB + GIB, "free in the cgroup")
    assert limit(9 * GIB, SLURM_MEM_PER_NODE="4096") == Limit(2 * GIB, "Slurm's --mem")


def test_libraries_that_ranks_share_count_once_in_slurms_limit(tmp_path):
    # Four ranks that hold 1 GiB each, half of it shared, hold 2.5 GiB together.
    environment = {"SLURM_MEM_PER_NODE": "10240"}
    of_rank = limits.memory(4, Use(GIB, GIB / 2), 1000 * GIB, environment, tmp_path).size
    assert 4 * (of_rank - GIB / 2) + GIB / 2 == 10 * GIB


def test_this_process():
    use = Use.now()
    assert 0 < use.shared < use.total < psutil.virtual_memory().total
    limit = limits.memory_of_rank(Ranks())
    assert use.total < limit.size <= psutil.virtual_memory().total + use.total
    assert limit.source


TWO_NODES = """
import os, sys
from vinfo_mpi.parallel import limits
from vinfo_mpi.parallel.ranks import Ranks
ranks = Ranks()
os.environ["SLURM_MEM_PER_NODE"] = str(4000 - 1000 * ranks.rank)
limit = limits.memory_of_rank(ranks)
sys.stdout.write(f"{limit.source} {limit.size / 2**20:.0f}\\n")
"""


def test_all_ranks_agree_on_the_smallest(mpirun):
    done = mpirun(2, "-c", TWO_NODES)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and len(set(lines)) == 1
    # Half of 3000, and the libraries that both share.
    assert re.fullmatch(r"Slurm's --mem 1[5-9]\d\d", lines[0])


# --- cores ---


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({"job/cpu.max": "150000 100000", "cpu.max": "max 100000"}, "0::/job\n", 1.5),
        ({"job/step/cpu.max": "max 100000", "job/cpu.max": "400000 100000"}, "0::/job/step\n", 4),
        (
            {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"},
            "3:cpu:/job\n",
            2,
        ),
        (
            {"cpu,cpuacct/cpu.cfs_quota_us": "50000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/job\n",
            0.5,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            "3:cpu:/\n",
            float("inf"),
        ),
        ({"cpu.max": "damaged"}, "0::/\n", float("inf")),
    ],
)
def test_quota(tree, files, membership, expected):
    assert limits.cores(tree(membership, files)) == expected


ALL = frozenset(range(16))
HALVES = [frozenset(range(8)), frozenset(range(8, 16))]


@pytest.mark.parametrize(
    ("masks", "quota", "per_task", "expected"),
    [
        ([ALL] * 4, float("inf"), None, 4),
        ([ALL] * 3, float("inf"), None, 5),
        ([frozenset({0, 1})] * 4, float("inf"), None, 1),  # more ranks than cores
        # The launcher has bound each rank already: nothing to divide.
        (HALVES, float("inf"), None, 8),
        ([HALVES[0], HALVES[1], HALVES[0], HALVES[1]], float("inf"), None, 4),
        ([ALL] * 4, 8.0, None, 2),
        ([ALL] * 4, 0.5, None, 1),
        ([ALL] * 4, float("inf"), "2", 2),
        ([ALL], float("inf"), "", 16),
    ],
)
def test_threads(masks, quota, per_task, expected):
    threads = [limits.threads(masks, index, quota, per_task) for index in range(len(masks))]
    assert threads == [expected] * len(masks)


@given(st.lists(st.frozensets(st.integers(0, 15), min_size=1), min_size=1, max_size=8))
def test_no_more_threads_than_cores_unless_a_rank_would_have_none(masks):
    threads = [limits.threads(masks, index) for index in range(len(masks))]
    assert all(1 <= count <= len(mask) for count, mask in zip(threads, masks, strict=True))
    assert sum(count for count in threads if count > 1) <= len(frozenset().union(*masks))


def test_more_files_than_the_soft_limit_can_be_open(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    paths = [tmp_path / str(number) for number in range(50)]
    with contextlib.ExitStack() as files:
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + 10, before[1]))
        with pytest.raises(OSError, match="Too many open files"), contextlib.ExitStack() as some:
            for path in paths:
                some.enter_context(path.open("w"))
        limits.allow_open_files()
        for path in paths:
            files.enter_context(path.open("w"))
