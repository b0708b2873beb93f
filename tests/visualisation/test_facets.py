"""Pictures of facets: a concept that is two digits, which no image shows both."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from contents import datasets
from small_run import on, run_stage

from vinfo_mpi.concepts import encoders
from vinfo_mpi.run import freshness
from vinfo_mpi.visualisation.facets import NEAREST, Facets
from vinfo_mpi.visualisation.painter import FacetPainter, Painter

TAP = "layer4.1"
DIGITS = (2, 5)


@pytest.fixture(scope="module")
def planted(run, tmp_path_factory):
    """The small network with this concept; its run, and the datasets of its files."""
    folder = tmp_path_factory.mktemp("planted")
    for name in ("plan.json", "magnitudes.h5"):
        shutil.copy(run[0] / name, folder)
    for path in run[0].glob("[ac]*s"):  # activations and checkpoints
        shutil.copytree(path, folder / path.name)
    activations = datasets(on(folder).activations(on(folder).final))
    vectors = activations[f"taps/{TAP}/activations"].astype(float)
    labels = activations["samples/label"]
    means = np.array([vectors[labels == digit].mean(0).clip(0) for digit in range(10)])
    np.save(
        folder / "atoms.npy", np.vstack([means[[*DIGITS]].sum(0), np.delete(means, DIGITS, axis=0)])
    )
    small = on(
        folder,
        f"dictionary.source={folder / 'atoms.npy'}",
        "visualise={concepts: [0], steps: 100}",
        "facets.images=60",
        "analyses=[facets]",
    )
    for stage in ("dictionary", "encode", "score", "facets", "visualise"):
        run_stage(small, stage)
    row_of = {number: row for row, number in enumerate(activations["samples/id"])}
    results = datasets(small.results)
    rows = [row_of[number] for number in results["facets/images"][0]]
    return SimpleNamespace(
        run=small,
        facets=results["concepts/facets"][0],
        ids=results["facets/images"][0],
        facet=results["facets/facet"][0],
        vectors=vectors[rows],
        digits=labels[rows],
        pictures=datasets(small.visualisation),
    )


@pytest.fixture(scope="module")
def facets(planted):
    small = planted.run
    with small.open_activations(small.final) as activations:
        yield Facets(small, activations, TAP, np.array([0]), planted.ids[None], planted.facet[None])


def centres(planted):
    return np.array([planted.vectors[planted.facet == number].mean(0) for number in (0, 1)])


def inputs(pictures):
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5


def test_two_factors_that_never_occur_together_have_two_facets(planted):
    assert planted.facets == 2
    digit_of = [np.bincount(planted.digits[planted.facet == number]).argmax() for number in (0, 1)]
    assert sorted(digit_of) == [*DIGITS]
    assert np.mean(planted.digits == np.array(digit_of)[planted.facet]) >= 0.95


def test_each_of_them_has_a_picture_of_its_own(planted):
    pictures = planted.pictures
    assert pictures["facets/concepts"].tolist() == [0, 0]
    assert pictures["facets/facet"].tolist() == pictures["facets/nearest"].tolist() == [0, 1]
    assert (pictures["facets/reference"] == pictures["reference"]).all()
    assert (pictures["facets/activations"] > pictures["facets/reference"]).all()
    images = pictures["facets/images"]
    assert np.abs(images[0] - images[1].astype(float)).mean() > 10
    # The network takes each for the digit of its facet.
    digit_of = [np.bincount(planted.digits[planted.facet == number]).argmax() for number in (0, 1)]
    network = planted.run.subject.network(planted.run.final)
    with torch.no_grad():
        assert network(inputs(images)).argmax(1).tolist() == digit_of


def test_the_distances_are_those_of_the_pictures_as_stored(planted):
    network = planted.run.subject.network(planted.run.final)
    maps = []
    network.layer4[-1].register_forward_hook(
        lambda module, inputs, output: maps.append(output.clone())
    )
    with torch.no_grad():
        network(inputs(planted.pictures["facets/images"]))
    vectors = maps[-1].mean((2, 3)).double().numpy()
    distances = np.linalg.norm(vectors[:, None] - centres(planted), axis=2)
    stored = planted.pictures
    np.testing.assert_array_equal(stored["facets/nearest"], distances.argmin(1))
    np.testing.assert_allclose(stored["facets/distance"], distances.diagonal(), rtol=1e-4)
    np.testing.assert_allclose(
        stored["facets/distance_to_others"], distances[:, ::-1].diagonal(), rtol=1e-4
    )


def test_they_start_from_the_images_nearest_to_the_centre_and_go_its_way(planted, facets):
    images = facets.mean_images(np.array([0, 1]))
    towards = facets.towards(np.array([0, 1]))
    of_both = centres(planted)
    for number in (0, 1):
        distances = np.linalg.norm(planted.vectors - of_both[number], axis=1)
        distances[planted.facet != number] = np.inf
        nearest = planted.ids[np.argsort(distances, kind="stable")[:NEAREST]]
        [(seen, _, _)] = planted.run.subject.loader.batches([nearest])
        expected = (seen.double() * 0.5 + 0.5).mean(0)
        np.testing.assert_allclose(images[number], expected, atol=1e-6)
        np.testing.assert_allclose(towards.origin[number], of_both.mean(0))
        np.testing.assert_allclose(towards.direction[number], of_both[number] - of_both.mean(0))


def test_what_rises_is_held_in_the_direction_of_the_facet(planted, facets, monkeypatch):
    atoms = f"dictionary.source={planted.run.folder / 'atoms.npy'}"
    painter = Painter(on(planted.run.folder, atoms, "visualise.steps=1"), TAP)
    objective = painter.coder.objective
    asked = []

    def recorded(*arguments):
        values = objective(*arguments)
        asked.append((arguments, values.detach()))
        return values

    monkeypatch.setattr(painter.coder, "objective", recorded)
    FacetPainter(painter, facets).draw(np.array([0, 1]), lambda: None)
    [((images, concepts, attempt, _), values)] = asked
    with torch.no_grad():
        rising = objective(images, concepts, attempt)
    along = painter.coder.vectors(images, TAP).numpy() - centres(planted).mean(0)
    direction = centres(planted) - centres(planted).mean(0)
    cosine = (along * direction).sum(1) / np.linalg.norm(along, axis=1)
    cosine /= np.linalg.norm(direction, axis=1)
    assert (rising > 0).all() and (cosine > 0.1).all()
    np.testing.assert_allclose(values.numpy(), rising.numpy() * cosine, rtol=1e-5)


def test_another_rank_draws_the_same(planted, facets):
    """Alone, without the others of its block."""
    painter = FacetPainter(Painter(planted.run, TAP), facets)
    row = np.array([1])
    pictures = painter.draw(row, lambda: None)
    reference = planted.pictures["facets/reference"][row]
    for attempt in range(1, len(encoders.SHARPNESS)):
        if pictures["activations"] <= reference:
            again = painter.draw(row, lambda: None, attempt)
            pictures = again if again["activations"] > pictures["activations"] else pictures
    for name, values in pictures.items():
        stored = planted.pictures[f"facets/{name}"][row].astype(float)
        tolerance = {"atol": 1} if name in ("images", "transparency") else {"rtol": 1e-2}
        np.testing.assert_allclose(values.astype(float), stored, err_msg=name, **tolerance)
    none = painter.draw(np.array([], int), lambda: None)
    assert {name: len(values) for name, values in none.items()} == dict.fromkeys(pictures, 0)


def test_pictures_depend_on_facets_that_the_run_has_and_lets(planted):
    def read(*settings):
        settings = ("analyses=[facets]", "facets.images=60", *settings)
        return "facets" in freshness.inputs(on(planted.run.folder, *settings), "visualise")

    assert read()
    assert not read("visualise.facets=false")
    assert not read("analyses=[flow]")
    assert not read("facets.images=30")  # other facets than are there
