"""What a machine can do to a job: full disks, lost and changed bits, wrong clocks, a second job."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import psutil
import pytest
from contents import ENVIRONMENT, ROOT, SMALL, datasets, flip

from vinfo_mpi.networks import checkpoints
from vinfo_mpi.registry import SPINE

ROOT_ONLY = pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="mounts a file system: needs root"
)
PARALLEL = pytest.mark.skipif(not h5py.get_config().mpi, reason="this h5py is serial")
STORAGES = [pytest.param("parallel", marks=PARALLEL), "virtual"]


def sentence(done, code):
    """Return the one sentence of a command that ended with this exit code."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    [line] = re.findall(r"^vinfo_mpi: .*", done.stderr, re.MULTILINE)
    return line.removeprefix("vinfo_mpi: ")


@pytest.fixture
def disk(tmp_path):
    """Return a small file system, and mount(options) to change it."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options, *more):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, *more, "tmpfs", folder], check=True)

    mount("size=16m")
    yield folder, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", "--lazy", folder], check=True)


@ROOT_ONLY
@pytest.mark.parametrize(
    "stage, room, storage",
    [
        ("train", "300k", "virtual"),
        pytest.param("extract", "1200k", "parallel", marks=PARALLEL),
        ("extract", "1200k", "virtual"),
    ],
)
def test_a_full_disk(run, copy, disk, mpirun, stage, room, storage):
    """And when there is room again, the same command goes on."""
    folder, mount = disk
    mount(f"size={room}")
    if stage == "extract":
        shutil.copytree(copy("config.yaml", "checkpoints"), folder / "run")
    command = ["-m", "vinfo_mpi.score", *SMALL, "--run-dir", folder / "run"]
    command += ["--set", f"machine.storage={storage}", "--set", "machine.disk_limit=1"]
    done = mpirun(2, *command)
    assert re.search(
        r"cannot write .*disk/run/.* \(.*\); 0 MiB are free there: make room", sentence(done, 1)
    )
    assert f"{stage}: running" in done.stderr
    if stage == "extract":
        mount("size=16m")
        again = mpirun(2, *command)
        assert again.returncode == 0, again.stderr
        expected = datasets(run[0] / "results.h5")["vinformation"]
        assert datasets(folder / "run/results.h5")["vinformation"] == pytest.approx(
            expected, abs=1e-4
        )


@ROOT_ONLY
def test_a_run_directory_that_cannot_be_written_to(disk, mpirun):
    folder, mount = disk
    mount("ro")
    text = sentence(mpirun(2, "-m", "vinfo_mpi", *SMALL, "--run-dir", folder / "run"), 2)
    assert re.fullmatch(
        r"cannot write .*/disk/run/.* \(Read-only file system\); "
        r"change that, or name another .* --run-dir",
        text,
    )


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("refused", [0, 1])
def test_a_write_that_is_refused_to_one_rank(copy, warm, storage, refused):
    """As by a quota: in the middle of a file, while the others wait in a collective write."""
    folder = copy("config.yaml", "checkpoints")
    stage = ["vinfo_mpi.extract", *SMALL, "--run-dir", folder]
    stage += ["--set", f"machine.storage={storage}"]
    words = {True: ["-m", "limited", 60000, *stage], False: ["-m", *stage]}
    ranks = [[*warm, *words[rank == refused]] for rank in (0, 1)]
    words = ("mpirun", "-n", 1, *ranks[0], ":", "-n", 1, *ranks[1])
    command = [str(word) for word in words]
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        timeout=240,
        stdin=subprocess.DEVNULL,
    )
    assert re.search(
        r"cannot write .*activations/epoch_000.h5 \((File too large|file write failed)\)",
        sentence(done, 1),
    )
    assert not list(folder.glob("activations/*.h5"))


@pytest.mark.skipif(
    not (shutil.which("faketime") or os.environ.get("CI")), reason="faketime is not installed"
)
def test_a_node_whose_clock_is_off(run, copy, mpirun):
    folder = copy("config.yaml", "checkpoints")
    stage = ["-m", "vinfo_mpi", *SMALL, "--run-dir", folder, "--set", "machine.save_minutes=0"]
    stage += ["--set", "analyses=[]", "--set", "pages=[]"]
    late = ["-n", "1", "faketime", "-f", "-400d", sys.executable, *stage]
    done = mpirun(1, *stage, ":", *late, FAKETIME_DONT_FAKE_MONOTONIC="1")
    assert done.returncode == 0, done.stderr
    again = mpirun(2, *stage)
    assert again.stderr.count("up to date") == len(SPINE)
    expected = datasets(run[0] / "results.h5")["vinformation"]
    assert datasets(folder / "results.h5")["vinformation"] == pytest.approx(expected, abs=1e-4)


# --- lost and changed files ---


def weights(path):
    return checkpoints.Checkpoint(0, path).content()["state"]["layer4.1.conv1.weight"].numpy()


@pytest.mark.parametrize(
    "name, content, stage",
    [
        ("checkpoints/epoch_002.pt", weights, "extract"),
        ("activations/epoch_002.h5", "penultimate/activations", "dictionary"),
        ("activations/epoch_002.h5", "head/weight", "encode"),
        ("activations/epoch_001.h5", "taps/layer4.1/activations", "dynamics"),
        ("dictionary.h5", "atoms", "encode"),
        ("codes.h5", "codes", "score"),
        ("results.h5", "concepts/complexity", "analyses.support"),
    ],
)
def test_a_flipped_bit(copy, mpirun, python, name, content, stage):
    folder = copy(
        "config.yaml", "checkpoints", "activations", "dictionary.h5", "codes.h5", "results.h5"
    )
    stored = content(folder / name) if callable(content) else datasets(folder / name)[content]
    path = folder / name
    flip([path, *path.parent.glob(f"{path.stem}.parts.*/*")], stored[len(stored) // 2])
    start = functools.partial(mpirun, 2) if stage in ("dictionary", "score") else python
    done = start("-m", f"vinfo_mpi.{stage}", *SMALL, "--run-dir", folder, "--force")
    text = sentence(done, 2)
    assert text.startswith(f"{folder / name}: ")
    assert "checksum differs); delete" in text


def test_lost_files_are_made_again(run, copy, mpirun):
    folder = copy(
        "config.yaml",
        "checkpoints",
        "activations",
        "dictionary.h5",
        "codes.h5",
        "results.h5",
        "visualisation.h5",
    )
    names = ["activations/epoch_001.h5", "dictionary.h5", "codes.h5"]
    for number, name in enumerate(names):
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        if number:
            (folder / name).write_bytes(whole[: len(whole) // 2])
    done = mpirun(2, "-m", "vinfo_mpi", *SMALL, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"(\w+): running", done.stderr) == [
        "extract",
        "dictionary",
        "encode",
    ]  # with the same numbers as before
    assert all(datasets(folder / name).keys() == datasets(run[0] / name).keys() for name in names)


# --- a second job ---


def test_two_jobs_in_one_folder(copy, mpirun, tmp_path):
    folder = copy("config.yaml", "checkpoints", "activations")
    words = ["mpirun", "-n", 2, sys.executable]
    words += ["-m", "vinfo_mpi.dictionary", *SMALL, "--run-dir", folder]
    with (tmp_path / "first.log").open("w") as log:
        first = subprocess.Popen(
            [str(word) for word in words],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    limit = time.monotonic() + 180
    while "dictionary: running" not in (tmp_path / "first.log").read_text():
        assert time.monotonic() < limit and first.poll() is None
        time.sleep(0.01)
    processes = [*psutil.Process(first.pid).children(recursive=True), first]
    for process in processes:
        process.send_signal(signal.SIGSTOP)  # so that it does not end before the second comes
    text = sentence(mpirun(2, "-m", "vinfo_mpi.score", *SMALL, "--run-dir", folder), 2)
    assert re.fullmatch(
        rf"{folder} is in use by process \d+ on {os.uname().nodename} since \S+ "
        r"\(python -m vinfo_mpi.dictionary .*\); "
        "wait until it ends, stop it, or name another folder with --run-dir",
        text,
    )
    for process in processes:
        process.kill()
    first.wait()
    assert mpirun(2, "-m", "vinfo_mpi.dictionary", *SMALL, "--run-dir", folder).returncode == 0
