"""Codes by position: what encode keeps is what is found again, image by image."""

import json

import h5py
import numpy as np
import pytest
import torch
from contents import datasets
from scipy.optimize import nnls
from small_run import on, run_stage

from vinfo_mpi.concepts import encoders, encoders_costs
from vinfo_mpi.concepts.at_positions import CodesAtPositions
from vinfo_mpi.costs.sizes import Sizes
from vinfo_mpi.costs.workload import Workload
from vinfo_mpi.storage import codes as codes_file

MAP = "penultimate/activations"
GROUP = codes_file.BY_POSITION


def read_all(run):
    """Return the codes of every concept in every image: (N, K, P)."""
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        n, concepts = codes.shape("codes")
        image, concept = np.divmod(np.arange(n * concepts), concepts)
        values = CodesAtPositions(run, activations, codes).read(np.arange(n), image, concept)
    return values.reshape(n, concepts, -1)


def solved(run):
    """Return the same, from the last tap."""
    maps = datasets(run.activations(run.final))[MAP]
    encoded = encoders.encoder(run).encode({"map": torch.from_numpy(maps).double()})
    return encoded.codes.mT.numpy()


def test_what_was_kept_is_what_is_found_again(copy, monkeypatch):
    """In files of earlier versions, which have kept nothing, and of images without room as well."""
    run = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5"))
    expected = solved(run)
    largest = expected.max()
    np.testing.assert_allclose(read_all(run), expected, rtol=1e-6, atol=1e-8 * largest)
    kept = datasets(run.codes)
    assert (kept[f"{GROUP}/counts"].sum(1) == (expected > 0).sum((1, 2))).all()
    averages = np.zeros_like(kept["codes"])
    for image, (counts, atoms, values) in enumerate(
        zip(*(kept[f"{GROUP}/{name}"] for name in ("counts", "atoms", "codes")), strict=True)
    ):
        np.add.at(averages[image], atoms[: counts.sum()], values[: counts.sum()])
    np.testing.assert_allclose(averages / len(counts), kept["codes"], rtol=1e-5, atol=1e-8)

    monkeypatch.setattr(codes_file, "ROOM", 0.8)
    run_stage(run, "encode")
    crowded = datasets(run.codes)
    without_room = crowded[f"{GROUP}/counts"].sum(1) > crowded[f"{GROUP}/codes"].shape[1]
    assert 0 < without_room.sum() < len(without_room)
    np.testing.assert_allclose(read_all(run), expected, rtol=1e-6, atol=1e-8 * largest)

    with h5py.File(run.codes, "r+") as file:
        del file[GROUP]
    np.testing.assert_allclose(read_all(run), expected, rtol=1e-9, atol=1e-9 * largest)
    exact = read_all(on(run.folder, "encode.tolerance=1e-9"))
    atoms = datasets(run.dictionary)["atoms"].T
    for image in (0, 200):
        for position, vector in enumerate(datasets(run.activations(run.final))[MAP][image]):
            of_scipy = nnls(atoms, vector.astype(float))[0]
            np.testing.assert_allclose(exact[image, :, position], of_scipy, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ((), True),
        (("encode.by_position=never",), False),
        (("encode.positions=pooled", "encode.by_position=always"), False),
    ],
    ids=["auto", "never", "pooled"],
)
def test_the_plan_knows_whether_codes_are_kept(run, copy, settings, kept):
    view = on(copy("activations", "checkpoints", "dictionary.h5"), *settings)
    run_stage(view, "encode")
    stored = datasets(view.codes)
    assert (f"{GROUP}/codes" in stored) is kept
    if kept:
        assert read_all(view).shape == (*stored["codes"].shape, stored[f"{GROUP}/counts"].shape[1])
    sizes = Sizes(**json.loads((run[0] / "plan.json").read_text())["sizes"])
    planned = encoders_costs.columns(Workload(sizes, view.config, ranks=2))
    assert planned.keys() | {"checksums"} == stored.keys()
