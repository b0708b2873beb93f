"""What every command shares: help, mistakes, what it shows instead of running."""

import re
import signal
import subprocess
import sys
from importlib.metadata import version

import h5py
import pytest
from contents import ENVIRONMENT, ROOT, SMALL

STAGES = [
    "train",
    "extract",
    "dictionary",
    "encode",
    "score",
    "importance",
    "dynamics",
    "visualise",
    "report",
]


@pytest.fixture
def light(python, tmp_path):
    """Run python where whatever takes long to import, and MPI, fails to."""
    for name in ("torch", "h5py", "mpi4py"):
        (tmp_path / f"{name}.py").write_text(f"raise AssertionError('{name} was imported')")
    return lambda *arguments, **environment: python(
        *arguments, PYTHONPATH=f"{tmp_path}:{ROOT}", **environment
    )


def sentence(result):
    """Return the one sentence of a command that was refused."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    [line] = [line for line in result.stderr.splitlines() if line.startswith("vinfo_mpi: ")]
    return line


# --- help ---


@pytest.mark.parametrize("module", ["vinfo_mpi", *(f"vinfo_mpi.{stage}" for stage in STAGES)])
def test_help_imports_nothing_heavy(light, module):
    result = light("-m", module, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: python -m {module} [-h]")
    assert f"mpirun -n 8 python -m {module}" in result.stdout
    assert result.stderr == ""


def test_help_is_shown_once(mpirun):
    result = mpirun(2, "-m", "vinfo_mpi.score", "--help")
    assert result.returncode == 0
    assert result.stdout.count("usage:") == 1


def test_version(light):
    result = light("-m", "vinfo_mpi.score", "--version")
    assert (result.returncode, result.stdout) == (0, f"vinfo_mpi {version('vinfo_mpi')}\n")


# --- nothing to do ---

IMPORTS_OF_RANK = """
import atexit, os, runpy, sys
os.sched_setaffinity(0, {0})
atexit.register(lambda: os.write(1, f"torch: {'torch' in sys.modules};".encode()))
runpy.run_module("vinfo_mpi.score", run_name="__main__", alter_sys=True)
"""


def test_only_the_rank_that_looks_imports_torch_where_ranks_share_cores(run, mpirun):
    done = mpirun(3, "-c", IMPORTS_OF_RANK, *SMALL, "--run-dir", run[0])
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("[rank 0] score: up to date") == 1
    assert sorted(re.findall(r"torch: (\w+);", done.stdout)) == ["False", "False", "True"]


# --- mistakes ---


@pytest.mark.parametrize(
    "module, arguments, expected",
    [
        (
            "vinfo_mpi.score",
            ["--set", "train.epoch=1"],
            "--set: unknown key 'train.epoch'; did you mean 'epochs'",
        ),
        (
            "vinfo_mpi.score",
            ["--config", "nowhere.yaml"],
            "cannot read the configuration nowhere.yaml",
        ),
        (
            "vinfo_mpi.score",
            ["--onyl"],
            "unrecognized arguments: --onyl; see python -m vinfo_mpi.score --help",
        ),
        ("vinfo_mpi.score", ["--set"], "argument --set: expected one argument"),
        ("vinfo_mpi", ["--only"], "--only applies to a single stage"),
    ],
)
def test_mistakes_answer_without_anything_heavy(light, module, arguments, expected):
    result = light("-m", module, *arguments)
    assert expected in sentence(result)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_configuration_of_the_environment(light, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("network: {name: resnet18}\ntrain: {epochs: twelve}\n")
    refused = light("-m", "vinfo_mpi", VINFO_CONFIG=str(path))
    assert f"{path}, line 2: 'train.epochs' is 'twelve'" in sentence(refused)


def test_mistake_is_told_once_by_all_ranks(mpirun):
    result = mpirun(2, "-m", "vinfo_mpi.score", "--set", "train.epoch=1")
    assert "unknown key 'train.epoch'" in sentence(result)


def test_without_the_environment_it_is_named(python, tmp_path):
    """Python's own library alone, as in a shell that has not sourced it."""
    bare = ("-S", "-m", "vinfo_mpi.score")
    done = python(*bare, cold=True, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert f"; source {ROOT}/hpc/env.sh (after bash {ROOT}/hpc/setup.sh, once)" in sentence(done)
    assert "has no numpy, torch, h5py, mpi4py, pydantic, yaml" in sentence(done)


# --- a configuration without an option ---


@pytest.mark.parametrize(
    "words, expected",
    [
        (["scoer"], "'scoer' is neither a configuration nor a stage; did you mean 'score'"),
        (["x"], "valid: train, extract, dictionary, encode, score, importance, dynamics, flow"),
        (["flow"], "'flow' is a stage, not a configuration; run python -m vinfo_mpi.analyses.flow"),
        (["own.yaml", "other.yaml"], "'other.yaml' is a second configuration"),
        (["--config", "own.yaml", "other.yaml"], "'other.yaml' is a second configuration"),
        (["init", "own.yaml"], "own.yaml already exists; name another"),
        (["init", "nowhere/new.yaml"], "cannot write nowhere/new.yaml"),
        (["own.yaml", "--set", "seed=x"], "--set: 'seed' is 'x'"),
        (["--set", "seed=x", "own.yaml"], "--set: 'seed' is 'x'"),
    ],
)
def test_words_that_are_refused(light, tmp_path, words, expected):
    (tmp_path / "own.yaml").write_text("network: {name: resnet18}\n")
    assert expected in sentence(light("-m", "vinfo_mpi", *words, cwd=tmp_path))


def test_init_writes_a_configuration_that_runs_as_it_is(python, tmp_path):
    done = python("-m", "vinfo_mpi", "init", "new.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "new.yaml: set data and network in it" in done.stdout
    done = python("-m", "vinfo_mpi", "new.yaml", "--set", "name=birds", "--stages", cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "birds train"


# --- what is shown instead ---


@pytest.fixture
def stages(python, tmp_path):
    """Return stages(*settings), which the option --stages shows of the sample; no MPI is there."""
    (tmp_path / "mpi4py.py").write_text("raise AssertionError('mpi4py was imported')")

    def stages(*settings):
        options = [word for setting in settings for word in ("--set", setting)]
        sample = ["--config", ROOT / "config/quickstart.yaml"]
        result = python(
            *("-m", "vinfo_mpi.train", *sample, *options, "--stages"), PYTHONPATH=str(tmp_path)
        )
        assert result.returncode == 0, result.stderr
        names, stages = zip(*map(str.split, result.stdout.splitlines()), strict=True)
        assert set(names) == {"quickstart"}
        return list(stages)

    return stages


def test_stages(stages):
    whole = [*STAGES[:-2], "analyses", *STAGES[-2:]]
    assert stages() == whole
    assert stages("analyses=all") == whole
    assert stages("analyses=[]", "pages=[report]") == [*STAGES[:-2], "report"]


def test_stages_that_make_no_sense_are_left_out(stages, tmp_path):
    assert "dynamics" not in stages("train.epochs=0")
    for epoch in (1, 2):
        (tmp_path / f"own{epoch}.pt").touch()
    of_own = stages(f"network.checkpoints=[{tmp_path}/own*.pt]")
    assert of_own[0] == "extract"
    assert "dynamics" in of_own


def test_stages_of_a_mistake(python):
    result = python("-m", "vinfo_mpi", "--stages", "--set", "network.checkpoints=[nowhere/*.pt]")
    assert "nothing matches 'nowhere/*.pt'" in sentence(result)
    assert result.stdout == ""


def test_stages_are_shown_once(mpirun):
    result = mpirun(2, "-m", "vinfo_mpi", "--stages")
    assert result.stdout.count("train") == 1, result.stderr


# --- what runs ---


def test_only_without_its_inputs(python, tmp_path):
    result = python("-m", "vinfo_mpi.score", "--only", "--run-dir", tmp_path / "run")
    assert "--only score: its input from 'train' is missing" in sentence(result)
    assert "run vinfo_mpi.train first" in sentence(result)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_what_is_shown_may_be_cut_off(run, tmp_path):
    """As by ``| head``: the reader has closed the pipe before anything is written."""
    for command in ("vinfo_mpi --info", f"vinfo_mpi.inspect {run[0]}"):
        words = [sys.executable, "-m", *command.split()]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
        process = subprocess.Popen(words, env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)}, **options)
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(60) == -signal.SIGPIPE, errors
        assert "Traceback" not in errors


def test_the_sample_is_named_where_nothing_else_is(python, tmp_path):
    done = python("-m", "vinfo_mpi", "--info", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (
        f"this is the sample, a small ResNet-18 on scikit-learn's digits, in {tmp_path}/runs/q"
        in (done.stderr)
    )
    assert "sample" not in python("-m", "vinfo_mpi", "--info", *SMALL, cwd=tmp_path).stderr


def test_info(mpirun, tmp_path):
    result = mpirun(2, "-m", "vinfo_mpi", "--info", "--run-dir", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert ("Open MPI" in result.stdout) != ("MPICH" in result.stdout)
    parallel = h5py.get_config().mpi
    assert ("parallel: all ranks write one file" if parallel else "serial") in result.stdout
    assert "ranks 0-1, 1 thread each" in result.stdout
    assert not (tmp_path / "run").exists()


def test_waiting_threads_leave_the_core_to_others(python, tmp_path):
    command = ("-m", "vinfo_mpi", "--info", "--run-dir", tmp_path / "run")
    result = python(*command, cold=True, OMP_DISPLAY_ENV="TRUE")
    assert result.returncode == 0, result.stderr
    assert set(re.findall(r"OMP_WAIT_POLICY\s*=\s*'(\w+)'", result.stderr)) == {"PASSIVE"}


REMEMBERED = """
import inspect, sys
from vinfo_mpi.cli import command

def look():
    inspect.getmodule(compile("0", sys.executable, "exec"))  # of no module, but there

look()
command.guarded(look)
"""


def test_who_has_remembered_the_programs_file_finds_none_later(python, tmp_path):
    """As torch.library does: an error there would be blamed on the network."""
    (tmp_path / "program.py").write_text(REMEMBERED)
    done = python(tmp_path / "program.py", cold=True)
    assert done.returncode == 0, done.stderr
