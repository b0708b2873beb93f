"""Facets of concepts as the pages show them: their images, their classes, their pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from vinfo_mpi.numerics.examples import Examples
from vinfo_mpi.numerics.facets import in_turn
from vinfo_mpi.results import store
from vinfo_mpi.results.schema_facets import FACET_CODES, FACET_IMAGES, FACET_OF_IMAGE, FACETS
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run import freshness
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import open_checked


class ShownFacets:
    """The facets of all concepts that have several.

    Nothing where they are not known. All ranks make it together.

    Parameters
    ----------
    run : Run
    results : Results
    ids : (N,) int64 array
        Of the analysed images.

    Attributes
    ----------
    concepts : set of int
        That have several.
    """

    def __init__(self, run: Run, results: Results, ids: np.ndarray) -> None:
        self.run = run
        self.concepts: set[int] = set()
        if not run.ranks.on_root(freshness.is_current, run, "facets"):
            return
        self.concepts = set(np.flatnonzero(results.read(FACETS) > 1).tolist())
        self._images = results.read(FACET_IMAGES)
        self._codes = results.read(FACET_CODES)
        self._facet = results.read(FACET_OF_IMAGE)
        order = np.argsort(ids)
        place = np.searchsorted(ids, self._images, sorter=order).clip(max=len(ids) - 1)
        self._rows = np.where(self._images >= 0, order[place], -1)
        self._pictures = pictures_of_facets(run)

    def by_image(self, concept: int) -> dict[int, int]:
        """Return the facets of a concept's images: number from 1, by image id."""
        if concept not in self.concepts:
            return {}
        facet = self._facet[concept] + 1
        return dict(zip(self._images[concept].tolist(), facet.tolist(), strict=True))

    def among(self, examples: Examples, count: int) -> Examples:
        """Return examples whose first `count` are taken from all facets, one facet after another.

        Of concepts that have several; the strongest of each facet come first.
        """
        rows = examples.rows.clone()
        codes = examples.codes.clone()
        for concept in self.concepts:
            chosen = in_turn(self._facet[concept], count)
            rows[:count, concept] = -1
            codes[:count, concept] = 0
            rows[: len(chosen), concept] = torch.from_numpy(self._rows[concept, chosen]).to(rows)
            codes[: len(chosen), concept] = torch.from_numpy(self._codes[concept, chosen]).to(codes)
        return Examples(codes, rows)

    def describe(self, concept: int, labels: np.ndarray) -> list[dict[str, Any]]:
        """Return what is said of each facet: how many images, and most of which class.

        `labels` (N,) are those of the analysed images. Of those that were drawn, also where in
        visualisation.h5 the picture lies: ``row``.
        """
        described = []
        for number in range(self._facet[concept].max() + 1):
            of_facet = labels[self._rows[concept, self._facet[concept] == number]]
            classes, counts = np.unique(of_facet, return_counts=True)
            about = {
                "images": len(of_facet),
                "class": classes[counts.argmax()].item(),
                "of_class": counts.max().item(),
            }
            row = self._pictures.get((concept, number))
            described.append(about if row is None else about | {"row": row})
        return described


def pictures_of_facets(run: Run) -> Mapping[tuple[int, int], int]:
    """Return where in visualisation.h5 the pictures of facets lie, by concept and facet.

    Nothing where they are of other facets than those in results.h5.
    """
    if not run.visualisation.exists():
        return {}
    with open_checked(run.visualisation, "vinfo-visualisation") as file:
        made_of = json.loads(file.attrs["inputs"]).get("facets")
        if "facets" not in file or made_of != store.fingerprint(run.results, "facets"):
            return {}
        concepts = file["facets/concepts"][()].tolist()
        numbers = file["facets/facet"][()].tolist()
    return {place: row for row, place in enumerate(zip(concepts, numbers, strict=True))}
