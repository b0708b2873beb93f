"""What a release publishes of runs: reports, results, and a table that says how they were made."""

import hashlib
import re
import runpy
import zipfile

import h5py
import pytest
from contents import ROOT

from vinfo_mpi.errors import InputError

GALLERY = runpy.run_path(str(ROOT / "docs/gallery.py"))


def test_a_run_is_published_with_how_it_was_made(tmp_path, capsys):
    run, release = tmp_path / "runs/birds", tmp_path / "release"
    (run / "report").mkdir(parents=True)
    (run / "report/index.html").write_text("<p>Birds</p>")
    with h5py.File(run / "results.h5", "w") as file:
        file.attrs.update(command="vinfo birds.yaml", vinfo_version="1.2", git_commit="ab" * 20)
    GALLERY["main"]([str(release), str(run)])
    assert {path.name for path in release.iterdir()} == {"birds-report.zip", "birds-results.h5"}
    with zipfile.ZipFile(release / "birds-report.zip") as archive:
        assert archive.read("report/index.html") == b"<p>Birds</p>"
    assert (release / "birds-results.h5").read_bytes() == (run / "results.h5").read_bytes()
    table = capsys.readouterr().out
    for name, digest in re.findall(r"\| (birds-\S+) \|.*\| ([0-9a-f]{64}) \|", table):
        assert digest == hashlib.sha256((release / name).read_bytes()).hexdigest()
    assert table.count("`vinfo birds.yaml`, vinfo_mpi 1.2 (abababababab)") == 2


def test_an_unfinished_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no results\.h5; name the folder of a finished run"):
        GALLERY["main"]([str(tmp_path / "release"), str(tmp_path)])
