"""The files that a release publishes of finished runs, and the table of gallery.md.

python docs/gallery.py release runs/quickstart runs/cifar10 ...

For each run: its report as <name>-report.zip and its results.h5 as <name>-results.h5. The table
says how each run was made: its files record that.
"""

import hashlib
import shutil
import sys
from pathlib import Path

import h5py

from vinfo_mpi import units
from vinfo_mpi.errors import InputError


def publish(run, folder):
    """Write a run's files into a folder; return their paths, the report where there is one."""
    if not (run / "results.h5").exists():
        raise InputError(f"{run} has no results.h5; name the folder of a finished run")
    folder.mkdir(parents=True, exist_ok=True)
    files = [Path(shutil.copy(run / "results.h5", folder / f"{run.name}-results.h5"))]
    if (run / "report" / "index.html").exists():
        archive = folder / f"{run.name}-report"
        files.append(Path(shutil.make_archive(str(archive), "zip", run, "report")))
    return files


def describe(run):
    """Return how a run was made: its command, the version and commit of the program."""
    with h5py.File(run / "results.h5") as file:
        attributes = dict(file.attrs)
    commit = str(attributes["git_commit"])[:12]
    return f"`{attributes['command']}`, vinfo_mpi {attributes['vinfo_version']} ({commit})"


def main(words):
    """Publish the runs that are named after the folder."""
    if len(words) < 2:
        sys.exit(__doc__)
    folder, *runs = map(Path, words)
    print("| file | size | SHA-256 | made by |\n|---|---|---|---|")
    for run in runs:
        for path in publish(run, folder):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            print(
                f"| {path.name} | {units.size(path.stat().st_size)} | {digest} | {describe(run)} |"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
