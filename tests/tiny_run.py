"""Commands on a tiny configuration, as a user types them: quickly, one process each."""

import multiprocessing
import os
import subprocess

TINY = {
    "data": {"source": "digits", "per_class": 30, "image_size": 16},
    "network": {"name": "resnet18", "small_images": True, "width": 0.0625},
    "train": {"epochs": 1},
    "dictionary": {"concepts_per_class": 3},
    "machine": {"device": "cpu"},
}

# One rank is a process forked from a server that has imported what takes seconds; all else begins
# anew in each.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["vinfo_mpi.networks.architectures", "sklearn.datasets"])
ONE_RANK = """
import os, runpy, sys
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
sys.path.insert(0, folder)
for stream in (1, 2):
    os.dup2(os.open(f"{stream}.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY), stream)
sys.argv = ["vinfo_mpi", *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def vinfo(folder, module, *settings, options=(), mpirun=None):
    """Run a command on the folder's configuration and run, on one rank or on two by mpirun."""
    arguments = ["--config", f"{folder}/tiny.yaml", "--run-dir", f"{folder}/run", *options]
    arguments += [word for setting in settings for word in ("--set", setting)]
    if mpirun:
        return mpirun(2, "-m", module, *arguments, cwd=folder)
    names = {
        "environment": {**os.environ, "OMP_NUM_THREADS": "1"},
        "folder": str(folder),
        "arguments": arguments,
        "module": module,
    }
    process = SERVER.Process(target=exec, args=(ONE_RANK, names))
    process.start()
    process.join(120)
    process.kill()
    output = (folder / "1.txt").read_text()
    errors = (folder / "2.txt").read_text()
    return subprocess.CompletedProcess(arguments, process.exitcode, output, errors)


def refusal(result):
    """Return the one sentence of a command that was refused."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("vinfo_mpi: ")]
    assert len(lines) == 1
    return lines[0].removeprefix("vinfo_mpi: ")
