"""The command ``vinfo``: alone it is the pipeline, ``vinfo score`` is that stage."""

from __future__ import annotations

import runpy
import sys

from vinfo_mpi.parallel import launcher
from vinfo_mpi.registry import STAGES, TOOLS, command

USAGE = """\
usage: vinfo [COMMAND] [OPTIONS]

Without a command, the whole pipeline, also vinfo mine.yaml; vinfo init mine.yaml writes a
configuration with every setting; vinfo --help and vinfo COMMAND --help say more.
Under MPI: mpirun -n 8 vinfo score mine.yaml
"""


def main() -> None:
    """Run the command that is named first, as ``python -m`` does."""
    words = sys.argv[1:]
    if words == ["help"]:
        if launcher.rank() == 0:
            print(f"{USAGE}\nstages: {', '.join(STAGES)}\nothers: {', '.join(TOOLS)}")
        return
    name = words[0].removeprefix("analyses.").replace("-", "_") if words else ""
    is_command = name in STAGES or name in TOOLS
    sys.argv[1:] = words[1:] if is_command else words
    module = command(name if is_command else None)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
