"""The command ``vinfo``: alone it is the pipeline, ``vinfo score`` is that stage."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import NoReturn

from vinfo_mpi.cli.options import INIT
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.parallel import launcher
from vinfo_mpi.registry import STAGES, TOOLS, command

USAGE = """\
usage: vinfo [COMMAND] [OPTIONS]

Without a command, the whole pipeline, also vinfo mine.yaml; vinfo init mine.yaml writes a
configuration with every setting; vinfo --help and vinfo COMMAND --help say more.
Under MPI: mpirun -n 8 vinfo score --config mine.yaml
"""


def main() -> None:
    """Run the command that is named first, as ``python -m`` does."""
    words = sys.argv[1:]
    if words == ["help"]:
        if launcher.rank() == 0:
            print(f"{USAGE}\nstages: {', '.join(STAGES)}\nothers: {', '.join(TOOLS)}")
        return
    named = words and not words[0].startswith("-") and not _is_of_pipeline(words[0])
    name = words.pop(0) if named else None
    try:
        module = _module(name)
    except InputError as error:
        _refuse(error)
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _is_of_pipeline(word: str) -> bool:
    """Whether a word belongs to the whole pipeline: a configuration, or that one be written."""
    return word == INIT or Path(word).suffix in (".yaml", ".yml")


def _module(name: str | None) -> str:
    """Return the module of a command; None: of the whole pipeline."""
    if name is None:
        return command(None)
    known = [*STAGES, *TOOLS]
    if name.replace("-", "_") not in known:
        raise InputError(f"'{name}' is not a command; {choices(name, known, len(known))}")
    return command(name.replace("-", "_"))


def _refuse(error: InputError) -> NoReturn:
    if launcher.rank() == 0:
        print(f"vinfo_mpi: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
