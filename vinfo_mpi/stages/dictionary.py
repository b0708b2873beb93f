"""Make a dictionary of concepts of the last tap of the final network, all ranks together."""

from __future__ import annotations

from dataclasses import replace

from vinfo_mpi.concepts import unfinished_fit
from vinfo_mpi.concepts.sources import concept_kind
from vinfo_mpi.costs import formulas
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run


def make_dictionary(run: Run, part: Part) -> None:
    """Write the dictionary: factors of the last tap, or what dictionary.source names."""
    tables, attributes = concept_kind(run.config.dictionary).make(run, part)
    part.write_file(tables, attributes)
    unfinished_fit.remove(run)  # not before the finished one is there


def costs(work: Workload) -> Costs:
    """Return what making the concepts takes, and the dictionary on disk."""
    options = work.config.dictionary
    # Atoms and classes, and beside the atoms that need no solver what codes follow from.
    arrays = 1 if options.kind_of_source.codes == "non-negative" else 2
    numbers = work.sizes.concepts * (work.sizes.d + 1) * arrays
    disk = float(formulas.NUMBER * numbers + formulas.FILE + 3 * formulas.DATASET)
    return replace(concept_kind(options).costs(work), disk={"dictionary": disk})
