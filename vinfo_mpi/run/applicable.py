"""Refusals of a stage that makes no sense for the network or the concepts of a run."""

from __future__ import annotations

from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.run.run import Run


def require_classifier(run: Run, stage: str) -> None:
    """Raise `NotApplicable` unless the run's network decides between classes."""
    if not run.config.network.classifies:
        raise NotApplicable(f"{stage} needs a classifier; network.outputs is none")


def require_last_tap(run: Run, stage: str) -> None:
    """Raise `NotApplicable` unless concepts are of the last tap, where they can be removed."""
    if run.config.dictionary.tap != "last":
        raise NotApplicable(
            f"{stage} removes concepts of the last tap; those of dictionary.tap: "
            f"{run.config.dictionary.tap} lie before it"
        )
