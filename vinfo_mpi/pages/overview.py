"""What the index of a report says about the run: facts, warnings, figures, and what was not computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from vinfo_mpi import units
from vinfo_mpi.figures import catalogue, style
from vinfo_mpi.pages.site import Figure, Index
from vinfo_mpi.registry import module
from vinfo_mpi.results.facts import Facts, facts
from vinfo_mpi.results.tables import Results
from vinfo_mpi.run.provenance import timings_of

FAITHFUL = 0.99  # share of the predictions that the concepts should keep, as in the paper
FEW = 50  # images of a class


def index(results: Results, folder: Path, attributes: Mapping[str, Any], pictures: bool, stale: Sequence[str]) -> Index:
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
        Stages whose part of the results was made with other settings, or from other files, than the rest.
    """
    catalogue.write(results, folder / "figures")
    run = results.path.parent
    found = [
        Figure(one.name, one.title, one.sentence(results), one.alternative(results), one.size[0] > style.ONE_COLUMN)
        for one in catalogue.available(results)
    ]
    options = f"--config {quote(str(run / 'config.yaml'))} --run-dir {quote(str(run))}"
    lacking = [(one.title, f"{one.command(results)} {options}") for one in catalogue.missing(results)]
    if not pictures:
        lacking.append(("Pictures drawn to activate concepts", f"python -m {module('visualise')} {options}"))
    about = facts(results)
    mixed = [f"What {stage} has computed is of other settings, or other files, than the rest. "
             f"python -m {module(stage)} {options} computes it anew." for stage in stale]  # fmt: skip
    made = f"{str(attributes['created'])[:16].replace('T', ' ')} UTC with {attributes['command']}"
    return Index(
        run.resolve().name, _facts(about, run, results.attributes) | {"Report": made}, [*warnings(about), *mixed], found, lacking
    )


def _facts(about: Facts, run: Path, attributes: Mapping[str, Any]) -> dict[str, str]:
    seconds = sum(one["seconds"]["total"]["max"] for stage, one in timings_of(run).items() if stage != "report")
    versions = [f"{name} {attributes[f'{key}_version']}" for name, key in
                (("vinfo_mpi", "vinfo"), ("torch", "torch"), ("h5py", "h5py"), ("HDF5", "hdf5"))]  # fmt: skip
    return {
        "Network": about.network,
        "Data": f"{about.data}: {about.analysed} images of {len(about.per_class)} classes analysed",
        "Accuracy": about.correct,
        "Concepts": f"{about.alive} of {about.concepts} alive",
        "Fidelity": about.rebuilt,
        "Ranks": f"{attributes['ranks']}, {attributes['mpi_library']}",
        "Time": f"{units.duration(seconds)}, all stages before the report",
        "Versions": f"{', '.join(versions)}; commit {str(attributes['git_commit'])[:12]}",
        "Folder": str(run),
    }


def warnings(about: Facts) -> list[str]:
    """Return what makes the numbers less trustworthy, a sentence each."""
    found = []
    if dead := about.concepts - about.alive:
        found.append(
            f"{dead} of {about.concepts} concepts are dead: no image activates them, or all do alike. They have no complexity, "
            "and no average counts them."
        )
    if (kept := about.fidelity["predictions_kept"]) < FAITHFUL:
        found.append(
            f"Only {100 * kept:.2f} % of the predictions stay the same when the network sees its last layer through these concepts "
            f"(the paper: more than {100 * FAITHFUL:.0f} %). They leave out something that it uses; more concepts may help."
        )
    fewest = about.per_class[about.per_class > 0].min()
    if fewest < FEW:
        found.append(
            f"Some classes have few images, the smallest {fewest} (fewer than {FEW}): concepts and V-information are estimated "
            "from little; look at the standard errors."
        )
    return found
