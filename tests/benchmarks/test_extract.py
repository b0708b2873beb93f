import h5py
import numpy as np
import pytest

from benchmarks import extract, writing
from benchmarks.extract import Case
from benchmarks.side_by_side import Options

TINY = Case(
    "tiny", ("data.per_class=2", "network.width=0.0625", "data.image_size=16", "machine.batch=8"), 2
)
ONCE = Options(repeats=1)


def test_ours_and_an_extractor_by_hand_show_the_same(tmp_path):
    rows = extract.extracted(TINY, tmp_path, ONCE)
    assert [row.method for row in rows] == [
        "ours, everything stored",
        "forward pass alone",
        "forward pass alone, channels last",
        "torchvision's feature extractor, h5py",
    ]
    assert all("images/s" in row.note for row in rows)
    assert "within" in rows[0].note
    stored = sorted((tmp_path / "activations").glob("*.h5"))
    assert len(stored) == 4  # two checkpoints in each of two calls
    for number, path in enumerate(stored):
        with h5py.File(path) as file:
            final = number % 2 == 1
            assert file["samples/id"].shape == (20,)
            assert sum("nonzero" in tap for tap in file["taps"].values()) == 8
            assert ("penultimate" in file) == final == ("layer1.0.main" in file["taps"])


def test_other_activations_are_noticed():
    values = {"layer1.0": np.ones((2, 3)), "outputs": np.ones((2, 2))}
    answers = {"ours": lambda: values, "other": lambda: {"outputs": np.full((2, 2), 1 + 1e-4)}}
    with pytest.raises(AssertionError):
        extract._close("cpu", answers)


def test_everybody_writes_the_same(tmp_path):
    rows = writing.compare(2, tmp_path, ONCE, rows=3)
    kinds = ["parallel", "virtual"] if h5py.get_config().mpi else ["virtual"]
    assert [row.method for row in rows[: len(kinds)]] == [f"ours, {kind}" for kind in kinds]
    assert "equal" in rows[0].note and all("GB/s" in row.note for row in rows)
    plain = [folder for folder in tmp_path.iterdir() if (folder / "map").exists()]
    assert {(folder / "map").stat().st_size for folder in plain} == {2 * 3 * 49 * 512 * 4}
