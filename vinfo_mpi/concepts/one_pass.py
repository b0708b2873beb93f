"""Concepts that one pass over the activations gives, or none: all but those of a factorisation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vinfo_mpi.concepts.dictionary_tables import Tables, tables_of
from vinfo_mpi.concepts.stored import Observed, factors
from vinfo_mpi.config.schema import Dictionary
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import directions
from vinfo_mpi.numerics.directions import Directions
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import atom_files
from vinfo_mpi.storage.hdf5 import Table, fixed_width


class OnePass(ABC):
    """Concepts that follow from one pass over the activations, or from none. See `ConceptKind`."""

    @abstractmethod
    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return how many concepts there are, at most. See `ConceptKind`."""

    @abstractmethod
    def tables(self, observed: Observed) -> Tables:
        """Return the datasets of the dictionary; all ranks together."""

    @abstractmethod
    def costs(self, work: Workload) -> Costs:
        """Return what making them takes. See `ConceptKind`."""

    def groups(self, run: Run) -> int:
        """Return 1: all images have the same concepts. See `ConceptKind`."""
        return 1

    def make(self, run: Run, part: Part) -> tuple[Tables, dict[str, Any]]:
        """Return the datasets; attributes there are none. See `ConceptKind`."""
        source = run.config.dictionary.source
        with run.clock.phase("fit"), run.open_activations(run.final) as activations:
            tables = self.tables(Observed(run, activations))
            concepts = len(tables["atoms"].values)
            if not concepts:
                raise InputError(
                    f"dictionary.source is {source}, but {activations.map_tap} shows the same "
                    "for all images"
                )
        log.info("dictionary: %d concepts (%s)", concepts, source)
        return tables, {}


class AtomFile(OnePass):
    """Atoms from a file that another program has written."""

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return how many atoms the file has. See `ConceptKind`."""
        return len(_read_atoms(run.config.dictionary, channels, tap))

    def tables(self, observed: Observed) -> Tables:
        """Return the atoms, scaled to unit length."""
        run = observed.run
        tap = observed.activations.map_tap
        atoms = run.ranks.on_root(_read_atoms, run.config.dictionary, observed.channels, tap)
        return tables_of(torch.from_numpy(atoms))

    def costs(self, work: Workload) -> Costs:
        """Return the memory of the atoms: as read, in float64, scaled."""
        return Costs(memory=3.0 * formulas.NUMBER * work.sizes.concepts * work.sizes.d)


class Neurons(OnePass):
    """The channels of the pooled last tap."""

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return the number of channels. See `ConceptKind`."""
        return channels

    def tables(self, observed: Observed) -> Tables:
        """Return the unit vectors."""
        return _tables_of_directions(directions.neurons(observed.channels))

    def costs(self, work: Workload) -> Costs:
        """Return what sums of products would take, without sending them. See `ConceptKind`."""
        return _costs_of_products(work, sent=0)


@dataclass(frozen=True)
class PrincipalDirections(OnePass):
    """Directions of the pooled last tap that follow from its products; `find` finds them."""

    find: Callable[[Gram], Directions]

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return the number of channels. See `ConceptKind`."""
        return channels

    def tables(self, observed: Observed) -> Tables:
        """Return the directions."""
        gram = _products(observed, {"pooled": observed.channels})
        return _tables_of_directions(self.find(gram))

    def costs(self, work: Workload) -> Costs:
        """Return what sums of products take. See `ConceptKind`."""
        return _costs_of_products(work, sent=1 + work.sizes.d)


class KnownCodes(OnePass):
    """Codes that are known, but for their atoms.

    Attributes
    ----------
    known : str
        What gives them: a method of `Observed`.
    """

    known: str

    @abstractmethod
    def names(self, observed: Observed) -> list[str]:
        """Return the name of every concept."""

    def tables(self, observed: Observed) -> Tables:
        """Return the least-squares decoder of the pooled last tap, and the names."""
        names = self.names(observed)
        gram = _products(observed, {self.known: len(names), "pooled": observed.channels})
        atoms, _ = directions.decoder(gram)
        # Where the zero of a factor or logit lies means nothing: codes are what is more or less
        # than the mean.
        tables = tables_of(atoms, offset=gram.mean(1), centre=gram.mean(0))
        tables["names"] = Table(fixed_width(names), "name of the concept", axes=("concept",))
        return tables

    def costs(self, work: Workload) -> Costs:
        """Return what sums of products take. See `ConceptKind`."""
        return _costs_of_products(work, sent=1 + work.sizes.concepts + work.sizes.d)


class Logits(KnownCodes):
    """The outputs of the network."""

    known = "logits"

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return the number of outputs. See `ConceptKind`."""
        return outputs

    def names(self, observed: Observed) -> list[str]:
        """Return the classes; a network may have more outputs than the data set has classes."""
        classes = observed.activations.classes
        outputs = observed.activations.shape("outputs")[1]
        return classes + [f"output {number}" for number in range(len(classes), outputs)]


class Factors(KnownCodes):
    """The factors that the images were made with."""

    known = "factors"

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return the number of factors. See `ConceptKind`."""
        return len(factors(run))

    def names(self, observed: Observed) -> list[str]:
        """Return the names of the factors."""
        return list(factors(observed.run))


KINDS: dict[str, OnePass] = {
    "neurons": Neurons(),
    "pca": PrincipalDirections(directions.pca),
    "eigenfunctions": PrincipalDirections(directions.eigenfunctions),
    "logits": Logits(),
    "factors": Factors(),
}
ATOM_FILE = AtomFile()


def _read_atoms(options: Dictionary, channels: int, tap: str) -> np.ndarray:
    """Return the atoms of the user's file."""
    if options.file is None:
        raise ValueError(f"dictionary.source: {options.source} is not a file")
    return atom_files.read(options.file, channels, tap, options.atoms == "signed")


def _products(observed: Observed, widths: dict[str, int]) -> Gram:
    """Return the sums of products of what is observed, over all images of all ranks."""
    run = observed.run
    gram = Gram(list(widths.values()), run.device)
    rows_of_rank = run.ranks.block(observed.activations.shape("samples/id")[0])
    for rows in run.progress(batches(rows_of_rank, run.config.machine.rows), "dictionary: blocks"):
        gram.add(*observed.read(tuple(widths), rows).values())
    return gram.reduced(run.ranks.sum)


def _costs_of_products(work: Workload, sent: int) -> Costs:
    """Return what a pass over the products takes; `sent`: variables whose products are added up."""
    width = 1 + work.sizes.d + work.sizes.concepts
    return Costs(
        memory=formulas.products(work, width),
        operations=2.0 * work.sizes.n * width**2,
        sent=work.sent(sent**2),
    )


def _tables_of_directions(basis: Directions) -> Tables:
    return tables_of(basis.atoms, offset=basis.offset, projection=basis.projection)
