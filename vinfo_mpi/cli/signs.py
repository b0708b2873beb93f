"""The findings of the paper, looked for in a run, as a table for the terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vinfo_mpi.errors import InputError


def main(description: str | None) -> None:
    """Show the signs of the run that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m vinfo_mpi.signs",
        description=description,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="a run's folder, or its results.h5")
    options = parser.parse_args()
    from vinfo_mpi.results import findings
    from vinfo_mpi.results.tables import Results

    try:
        print(findings.text(Results(options.run)))
    except InputError as error:
        print(f"vinfo_mpi: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
