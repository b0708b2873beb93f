"""The phase chart: planted curves of three networks fall into their phases, and are drawn."""

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

from vinfo_mpi import Results
from vinfo_mpi.comparison import phases
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures.patterns import PATTERNS_FIGURE
from vinfo_mpi.results import store
from vinfo_mpi.results.schema_patterns import (
    BITS,
    CODE_REDUNDANCY,
    LOGISTIC,
    NETWORK_ACCURACY,
    PATTERN_CHECKPOINTS,
    SPLIT_IMAGES,
)

SIZES = {"checkpoint": 3, "split": 2, "layer": 4, "relaxation": 1, "class_name": 2}


def written(folder, bits, redundancy, accuracy, images=400):
    """Return results in which the last layer's curves are these, all other numbers a half."""
    values = {
        PATTERN_CHECKPOINTS: [0, 1, 8],
        SPLIT_IMAGES: [images, 100],
        BITS: [7, 8, 9, bits],
        CODE_REDUNDANCY: np.full((3, 2, 4), 0.5),
        LOGISTIC: np.full((3, 4), 0.5),
        NETWORK_ACCURACY: [0.1, 0.5, 0.9],
    }
    values[CODE_REDUNDANCY][:, 0, -1] = redundancy
    values[LOGISTIC][:, -1] = accuracy
    tables = {}
    for dataset in PATTERNS_FIGURE.reads:
        shape = [SIZES[axis] for axis in dataset.axes]
        default = ["a", "b", "c", "d"][: shape[0]] if dataset.dtype == "text" else np.full(shape, 1)
        tables[dataset.name] = dataset.table(values.get(dataset, default))
    provenance = {"filetype": "vinfo-results", "format_version": 3, "fingerprint": "p"}
    provenance |= {"inputs": "{}", "config": "{}"}
    store.update(folder / "results.h5", "patterns", tables, provenance)
    return Results(folder)


@pytest.fixture
def runs(tmp_path):
    for name in ("wide", "narrow", "middle"):
        (tmp_path / name).mkdir()
    return {
        "wide": written(tmp_path / "wide", 5000, [0, 0, 0], [0.5, 0.86, 0.9]),
        "narrow": written(tmp_path / "narrow", 50, [0.9, 0.5, 0.2], [0.2, 0.3, 0.9]),
        "middle": written(tmp_path / "middle", 500, [0.4, 0.01, 0.0], [0.2, 0.3, 0.8]),
    }


def test_every_checkpoint_is_in_its_phase(runs):
    table = phases.table(runs)
    assert table["bits"].tolist() == [50] * 3 + [500] * 3 + [5000] * 3
    under, critical, sufficient = phases.PHASES
    assert table["phase"].tolist() == [
        *([under] * 3),
        *(under, critical, critical),
        *(critical, sufficient, sufficient),
    ]
    said = phases.sentences(table)
    assert said[1].startswith(
        "middle (500 bits): under-expressive from epoch 0, then critically expressive from epoch 1;"
    )


def test_it_is_drawn_and_written(runs, tmp_path):
    table = phases.table(runs)
    ax = matplotlib.figure.Figure().subplots()
    phases.draw(table, ax)
    marks = {each.get_label(): each for each in ax.collections[:3]}
    narrow = marks["under-expressive"]
    assert narrow.get_offsets().tolist() == [[0, 0], [1, 0], [8, 0], [0, 1]]
    assert narrow.get_array().tolist() == [0.9, 0.5, 0.2, 0.4]
    paths = phases.write(table, tmp_path / "new")
    assert [path.name for path in paths] == ["phases.csv", "phases.pdf"]
    pd.testing.assert_frame_equal(pd.read_csv(paths[0]), table.reset_index(drop=True))
    assert paths[1].read_bytes().startswith(b"%PDF")


def test_runs_without_patterns_or_of_other_numbers_of_images_are_refused(runs, tmp_path):
    (tmp_path / "fewer").mkdir()
    fewer = written(tmp_path / "fewer", 50, [0, 0, 0], [1, 1, 1], images=200)
    with pytest.raises(InputError, match=r"wide: 400, .*fewer: 200.* the same patterns\.images"):
        phases.table(runs | {"fewer": fewer})
    fewer.datasets = ()
    with pytest.raises(InputError, match=r"python -m vinfo_mpi\.analyses\.patterns adds it"):
        phases.table({"fewer": fewer})
