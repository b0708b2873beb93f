"""The view of every file of a run: all that it holds, true numbers, plain text for programs."""

import gzip
import io
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from contents import ENVIRONMENT, datasets
from rich.console import Console

from vinfo_mpi.cli import inspect, inspect_hdf5
from vinfo_mpi.errors import InputError

HDF5 = ("results.h5", "dictionary.h5", "codes.h5", "activations/epoch_001.h5")


@pytest.fixture
def large(monkeypatch):
    """Let a dataset count as large from 64 KiB on."""
    monkeypatch.setattr(inspect_hdf5, "BLOCK", 2**12)
    monkeypatch.setattr(inspect_hdf5, "LIMIT", 2**16)


def line(text, name):
    return next(line for line in text.split("\n") if line.split()[:1] == [name])


@pytest.mark.parametrize("name", HDF5)
def test_hdf5_files_with_the_ranges_of_all_datasets(run, name):
    text = inspect.inspect(run[0] / name)
    stored = datasets(run[0] / name)
    for dataset, values in stored.items():
        row = line(text, f"/{dataset}")
        if values.dtype.kind in "iuf" and not np.isnan(values.astype(float)).all():
            values = values.astype(float)
            for number in (np.nanmin(values), np.nanmean(values), np.nanmax(values)):
                assert any(_is(word, number) for word in row.split()), (row, number)
    with h5py.File(run[0] / name) as file:
        assert file.attrs["filetype"] in text
        assert file.attrs["fingerprint"] in text
        assert all(file[dataset].attrs["description"] in text for dataset in stored)


def test_the_share_of_nan_is_shown(run):
    values = datasets(run[0] / "results.h5")["spectrum/eigenvalues"]
    share = np.isnan(values).mean()
    assert share > 0
    assert f"{100 * share:.3g} %" in line(inspect.inspect(run[0]), "/spectrum/eigenvalues")


def test_large_datasets_are_looked_at_here_and_there(run, large):
    path = run[0] / "activations/epoch_001.h5"
    text = inspect.inspect(path)
    values = datasets(path)["penultimate/activations"]
    assert values.nbytes > inspect_hdf5.LIMIT
    row = line(text, "/penultimate/activations")
    mean = float(re.search(r" ~\S+ +~(\S+) +~\S+ ", row)[1])
    assert mean == pytest.approx(values.mean(dtype=float), rel=0.3)
    assert mean != pytest.approx(values.mean(dtype=float), rel=1e-5)
    assert "~" not in line(text, "/samples/label")


def test_results_with_quantiles_and_both_ends(run):
    text = inspect.inspect(run[0])
    stored = datasets(run[0] / "results.h5")
    living = stored["concepts/complexity"][stored["concepts/alive"] == 1]
    assert line(text.split("alive; quantiles")[1], "complexity").split()[1:] == [
        f"{value:.4g}" for value in np.quantile(living, [0, 0.1, 0.5, 0.9, 1])
    ]
    order = np.argsort(stored["concepts/complexity"])
    for title, expected in (("\nsimplest\n", order[:5]), ("\nmost complex\n", order[::-1][:5])):
        rows = text.split(title)[1].split("\n")[3:8]
        assert [int(row.split()[0]) for row in rows] == expected.tolist()


def test_checkpoints(run):
    path = run[0] / "checkpoints/epoch_002.pt"
    text = inspect.inspect(path)
    content = torch.load(path, weights_only=True)
    state = content["state"]
    weight = state["conv1.weight"]
    expected = [f"{value.item():.4g}" for value in (weight.min(), weight.mean(), weight.max())]
    assert line(text, "conv1.weight").split()[-3:] == expected
    weights = sum(tensor.numel() for tensor in state.values())
    assert f"{weights} in {len(state)} tensors" in text
    assert line(text, "accuracy").split()[1] == str(content["accuracy"])


def test_plan_and_timings(run):
    assert line(inspect.inspect(run[0] / "plan.json"), "n").split() == ["n", "400"]
    assert line(inspect.inspect(run[0] / "timings.json"), "robustness").split()[:2] == [
        "robustness",
        "2",
    ]


