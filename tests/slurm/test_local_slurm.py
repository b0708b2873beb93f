"""hpc/local_slurm.sh: the cluster of the other tests, and the GPUs that it pretends to have."""

import subprocess

import pytest
from contents import ROOT

SCRIPT = ROOT / "hpc/local_slurm.sh"


def call(*arguments):
    return subprocess.run(["bash", SCRIPT, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [[], ["begin"], ["start", "--nodes=none"], ["start", "--nodes=0"], ["start", "--cpu=2"]],
)
def test_wrong_usage(arguments):
    done = call(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_started_twice_is_started_once(slurm):
    before = (slurm.folder / "run/slurmctld.pid").read_text()
    done = call("start", f"--dir={slurm.folder}")
    assert done.returncode == 0, done.stderr
    assert "already running" in done.stdout
    assert (slurm.folder / "run/slurmctld.pid").read_text() == before


def test_two_side_by_side_and_nothing_is_left(slurm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("s")
    try:
        started = call("start", f"--dir={folder}", "--nodes=2", "--cpus=3", "--gpus=0")
        assert started.returncode == 0, started.stdout + started.stderr
        other = {"SLURM_CONF": str(folder / "slurm.conf")}
        assert "idle" in slurm.run("sinfo", "-h", "-o", "%t", **other).stdout
        assert slurm.run("srun", "-n3", "hostname", **other).returncode == 0
        slurm.run("sbatch", "--wrap", "sleep 1000", cwd=folder, **other)
    finally:
        assert call("stop", f"--dir={folder}").returncode == 0
    assert call("status", f"--dir={folder}").returncode == 1
    assert slurm.run("sinfo", "-h", "-o", "%t").stdout.strip() == "idle"
    assert (
        str(folder)
        not in subprocess.run(["ps", "-A", "-o", "args"], capture_output=True, text=True).stdout
    )
    assert not (folder / "slurm.conf").exists()


@pytest.mark.parametrize(
    ("options", "visible"),
    [
        ("--gpus-per-node=4", ["0,1,2,3", "0,1,2,3"]),
        ("--gpus-per-node=2", ["0,1", "0,1"]),
        ("--gres=gpu:4", ["0,1,2,3", "0,1,2,3"]),
        ("--gpus-per-task=1", ["0", "1"]),
        ("--gpus-per-task=2", ["0,1", "2,3"]),
        ("--gpus-per-node=4 --gpu-bind=single:1", ["0", "1"]),
        ("--gpus-per-node=4 --gpu-bind=map_gpu:3,1", ["3", "1"]),
        # Slurm then says nothing: a rank sees all GPUs of the machine, those of other jobs
        # included where nothing hides them.
        ("--gpus-per-node=4 --gpu-bind=none", [None, None]),
        ("", [None, None]),
    ],
)
def test_gpus_as_slurm_hands_them_out(what_ranks_see, options, visible):
    """What a rank sees differs by how GPUs are asked for; the program has to take all of it."""
    seen = what_ranks_see("--ntasks-per-node=2", "--nodes=1", *options.split())
    assert [one.get("CUDA_VISIBLE_DEVICES") for one in seen] == visible
    assert [one["SLURM_LOCALID"] for one in seen] == ["0", "1"]


def test_gpus_on_several_nodes(what_ranks_see, several_nodes):
    seen = what_ranks_see(f"--nodes={several_nodes}", "--ntasks-per-node=2", "--gpus-per-task=1")
    assert len({one["host"] for one in seen}) == several_nodes
    assert [one["CUDA_VISIBLE_DEVICES"] for one in seen] == ["0", "1"] * several_nodes
