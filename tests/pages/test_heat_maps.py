"""Heat maps are codes at positions: of scipy, of a projection; positions may not be there."""

import base64
import zlib

import h5py
import numpy as np
import pytest
from contents import datasets
from report_pages import on
from scipy.optimize import nnls
from small_run import run_stage

from vinfo_mpi.networks.positions import kept_positions
from vinfo_mpi.pages.heat_maps import HeatMaps

MAP = "penultimate/activations"


def test_heat_maps_are_codes_at_positions(reported, cards):
    samples = datasets(reported.activations(reported.final))
    atoms = datasets(reported.dictionary)["atoms"]
    for concept in (0, 13, 39):
        example = cards[concept]["examples"][0]
        [row] = np.flatnonzero(samples["samples/id"] == example["id"])
        vectors = samples[MAP][row].astype(float)
        codes = np.array([nnls(atoms.T, vector)[0][concept] for vector in vectors])
        heat = np.frombuffer(base64.b64decode(example["heat"]), np.uint8)
        np.testing.assert_allclose(heat, 254 * codes / codes.max(), atol=3)
        assert codes.mean() == pytest.approx(example["code"], abs=1e-3)
        assert example["largest"] == pytest.approx(codes.max(), rel=1e-2)


def test_eigen_cam_is_the_projection_on_the_first_singular_vector(reported, cards):
    samples = datasets(reported.activations(reported.final))
    row_of = {number: row for row, number in enumerate(samples["samples/id"])}
    for concept in (0, 13, 39):
        correlations = []
        for example in cards[concept]["examples"]:
            vectors = samples[MAP][row_of[example["id"]]].astype(float)
            projection = np.abs(vectors @ np.linalg.svd(vectors)[2][0])  # as none is negative
            drawn = np.frombuffer(base64.b64decode(example["eigen_cam"]), np.uint8)
            np.testing.assert_allclose(drawn, 254 * projection / projection.max(), atol=0.51)
            heat = np.frombuffer(base64.b64decode(example["heat"]), np.uint8)
            with np.errstate(invalid="ignore"):  # where a map is constant
                correlations.append(np.corrcoef(heat, drawn)[0, 1])
        of_most = np.array(correlations[:5])
        assert cards[concept]["eigen_cam"]["correlation"] == pytest.approx(np.nanmean(of_most))
        assert cards[concept]["eigen_cam"]["images"] == np.isfinite(of_most).sum()


def test_positions_that_were_not_kept_are_marked(copy):
    run = on(copy("activations", "checkpoints", "dictionary.h5", "codes.h5", "results.h5"))
    whole = heat_of(run, [0, 5])
    partly = on(run.folder, "extract.positions=2")
    with h5py.File(run.activations(run.final), "r+") as file:  # as extract.positions: 2 keeps them
        positions = kept_positions(partly.config, file["samples/id"][()], 4)
        values = np.take_along_axis(file[MAP][()], positions[:, :, None], axis=1)
        column = file["checksums"].attrs["columns"].split().index(MAP)
        del file[MAP]
        file[MAP] = values
        sums = file["checksums"][()]
        sums[:, column] = [zlib.crc32(row.tobytes()) for row in values]
        file["checksums"][...] = sums
    with partly.open_activations(run.final) as activations, partly.open_codes() as kept:
        dominant = HeatMaps(partly, activations, kept).dominant(np.array([0, 5]))
    np.testing.assert_array_equal(dominant == 255, heat_of(partly, [0, 5]) == 255)
    for row, heat, all_of_it in zip((0, 5), heat_of(partly, [0, 5]), whole, strict=True):
        there = positions[row]
        assert set(np.flatnonzero(heat == 255)) == set(range(4)) - set(there)
        largest = all_of_it[there].max().astype(float)
        np.testing.assert_allclose(heat[there] * largest / 254, all_of_it[there], atol=2)


def heat_of(run, rows):
    """Return the heat maps of images 0, 1, ... of concepts 0, 1, ..."""
    with run.open_activations(run.final) as activations, run.open_codes() as kept:
        return HeatMaps(run, activations, kept).draw(np.array([rows])).relative[0]


def test_projections_are_found_at_positions(copy):
    run = on(copy("activations", "checkpoints"), "dictionary.source=pca")
    for stage in ("dictionary", "encode"):
        run_stage(run, stage)
    stored = datasets(run.codes)
    dictionary = datasets(run.dictionary)
    rows = np.array([3, 9])
    concepts = np.array([0, 2])
    with run.open_activations(run.final) as activations, run.open_codes() as codes:
        codes_of_maps = HeatMaps(run, activations, codes).codes(rows, concepts)
        maps = activations.read(MAP)[rows].astype(float)
    for codes, vectors, row, concept in zip(codes_of_maps, maps, rows, concepts, strict=True):
        projection = dictionary["projection"][:, concept]
        expected = (vectors - dictionary["offset"]) @ projection
        np.testing.assert_allclose(codes, expected, atol=1e-9)
        assert codes.mean() == pytest.approx(stored["codes"][row, concept], abs=1e-5)
