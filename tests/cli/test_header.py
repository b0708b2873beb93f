"""The head of a log: job, versions, where each rank computes, where everything is written."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import psutil
import pytest
import torch

from vinfo_mpi.cli import header
from vinfo_mpi.cli.options import DEFAULT_CONFIG
from vinfo_mpi.config.load import load_config
from vinfo_mpi.parallel.devices import Binding
from vinfo_mpi.parallel.ranks import Ranks
from vinfo_mpi.run.provenance import digest
from vinfo_mpi.run.run import Run

JOB = {
    "SLURM_JOB_ID": "4242",
    "SLURM_JOB_NAME": "birds",
    "SLURM_RESTART_COUNT": "2",
    "SLURM_JOB_NODELIST": "node[07-08]",
}


@pytest.fixture
def run(tmp_path):
    return Run(
        load_config(DEFAULT_CONFIG), tmp_path / "run", Ranks(), torch.device("cpu"), [], "command"
    )


def test_head(run, monkeypatch):
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    run.bindings = [Binding("node07", "cpu", "", "", 4)]
    text = header.head(run)
    storage = "parallel" if h5py.get_config().mpi else "serial"
    for fact in (
        "Slurm 4242, birds, restarted 2 times, nodes node[07-08]",
        f"torch {torch.__version__}",
        f"{h5py.version.hdf5_version}, h5py {h5py.__version__}, {storage}",
        f"quickstart, fingerprint {digest(run.config.model_dump(mode='json'))}",
        f"{run.folder} on ",
        "1 on 1 node",
        "node07  rank 0, 4 threads each, cpu",
    ):
        assert fact in text
    assert not run.folder.exists()


def test_another_setting_another_fingerprint(run, tmp_path):
    changed = load_config(DEFAULT_CONFIG, ["seed=1"])
    changed_run = Run(changed, run.folder, run.ranks, run.device, [], "command")

    def experiment(run):
        [line] = [line for line in header.head(run).splitlines() if line.startswith("experiment")]
        return line

    assert experiment(run) != experiment(changed_run)


def test_no_job():
    assert header.job({}) == ""
    assert header.job(
        {"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}
    ).startswith("Slurm 7 (5_3)")


def test_one_line_per_node_however_many_ranks():
    cluster = [
        Binding(f"n{rank // 8:03d}", f"cuda:{rank % 8}", "H100", f"uuid-{rank}", 12)
        for rank in range(800)
    ]
    lines = header.nodes(cluster)
    assert len(lines) == 100
    assert lines[1].startswith("n001  ranks 8-15, 12 threads each, H100: 8 on cuda:0 uuid-8, ")
    assert all(f"uuid-{rank}" in lines[rank // 8] for rank in range(800))


def test_ranks_dealt_out_over_nodes():
    dealt = [Binding(("a", "bb")[rank % 2], "cpu", "", "", 1 + rank % 2) for rank in range(5)]
    assert header.nodes(dealt) == [
        "a   ranks 0,2,4, 1 thread each, cpu",
        "bb  ranks 1,3, 2 threads each, cpu",
    ]


MOUNTS = {  # in the order of mounting: where, and of which type
    "/": "ext4",
    "/scratch": "lustre",
    "/scratch/my group": "nfs4",
    "/scratchy": "tmpfs",
}


@pytest.fixture
def mounted(monkeypatch):
    """Return mounted(*pairs of place and type), which has psutil tell of these file systems."""

    def tell(*pairs):
        partitions = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in pairs]
        monkeypatch.setattr(psutil, "disk_partitions", lambda all: partitions)

    return tell


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "/"),
        ("/usr/lib", "/"),
        ("/scratch/runs/a", "/scratch"),
        ("/scratch", "/scratch"),
        ("/scratch/my group/runs", "/scratch/my group"),
        ("/scratchy/x", "/scratchy"),
    ],
)
def test_the_longest_mount_counts(mounted, path, place):
    mounted(*MOUNTS.items())
    assert header.mount(Path(path)) == (Path(place), MOUNTS[place])


def test_of_two_at_the_same_place_the_later_one_counts(mounted):
    mounted(("/", "ext4"), ("/home", "ext3"), ("/home", "beegfs"))
    assert header.mount(Path("/home/me")) == (Path("/home"), "beegfs")


def test_the_file_system_of_a_folder_that_is_not_there_yet(tmp_path):
    text = header.file_system(tmp_path / "a" / "b")
    place, kind = header.mount(tmp_path.resolve())
    assert os.path.ismount(place)
    assert text.startswith(f"{kind} at {place}, ")
    free = float(text.split(", ")[1].removesuffix(" GiB free"))
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 2**30, abs=1)


def test_without_a_list_of_mounts(tmp_path, monkeypatch):
    def unknown(all):
        raise OSError

    monkeypatch.setattr(psutil, "disk_partitions", unknown)
    assert header.mount(tmp_path) is None
    assert header.file_system(tmp_path).endswith("GiB free")
