"""Compare runs of the same images: layers, concepts, partners, differences."""

from __future__ import annotations

import json
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

from vinfo_mpi.comparison import page, tables
from vinfo_mpi.comparison.concepts import concepts_there, matches
from vinfo_mpi.comparison.findings import Comparison
from vinfo_mpi.comparison.layers import hsic_of_taps, layer_cka
from vinfo_mpi.comparison.study import Study
from vinfo_mpi.numerics.bootstrap import Estimate
from vinfo_mpi.numerics.differences import difference
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.results.schema import CLASS
from vinfo_mpi.run.provenance import of_program
from vinfo_mpi.storage.hdf5 import FORMAT_VERSIONS, write_tables


def compare(studies: list[Study], folder: Path, command: str) -> Comparison:
    """Write compare.h5 and its page; return what was found.

    Parameters
    ----------
    studies : list of Study
        Two or more, of the same images.
    folder : Path
        Where both are written.
    command : str
        As it was typed.
    """
    comparison = Comparison(studies)
    own_hsic = {study.label: hsic_of_taps(study) for study in studies}
    for first, second in combinations_with_replacement(studies, 2):
        log.info("compare: layers of %s and %s", first.label, second.label)
        own = own_hsic[first.label], own_hsic[second.label]
        comparison.layers[first.label, second.label] = layer_cka(first, second, *own)
    for first, second in comparison.pairs:
        log.info("compare: concepts of %s and %s", first.label, second.label)
        partners = matches(first, second)
        comparison.matches[first.label, second.label] = partners[0]
        comparison.matches[second.label, first.label] = partners[1]
        comparison.there[first.label, second.label] = concepts_there(first, second)
        comparison.there[second.label, first.label] = concepts_there(second, first)
        comparison.differences[first.label, second.label] = _differences(first, second)
    ranks = studies[0].run.ranks
    ranks.on_root(_write, comparison, folder, command)
    return comparison


def universality(comparison: Comparison, study: Study) -> np.ndarray:
    """Return the mean over the other runs of the correlation with the best partner: (K,)."""
    others = [other.label for other in comparison.studies if other is not study]
    of_others = [comparison.matches[study.label, other].correlation_within for other in others]
    return np.mean(of_others, axis=0)


def _differences(first: Study, second: Study) -> dict[str, Estimate]:
    """Return the differences of means, of what both runs have."""
    both = [study.results.living for study in (first, second)]
    return {
        dataset.column: difference(
            both[0][dataset.column].to_numpy(),
            both[0][CLASS.column].to_numpy(),
            both[1][dataset.column].to_numpy(),
            both[1][CLASS.column].to_numpy(),
        )
        for dataset in tables.DIFFERENCES
        if all(dataset.column in living for living in both)
    }


def _write(comparison: Comparison, folder: Path, command: str) -> None:
    """Write the file and the page."""
    content: tables.Tables = {}
    for study in comparison.studies:
        content |= tables.of_run(study)
        content |= tables.of_universality(study.label, universality(comparison, study))
    for (first, second), cka in comparison.layers.items():
        content |= tables.of_layers(first, second, cka)
    for (first, second), there in comparison.there.items():
        content |= tables.of_concepts(first, second, there, comparison.matches[first, second])
    for (first, second), estimates in comparison.differences.items():
        content |= tables.of_differences(first, second, estimates)
    inputs = {
        study.label: {
            "folder": str(study.run.folder.resolve()),
            "codes": study.codes.file.attrs["fingerprint"],
            "activations": study.activations.file.attrs["fingerprint"],
        }
        for study in comparison.studies
    }
    attributes = {
        "filetype": tables.FILETYPE,
        "format_version": FORMAT_VERSIONS[tables.FILETYPE],
        "command": command,
        "inputs": json.dumps(inputs),
        **of_program(),
    }
    write_tables(folder / "compare.h5", content, attributes)
    page.write(comparison, folder / "compare.html", attributes)
