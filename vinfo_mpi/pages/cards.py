"""What a report shows of each concept, put together: values and curves, images and heat maps, importance by class, neighbours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vinfo_mpi.numerics import atom_geometry
from vinfo_mpi.numerics.examples import Examples
from vinfo_mpi.pages import site
from vinfo_mpi.pages.contents import Contents
from vinfo_mpi.pages.thumbnails import Shown
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import open_checked
from vinfo_mpi.storage.rows import fingerprint

CLASSES = 5  # for which the concept is most important


def pictures(run: Run) -> dict[int, int]:
    """Return where in visualisation.h5 the picture of a concept lies; nothing where these pictures are of other concepts."""
    if not run.visualisation.exists():
        return {}
    with open_checked(run.visualisation, "vinfo-visualisation") as file:
        if json.loads(file.attrs["inputs"])["codes"] != fingerprint(run.codes, "vinfo-codes"):
            return {}
        return {concept: place for place, concept in enumerate(file["concepts"][()].tolist())}


class Cards:
    """Writes sheets of concepts.

    Parameters
    ----------
    run : Run
    results : Results
    activations : ActivationReader
        Of the final network.
    atoms : (K, d) tensor
    chosen : Examples
        The images that show each concept.
    importance : (C, K) array, or None
        Of each concept for each class.

    Attributes
    ----------
    layout : Layout
        What is the same for all concepts.
    """

    def __init__(
        self,
        run: Run,
        results: Results,
        activations: ActivationReader,
        atoms: torch.Tensor,
        chosen: Examples,
        importance: np.ndarray | None,
    ) -> None:
        self.run, self.options, self.atoms, self.importance = run, run.config.report, atoms, importance
        self.codes, self.rows = chosen.codes.cpu().numpy(), chosen.rows.cpu().numpy()
        self.shown, self.contents = Shown(run, activations), Contents(results)
        self.heat = self.shown.heat(self.rows)
        self.samples = {name: activations.read(f"samples/{name}") for name in ("id", "label", "prediction")}
        levels = [f"{100 * level:g} % quantile" if level else "least" for level in self.options.levels]
        captions = [f"most activating {place + 1}" for place in range(self.options.examples)] + levels
        self.layout = self.contents.layout(activations.classes, captions, self.shown.grid)
        self.pictures = pictures(run)

    def write(self, folder: Path, number: int, concepts: range) -> None:
        """Write the sheet of these concepts."""
        cards = [self.contents.of(concept) for concept in concepts]
        self._add_neighbours(cards, concepts)
        if self.importance is not None:
            self._add_classes(cards, self.importance[:, concepts.start : concepts.stop])
        self._add_pictures(cards, concepts, folder)
        images = self._add_examples(cards, concepts)
        with self.run.clock.phase("write"):
            site.write_sheet(folder, number, images, cards, self.options.quality)

    def _add_neighbours(self, cards: list[dict[str, Any]], concepts: range) -> None:
        found = atom_geometry.nearest(self.atoms, concepts, self.options.neighbours)
        for card, numbers, cosines in zip(cards, *(part.tolist() for part in found), strict=True):
            card["nearest"] = list(zip(numbers, cosines, strict=True))

    def _add_classes(self, cards: list[dict[str, Any]], importance: np.ndarray) -> None:
        for card, values in zip(cards, np.nan_to_num(importance).T, strict=True):
            largest = np.argsort(-values, kind="stable")[:CLASSES]
            card["classes"] = [(index, values[index].item()) for index in largest.tolist() if values[index] > 0]

    def _add_pictures(self, cards: list[dict[str, Any]], concepts: range, folder: Path) -> None:
        drawn = [(card, concept) for card, concept in zip(cards, concepts, strict=True) if concept in self.pictures]
        if not drawn:
            return
        with open_checked(self.run.visualisation, "vinfo-visualisation") as file:
            for card, concept in drawn:
                place = self.pictures[concept]
                activation, reference = (site.numbers(file[name][place]) for name in ("activations", "reference"))
                card["picture"] = {"activation": activation, "reference": reference}
                picture = np.dstack([file["images"][place], file["transparency"][place]])
                site.write_picture(folder, concept, picture, self.options.quality)

    def _add_examples(self, cards: list[dict[str, Any]], concepts: range) -> np.ndarray:
        """Add what is known of the images that show the concepts, and return the images: (n, M, S, S, 3) uint8 array."""
        rows, codes, heat = (
            values[:, concepts.start : concepts.stop].swapaxes(0, 1) for values in (self.rows, self.codes, self.heat)
        )
        there = rows >= 0  # (n, M)
        concept, place = np.nonzero(there)
        different, inverse = np.unique(rows[there], return_inverse=True)
        images = np.zeros((*rows.shape, self.shown.size, self.shown.size, 3), np.uint8)
        with self.run.clock.phase("images"):
            images[there] = self.shown.images(different)[inverse]
        for card in cards:
            card["examples"] = [None] * rows.shape[1]
        for one, column in zip(concept, place, strict=True):
            found = {name: values[rows[one, column]].item() for name, values in self.samples.items()}
            found |= {"code": codes[one, column].item(), "heat": site.packed(heat[one, column])}
            cards[one]["examples"][column] = found
        return images
