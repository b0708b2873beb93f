"""Kinds of concepts: one object per kind, which makes them and says what that costs.

With every kind x ≈ offset + codes @ atoms, x being the last tap:

- nmf: the atoms of a factorisation of the last tap,
- a file: atoms that another program has found,
- sae: features of a sparse autoencoder, whose codes its own encoder gives,
- neurons, pca, eigenfunctions: directions of the pooled last tap, whose codes are projections,
- logits, factors: codes that are known, minus their means; the atoms are the least-squares decoder
  of the pooled last tap.
"""

from __future__ import annotations

from typing import Any, Protocol

from vinfo_mpi.concepts import one_pass
from vinfo_mpi.concepts.factorisation import Factorisation
from vinfo_mpi.concepts.saes.source import SPARSE_FEATURES
from vinfo_mpi.config.schema import Dictionary
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table


class ConceptKind(Protocol):
    """A kind of concepts: how many there are, how they are made, what that takes."""

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return how many concepts there are, at most.

        Parameters
        ----------
        run : Run
        tap : str
            Name of the last tap.
        channels, outputs : int
            Channels of the last tap; outputs of the network.

        Raises
        ------
        InputError
            If there can be none: a file that is not right, images without factors.
        """

    def groups(self, run: Run) -> int:
        """Return how many dictionaries are fitted: one per class, or one for all images."""

    def make(self, run: Run, part: Part) -> tuple[dict[str, Table], dict[str, Any]]:
        """Return datasets of the dictionary and attributes of its file; all ranks together."""

    def costs(self, work: Workload) -> Costs:
        """Return what making them takes, but for the dictionary on disk."""


KINDS: dict[str, ConceptKind] = {
    "nmf": Factorisation(),
    **one_pass.KINDS,
    "sae": SPARSE_FEATURES,
}


def concept_kind(options: Dictionary) -> ConceptKind:
    """Return the kind of concepts that the configuration names."""
    return KINDS.get(options.source, one_pass.ATOM_FILE)
