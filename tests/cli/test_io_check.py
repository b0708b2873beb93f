"""What io_check measures, says and leaves behind."""

import re
import subprocess
import sys

import h5py
import pytest
from contents import ENVIRONMENT

from vinfo_mpi.cli.io_check import recommendation, size_of

KINDS = ["parallel", "virtual", "plain"] if h5py.get_config().mpi else ["virtual", "plain"]


def test_every_way_is_measured_and_nothing_is_left(mpirun, tmp_path):
    done = mpirun(
        3,
        "-m",
        "vinfo_mpi.io_check",
        "--size",
        "12.5MiB",
        "--hint",
        "romio_cb_write=enable",
        "--alignment",
        1,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    first, _, *rows, last = done.stdout.splitlines()
    assert first == "12 MiB over 3 ranks on 1 node, MiB/s"
    assert [row.split()[0] for row in rows] == KINDS
    for row in rows:
        write, write_each, read, read_each = map(float, row.split()[1:])
        assert write >= write_each > 0
        assert read >= read_each > 0
        assert write_each == pytest.approx(write / 3, abs=1)
    assert re.match(r"machine\.storage: (parallel|virtual) \(", last)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["--size", "5"],
            r"--size 5: expected a number and a unit, valid: KiB, MiB, GiB, TiB; for example 4GiB",
        ),
        (["--size", "0GiB"], r"--size 0GiB: expected .*"),
        (["--size", "900TiB"], r".* has \d+ MiB free, \d+ are needed; lower --size"),
        (["--hint", "fast"], r"--hint fast: expected KEY=VALUE, .*"),
    ],
)
def test_what_cannot_be_measured_is_refused(python, tmp_path, arguments, sentence):
    done = python("-m", "vinfo_mpi.io_check", *arguments, tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(f"vinfo_mpi: {sentence}", done.stderr.strip())


def test_a_rank_that_cannot_write_ends_all(tmp_path):
    check = ["-m", "vinfo_mpi.io_check", "--size", "12MiB", tmp_path]
    words = [
        "mpirun",
        "-n",
        1,
        sys.executable,
        *check,
        ":",
        "-n",
        1,
        "prlimit",
        "--fsize=1000000",
        sys.executable,
        *check,
    ]
    done = subprocess.run(
        [str(word) for word in words], env=ENVIRONMENT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 1, done.stderr
    assert len(re.findall("^vinfo_mpi: cannot write ", done.stderr, re.MULTILINE)) == 1


def test_a_folder_that_is_not_there(mpirun, tmp_path):
    done = mpirun(2, "-m", "vinfo_mpi.io_check", tmp_path / "none")
    assert done.returncode == 2
    assert f"{tmp_path}/none is not a folder" in done.stderr


def test_sizes():
    assert [size_of(text) for text in ("1KiB", "4GiB", "1.5 MiB")] == [1024, 4 * 2**30, 3 * 2**19]


@pytest.mark.parametrize(
    "rates, storage",
    [
        ({"parallel": 100, "virtual": 100, "plain": 500}, "parallel"),
        ({"parallel": 81, "virtual": 100, "plain": 100}, "parallel"),
        ({"parallel": 79, "virtual": 100, "plain": 100}, "virtual"),
        ({"virtual": 10, "plain": 500}, "virtual"),
    ],
)
def test_one_shared_file_is_recommended_unless_it_is_slow(rates, storage):
    assert recommendation(rates).startswith(f"machine.storage: {storage} (")
