"""Contents of a report's index: the answer, warnings, figures, what is missing, facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from vinfo_mpi import units
from vinfo_mpi.figures import catalogue
from vinfo_mpi.figures.paper import paper
from vinfo_mpi.pages.answer import answer
from vinfo_mpi.pages.groups import groups
from vinfo_mpi.pages.site import Index
from vinfo_mpi.registry import command
from vinfo_mpi.results.facts import Facts, facts
from vinfo_mpi.results.reliability import warnings_about
from vinfo_mpi.results.schema_analyses import CHANCE, WORD_AS_GOOD
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.provenance import timings_of

NO_PICTURES = (
    "none: another program has extracted the activations. Grey squares stand for images, with the "
    "numbers of their rows, and what they look like is not known here"
)
LIBRARIES = {"vinfo_mpi": "vinfo", "torch": "torch", "h5py": "h5py", "HDF5": "hdf5"}


def make_index(
    results: Results,
    folder: Path,
    attributes: Mapping[str, Any],
    pictures: bool,
    stale: Sequence[str],
) -> Index:
    """Write the figures and return what the index shows.

    Parameters
    ----------
    results : Results
    folder : Path
        Of the report.
    attributes : dict
        Of the report: when it is made, by which command.
    pictures : bool
        Whether there are pictures of concepts.
    stale : list of str
        Stages whose part of the results was made with other settings, or from other files, than the
        rest.
    """
    options = json.loads(attributes["config"])["figures"]
    catalogue.write(results, folder / "figures", paper=paper(**options))
    run = results.path.parent
    about = facts(results)
    created = str(attributes["created"])[:16].replace("T", " ")
    made = {"Report": f"{created} UTC with {attributes['command']}"}
    options = f"--config {quote(str(run / 'config.yaml'))} --run-dir {quote(str(run))}"
    mixed = [
        f"What {stage} has computed is of other settings, or other files, than the rest. "
        f"python -m {command(stage)} {options} recomputes it."
        for stage in stale
    ]
    return Index(
        title=run.resolve().name,
        facts=_facts(about, run, results.attributes) | _words(results) | made,
        warnings=[*warnings_about(about), *mixed],
        answer=answer(results),
        groups=groups(results),
        missing=_missing(results, options, pictures),
    )


def _missing(results: Results, options: str, pictures: bool) -> list[tuple[str, str]]:
    """Return what was not computed, and the command that adds it."""
    missing = [
        (figure.title, f"{figure.command(results)} {options}")
        for figure in catalogue.missing(results)
    ]
    if not pictures:
        drawing = f"python -m {command('visualise')} {options}"
        missing.append(("Pictures drawn to activate concepts", drawing))
    return missing


def _words(results: Results) -> dict[str, str]:
    """Return for how many concepts there is a word, and how many of them are chance's."""
    if WORD_AS_GOOD not in results:
        return {}
    as_good = results.read(WORD_AS_GOOD)
    as_good = as_good[np.isfinite(as_good)]
    said = (
        f"{(as_good <= CHANCE).sum()} of {len(as_good)} concepts have one that random images have "
        f"in at most {100 * CHANCE:g} % of the draws (by chance {CHANCE * len(as_good):.0f} would)"
    )
    return {"Words": said}


def _facts(about: Facts, run: Path, attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts under their headings."""
    before = {stage: times for stage, times in timings_of(run).items() if stage != "report"}
    seconds = sum(times["seconds"]["total"]["max"] for times in before.values())
    versions = [f"{name} {attributes[f'{key}_version']}" for name, key in LIBRARIES.items()]
    classes = len(about.per_class)
    pictures = {"Pictures": NO_PICTURES} if about.data == "imported" else {}
    return {
        "Network": about.network,
        "Data": f"{about.data}: {about.analysed} images of {classes} classes analysed",
        **pictures,
        "Accuracy": about.correct,
        "Concepts": f"{about.alive} of {about.concepts} alive",
        "Fidelity": about.rebuilt,
        "Ranks": f"{attributes['ranks']}, {attributes['mpi_library']}",
        "Time": f"{units.duration(seconds)}, all stages before the report",
        "Versions": f"{', '.join(versions)}; commit {str(attributes['git_commit'])[:12]}",
        "Folder": str(run),
    }
