"""Facets of concepts: where their pictures start and what holds them, and what they are nearest to.

After Nguyen, Yosinski & Clune 2016, "Multifaceted Feature Visualization": a picture starts from the
mean of the images nearest to the centre of its facet. That alone does not keep it there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from vinfo_mpi.concepts.new_images import Towards
from vinfo_mpi.numerics.facets import centres_of
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.row_content import read_rows

NEAREST = 15  # images whose mean a picture starts from, as in the paper


class Member(NamedTuple):
    """The images of a concept, those that its facets were found among.

    Attributes
    ----------
    ids : (n,) int64 array
    vectors : (n, d) float64 array
        Their activations.
    facet : (n,) int64 array
        Of each of them.
    """

    ids: np.ndarray
    vectors: np.ndarray
    facet: np.ndarray


class Facets:
    """Every facet of those of some concepts that have several.

    Parameters
    ----------
    run : Run
    activations : ActivationReader
    tap : str
        Whose activations are divided.
    concepts : (n,) int64 array
    images, facet : (n, m) int64 arrays
        Images of each concept, by their ids, and the facet of each; -1: none.

    Attributes
    ----------
    concepts, number : (F,) int64 arrays
        The concept of each facet, and its number among those of the concept.
    """

    def __init__(
        self,
        run: Run,
        activations: ActivationReader,
        tap: str,
        concepts: np.ndarray,
        images: np.ndarray,
        facet: np.ndarray,
    ) -> None:
        self.run = run
        self.activations = activations
        self.tap = tap
        counts = facet.max(axis=1, initial=-1) + 1
        counts[counts < 2] = 0
        self.concepts = np.repeat(concepts, counts)
        self.number = np.concatenate([np.arange(count) for count in [0, *counts]])
        self._images = dict(zip(concepts.tolist(), images, strict=True))
        self._facet = dict(zip(concepts.tolist(), facet, strict=True))
        self._centres: dict[int, np.ndarray] = {}  # of the facets of a concept, (F, d)
        ids = activations.read("samples/id")
        self._order = np.argsort(ids)
        self._ids = ids[self._order]

    def mean_images(self, chosen: np.ndarray) -> torch.Tensor:
        """Return what pictures of facets with these indices start from: (B, 3, H, W), in [0, 1]."""
        return torch.stack([self._mean_image(self._nearest(index)) for index in chosen])

    def towards(self, chosen: np.ndarray) -> Towards:
        """Return where the activations of pictures of these facets are to lie.

        From the mean of the centres of all facets of the concept, as the centre of the facet.
        """
        origins = []
        directions = []
        for index in chosen:
            centres = self._centres_beside(index)
            origins.append(centres.mean(axis=0))
            directions.append(centres[self.number[index]] - origins[-1])
        tensor = self.run.tensor
        return Towards(self.tap, tensor(np.stack(origins)), tensor(np.stack(directions)))

    def compare(self, chosen: np.ndarray, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Return how far pictures of facets are from the centres of the facets of their concepts.

        Parameters
        ----------
        chosen : (B,) int64 array
            Indices of the facets.
        vectors : (B, d) array
            Activations of their pictures.

        Returns
        -------
        dict
            ``nearest`` (B,) int64, the number of the facet whose centre is nearest; ``distance``
            and ``distance_to_others`` (B,) float64, to the centre of the facet itself, and to the
            nearest of the others.
        """
        compared = {
            "nearest": np.empty(len(chosen), np.int64),
            "distance": np.empty(len(chosen)),
            "distance_to_others": np.empty(len(chosen)),
        }
        for place, index in enumerate(chosen):
            distances = np.linalg.norm(self._centres_beside(index) - vectors[place], axis=1)
            number = self.number[index]
            compared["nearest"][place] = distances.argmin()
            compared["distance"][place] = distances[number]
            compared["distance_to_others"][place] = np.delete(distances, number).min()
        return compared

    def _of_concept(self, index: int) -> Member:
        """Return the images of the concept of a facet."""
        concept = self.concepts[index]
        there = self._images[concept] >= 0
        ids = self._images[concept][there]
        rows = self._order[np.searchsorted(self._ids, ids)]
        ascending, place = np.unique(rows, return_inverse=True)
        name = f"taps/{self.tap}/activations"
        vectors = read_rows(self.activations, name, ascending)[place].astype(np.float64)
        return Member(ids, vectors, self._facet[concept][there])

    def _centres_beside(self, index: int) -> np.ndarray:
        """Return the centres of all facets of the concept of one: (F, d) float64."""
        concept = int(self.concepts[index])
        if concept not in self._centres:
            images = self._of_concept(index)
            self._centres[concept] = centres_of(images.vectors, images.facet)
        return self._centres[concept]

    def _nearest(self, index: int) -> np.ndarray:
        """Return the ids of the images nearest to the centre of a facet."""
        images = self._of_concept(index)
        number = self.number[index]
        distances = np.linalg.norm(images.vectors - self._centres_beside(index)[number], axis=1)
        distances[images.facet != number] = np.inf
        order = np.argsort(distances, kind="stable")[: np.sum(images.facet == number)]
        return images.ids[order[:NEAREST]]

    def _mean_image(self, ids: np.ndarray) -> torch.Tensor:
        """Return the mean of some images as the network sees them: (3, H, W), in [0, 1]."""
        subject = self.run.subject
        blocks = batches(range(len(ids)), self.run.batch)
        total = torch.zeros((), dtype=torch.float64, device=self.run.device)
        for inputs, _, _ in subject.loader.batches([ids[b.start : b.stop] for b in blocks]):
            total = total + subject.preprocessing.denormalise(inputs).double().sum(0)
        return (total / len(ids)).float()