def test_a_dictionary_that_is_not_finished(run, tmp_path):
    with (
        h5py.File(run[0] / "dictionary.h5") as source,
        h5py.File(tmp_path / "dictionary.fit.h5", "w") as file,
    ):
        file.attrs.update({**source.attrs, "filetype": "vinfo-dictionary-fit"})
        source.copy("atoms", file)
    assert "/atoms" in inspect.inspect(tmp_path / "dictionary.fit.h5")


def at_80_columns(path):
    text = io.StringIO()
    console = Console(file=text, width=80, color_system=None)
    console.print(inspect.view(path, console.width), highlight=False)
    return text.getvalue()


def test_names_and_descriptions_stay_whole_at_80_columns(run):
    for name in HDF5:
        text = at_80_columns(run[0] / name)
        assert max(map(len, text.splitlines())) <= 80
        words = " ".join(text.split())
        with h5py.File(run[0] / name) as file:
            for dataset in datasets(run[0] / name):
                assert f"\n/{dataset}\n" in text.replace(" ", "")
                assert " ".join(file[dataset].attrs["description"].split()) in words
    tensors = torch.load(run[0] / "checkpoints/epoch_002.pt", weights_only=True)["state"]
    text = at_80_columns(run[0] / "checkpoints/epoch_002.pt")
    assert all(f" {name} " in text for name in tensors)


def test_a_run_s_folder_its_logs_and_its_configuration(run):
    text = at_80_columns(run[0])
    words = {row.split()[0] for row in text.split("/results.h5")[0].splitlines() if row.split()}
    there = {path.name for path in run[0].iterdir() if not path.name.startswith(".")}
    there -= {name for name in there if ".parts." in name}  # of files that are stored virtually
    assert there <= words
    assert "simplest" in text  # of the results
    logs = inspect.inspect(run[0] / "logs")
    for path in (run[0] / "logs").glob("*.log"):
        assert path.read_text().splitlines()[-1] in logs
    for path in (run[0] / "config.yaml", run[0] / "logs/score.log"):
        assert path.read_text().strip() in inspect.inspect(path)
    images = gzip.decompress((run[0] / "images.txt.gz").read_bytes()).decode()
    assert images.strip() in inspect.inspect(run[0] / "images.txt.gz")


def test_brackets_are_no_markup(run, tmp_path):
    path = tmp_path / "brackets.h5"
    with h5py.File(run[0] / "dictionary.h5") as source, h5py.File(path, "w") as file:
        file.attrs.update(source.attrs)
        file["[red]x[/red]"] = [1.0]
    assert "/[red]x[" in inspect.inspect(path)


def test_no_escape_codes_where_no_terminal_reads(run, python):
    paths = [run[0] / name for name in HDF5]
    done = python("-m", "vinfo_mpi.inspect", *paths, NO_COLOR="", TERM="xterm-256color")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert all(row == row.rstrip() for row in done.stdout.split("\n"))
    assert done.stdout.count("fingerprint") >= len(HDF5)


def test_what_is_not_ours_is_refused(run, tmp_path, python):
    text = tmp_path / "a.txt"
    text.write_text("text")
    foreign = tmp_path / "b.h5"
    h5py.File(foreign, "w").close()
    weights = tmp_path / "c.pt"
    torch.save({"conv1.weight": torch.zeros(1)}, weights)
    damaged = tmp_path / "plan.json"
    damaged.write_text("{")
    for path in (text, foreign, weights, damaged, tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as error:
            inspect.inspect(path)
        assert str(path) in str(error.value)
    done = python("-m", "vinfo_mpi.inspect", text)
    assert done.returncode == 2
    assert done.stderr.startswith(f"vinfo_mpi: {text} was not made by this package")
    assert len(done.stderr.splitlines()) == 1


def _is(word, number):
    """Whether a word is a number, as far as four digits can tell."""
    rounding = 0.5 if abs(number) > 1e4 else 1e-12
    try:
        return float(word.strip("~")) == pytest.approx(number, rel=1e-3, abs=rounding)
    except ValueError:
        return False


def test_a_reader_that_has_enough_is_no_error(tmp_path):
    (tmp_path / "timings.json").write_text("{}")
    command = f"{sys.executable} -m vinfo_mpi.inspect {tmp_path}/timings.json | true"
    done = subprocess.run(["bash", "-c", command], env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
