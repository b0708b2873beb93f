"""Warnings: reasons to trust the numbers of a run less than they look, a sentence each.

Each sentence says what was found, what it does to the numbers, and what helps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vinfo_mpi.numerics.agreement import exceeds, falls_short
from vinfo_mpi.results.facts import RARE, SAME, Facts

FAITHFUL = 0.99  # share of the predictions that the concepts should keep, as in the paper
FEW = 50  # images of a class
CHANCE = 0.001  # probability below which chance does not explain an accuracy
GAIN = 0.05  # share of the images that another order of the outputs must have right in addition
ERRORS = 3  # standard errors that this gain must exceed
DRAWN = 0.8  # share of the pictures that should activate their concept


def warnings_about(about: Facts) -> list[str]:
    """Return what makes the numbers less trustworthy, a sentence each, the gravest first."""
    return [sentence for rule in RULES if (sentence := rule(about))]


def _random_weights(about: Facts) -> str:
    if not about.random_weights:
        return ""
    return (
        "The network's weights are random: no network.weights or network.checkpoints are given, "
        "and train.epochs is 0 or trains the head alone. The concepts are those of a network that "
        "has learned nothing."
    )


def _outputs(about: Facts) -> str:
    classes = len(about.per_class)
    if not about.classifies or not about.labelled or about.outputs == classes:
        return ""
    return (
        f"The network has {about.outputs} outputs, the data {classes} classes: predictions, "
        "accuracy and importance refer to other classes than the data's; set network.outputs to "
        "the output of each class."
    )


def _one_class(about: Facts) -> str:
    predictions = about.predictions
    several = (about.per_class > 0).sum() > 1
    if predictions is None or predictions.different > 1 or not several:
        return ""
    return (
        f"The network predicts the same class for all of {predictions.images} images. Importance "
        "and support mean nothing; check weights, data.mean and data.std, and the length of the "
        "training."
    )


def _accuracy(about: Facts) -> str:
    """Say that the accuracy is one of chance, or below; of one class, `_one_class` says it."""
    predictions = about.predictions
    if predictions is None or predictions.different < 2:
        return ""
    judged = (predictions.right, predictions.images, predictions.chance)
    said = f"{about.correct}, where chance explains {100 * predictions.chance:.1f} %"
    if falls_short(*judged) < CHANCE:
        return (
            f"The network is right less often than by chance ({said}): labels probably count other "
            "outputs than the network's; see network.outputs."
        )
    if exceeds(*judged) < CHANCE:
        return ""
    return (
        f"The network is no better than chance ({said}): importance and support describe "
        "guesses; check weights, labels, data.mean and data.std, and the length "
        "of the training."
    )


def _order_of_outputs(about: Facts) -> str:
    if about.predictions is None:
        return ""
    best = about.predictions.reordering
    gain = best.right - best.before
    if gain < max(GAIN * best.images, ERRORS * np.sqrt(best.images) / 2, 1):
        return ""
    others = np.flatnonzero(best.output != np.arange(len(best.output)))
    example = f"output {best.output[others[0]]} class {others[0]}"
    return (
        f"The labels fit another order of the outputs better: with {len(others)} of them exchanged "
        f"(such as {example}, counted from 0) {100 * best.right / best.images:.1f} % instead of "
        f"{100 * best.before / best.images:.1f} % are right; see network.outputs."
    )


def _dead(about: Facts) -> str:
    dead = about.concepts - about.alive
    if not dead:
        return ""
    return (
        f"{dead} of {about.concepts} concepts are dead: no image activates them, or all do "
        "alike. They have no complexity, and no average counts them."
    )


def _repeated(about: Facts) -> str:
    if not about.repeated:
        return ""
    distinct = about.concepts - about.repeated
    return (
        f"Only {distinct} of {about.concepts} concepts are distinct: the atoms of {about.repeated} "
        f"point almost in the direction of an earlier one (cosine above {SAME:g}), as when several "
        "classes share a direction. Averages and correlations count these concepts repeatedly."
    )


def _rare(about: Facts) -> str:
    if not about.rare:
        return ""
    return (
        f"{about.rare} of {about.alive} living concepts occur on fewer than {RARE} images: their "
        "V-information is estimated from little; look at the standard errors, or analyse more "
        "images."
    )


def _unfaithful(about: Facts) -> str:
    same_predictions = about.fidelity["predictions_kept"]
    if not same_predictions < FAITHFUL:
        return ""
    return (
        f"Only {100 * same_predictions:.2f} % of the predictions stay the same when the "
        "network sees its last layer through these concepts (the paper: more than "
        f"{100 * FAITHFUL:.0f} %). They leave out something that it uses; more concepts may "
        "help."
    )


def _drawn_positions(about: Facts) -> str:
    if about.drawn is None:
        return ""
    return (
        f"Codes are means over {about.drawn} drawn positions of each image, of maps that may have "
        "more: which ones were drawn is a part of their variance that no tap can tell. Complexity "
        "is too high by it, and fewer predictions are kept; extract.positions: all takes all."
    )


def _few_images(about: Facts) -> str:
    fewest = about.per_class[about.per_class > 0].min()
    if fewest >= FEW:
        return ""
    return (
        f"Some classes have few images, the smallest {fewest} (fewer than {FEW}): concepts and "
        "V-information are estimated from little; look at the standard errors."
    )


def _copies(about: Facts) -> str:
    if not about.copies:
        return ""
    return (
        f"{about.copies} of {about.analysed} images are copies of others, the same as the "
        "network sees them. They lie in the same fold, so that none is predicted from its "
        "copy, but count as images of their own: errors come out too small."
    )


def _narrow_taps(about: Facts) -> str:
    classes = len(about.per_class)
    narrow = [tap for tap, width in about.widths.items() if width < classes - 1]
    if not narrow:
        return ""
    bound = min(about.widths[tap] for tap in narrow) / (classes - 1)
    return (
        f"The vectors of {', '.join(narrow)} hold fewer numbers than it takes to tell "
        f"{classes} classes apart: however well these are separated there, their mean "
        f"V-information is at most {bound:.2f} at the narrowest. What appears as late may be "
        "what is averaged away; extract.pooling: equal:64 gives all taps about as many numbers."
    )


def _filters(about: Facts) -> str:
    if 2 * about.degenerate <= about.convolutions:
        return ""
    return (
        f"The filters of {about.degenerate} of {about.convolutions} convolutions are degenerate: "
        "most of their kernels idle, nearly all alike, or no more ordered than random ones. What "
        "these layers make of an image is largely not learned; longer training, or fewer "
        "channels, may help."
    )


def _pictures(about: Facts) -> str:
    if about.activating >= DRAWN * about.pictures:
        return ""
    return (
        f"Only {about.activating} of {about.pictures} drawn pictures activate their concept more "
        "than 99 % of the images do; the others do not show it. Higher visualise.steps may help."
    )


RULES: tuple[Callable[[Facts], str], ...] = (
    _random_weights,
    _outputs,
    _one_class,
    _accuracy,
    _order_of_outputs,
    _unfaithful,
    _drawn_positions,
    _dead,
    _repeated,
    _rare,
    _few_images,
    _copies,
    _narrow_taps,
    _filters,
    _pictures,
)
