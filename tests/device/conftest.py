"""A pretended CUDA device, in processes of its own: it changes torch. See pretended.py."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from contents import ROOT

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def guard(shared):
    """guard.cpp, compiled for this torch: some seconds of the compiler."""
    compiler = shutil.which("c++")
    if compiler is None:
        reason = "needs a C++ compiler, for tests/device/guard.cpp"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    torch = Path(importlib.util.find_spec("torch").origin).parent

    def build(folder):
        command = [compiler, "-std=c++20", "-shared", "-fPIC", HERE / "guard.cpp"]
        command += [f"-I{torch / 'include'}", f"-L{torch / 'lib'}", f"-Wl,-rpath,{torch / 'lib'}"]
        command += ["-ltorch_cpu", "-lc10", "-o", folder / "guard.so"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    folder, _ = shared("guard", build)
    return folder / "guard.so"


@pytest.fixture(scope="session")
def environment(guard):
    """Variables of the environment that the programs of this folder need."""
    return {"PRETENDED_GUARD": str(guard), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def outcomes(python, environment):
    """Return outcomes(program, *arguments): the JSON that a program of this folder prints."""

    def run(program, *arguments):
        done = python(HERE / program, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
