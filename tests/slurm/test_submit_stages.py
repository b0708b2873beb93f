"""slurm/submit_stages.sh: a job per stage, in turn; mistakes are found before any is queued."""

import itertools
import re

import pytest
from contents import ROOT, datasets

from vinfo_mpi.registry import PAGES

SCRIPT = ROOT / "slurm/submit_stages.sh"
STAGES = ["train", "extract", "dictionary", "encode", "score", "importance", "dynamics", "analyses"]
FEW_RANKS = {
    f"VINFO_SBATCH_{stage.upper()}": f"--ntasks={2 if stage == 'score' else 1}" for stage in STAGES
}


@pytest.fixture
def submit(slurm, tmp_path):
    """Return submit(*arguments, **environment), run from an empty folder."""
    return lambda *arguments, **environment: slurm.run(
        "bash", SCRIPT, *arguments, cwd=tmp_path, **environment
    )


@pytest.fixture
def chain(slurm, submit, tmp_path):
    """Return chain(*options): the jobs of a tiny run, by stage."""

    def make(*options):
        done = submit(
            "config/quickstart.yaml",
            *slurm.tiny[2:],
            "--run-dir",
            tmp_path / "run",
            *options,
            **FEW_RANKS,
        )
        assert done.returncode == 0, done.stderr
        found = re.findall(r"^(\d+)  (quickstart-(\w+))$", done.stdout, re.MULTILINE)
        return {
            stage: slurm.job(number, tmp_path / f"{name}-{number}.log")
            for number, name, stage in found
        }

    return make


def test_every_stage_is_a_job_that_waits_for_the_one_before(chain, tmp_path):
    jobs = chain()
    assert list(jobs) == STAGES
    for stage, job in jobs.items():
        assert job.end() == "COMPLETED", job.text
        first = "hoyer" if stage == "analyses" else stage
        assert f"{first}: running on {'2 ranks' if stage == 'score' else '1 rank'}" in job.text
        assert len(re.findall(r": running on", job.text)) == 1  # it found everything before it done
    times = [(job.field("StartTime"), job.field("EndTime")) for job in jobs.values()]
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))
    assert {
        "concepts/complexity",
        "concepts/importance",
        "concepts/temporal",
        "concepts/hoyer",
    } <= set(datasets(tmp_path / "run/results.h5"))


def test_after_a_stage_that_fails_none_is_started(chain, tmp_path):
    # Nothing can be written where the run's folder would be.
    (tmp_path / "run").write_text("")
    train, *others = chain().values()
    assert train.end() == "FAILED"
    for job in others:
        assert job.end() == "CANCELLED"
        assert not job.log.exists()


def test_wrong_configuration_is_refused_before_anything_is_queued(slurm, submit):
    before = slurm.jobs()
    for wrong in (
        [],
        ["--dry-run"],
        ["nowhere.yaml"],
        ["config/quickstart.yaml", "--set", "score.fold=3"],
        ["config/quickstart.yaml", "--st", "score.folds=3"],
        ["config/quickstart.yaml", "--set", "network.checkpoints=[nowhere/*.pt]"],
    ):
        done = submit(*wrong)
        assert done.returncode == 2, wrong
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert slurm.jobs() == before


def test_what_sbatch_refuses_leaves_nothing_in_the_queue(slurm, submit):
    before = slurm.jobs()
    done = submit("config/quickstart.yaml", VINFO_SBATCH_SCORE="--partition=nowhere")
    assert done.returncode == 2
    assert "sbatch refused score" in done.stderr
    for number in slurm.jobs() - before:
        assert slurm.job(number, None).end() == "CANCELLED"


def test_dry_run_shows_the_commands(slurm, submit, tmp_path):
    before = slurm.jobs()
    done = submit(
        "config/quickstart.yaml",
        "--dry-run",
        "--set",
        "seed=3",
        VINFO_SBATCH="--account=x",
        VINFO_SBATCH_TRAIN="--nodes=4",
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(STAGES) + len(PAGES)
    assert (
        "--nodes=4 --account=x" in lines[0]
        and "--ntasks" not in lines[0]
        and "afterok" not in lines[0]
    )
    for line, before_it in zip(lines[1:], [*STAGES, *PAGES], strict=False):
        assert (
            f"--dependency=afterok:<{before_it}>" in line
            and "--ntasks" in line
            and "--account=x" in line
        )
    assert all(line.endswith("config/quickstart.yaml --set seed=3") for line in lines)
    assert slurm.jobs() == before


@pytest.mark.parametrize(
    ("setting", "missing"),
    [("train.epochs=0", {"dynamics"}), ("network.checkpoints=[one.pt]", {"train", "dynamics"})],
)
def test_stages_that_make_no_sense_are_left_out(submit, tmp_path, setting, missing):
    (tmp_path / "one.pt").touch()
    done = submit("config/quickstart.yaml", "--dry-run", "--set", setting)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"VINFO_STAGE=(\w+)", done.stdout) == [
        stage for stage in (*STAGES, *PAGES) if stage not in missing
    ]
