"""Facets of the small run, from its files by NumPy; resuming; planted facets through the stage."""

import matplotlib.figure
import numpy as np
import pytest
from contents import datasets
from sklearn.metrics import adjusted_rand_score
from small_run import on, run_stage

from vinfo_mpi import Results
from vinfo_mpi.analyses import facets as stage
from vinfo_mpi.errors import InputError
from vinfo_mpi.figures.catalogue import FIGURES
from vinfo_mpi.numerics import facets

IMAGES = 40  # as in the small run
FIGURE = FIGURES["facets"]


@pytest.fixture(scope="module")
def codes(run):
    return datasets(run[0] / "codes.h5")


def test_the_images_are_the_strongest(results, codes):
    for concept, images in enumerate(results["facets/images"]):
        column = codes["codes"][:, concept]
        order = np.argsort(-column, kind="stable")[:IMAGES]
        expected = np.where(column[order] > 0, codes["samples/id"][order], -1)
        assert images.tolist() == expected.tolist()


def test_facets_are_those_of_the_last_tap(results, stored, codes):
    x = stored[2]["taps/layer4.1/activations"].astype(float)
    labels = stored[2]["samples/label"]
    row_of = {number: row for row, number in enumerate(codes["samples/id"])}
    several = results["concepts/facets"] > 1
    assert 0 < several.sum() < len(several)
    for concept in [*np.flatnonzero(several)[:4], *np.flatnonzero(~several)[:4]]:
        images = results["facets/images"][concept]
        rows = [row_of[image] for image in images if image >= 0]
        expected = facets.find(x[rows], np.random.default_rng([0, concept]))
        facet = results["facets/facet"][concept]
        assert facet[: len(rows)].tolist() == expected.facet.tolist()
        assert (facet[len(rows) :] == -1).all()
        assert results["concepts/facets"][concept] == facet.max() + 1
        for name in ("silhouette", "needed"):
            value = getattr(expected, name)
            assert results[f"concepts/facet_{name}"][concept] == pytest.approx(value, nan_ok=True)
        agreement = results["concepts/facet_classes"][concept]
        if several[concept]:
            assert agreement == pytest.approx(adjusted_rand_score(labels[rows], expected.facet))
        else:
            assert np.isnan(agreement)


def test_what_an_ended_job_has_done_is_not_done_again(copy, results, monkeypatch):
    folder = copy("activations", "codes.h5", "checkpoints", "results.h5")
    monkeypatch.setattr(stage, "TOGETHER", 15)
    find = facets.find
    calls = []

    def ends(vectors, generator):
        calls.append(len(vectors))
        if len(calls) == 20:
            raise KeyboardInterrupt
        return find(vectors, generator)

    monkeypatch.setattr(facets, "find", ends)
    with pytest.raises(KeyboardInterrupt):
        run_stage(on(folder, f"facets.images={IMAGES}"), "facets")
    run_stage(on(folder, f"facets.images={IMAGES}"), "facets")
    assert len(calls) == 20 + 40 - 15 - np.sum(results["concepts/facets"] == 0)
    after = datasets(folder / "results.h5")
    for name in ("concepts/facets", "facets/facet", "facets/images"):
        np.testing.assert_array_equal(after[name], results[name])


def test_another_tap_and_one_that_is_not_there(copy, results):
    folder = copy("activations", "codes.h5", "checkpoints", "results.h5")
    run_stage(on(folder, f"facets.images={IMAGES}", "facets.tap=layer1.0"), "facets")
    after = datasets(folder / "results.h5")
    np.testing.assert_array_equal(after["facets/images"], results["facets/images"])
    assert not np.array_equal(after["facets/facet"], results["facets/facet"])
    with pytest.raises(InputError, match=r"facets\.tap: the activations have no tap 'layer9'"):
        run_stage(on(folder, "facets.tap=layer9"), "facets")


def test_the_figure_says_how_many_and_whether_they_are_classes(run):
    results = Results(run[0])
    ax = matplotlib.figure.Figure().subplots()
    living = results.living
    several = living["facets"] > 1
    assert FIGURE.draw(results, ax).get_legend().get_texts()[1].get_text() == (
        f"several: {several.sum()}"
    )
    sentence = FIGURE.sentence(results)
    assert f"of {several.sum()} of {len(living)} living concepts fall into several" in sentence
    assert f"is {living.loc[several, 'facet_classes'].mean():.2f} on average" in sentence
