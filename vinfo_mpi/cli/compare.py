"""Options and output of a comparison of runs."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import InputError, require

FEWEST = 2  # runs
REMEDY = "use more ranks, or lower machine.rows in the config.yaml of the runs"


def parse(description: str | None) -> argparse.Namespace:
    """Return what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.compare",
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "runs", nargs="+", metavar="[NAME=]FOLDER", help="folders of at least two runs"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where to write (default: here)"
    )
    parser.add_argument(
        "--phases",
        action="store_true",
        help="the activation hash phase chart of the runs, which need not be of the same images: "
        "network size by epoch",
    )
    return parser.parse_args()


def chart_phases(words: list[str], folder: Path) -> None:
    """Write the phase chart of runs that have patterns, print what comes out; on one rank."""
    require("compare", "matplotlib")
    from vinfo_mpi.comparison import phases
    from vinfo_mpi.results.tables import Results

    table = phases.table({name: Results(place) for name, place in named(words).items()})
    print("\n".join(phases.sentences(table)))
    print(", ".join(map(str, phases.write(table, folder))))


def compare_runs(words: list[str], folder: Path) -> None:
    """Open the runs, compare them, print the summary; on all ranks."""
    require("compare", "matplotlib")
    from vinfo_mpi.comparison import findings, study
    from vinfo_mpi.comparison.compare import compare
    from vinfo_mpi.parallel import devices, logs, memory
    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.run.run import Run

    places = named(words)
    configs = {label: _config(place) for label, place in places.items()}
    ranks = Ranks()
    logs.start(ranks.rank)
    device, bindings = devices.bind(ranks, next(iter(configs.values())).machine.device)
    command = shlex.join(["python", "-m", "vinfo_mpi.compare", *sys.argv[1:]])
    runs = {
        label: Run(config, places[label], ranks, device, bindings, command)
        for label, config in configs.items()
    }
    with (
        memory.explained("compare", bindings, ranks.rank, REMEDY),
        study.opened(runs) as studies,
    ):
        comparison = compare(studies, folder, command)
        if ranks.is_root:
            for first, second in comparison.pairs:
                print("\n".join(findings.sentences(comparison, first, second)) + "\n")
            print(f"{folder / 'compare.h5'}, {folder / 'compare.html'}")


def named(words: list[str]) -> dict[str, Path]:
    """Return the folders by the names that they have here.

    Raises
    ------
    InputError
        For fewer than two runs, or a name that cannot stand in a file.

    >>> named(["runs/a", "b=runs/c", "other/a"])
    {'a': PosixPath('runs/a'), 'b': PosixPath('runs/c'), 'a (2)': PosixPath('other/a')}
    """
    from vinfo_mpi.comparison.study import labels_of

    if len(words) < FEWEST:
        raise InputError(f"{words[0]} is only one run; name at least two")
    pairs = [word.rpartition("=") for word in words]
    names = [name if equals else Path(place).resolve().name for name, equals, place in pairs]
    for name in names:
        if not name or "/" in name:
            raise InputError(
                f"'{name}' cannot be a run's name here; write NAME=FOLDER without a '/'"
            )
    return dict(zip(labels_of(names), (Path(place) for *_, place in pairs), strict=True))


def _config(folder: Path) -> Config:
    path = folder / "config.yaml"
    if not path.exists():
        raise InputError(f"{folder} is not a run's folder: it has no config.yaml; check the path")
    return load_config(path)
