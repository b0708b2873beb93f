"""Peak memory of passes over the images: it does not grow with their number, the plan covers it.

Each is measured in a process that does nothing else.
"""

import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from contents import ROOT
from small_run import on, run_stage

from benchmarks.limits import Peak
from vinfo_mpi.concepts import encoders_costs, vinformation, vinformation_costs
from vinfo_mpi.concepts.vinformation import Source
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.numerics import ridge
from vinfo_mpi.numerics.moments import Moments
from vinfo_mpi.run.part import Part
from vinfo_mpi.stages import score
from vinfo_mpi.stages.encode import encode_images
from vinfo_mpi.storage import codes, hdf5
from vinfo_mpi.storage.activations import Layout
from vinfo_mpi.storage.hdf5 import Table

WIDTH = 128
WIDE = 4096
CONCEPTS = 500
POSITIONS = 2
CLASSES = 10
# Images: the codes of many take 56 MB more than those of few.
WARM = 20
FEW = 2000
MANY = 16000
SETTINGS = ("machine.rows=500", "encode.max_iterations=10", "encode.by_position=always")
# What codes say of themselves.
FAITHFUL = {"relative_error": 0.0, "relative_error_positions": 0.0, "predictions_kept": 1.0}
NOISE = 20e6  # bytes by which peaks differ from one run to the next
CHILD = """
import sys
sys.path[:0] = ["tests", "tests/costs"]
import test_memory
from vinfo_mpi.parallel import malloc
assert malloc.keep_freed()
print(test_memory.measured(*sys.argv[1:]))
"""


def write(folder, n):
    """Write random activations, atoms and codes of n images."""
    run = on(folder, *SETTINGS)
    head = (np.ones((CLASSES, WIDTH), np.float32), np.zeros(CLASSES, np.float32))
    shift = {"last": np.zeros(WIDTH, np.float32)}
    names = [str(number) for number in range(CLASSES)]
    layout = Layout(shift, {}, "average", "float32", CLASSES, names, (POSITIONS, WIDTH), head)
    for filetype, path, columns, tables in (
        ("vinfo-activations", run.activations(run.final), layout.columns(), layout.tables()),
        ("vinfo-codes", run.codes, codes.columns(CONCEPTS), {}),
    ):
        attributes = run.provenance(filetype, "", {}) | FAITHFUL
        file = run.row_file(path, columns, n, attributes, tables)
        with run.writer([file], 500) as writer:
            for rows in writer.todo:
                random = np.random.default_rng(rows.start)
                values = {
                    name: random.random((len(rows), *column.shape)).astype(column.dtype)
                    for name, column in columns.items()
                }
                values["samples/id"] = np.arange(rows.start, rows.stop)
                writer.write(rows.start, values)
    atoms = np.random.default_rng(0).random((CONCEPTS, WIDTH))
    tables = {
        "atoms": Table(atoms, "atoms", axes=("concept", "channel")),
        "class": Table(np.arange(CONCEPTS) % CLASSES, "class", axes=("concept",)),
    }
    hdf5.write_tables(run.dictionary, tables, run.provenance("vinfo-dictionary", "", {}))


def moments(folder, n):
    """Return the peak of the moments' pass, above what the process held before."""
    run = on(folder, *SETTINGS)
    with run.open_activations(run.final) as activations, run.open_codes() as codes, Peak() as peak:
        fold = vinformation.fold_of_rows(run, codes, activations)
        (sums,) = vinformation.moments_of(run, [Source(activations, "last")], codes, fold)
        assert sums.n.sum() == n
    return peak.bytes


def encoding(folder, n):
    """Return the peak of the encode loop, above what the process held before."""
    run = on(folder, *SETTINGS)
    part = Part(run, "encode", run_stage)
    with Peak() as peak:
        part.discard()
        encode_images(run, part)
    with run.open_codes() as codes:
        assert codes.shape("codes") == (n, CONCEPTS)
    return peak.bytes


PASSES = {"moments": moments, "encoding": encoding}
PLANNED = {
    "moments": lambda work: vinformation_costs.memory(work, [WIDTH]),
    "encoding": encoders_costs.memory,
}


def workload(folder, n, width):
    """Return what the plan is told of these files."""
    sizes = SimpleNamespace(
        n=n,
        concepts=CONCEPTS,
        d=width,
        widths={"last": width},
        branches={},
        positions=POSITIONS,
        batch=128,
        linear=True,
        classes=[""] * CLASSES,
        outputs=CLASSES,
    )
    return Workload(sizes, on(folder, *SETTINGS).config, ranks=1)


def measured(folder, name, n):
    """Return the peak of a pass over n images in this process.

    After a pass over few, which loads what libraries load late.
    """
    for count in (WARM, int(n)):
        peak = PASSES[name](Path(folder) / str(count), count)
    return peak


@pytest.mark.parametrize("name", PASSES)
def test_memory_does_not_grow_with_the_images_and_is_what_the_plan_says(tmp_path, python, name):
    peaks = {}
    write(tmp_path / str(WARM), WARM)
    for n in (FEW, MANY):
        write(tmp_path / str(n), n)
        done = python("-c", CHILD, tmp_path, name, n, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        peaks[n] = int(done.stdout)
    planned = PLANNED[name](workload(tmp_path, MANY, WIDTH))
    assert peaks[MANY] < peaks[FEW] + NOISE
    assert peaks[MANY] < planned + NOISE


def test_factors_of_both_predictors_are_held_at_once_and_planned(copy, monkeypatch):
    """Of taps that are read together: those of the main one, and of half of the images."""
    made = []
    held = []
    factorise = ridge.factorise

    def noted(moments, held_out):
        factor = factorise(moments, held_out)
        made.append(weakref.ref(factor))
        held.append(sum(reference() is not None for reference in made))
        return factor

    monkeypatch.setattr(ridge, "factorise", noted)
    folder = copy("activations", "checkpoints", "codes.h5", "dictionary.h5", "images.txt.gz")
    run_stage(on(folder), "score")
    of_predictor = len(made) // 2
    assert of_predictor < max(held) < 2 * of_predictor
    # A tap whose factors take more than anything else.
    work = workload(folder, FEW, WIDE)
    folds = work.config.score.folds
    planned = score.costs(work).memory
    sums_and_half = folds + 1 + ridge.half_of_folds(folds)
    least = Moments.bytes(sums_and_half, WIDE, CONCEPTS) + 2 * folds * 8 * 2 * WIDE**2
    assert least < planned < 2 * least
