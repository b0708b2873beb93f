"""Contents of each concept's page: values, curves, images, heat maps, classes, neighbours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.numerics.eigen_cam import correlations
from vinfo_mpi.numerics.examples import Examples
from vinfo_mpi.numerics.histogram import Histogram
from vinfo_mpi.pages import sentences, site
from vinfo_mpi.pages.contents import Contents
from vinfo_mpi.pages.facets import ShownFacets
from vinfo_mpi.pages.heat_maps import NOT_KEPT, HeatMaps
from vinfo_mpi.pages.thumbnails import Thumbnails
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import open_checked
from vinfo_mpi.storage.rows import RowReader, fingerprint

CLASSES = 5  # for which the concept is most important


def pictures_by_concept(run: Run) -> dict[int, int]:
    """Return where in visualisation.h5 the picture of a concept lies.

    Nothing where these pictures are of other concepts.
    """
    if not run.visualisation.exists():
        return {}
    with open_checked(run.visualisation, "vinfo-visualisation") as file:
        if json.loads(file.attrs["inputs"])["codes"] != fingerprint(run.codes, "vinfo-codes"):
            return {}
        return {concept: row for row, concept in enumerate(file["concepts"][()].tolist())}


class Cards:
    """Writes sheets of concepts.

    Parameters
    ----------
    run : Run
    results : Results
    activations : ActivationReader
        Of the final network.
    codes : RowReader
    atoms : (K, d) tensor
    examples : Examples
        The images that show each concept.
    importance : (C, K) array, or None
        Of each concept for each class.
    histogram : Histogram
        Of the codes of each concept.
    facets : ShownFacets

    Attributes
    ----------
    layout : Layout
        What is the same for all concepts.
    pictures : dict of int to int
        See `pictures_by_concept`.
    """

    def __init__(
        self,
        run: Run,
        results: Results,
        activations: ActivationReader,
        codes: RowReader,
        atoms: torch.Tensor,
        examples: Examples,
        importance: np.ndarray | None,
        histogram: Histogram,
        facets: ShownFacets,
    ) -> None:
        self.run = run
        self.options = run.config.report
        self.atoms = atoms
        self.importance = importance
        self.histogram = histogram.on_cpu()
        self.codes = examples.codes.cpu().numpy()  # (M, K)
        self.rows = examples.rows.cpu().numpy()  # (M, K)
        names = ("id", "label", "prediction")
        self.samples = {name: activations.read(f"samples/{name}") for name in names}
        self.thumbnails = Thumbnails(run, self.samples["id"])
        heat_maps = HeatMaps(run, activations, codes)
        self.heat = heat_maps.draw(self.rows)
        self.images = np.unique(self.rows[self.rows >= 0])  # all that are shown
        self.dominant = heat_maps.dominant(self.images)
        self.contents = Contents(results)
        self.layout = self.contents.layout(activations.classes, self._captions(), heat_maps.grid)
        self.pictures = pictures_by_concept(run)
        self.facets = facets

    def write(self, folder: Path, number: int, concepts: range) -> None:
        """Write the sheet of these concepts."""
        cards = [self.contents.concept(concept) for concept in concepts]
        self._add_neighbours(cards, concepts)
        if self.importance is not None:
            self._add_classes(cards, self.importance[:, concepts.start : concepts.stop])
        self._add_histograms(cards, concepts)
        self._add_facets(cards, concepts)
        self._add_pictures(cards, concepts, folder)
        for card in cards:
            card["sentence"] = sentences.describe(card, self.layout, self.contents.name)
        images = self._add_examples(cards, concepts)
        self._add_eigen_cam(cards, concepts)
        with self.run.clock.phase("write"):
            site.write_sheet(folder, number, images, cards, self.options.quality)

    def _captions(self) -> list[str]:
        """Return what each column of a sheet of examples shows."""
        most = [f"most activating {rank + 1}" for rank in range(self.options.examples)]
        levels = self.options.levels
        most += [
            f"{100 * level:g} % quantile of codes above 0" if level else "least above 0"
            for level in levels
        ]
        return most + [f"hardest {rank + 1}" for rank in range(len(self.rows) - len(most))]

    def _add_neighbours(self, cards: list[dict[str, Any]], concepts: range) -> None:
        numbers, cosines = atom_geometry.nearest(self.atoms, concepts, self.options.neighbours)
        for card, atoms, similarities in zip(
            cards, numbers.tolist(), cosines.tolist(), strict=True
        ):
            card["nearest"] = list(zip(atoms, similarities, strict=True))

    def _add_classes(self, cards: list[dict[str, Any]], importance: np.ndarray) -> None:
        for card, values in zip(cards, np.nan_to_num(importance).T, strict=True):
            largest = np.argsort(-values, kind="stable")[:CLASSES].tolist()
            card["classes"] = [
                (index, values[index].item()) for index in largest if values[index] > 0
            ]

    def _add_histograms(self, cards: list[dict[str, Any]], concepts: range) -> None:
        for card, concept in zip(cards, concepts, strict=True):
            card["histogram"] = {
                "ends": self.histogram.ends[:, concept].tolist(),
                "counts": self.histogram.counts[concept].tolist(),
                "zeros": self.histogram.zeros[concept].item(),
            }

    def _add_facets(self, cards: list[dict[str, Any]], concepts: range) -> None:
        for card, concept in zip(cards, concepts, strict=True):
            if concept in self.facets.concepts:
                card["facets"] = self.facets.describe(concept, self.samples["label"])

    def _add_pictures(self, cards: list[dict[str, Any]], concepts: range, folder: Path) -> None:
        drawn = [concept for concept in concepts if concept in self.pictures]
        if not drawn:
            return
        with open_checked(self.run.visualisation, "vinfo-visualisation") as file:
            for concept in drawn:
                row = self.pictures[concept]
                card = cards[concept - concepts.start]
                card["picture"] = self._write_picture(file, row, folder, str(concept))
                for number, facet in enumerate(card.get("facets", []), start=1):
                    row = facet.pop("row", None)
                    if row is not None:
                        group = file["facets"]
                        name = f"{concept}_facet_{number}"
                        facet["picture"] = self._write_picture(group, row, folder, name)
                        facet["picture"]["nearest"] = group["nearest"][row].item() + 1

    def _write_picture(
        self, pictures: h5py.Group, row: int, folder: Path, name: str
    ) -> dict[str, Any]:
        """Write a picture, and return what is said of it."""
        picture = np.dstack([pictures["images"][row], pictures["transparency"][row]])
        site.write_picture(folder, name, picture, self.options.quality)
        return {
            "activation": site.json_numbers(pictures["activations"][row]),
            "reference": site.json_numbers(pictures["reference"][row]),
        }

    def _add_examples(self, cards: list[dict[str, Any]], concepts: range) -> np.ndarray:
        """Add what is known of the images that show the concepts, and return the images.

        Returns
        -------
        (n, M, S, S, 3) uint8 array
        """
        rows = _of_concepts(self.rows, concepts)
        codes = _of_concepts(self.codes, concepts)
        heat = _of_concepts(self.heat.relative, concepts)
        largest = _of_concepts(self.heat.largest, concepts)
        there = rows >= 0  # (n, M)
        size = self.thumbnails.size
        images = np.zeros((*rows.shape, size, size, 3), np.uint8)
        different, inverse = np.unique(rows[there], return_inverse=True)
        with self.run.clock.phase("images"):
            images[there] = self.thumbnails.copies(different)[inverse]
        for card in cards:
            card["examples"] = [None] * rows.shape[1]
        facet_of = [self.facets.by_image(concept) for concept in concepts]
        for concept, column in np.argwhere(there):
            row = rows[concept, column]
            example = {name: values[row].item() for name, values in self.samples.items()}
            example["code"] = codes[concept, column].item()
            example["heat"] = site.packed(heat[concept, column])
            example["largest"] = largest[concept, column].item()
            facet = facet_of[concept].get(example["id"])
            if facet:
                example["facet"] = facet
            cards[concept]["examples"][column] = example
        return images

    def _add_eigen_cam(self, cards: list[dict[str, Any]], concepts: range) -> None:
        """Add what dominates the images, and how far the heat maps of the concepts follow it.

        The latter over the most activating images: their mean correlation over positions.
        """
        if self.dominant is None or not len(self.images):
            return
        rows = _of_concepts(self.rows, concepts)
        dominant = self.dominant[np.searchsorted(self.images, rows.clip(min=self.images[0]))]
        for concept, column in np.argwhere(rows >= 0):
            packed = site.packed(dominant[concept, column])
            cards[concept]["examples"][column]["eigen_cam"] = packed
        most = slice(self.options.examples)
        heat = _of_concepts(self.heat.relative, concepts)[:, most]
        there = (heat != NOT_KEPT) & (rows[:, most, None] >= 0)
        same = correlations(
            np.where(there, heat, np.nan), np.where(there, dominant[:, most], np.nan)
        )
        for card, of_images in zip(cards, same, strict=True):
            defined = of_images[np.isfinite(of_images)]
            if len(defined):
                card["eigen_cam"] = {"correlation": defined.mean().item(), "images": len(defined)}


def _of_concepts(values: np.ndarray, concepts: range) -> np.ndarray:
    """Return what belongs to some concepts: (M, K, ...) to (n, M, ...)."""
    return values[:, concepts.start : concepts.stop].swapaxes(0, 1)
