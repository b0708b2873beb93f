"""Data of every concept in results.h5, in the form that the pages show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from vinfo_mpi.pages.site import Layout, json_numbers, packed
from vinfo_mpi.results.schema import (
    ALIVE,
    DYNAMICS_CHECKPOINTS,
    DYNAMICS_VINFORMATION,
    NAME,
    TAPS,
    VINFORMATION,
)
from vinfo_mpi.results.schema_analyses import FLOW_BLOCKS, RUNNER_UP, WORD, flow
from vinfo_mpi.results.tables import Results
from vinfo_mpi.storage.hdf5 import open_checked

# Values of every concept along something, by their names on the page.
CURVES = {
    "taps": VINFORMATION,
    "epochs": DYNAMICS_VINFORMATION,
    "main": flow("main", "cka"),
    "shortcut": flow("shortcut", "cka"),
}
TEXTS = [dataset.column for dataset in (NAME, WORD, RUNNER_UP)]
# With their standard errors, which earlier versions did not write.
DRAWN = CURVES | {f"{name}_se": CURVES[name].se for name in ("taps", "epochs")}


class Contents:
    """The concepts of some results."""

    def __init__(self, results: Results) -> None:
        self.results = results
        with open_checked(results.path, "vinfo-results") as file:
            self._curves = {
                name: file[dataset.name][()]
                for name, dataset in DRAWN.items()
                if dataset.name in file
            }
        values = results.concepts.drop(columns=TEXTS, errors="ignore")
        self._values = values.astype({ALIVE.column: int})

    def layout(self, classes: list[str], captions: list[str], grid: int) -> Layout:
        """Return what all concepts have in common. See `Layout`."""
        read = self.results.read
        blocks: Iterable[bytes] = read(FLOW_BLOCKS) if "main" in self._curves else []
        epochs = read(DYNAMICS_CHECKPOINTS).tolist() if "epochs" in self._curves else []
        columns = [str(name) for name in self._values]
        return Layout(
            classes=classes,
            taps=[name.decode() for name in read(TAPS)],
            blocks=[name.decode() for name in blocks],
            epochs=epochs,
            captions=captions,
            descriptions={name: self.results.description(f"concepts/{name}") for name in columns},
            grid=grid,
            curves=packed(_bytes(self._curves["taps"].T)),
        )

    def name(self, concept: int) -> str:
        """Return what a concept is called: its number, and its name where it has one."""
        names = self.results.concepts.get(NAME.column)
        name = "" if names is None else names.iloc[concept]
        return f"{concept}: {name}" if name else str(concept)

    def concept(self, concept: int) -> dict[str, Any]:
        """Return the values of a concept, and its curves."""
        row = {
            str(name): json_numbers(values.loc[concept]) for name, values in self._values.items()
        }
        curves = {name: json_numbers(values[:, concept]) for name, values in self._curves.items()}
        return {"values": row} | curves


def _bytes(shares: np.ndarray) -> np.ndarray:
    """Return shares for drawings: 0 ... 255; 0 as well for what is below 0 or not defined."""
    return (255 * np.nan_to_num(shares).clip(0, 1)).round().astype(np.uint8)
