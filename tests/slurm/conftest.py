"""A real Slurm of three nodes on this machine (hpc/local_slurm.sh), for these tests alone."""

import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from contents import ROOT

PIPELINE = ROOT / "slurm/full_pipeline.sh"
TINY = [
    "data.per_class=12", "data.image_size=16", "network.width=0.0625", "train.epochs=1",
    "train.batch=32",
    "dictionary.concepts_per_class=2", "machine.batch=20", "machine.rows=50", "analyses=[hoyer]",
    "pages=[]",
]  # fmt: skip
OPTIONS = [
    "--config",
    ROOT / "config/quickstart.yaml",
    *(word for setting in TINY for word in ("--set", setting)),
]
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


@dataclass
class Job:
    """A job, by its number; `log` is the file that it writes."""

    slurm: "Slurm"
    number: int
    log: Path

    def field(self, name):
        """Return one of the fields of scontrol show job."""
        shown = self.slurm.run("scontrol", "show", "job", "--oneliner", self.number).stdout
        return re.search(rf"(?:^| ){name}=(\S*)", shown)[1]

    @property
    def state(self):
        return self.field("JobState")

    @property
    def text(self):
        return self.log.read_text() if self.log.exists() else ""

    def wait(self, condition, limit=180):
        """Wait until condition(job) is true."""
        end = time.monotonic() + limit
        while not condition(self):
            if time.monotonic() > end:
                state = f"{self.state} ({self.field('Reason')})"
                pytest.fail(f"job {self.number} is {state} after {limit} s\n{self.text}")
            time.sleep(0.2)

    def end(self, limit=180):
        """Wait until the job has ended; return its state."""
        self.wait(lambda job: job.state in ENDED, limit)
        return self.state


class Slurm:
    """A running Slurm: commands, and jobs of slurm/full_pipeline.sh.

    `tiny` are options of vinfo_mpi for a run of some seconds.
    """

    tiny = OPTIONS

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        self.nodes = len(self.run("sinfo", "-h", "-N", "-o", "%N").stdout.split())

    def run(self, *command, limit=120, cwd=None, **environment):
        """Run a command; return the `subprocess.CompletedProcess` with text output."""
        return subprocess.run(
            [str(part) for part in command],
            env={**self.environment, **environment},
            cwd=cwd,
            timeout=limit,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def submit(self, folder, sbatch, arguments=(), **environment):
        """Submit slurm/full_pipeline.sh from a folder, which gets the log; return the `Job`."""
        done = self.run(
            "sbatch", "--parsable", *sbatch, PIPELINE, *arguments, cwd=folder, **environment
        )
        assert done.returncode == 0, done.stderr
        return self.job(done.stdout, folder / f"vinfo-{done.stdout.strip()}.log")

    def job(self, number, log):
        """Return a `Job` that was submitted otherwise."""
        return Job(self, int(number), log)

    def jobs(self):
        """Return the numbers of all jobs that Slurm knows, ended ones included."""
        return {
            int(number)
            for number in re.findall(r"JobId=(\d+)", self.run("scontrol", "show", "job").stdout)
        }


@pytest.fixture(scope="session")
def slurm():
    """A running `Slurm`."""
    with tempfile.TemporaryDirectory(prefix="slurm") as name:
        folder = Path(name)
        script = ["bash", ROOT / "hpc/local_slurm.sh"]
        started = subprocess.run(
            [*script, "start", f"--dir={folder}"], capture_output=True, text=True, timeout=300
        )
        try:
            if started.returncode:
                reason = (started.stderr or started.stdout).strip()
                pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason.splitlines()[0])
            yield Slurm(folder)
        finally:
            subprocess.run([*script, "stop", f"--dir={folder}"], capture_output=True, timeout=60)


@pytest.fixture(scope="session")
def several_nodes(slurm):
    """The number of nodes; skips where the machine allows only one."""
    if slurm.nodes == 1:
        pytest.skip("this machine allows no network namespaces, so that there is one node")
    return slurm.nodes


@pytest.fixture(scope="session")
def what_ranks_see(slurm):
    """Return what_ranks_see(*options of srun): what Slurm tells every task, in order.

    Each is a dict with host, SLURM_PROCID, SLURM_LOCALID, and all variables about GPUs:
    CUDA_VISIBLE_DEVICES, SLURM_STEP_GPUS, SLURM_GPUS_ON_NODE and so on, where Slurm sets them.
    """
    program = (
        "import json, os; keep = ('GPU', 'CUDA', 'PROCID', 'LOCALID'); "
        "told = {n: v for n, v in os.environ.items() if any(word in n for word in keep)}; "
        "print(json.dumps({'host': os.uname().nodename, **told}))"
    )

    def see(*options):
        done = slurm.run("srun", "--label", *options, "python3", "-c", program)
        assert done.returncode == 0, done.stderr
        lines = (line.split(": ", 1) for line in done.stdout.splitlines())
        return [json.loads(text) for _, text in sorted(lines, key=lambda line: int(line[0]))]

    return see
