"""What results.h5 has of every concept, in the form that the pages show."""

from __future__ import annotations

from typing import Any

from vinfo_mpi.pages.site import Layout, numbers
from vinfo_mpi.results.tables import Results
from vinfo_mpi.storage.hdf5 import open_checked

# Values of every concept along something: name on the page -> dataset.
CURVES = {"taps": "vinformation", "epochs": "dynamics/vinformation", "main": "flow/main_cka", "shortcut": "flow/shortcut_cka"}


class Contents:
    """The concepts of some results."""

    def __init__(self, results: Results) -> None:
        self.results = results
        with open_checked(results.path, "vinfo-results") as file:
            self._curves = {name: file[dataset][()] for name, dataset in CURVES.items() if dataset in file}
        self._values = results.concepts.drop(columns="name", errors="ignore").astype({"alive": int})

    def layout(self, classes: list[str], captions: list[str], grid: int) -> Layout:
        """Return what all concepts have in common. See `Layout`."""
        read = self.results.read
        return Layout(
            classes,
            [name.decode() for name in read("taps")],
            [name.decode() for name in read("flow/blocks")] if "main" in self._curves else [],
            read("dynamics/checkpoints").tolist() if "epochs" in self._curves else [],
            captions,
            {name: self.results.description(f"concepts/{name}") for name in map(str, self._values)},
            grid,
        )

    def of(self, concept: int) -> dict[str, Any]:
        """Return the values of a concept, and its curves."""
        row = {str(name): numbers(values.loc[concept]) for name, values in self._values.items()}
        return {"values": row} | {name: numbers(values[:, concept]) for name, values in self._curves.items()}
