"""The command vinfo, and packages that only some commands need."""

import sys

import pytest
import small_run
from contents import ROOT

from vinfo_mpi import InputError, Results
from vinfo_mpi.cli import vinfo
from vinfo_mpi.errors import EXTRAS, require
from vinfo_mpi.pipeline import engine
from vinfo_mpi.registry import STAGES, TOOLS, command

LIBRARY = {"__init__", "__main__", "errors", "registry", "stage", "units"}


@pytest.fixture
def typed(monkeypatch):
    """Return typed(*words): the module that vinfo runs, and the words that are left for it."""
    ran = []
    monkeypatch.setattr(
        "runpy.run_module", lambda module, **options: ran.append((module, sys.argv[1:]))
    )

    def type_words(*words):
        monkeypatch.setattr("sys.argv", ["vinfo", *words])
        vinfo.main()
        return ran.pop()

    return type_words


def test_a_command_is_the_module_of_its_name(typed):
    assert typed("score", "--force") == ("vinfo_mpi.score", ["--force"])
    assert typed("flow") == ("vinfo_mpi.analyses.flow", [])
    assert typed("import-activations", "x") == ("vinfo_mpi.import_activations", ["x"])
    assert typed("mine.yaml", "--force") == ("vinfo_mpi", ["mine.yaml", "--force"])
    assert typed("init") == ("vinfo_mpi", ["init"])
    assert typed() == ("vinfo_mpi", [])


def test_every_command_is_known(typed):
    files = {path.stem for path in (ROOT / "vinfo_mpi").glob("*.py")} - LIBRARY
    assert files <= {*STAGES, *TOOLS}
    for name in (*STAGES, *TOOLS):
        assert typed(name)[0] == command(name)
    assert typed("analyses.flow")[0] == command("flow")


def test_the_list_of_commands(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["vinfo", "help"])
    vinfo.main()
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*STAGES, *TOOLS))


def test_vinfo_ends_as_python_m_does(python):
    program = "from vinfo_mpi.cli.vinfo import main; main()"
    for words, sentence in (
        (["score", "--set", "score.folds=1"], "folds"),
        (["scroe"], "did you mean 'score'"),
        (["analyses.flwo"], "did you mean 'flow'"),
    ):
        done = python("-c", program, *words, cold=True)
        assert done.returncode == 2
        assert done.stderr.startswith("vinfo_mpi: ")
        assert sentence in done.stderr


def test_a_configuration_may_follow_and_be_written(python, tmp_path):
    vinfo = ("-c", "from vinfo_mpi.cli.vinfo import main; main()")
    done = python(*vinfo, "init", "new.yaml", cold=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = python(*vinfo, "new.yaml", "--set", "seed=x", cold=True, cwd=tmp_path)
    assert "--set: 'seed' is 'x'" in done.stderr
    (tmp_path / "new.yaml").rename(tmp_path / "analyses.yaml")
    done = python(*vinfo, "analyses.yaml", "--set", "seed=x", cold=True, cwd=tmp_path)
    assert "--set: 'seed' is 'x'" in done.stderr


@pytest.mark.parametrize("package", EXTRAS)
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"x needs .*{package}.*extra \[{EXTRAS[package]}\]"):
        require("x", "numpy", package)


def test_whole_commands_say_so_before_they_begin(run, monkeypatch, tmp_path):
    for package in EXTRAS:
        monkeypatch.setitem(sys.modules, package, None)
    results = Results(run[0])
    with pytest.raises(InputError, match="matplotlib"):
        _ = results.plot
    with pytest.raises(InputError, match="pyarrow"):
        results.to_parquet(tmp_path / "x.parquet")
    small = small_run.on(run[0])
    for start in (engine.bring_up_to_date, engine.show):
        with pytest.raises(InputError, match=r"report needs .*matplotlib"):
            start(small, ["report"], force=True)
