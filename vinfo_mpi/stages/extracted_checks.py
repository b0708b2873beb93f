"""Checks of the extracted samples: copies of images, an accuracy below the published one."""

from __future__ import annotations

import numpy as np

from vinfo_mpi.parallel.logs import log
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import ActivationReader

FAR = 0.8  # of what is promised; less than that, beyond what chance explains, is said
ERRORS = 3  # standard errors that chance explains


def say_what_stands_out(run: Run) -> None:
    """Log what is odd about the samples of the network that is analysed; on one rank."""
    with run.open_activations(run.final) as activations:
        _say_copies(run, activations)
        if run.config.network.classifies and not run.config.train.epochs:
            _say_accuracy(run, activations)


def _say_copies(run: Run, activations: ActivationReader) -> None:
    ids = activations.read("samples/id")
    originals = activations.ids_of_originals()
    copies = np.flatnonzero(ids != originals)
    if not len(copies):
        return
    pair = [ids[copies[0]], originals[copies[0]]]
    names = run.subject.images.names
    if names is not None:
        pair = [names[number] for number in pair]
    log.warning(
        "data: %d of %d images are copies of others, the same as the network sees them (such as %s "
        "of %s); copies share a fold, but count as images of their own",
        len(copies),
        len(ids),
        *pair,
    )


def _say_accuracy(run: Run, activations: ActivationReader) -> None:
    promised = run.subject.promised_accuracy
    if promised is None or not activations.labelled:
        return
    right = activations.read("samples/prediction") == activations.read("samples/label")
    error = np.sqrt(promised * (1 - promised) / len(right))
    if right.mean() + ERRORS * error < FAR * promised:
        log.warning(
            "extract: %.1f %% of %d images are predicted as labelled; %s reports %.1f %% on "
            "ImageNet's validation images. If yours are ImageNet's, labels number other "
            "outputs than the weights do (network.outputs), or images are not prepared as in the "
            "training (see 'input:' above)",
            100 * right.mean(),
            len(right),
            run.config.network.weights,
            100 * promised,
        )
