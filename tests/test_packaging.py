"""What is built runs where nothing of the checkout is, and knows where it comes from."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import h5py
import pytest
import yaml
from contents import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from vinfo_mpi.errors import EXTRAS

NEEDED = [
    "config/quickstart.yaml",
    "pages/assets/report.js",
    "pages/templates/index.html",
    "py.typed",
]
# The sample, as short as it goes.
QUICK = [
    "data={per_class: 20, image_size: 16}",
    "network.width=0.0625",
    "train.epochs=1",
    "dictionary.concepts_per_class=2",
    "analyses=[]",
    "pages=[report]",
]


def call(*words, cwd=None):
    """Run a command that finds nothing of the checkout; fail with what it printed if it does."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in words]
    options = {"env": environment, "cwd": cwd, "text": True, "timeout": 600}
    done = subprocess.run(words, capture_output=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit_all(folder):
    """Make a folder a repository of one commit."""
    git = ("git", "-C", folder, "-c", "user.name=somebody", "-c", "user.email=somebody@localhost")
    call("git", "init", "--quiet", folder)
    call(*git, "add", "--all")
    call(*git, "commit", "--quiet", "--message", "A commit")


def link_what_is_required(wheel, extras, packages):
    """Make a bare environment one with what the metadata of a wheel asks for, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    asked = [(line, extras) for line in metadata.get_all("Requires-Dist")]
    done = set()
    while asked:
        line, extras = asked.pop()
        wanted = Requirement(line)
        marker = wanted.marker
        needed = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
        if not needed or (wanted.name, *wanted.extras) in done:
            continue
        done.add((wanted.name, *wanted.extras))
        try:
            distribution = importlib.metadata.distribution(wanted.name)
        except importlib.metadata.PackageNotFoundError:  # of torch's, those that need a GPU
            continue
        asked += [(line, ("", *wanted.extras)) for line in distribution.requires or []]
        for top in {path.parts[0] for path in distribution.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(distribution.locate_file(top))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A repository of this program alone, whatever the tests run from; one commit."""
    folder = tmp_path_factory.mktemp("checkout") / "vinfo_mpi"
    left_out = shutil.ignore_patterns(".git", ".venv*", "runs", ".*_cache", "__pycache__")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=left_out)
    commit_all(folder)
    return folder


@pytest.fixture(scope="module")
def commit(checkout):
    return call("git", "-C", checkout, "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def built(checkout, tmp_path_factory):
    """The folder of an sdist and of the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout)
    return folder


def test_the_sdist_brings_what_a_checkout_has(built):
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "LICENSE",
        "CITATION.cff",
        "hpc/setup.sh",
        "slurm/full_pipeline.sh",
        "tests/conftest.py",
    ):
        assert name in names
    assert "config/quickstart.yaml" in names


def test_the_wheel_runs_the_sample_in_an_empty_folder(built, commit, tmp_path):
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {f"vinfo_mpi/{name}" for name in NEEDED} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    # The environment is bare but for links to what the wheel itself asks for.
    environment = tmp_path / "environment"
    call(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    call(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel
    )
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(call(python, "-c", ask).strip())
    link_what_is_required(wheel, [""], packages)
    # A repository of somebody else's around it, whose commit is not ours.
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / ".gitignore").write_text("environment/\n")
    commit_all(tmp_path)
    where = "import vinfo_mpi; print(vinfo_mpi.__file__)"
    assert Path(call(python, "-c", where, cwd=empty).strip()).is_relative_to(packages)
    settings = [word for setting in QUICK for word in ("--set", setting)]
    call(python.with_name("vinfo"), *settings, "--set", "pages=[]", cwd=empty)
    link_what_is_required(wheel, ["report"], packages)
    call(python.with_name("vinfo"), *settings, cwd=empty)
    [folder] = (empty / "runs").iterdir()
    assert (folder / "report" / "index.html").exists()
    with h5py.File(folder / "results.h5") as file:
        stamped = file.attrs["git_commit"]
        assert file.attrs["vinfo_version"] in wheel.name
    assert len(stamped) >= 7 and commit.startswith(stamped)


def test_a_checkout_names_its_commit(python, checkout, commit):
    ask = "from vinfo_mpi.run.provenance import git_commit; print(git_commit())"
    assert python("-c", ask, PYTHONPATH=str(checkout), cwd=checkout).stdout.strip() == commit


def test_the_requirements_are_the_dependencies_and_what_users_want():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = {line for line in lines if not line.startswith("#")}
    extras = project["optional-dependencies"]
    assert wanted == {*project["dependencies"], *extras["report"], *extras["parquet"]}
    for package, extra in EXTRAS.items():
        assert any(requirement.startswith(f"{package}>=") for requirement in extras[extra])


def test_the_citation_asks_for_the_papers_that_the_method_is_of():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    cited = {reference["title"] for reference in citation["references"]}
    references = re.sub(r"\s+", " ", (ROOT / "docs" / "method.md").read_text())
    assert len(cited) == 2
    assert all(title in references for title in cited)


def test_an_active_conda_does_not_give_its_mpi(tmp_path):
    """The set-up ends where it makes the environment, which has no place here."""
    for folder in ("conda/bin", "system"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("mpicc", "h5pcc"):
            (tmp_path / folder / name).write_text("#!/bin/sh\n")
            (tmp_path / folder / name).chmod(0o755)
    path = f"{tmp_path}/conda/bin:{tmp_path}/system:{os.environ['PATH']}"
    environment = {**os.environ, "CONDA_PREFIX": str(tmp_path / "conda"), "PATH": path}
    words = ["bash", ROOT / "hpc/setup.sh", "--mpi=system", "--venv=/dev/null/environment"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert f"conda is active ({tmp_path}/conda): its mpicc" in done.stdout
    assert f"MPI: the system's ({tmp_path}/system/mpicc)" in done.stdout


def test_the_set_up_refuses_a_torch_that_is_not_there(tmp_path):
    """Before it makes anything: an environment without torch, an index that nobody has named."""
    (tmp_path / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python").chmod(0o755)
    environment = {name: text for name, text in os.environ.items() if name != "VINFO_TORCH_INDEX"}
    for torch, said in [
        ("cpu", "package index of torch's cpu builds"),
        ("cu126", "package index of torch's cu126 builds"),
        ("cuda", "'--torch=cuda' is not an option; valid: "),
        ("present", "no torch (2.4 or newer)"),
    ]:
        words = ["bash", ROOT / "hpc/setup.sh", f"--torch={torch}", f"--venv={tmp_path}/made"]
        environment["PYTHON"] = str(tmp_path / "python")
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert said in done.stderr
        assert not (tmp_path / "made").exists()


def test_the_versions_that_set_up_installs_run_on_the_oldest_python():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    pinned = (ROOT / "hpc/constraints.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in pinned if not line.startswith("#")}
    refusing = [
        distribution.name
        for distribution in importlib.metadata.distributions()
        if distribution.name in names
        and oldest not in SpecifierSet(distribution.metadata["Requires-Python"] or "")
    ]
    assert refusing == []
