"""What the index of a report says about the run: facts, warnings, figures, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from vinfo_mpi import units
from vinfo_mpi.figures import catalogue, style
from vinfo_mpi.pages.site import Figure, Index
from vinfo_mpi.registry import command
from vinfo_mpi.results.facts import Facts, facts
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.provenance import timings_of

FAITHFUL = 0.99  # share of the predictions that the concepts should keep, as in the paper
FEW = 50  # images of a class
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
    catalogue.write(results, folder / "figures")
    run = results.path.parent
    about = facts(results)
    created = str(attributes["created"])[:16].replace("T", " ")
    made = {"Report": f"{created} UTC with {attributes['command']}"}
    options = f"--config {quote(str(run / 'config.yaml'))} --run-dir {quote(str(run))}"
    mixed = [
        f"What {stage} has computed is of other settings, or other files, than the rest. "
        f"python -m {command(stage)} {options} computes it anew."
        for stage in stale
    ]
    return Index(
        title=run.resolve().name,
        facts=_facts(about, run, results.attributes) | made,
        warnings=[*warnings_about(about), *mixed],
        figures=_figures(results),
        missing=_missing(results, options, pictures),
    )


def _figures(results: Results) -> list[Figure]:
    """Return the figures that were drawn."""
    return [
        Figure(
            name=figure.name,
            title=figure.title,
            sentence=figure.sentence(results),
            alternative=figure.alternative(results),
            wide=figure.size[0] > style.ONE_COLUMN,
        )
        for figure in catalogue.available(results)
    ]


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


def _facts(about: Facts, run: Path, attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts under their headings."""
    before = {stage: times for stage, times in timings_of(run).items() if stage != "report"}
    seconds = sum(times["seconds"]["total"]["max"] for times in before.values())
    versions = [f"{name} {attributes[f'{key}_version']}" for name, key in LIBRARIES.items()]
    classes = len(about.per_class)
    return {
        "Network": about.network,
        "Data": f"{about.data}: {about.analysed} images of {classes} classes analysed",
        "Accuracy": about.correct,
        "Concepts": f"{about.alive} of {about.concepts} alive",
        "Fidelity": about.rebuilt,
        "Ranks": f"{attributes['ranks']}, {attributes['mpi_library']}",
        "Time": f"{units.duration(seconds)}, all stages before the report",
        "Versions": f"{', '.join(versions)}; commit {str(attributes['git_commit'])[:12]}",
        "Folder": str(run),
    }


def warnings_about(about: Facts) -> list[str]:
    """Return what makes the numbers less trustworthy, a sentence each."""
    warnings = []
    dead = about.concepts - about.alive
    if dead:
        warnings.append(
            f"{dead} of {about.concepts} concepts are dead: no image activates them, or all do "
            "alike. They have no complexity, and no average counts them."
        )
    same_predictions = about.fidelity["predictions_kept"]
    if same_predictions < FAITHFUL:
        warnings.append(
            f"Only {100 * same_predictions:.2f} % of the predictions stay the same when the "
            "network sees its last layer through these concepts (the paper: more than "
            f"{100 * FAITHFUL:.0f} %). They leave out something that it uses; more concepts may "
            "help."
        )
    fewest = about.per_class[about.per_class > 0].min()
    if fewest < FEW:
        warnings.append(
            f"Some classes have few images, the smallest {fewest} (fewer than {FEW}): concepts and "
            "V-information are estimated from little; look at the standard errors."
        )
    if about.copies:
        warnings.append(
            f"{about.copies} of {about.analysed} images are copies of others, the same as the "
            "network sees them. They lie in the same fold, so that none is predicted from its "
            "copy, but count as images of their own: errors come out too small."
        )
    classes = len(about.per_class)
    narrow = [tap for tap, width in about.widths.items() if width < classes - 1]
    if narrow:
        bound = min(about.widths[tap] for tap in narrow) / (classes - 1)
        warnings.append(
            f"The vectors of {', '.join(narrow)} hold fewer numbers than it takes to tell "
            f"{classes} classes apart: however well these are separated there, their mean "
            f"V-information is at most {bound:.2f} at the narrowest. What comes out as late may be "
            "what is averaged away; extract.pooling: equal:64 gives all taps about as many numbers."
        )
    return warnings
