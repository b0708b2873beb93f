"""slurm/full_pipeline.sh: the numbers are those of mpirun; a job that is stopped goes on."""

import re
import shutil

import numpy as np
import pytest
from contents import ROOT, datasets


@pytest.fixture(scope="module")
def finished(slurm, tmp_path_factory):
    """The folder of a run made by one job, training included: two ranks, on two nodes if any."""
    folder = tmp_path_factory.mktemp("job")
    nodes = min(2, slurm.nodes)
    options = [f"--nodes={nodes}", f"--ntasks-per-node={2 // nodes}"]
    # The configuration first, by its name in the repository, submitted from elsewhere.
    job = slurm.submit(
        folder, options, ["config/quickstart.yaml", *slurm.tiny[2:], "--run-dir", folder / "run"]
    )
    assert job.end() == "COMPLETED", job.text
    assert f"2 ranks on node{'[1-2]' if nodes == 2 else '1'}" in job.text or slurm.nodes == 1
    return folder / "run"


@pytest.fixture
def trained(finished, tmp_path):
    """A run of which only the training is done."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(finished / "config.yaml", folder)
    shutil.copytree(finished / "checkpoints", folder / "checkpoints")
    return folder


def assert_same(folder, expected):
    for name in ("dictionary.h5", "codes.h5", "results.h5"):
        found, wanted = datasets(folder / name), datasets(expected / name)
        assert found.keys() == wanted.keys()
        for key, values in wanted.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(
                    found[key], values, rtol=1e-9, atol=1e-9, err_msg=f"{name} {key}"
                )


def test_the_numbers_are_those_of_mpirun(slurm, finished, trained, mpirun):
    done = mpirun(2, "-m", "vinfo_mpi", *slurm.tiny, "--run-dir", trained)
    assert done.returncode == 0, done.stderr
    assert_same(trained, finished)


def test_three_nodes(slurm, several_nodes, finished, trained):
    job = slurm.submit(
        trained.parent, [f"--nodes={several_nodes}"], [*slurm.tiny, "--run-dir", trained]
    )
    assert job.end() == "COMPLETED", job.text
    assert f"extract: running on {several_nodes} ranks" in job.text
    assert_same(trained, finished)


@pytest.mark.parametrize("launch", ["", "mpirun -n 3"], ids=["srun", "mpirun"])
def test_every_rank_is_on_the_node_that_slurm_gave_it(slurm, several_nodes, tmp_path, launch):
    job = slurm.submit(
        tmp_path,
        [f"--nodes={several_nodes}", "--ntasks-per-node=1"],
        ["--info"],
        VINFO_LAUNCH=launch,
    )
    assert job.end() == "COMPLETED", job.text
    hosts = re.findall(r"^ +(node\d+) +ranks? ", job.text, re.MULTILINE)
    assert hosts == [f"node{number}" for number in range(1, several_nodes + 1)], job.text


def test_a_stopped_job_goes_on_and_ends_with_the_same_numbers(slurm, finished, trained):
    job = slurm.submit(trained.parent, ["--ntasks=2"], [*slurm.tiny, "--run-dir", trained])
    job.wait(lambda job: "extract: running" in job.text)
    # As Slurm does some minutes before the time is over.
    slurm.run("scancel", "--signal=USR2", "--batch", job.number)
    job.wait(lambda job: "queued again" in job.text)
    assert not (trained / "results.h5").exists()
    assert job.end() == "COMPLETED", job.text
    assert job.field("Restarts") == "1"
    assert "asked to stop" in job.text and "restarts 1" in job.text
    assert_same(trained, finished)


def test_wrong_input_is_not_tried_again(slurm, tmp_path):
    job = slurm.submit(tmp_path, ["--ntasks=2"], ["nowhere.yaml"])
    assert job.end() == "FAILED"
    assert job.field("ExitCode") in ("2:0", "137:0")  # srun sees MPICH's abort as a kill
    assert "cannot read the configuration nowhere.yaml" in job.text
    assert job.field("Restarts") == "0"


# From here on a shell script stands in for the program: how it ends is what matters.
ENDS = {  # name: what it does the first time, later, how the job ends, exit code, restarts
    "done": ("exit 0", "exit 9", "COMPLETED", "0:0", 0),
    "failed": ("exit 1", "exit 0", "FAILED", "1:0", 0),
    "stopped": ("exit 75", "exit 0", "COMPLETED", "0:0", 1),
    "stopped again and again": ("exit 75", "exit 75", "FAILED", "1:0", 2),
    "killed": ("kill -KILL $$", "exit 0", "FAILED", "137:0", 0),
    "stopped before it listens": ("touch started; sleep 60", "exit 0", "COMPLETED", "0:0", 1),
    "cancelled": (
        "trap 'exit 75' USR2; touch started; sleep 60 & wait",
        "exit 0",
        "CANCELLED",
        None,
        0,
    ),
}


@pytest.fixture(scope="module")
def ends(slurm, tmp_path_factory):
    """A job for every one of ENDS, all at once: each restart takes Slurm seconds."""
    jobs = {}
    for name, (first, later, *_) in ENDS.items():
        folder = tmp_path_factory.mktemp("end")
        script = folder / "program.sh"
        script.write_text(
            f'if [ "${{SLURM_RESTART_COUNT:-0}}" = 0 ]; then {first}; else {later}; fi'
        )
        jobs[name] = slurm.submit(
            folder, ["--ntasks=1"], VINFO_LAUNCH=f"srun bash {script}", VINFO_RESTARTS="2"
        )
    for name, command in (
        ("stopped before it listens", ["--signal=USR2", "--batch"]),
        ("cancelled", []),
    ):
        jobs[name].wait(lambda job: (job.log.parent / "started").exists())
        slurm.run("scancel", *command, jobs[name].number)
    return jobs


@pytest.mark.parametrize("name", ENDS)
def test_how_a_job_ends(ends, name):
    *_, state, code, restarts = ENDS[name]
    assert ends[name].end() == state, ends[name].text
    assert code in (None, ends[name].field("ExitCode"))
    assert ends[name].field("Restarts") == str(restarts)


def test_what_a_rank_may_use_is_passed_on(slurm, tmp_path):
    script = tmp_path / "program.sh"
    script.write_text(
        "echo rank $SLURM_PROCID: cpus $SLURM_CPUS_PER_TASK, threads $OMP_NUM_THREADS, "
        "gpus $CUDA_VISIBLE_DEVICES"
    )
    slurm.environment.pop("OMP_NUM_THREADS")
    try:
        options = ["--ntasks=2", "--nodes=1", "--cpus-per-task=2", "--gpus-per-node=4"]
        job = slurm.submit(tmp_path, options, VINFO_LAUNCH=f"srun bash {script}")
    finally:
        slurm.environment["OMP_NUM_THREADS"] = "1"
    assert job.end() == "COMPLETED", job.text
    for rank in (0, 1):
        assert f"rank {rank}: cpus 2, threads 2, gpus 0,1,2,3" in job.text


def test_an_unknown_site_is_an_error(slurm, tmp_path):
    job = slurm.submit(tmp_path, [], VINFO_SITE="nowhere")
    assert job.end() == "FAILED"
    assert job.field("ExitCode") == "2:0"
    assert "no such profile; valid: generic, " in job.text


def test_outside_a_job_it_says_how_to_submit_it(slurm):
    done = slurm.run("bash", ROOT / "slurm/full_pipeline.sh")
    assert done.returncode == 2
    assert "sbatch slurm/full_pipeline.sh" in done.stderr
