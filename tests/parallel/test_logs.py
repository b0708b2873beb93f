"""Rank 0 talks, the others only warn, and every line says who speaks."""

import re

SCRIPT = """
import sys, warnings
from pathlib import Path
from mpi4py.MPI import COMM_WORLD as comm
from vinfo_mpi.parallel import logs

logs.start(comm.Get_rank(), verbose=sys.argv[1] == "verbose")
for name in sys.argv[2:]:
    logs.to_file(Path(name), comm.Get_rank())
    logs.log.debug("detail")
    logs.log.info("news")
    logs.log.warning("danger")
    warnings.warn("old function")
"""


def lines(text):
    return sorted(line for line in text.splitlines() if line.startswith("[rank"))


def test_rank_0_talks_and_the_others_warn(mpirun, tmp_path):
    done = mpirun(2, "-c", SCRIPT, "quiet", tmp_path / "stage.log")
    assert done.returncode == 0, done.stderr
    *plain, first, second = sorted(lines(done.stderr), key=lambda line: "UserWarning" in line)
    assert plain == ["[rank 0] danger", "[rank 0] news", "[rank 1] danger"]
    assert [line[:8] for line in (first, second)] == ["[rank 0]", "[rank 1]"]
    assert "detail" not in done.stderr


def test_verbose(python, tmp_path):
    done = python("-c", SCRIPT, "verbose", tmp_path / "stage.log")
    assert "[rank 0] detail" in lines(done.stderr)


def test_the_log_file(mpirun, tmp_path):
    """It holds the same, with the time and the level; the next file takes over from it."""
    files = [tmp_path / "logs" / "extract.log", tmp_path / "logs" / "score.log"]
    done = mpirun(2, "-c", SCRIPT, "quiet", *files)
    assert done.returncode == 0, done.stderr
    for file in files:
        pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (.*)"
        said = {re.fullmatch(pattern, line)[1] for line in file.read_text().splitlines()}
        assert said >= {"[rank 0] INFO news", "[rank 0] WARNING danger", "[rank 1] WARNING danger"}
        assert "[rank 1] INFO news" not in said
