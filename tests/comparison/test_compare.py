"""Two runs beside each other: the same one is the same, and another network is computed anew."""

import re

import h5py
import numpy as np
import pytest
import torch
from contents import SMALL
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from small_run import on
from tiny_run import refusal

from vinfo_mpi import Results
from vinfo_mpi.cli import compare
from vinfo_mpi.comparison import study
from vinfo_mpi.errors import Failure
from vinfo_mpi.numerics import folds
from vinfo_mpi.parallel import devices, logs
from vinfo_mpi.parallel.devices import Binding

OTHER = ("--set", "network.name=vgg11_bn", "--set", "analyses=[]", "--set", "pages=[]")


@pytest.fixture(scope="module")
def other(python, tmp_path_factory):
    """A run of another network on the same images."""
    folder = tmp_path_factory.mktemp("other") / "run"
    done = python("-m", "vinfo_mpi", *SMALL, *OTHER, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def compared(run, other, mpirun, tmp_path_factory):
    """The folder of a run beside itself and another, on two ranks, and what was printed."""
    folder = tmp_path_factory.mktemp("compared")
    runs = (f"a={run[0]}", f"same={run[0]}", f"b={other}")
    done = mpirun(2, "-m", "vinfo_mpi.compare", *runs, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def file(compared):
    with h5py.File(compared[0] / "compare.h5") as opened:
        yield opened


def test_the_same_run_twice_is_the_same(run, file):
    cka = file["layers/a/same/cka"][()]
    assert (np.diag(cka) == 1).all()
    np.testing.assert_allclose(cka, cka.T, atol=1e-12)
    here, results = file["concepts/a/in/same"], Results(run[0])
    alive = results.concepts["alive"].to_numpy()
    np.testing.assert_allclose(here["vinformation"], results.vinformation, atol=1e-12)
    np.testing.assert_allclose(here["complexity"], results.concepts["complexity"], atol=1e-12)
    np.testing.assert_allclose(here["complexity_se"], results.concepts["complexity_se"], atol=1e-12)
    np.testing.assert_array_equal(here["partner"][alive], np.flatnonzero(alive))
    np.testing.assert_allclose(here["correlation"][alive], 1, atol=1e-9)
    np.testing.assert_allclose(here["correlation_within_classes"][alive], 1, atol=1e-9)
    assert here["mutual"][alive].all()
    assert file["differences/a/same/complexity"][()] == pytest.approx(0, abs=1e-12)


def test_concepts_at_the_layers_of_another_network_are_sklearns(run, other, file):
    here = file["concepts/a/in/b/vinformation"][()]
    with (
        h5py.File(run[0] / "codes.h5") as codes,
        h5py.File(other / "activations" / "epoch_002.h5") as activations,
    ):
        z = codes["codes"][()].astype(np.float64)
        taps = file["runs/b/taps"][()]
        x = activations[f"taps/{taps[-1].decode()}/activations"][()].astype(np.float64)
        ids, labels = activations["samples/id"][()], activations["samples/label"][()]
    settings = Results(run[0]).settings["score"]
    fold = folds.assign(ids, labels, settings["score"]["folds"], settings["seed"])
    errors = {}
    for penalty in settings["score"]["penalties"]:
        left = np.zeros_like(z)
        for held_out in np.unique(fold):
            learned = fold != held_out
            scaler = StandardScaler().fit(x[learned])
            model = Ridge(penalty * learned.sum()).fit(scaler.transform(x[learned]), z[learned])
            rows = ~learned
            left[rows] = z[rows] - model.predict(scaler.transform(x[rows]))
        errors[penalty] = np.square(left).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = 1 - np.min(list(errors.values()), axis=0) / np.square(z - z.mean(0)).sum(0)
    some = np.isfinite(here[-1])
    np.testing.assert_allclose(here[-1][some], np.clip(expected, 0, None)[some], atol=1e-6)


def test_it_does_not_depend_on_the_number_of_ranks(run, other, file, python, tmp_path):
    done = python("-m", "vinfo_mpi.compare", f"a={run[0]}", f"b={other}", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "compare.h5") as alone:
        names = []
        alone.visit(names.append)
        datasets = [name for name in names if isinstance(alone[name], h5py.Dataset)]
        datasets = [name for name in datasets if not name.endswith("universality")]
        assert len(datasets) > 30
        for name in datasets:
            if alone[name].dtype.kind == "f":
                np.testing.assert_allclose(alone[name], file[name], atol=1e-10, err_msg=name)
            else:
                np.testing.assert_array_equal(alone[name], file[name], err_msg=name)


def test_the_page_and_the_terminal_say_the_same(compared):
    folder, printed = compared
    page = (folder / "compare.html").read_text()
    sentences = [line for line in printed.splitlines() if line.startswith("Concepts of")]
    assert len(sentences) == 6
    assert all(sentence in page for sentence in sentences)
    assert page.count("<svg") == 3 * 7
    # Nothing is fetched from anywhere.
    assert not re.search(r"(src|href|url)[=(]\W?https?:", page)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["RUN"], "is only one run"),
        (["RUN", "nowhere"], "nowhere is not a run's folder"),
        (["RUN", "a/b=RUN"], "'a/b' cannot be a run's name here"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, python, tmp_path, words, expected):
    words = [word.replace("RUN", str(run[0])) for word in words]
    done = python("-m", "vinfo_mpi.compare", *words, "--out", tmp_path)
    assert expected in refusal(done)
    assert not (tmp_path / "compare.h5").exists()


def test_a_full_memory_is_a_sentence(tmp_path, monkeypatch):
    def full(runs):
        raise MemoryError

    bound = torch.device("cpu"), [Binding("node", "cpu", "", "", 1)]
    monkeypatch.setattr(devices, "bind", lambda ranks, setting: bound)
    monkeypatch.setattr(logs, "start", lambda rank: None)
    monkeypatch.setattr(compare, "_config", lambda folder: on(folder).config)
    monkeypatch.setattr(study, "opened", full)
    sentence = (
        r"^compare: the memory of the node .* is full: .* lower machine\.rows in the config\."
    )
    with pytest.raises(Failure, match=sentence):
        compare.compare_runs([f"a={tmp_path}", f"b={tmp_path}"], tmp_path)
