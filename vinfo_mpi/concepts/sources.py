"""What concepts are, beside the factors of an NMF: the atoms of every other source.

With every source x ≈ offset + codes @ atoms, x being the last tap:

- a file: atoms that another program has found,
- neurons, pca, eigenfunctions: directions of the pooled last tap, whose codes are projections,
- logits, factors: codes that are known, minus their means; the atoms are the least-squares decoder of the pooled last tap.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vinfo_mpi.concepts.stored import Observed, factors
from vinfo_mpi.errors import InputError
from vinfo_mpi.numerics import directions
from vinfo_mpi.numerics.directions import Directions
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage import atom_files
from vinfo_mpi.storage.activations import ActivationReader
from vinfo_mpi.storage.hdf5 import Table, fixed_width


def count(run: Run, tap: str, channels: int, outputs: int) -> int:
    """Return how many concepts the source gives, at most.

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
        If it can give none: a file that is not right, images without factors.
    """
    options = run.config.dictionary
    if options.source == "nmf":
        by_class = options.kind == "class-wise"
        return options.concepts_per_class * len(run.subject.images.classes) if by_class else options.concepts
    if options.file:
        return len(atom_files.read(options.file, channels, tap, options.atoms == "signed"))
    if options.source == "factors":
        return len(factors(run))
    return outputs if options.source == "logits" else channels


def fit(run: Run) -> dict[str, Table]:
    """Return the datasets of the dictionary, for every source but nmf; all ranks together."""
    source = run.config.dictionary.source
    with run.open_activations(run.final) as activations:
        tables = FITS.get(source, _of_file)(Observed(run, activations))
        run.clock.bytes_read += activations.bytes_read
        concepts = len(tables["atoms"].values)
        if not concepts:
            raise InputError(f"dictionary.source is {source}, but {activations.taps[-1]} shows the same for all images")
    log.info("dictionary: %d concepts (%s)", concepts, source)
    return tables


def _of_file(seen: Observed) -> dict[str, Table]:
    options, tap = seen.run.config.dictionary, seen.activations.taps[-1]
    atoms = seen.run.ranks.on_root(atom_files.read, options.file, seen.channels, tap, options.atoms == "signed")
    return _tables(torch.from_numpy(atoms))


def _directions(found: Directions) -> dict[str, Table]:
    return _tables(found.atoms, offset=found.offset, projection=found.projection)


def _decoded(seen: Observed, known: str, names: list[str]) -> dict[str, Table]:
    gram = _gram(seen, {known: len(names), "pooled": seen.channels})
    atoms, _ = directions.decoder(gram)
    # Where the zero of a factor or logit lies means nothing: codes are what is more or less than the mean.
    tables = _tables(atoms, offset=gram.mean(1), centre=gram.mean(0))
    return tables | {"names": Table(fixed_width(names), "name of the concept", axes=("concept",))}


FITS: dict[str, Callable[[Observed], dict[str, Table]]] = {
    "neurons": lambda seen: _directions(directions.neurons(seen.channels)),
    "pca": lambda seen: _directions(directions.pca(_gram(seen, {"pooled": seen.channels}))),
    "eigenfunctions": lambda seen: _directions(directions.eigenfunctions(_gram(seen, {"pooled": seen.channels}))),
    "logits": lambda seen: _decoded(seen, "logits", _outputs(seen.activations)),
    "factors": lambda seen: _decoded(seen, "factors", list(factors(seen.run))),
}


def _gram(seen: Observed, widths: dict[str, int]) -> Gram:
    """Return the sums of products of what is observed, over all images."""
    run, gram = seen.run, Gram([*widths.values()], seen.run.device)
    mine = run.ranks.block(seen.activations.shape("samples/id")[0])
    for rows in run.progress(batches(mine, run.config.machine.rows), "dictionary: blocks"):
        gram.add(*seen.read(tuple(widths), rows).values())
    return gram.reduced(run.ranks.sum)


def _outputs(activations: ActivationReader) -> list[str]:
    """Return the names of the outputs, of which a network may have more than the data set has classes."""
    classes = activations.classes
    return classes + [f"output {number}" for number in range(len(classes), activations.shape("outputs")[1])]


def _tables(atoms: torch.Tensor, **others: torch.Tensor) -> dict[str, Table]:
    about = {
        "atoms": ("x ≈ codes · atoms + offset (0 where there is none), x the last tap", ("concept", "channel")),
        "offset": ("what remains of the last tap without concepts", ("channel",)),
        "projection": ("codes = (x - offset) · projection", ("channel", "concept")),
        "centre": ("codes = factors or logits - centre", ("concept",)),
    }
    parts = {"atoms": atoms, **others}
    tables = {name: Table(values.cpu().numpy(), about[name][0], axes=about[name][1]) for name, values in parts.items()}
    classes = np.full(len(atoms), -1)
    return tables | {"class": Table(classes, "class whose images the atom was fitted to; -1: all", axes=("concept",))}
