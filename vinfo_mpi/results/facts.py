"""What a run is about, and how good network and concepts are."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from vinfo_mpi.results.tables import Results
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import open_checked


@dataclass(frozen=True)
class Facts:
    """What a run is about, and how good network and concepts are.

    Attributes
    ----------
    network, data : str
        Their names.
    images, right : int
        On how many the network is judged, and how many of them it has right; -1 where it is no
        classifier.
    held_out : bool
        Whether these are the held-out ones; else all that were analysed.
    analysed, copies : int
        Images that were analysed, and how many of them are copies of others.
    per_class : (C,) int64 array
        How many of them each class has.
    widths : dict of str to int
        How many numbers of an image each tap holds.
    labelled : bool
        Whether there are labels to be right about.
    concepts, alive : int
    fidelity : dict of str to float
        The attributes of codes.h5: relative_error, relative_error_positions, predictions_kept.
    """

    network: str
    data: str
    images: int
    right: int
    held_out: bool
    analysed: int
    copies: int
    per_class: np.ndarray
    labelled: bool
    widths: dict[str, int]
    concepts: int
    alive: int
    fidelity: dict[str, float]

    @property
    def correct(self) -> str:
        """How often the network is right."""
        if self.right < 0:
            return "no classifier, so that nothing is predicted"
        if not self.labelled:
            return "no labels, no accuracy"
        images = "held-out images" if self.held_out else "images"
        return f"{100 * self.right / self.images:.2f} % of {self.images} {images} correct"

    @property
    def rebuilt(self) -> str:
        """How faithful the concepts are."""
        error = self.fidelity["relative_error"]
        by_position = self.fidelity["relative_error_positions"]
        same = self.fidelity["predictions_kept"]
        errors = f"relative error {error:.4f} ({by_position:.4f} position by position)"
        return errors if self.right < 0 else f"{errors}, {100 * same:.2f} % of the predictions kept"


def facts(results: Results) -> Facts:
    """Return the facts of the run that these results belong to."""
    folder = results.path.parent
    config = json.loads(results.attributes["config"])
    with open_checked(folder / "codes.h5", "vinfo-codes") as file:
        fidelity = dict(file.attrs)
    with ActivationReader(folder / f"{results.analysed}.h5") as activations:
        label = activations.read("samples/label")
        prediction = activations.read("samples/prediction")
        classifies = bool((prediction >= 0).all())
        right = label == prediction
        held_out = activations.read("samples/held_out") == 1
        classes = len(activations.classes)
        labelled = activations.labelled
        copies = int((activations.read("samples/id") != activations.ids_of_originals()).sum())
        widths = {tap: activations.shape(f"taps/{tap}/activations")[1] for tap in activations.taps}
    judged = right[held_out] if held_out.any() else right
    return Facts(
        network=config["network"]["name"] or config["network"]["target"],
        data=config["data"]["source"],
        images=len(judged),
        right=int(judged.sum()) if classifies else -1,
        held_out=bool(held_out.any()),
        analysed=len(label),
        copies=copies,
        per_class=np.bincount(label, minlength=classes),
        labelled=labelled,
        widths=widths,
        concepts=len(results.concepts),
        alive=len(results.living),
        fidelity=fidelity,
    )
