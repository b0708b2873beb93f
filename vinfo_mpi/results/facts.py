"""Key facts of a run: its subject, and how good network and concepts are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vinfo_mpi.config.concept_sources import ATOM_FILE, SOURCES
from vinfo_mpi.numerics import agreement, atom_geometry
from vinfo_mpi.numerics.agreement import Reordering
from vinfo_mpi.results.schema import ALIVE, FIRING_RATE
from vinfo_mpi.results.schema_filters import DEGENERATE
from vinfo_mpi.results.tables import Results
from vinfo_mpi.storage.activations import MAP, ActivationReader
from vinfo_mpi.storage.hdf5 import checked, open_checked

SAME = 0.9  # cosine above which two atoms count as one direction
RARE = 20  # images on which a concept should occur at least


@dataclass(frozen=True)
class Predictions:
    """Predictions of a classifier for labelled images, held-out ones where there are any.

    Attributes
    ----------
    images, right : int
        On how many the network is judged, and how many of them it has right.
    chance : float
        The share that would be right if predictions did not depend on the image.
    different : int
        How many classes are predicted at all.
    reordering : Reordering
        The order of the outputs that fits the labels best.
    """

    images: int
    right: int
    chance: float
    different: int
    reordering: Reordering


@dataclass(frozen=True)
class Facts:
    """What a run is about, and how good network and concepts are.

    Attributes
    ----------
    network, data : str
        Their names.
    random_weights : bool
        Whether nothing has given the network's weights: no file, no training.
    outputs : int
        How many the network has.
    classifies, labelled : bool
        Whether there are predictions, and labels to be right about.
    held_out : bool
        Whether the network is judged on held-out images; else on all that were analysed.
    predictions : Predictions, or None
        None where the network is not a classifier, or there are no labels.
    analysed, copies : int
        Images that were analysed, and how many of them are copies of others.
    per_class : (C,) int64 array
        How many of them each class has.
    widths : dict of str to int
        How many numbers of an image each tap holds.
    drawn : int, or None
        Positions of each image that its codes are means over, where no more should be kept; None
        where all are, or codes do not follow from them.
    concepts, alive : int
    repeated : int
        Concepts whose atom points the way of an earlier one: their cosine is above `SAME`.
    rare : int
        Living concepts that occur on fewer than `RARE` images, where codes are sparse.
    pictures, activating : int
        Concepts with a picture, and how many of these activate their concept more than 99 % of the
        images do.
    fidelity : dict of str to float
        The attributes of codes.h5: relative_error, relative_error_positions, predictions_kept.
    convolutions, degenerate : int
        Convolutions whose filters were looked at, and how many of them have degenerate ones.
    """

    network: str
    data: str
    random_weights: bool
    outputs: int
    classifies: bool
    labelled: bool
    held_out: bool
    predictions: Predictions | None
    analysed: int
    copies: int
    per_class: np.ndarray
    widths: dict[str, int]
    drawn: int | None
    concepts: int
    alive: int
    repeated: int
    rare: int
    pictures: int
    activating: int
    fidelity: dict[str, float]
    convolutions: int = 0
    degenerate: int = 0

    @property
    def correct(self) -> str:
        """Accuracy of the network, in words."""
        if not self.classifies:
            return "not a classifier: nothing is predicted"
        if self.predictions is None:
            return "no labels, no accuracy"
        images = "held-out images" if self.held_out else "images"
        share = self.predictions.right / self.predictions.images
        return f"{100 * share:.2f} % of {self.predictions.images} {images} correct"

    @property
    def rebuilt(self) -> str:
        """Fidelity of the concepts, in words."""
        error = self.fidelity["relative_error"]
        by_position = self.fidelity["relative_error_positions"]
        same = self.fidelity["predictions_kept"]
        errors = f"relative error {error:.4f} ({by_position:.4f} position by position)"
        kept = f", {100 * same:.2f} % of the predictions kept"
        return errors + kept if self.classifies else errors


def facts(results: Results) -> Facts:
    """Return the facts of the run that these results belong to."""
    config = json.loads(results.attributes["config"])
    folder = results.path.parent
    about = facts_of(folder, folder / f"{results.analysed}.h5", config, results.concepts)
    if DEGENERATE not in results:
        return about
    [*_, degenerate] = results.read(DEGENERATE)
    return replace(about, convolutions=len(degenerate), degenerate=int(degenerate.sum()))


def facts_of(
    folder: Path, analysed: Path, config: Mapping[str, Any], concepts: pd.DataFrame
) -> Facts:
    """Return the facts of a run, of whose results only these columns need to be known.

    Parameters
    ----------
    folder : Path
        Of the run: where dictionary and codes lie.
    analysed : Path
        The activations that are analysed.
    config : dict
        The whole configuration.
    concepts : DataFrame
        A row per concept, with the columns alive and firing_rate, or without before they are
        scored.
    """
    with open_checked(folder / "codes.h5", "vinfo-codes") as file:
        fidelity = dict(file.attrs)
    alive = concepts.get(ALIVE.column, pd.Series(True, concepts.index)).to_numpy(bool)
    with ActivationReader(analysed) as activations:
        label = activations.read("samples/label")
        held_out = activations.read("samples/held_out") == 1
        prediction = activations.read("samples/prediction")
        classifies = bool((prediction >= 0).all())
        judged = held_out if held_out.any() else np.ones(len(label), bool)
        classes = len(activations.classes)
        outputs = activations.shape("outputs")[1]
        labelled = activations.labelled
        widths = {tap: activations.shape(f"taps/{tap}/activations")[1] for tap in activations.taps}
        positions = activations.shape(MAP)[1]
        copies = int((activations.read("samples/id") != activations.ids_of_originals()).sum())
    right = classifies and labelled
    several = max(classes, outputs)
    pictures = _pictures(folder, str(fidelity["fingerprint"]))
    return Facts(
        network=config["network"]["name"] or config["network"]["target"],
        data=config["data"]["source"],
        random_weights=_random_weights(config),
        outputs=outputs,
        classifies=classifies,
        labelled=labelled,
        held_out=bool(held_out.any()),
        predictions=_predictions(label[judged], prediction[judged], several) if right else None,
        analysed=len(label),
        copies=copies,
        per_class=np.bincount(label, minlength=classes),
        widths=widths,
        drawn=_drawn(config, positions),
        concepts=len(concepts),
        alive=int(alive.sum()),
        repeated=_repeated(folder, config),
        rare=_rare(config, concepts[alive], len(label)),
        pictures=len(pictures),
        activating=int(pictures.sum()),
        fidelity=fidelity,
    )


def _predictions(label: np.ndarray, prediction: np.ndarray, classes: int) -> Predictions:
    """Return how predictions agree with labels."""
    table = agreement.confusion(label, prediction, classes)
    return Predictions(
        images=len(label),
        right=int(table.trace()),
        chance=agreement.chance(table),
        different=int((table.sum(0) > 0).sum()),
        reordering=agreement.reordering(label, prediction, classes),
    )


def _random_weights(config: Mapping[str, Any]) -> bool:
    """Whether nothing has given the weights; a function of the user's may have.

    A library's folder, which hf/ names, comes with weights.
    """
    network = config["network"]
    train = config["train"]
    brought = network["weights"] or network["checkpoints"] or network["target"]
    if brought or network["name"].startswith("hf/") or config["data"]["source"] == "imported":
        return False
    return train["epochs"] == 0 or train.get("parameters") == "head"


def _repeated(folder: Path, config: Mapping[str, Any]) -> int:
    """Return how many atoms point the way of an earlier one."""
    if _codes(config) == "known":
        return 0
    with open_checked(folder / "dictionary.h5", "vinfo-dictionary") as file:
        return int(atom_geometry.repeated(checked(file, "atoms"), SAME).sum())


def _rare(config: Mapping[str, Any], living: pd.DataFrame, images: int) -> int:
    """Return how many living concepts occur on few images; other codes are never zero."""
    if _codes(config) not in ("non-negative", "encoder") or FIRING_RATE.column not in living:
        return 0
    return int((living[FIRING_RATE.column] * images < RARE - 0.5).sum())


def _drawn(config: Mapping[str, Any], positions: int) -> int | None:
    """Return how many positions of an image were kept, where codes depend on which were drawn."""
    of_positions = _codes(config) in ("non-negative", "encoder")
    return positions if of_positions and positions == config["extract"]["positions"] else None


def _codes(config: Mapping[str, Any]) -> str:
    return SOURCES.get(config["dictionary"]["source"], ATOM_FILE).codes


def _pictures(folder: Path, codes: str) -> np.ndarray:
    """Return of every picture whether it activates its concept, none of others' concepts."""
    path = folder / "visualisation.h5"
    if not path.exists():
        return np.empty(0, bool)
    with open_checked(path, "vinfo-visualisation") as file:
        if json.loads(file.attrs["inputs"])["codes"] != codes:
            return np.empty(0, bool)
        return checked(file, "activations") > checked(file, "reference")
