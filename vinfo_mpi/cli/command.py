"""What every command shares: options, configuration, the guard over all ranks, exit codes.

Options and configuration are read before torch and MPI are imported, so that --help and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vinfo_mpi import registry
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import launcher, malloc, signals

if TYPE_CHECKING:
    from vinfo_mpi.run.run import Run

DEFAULT_CONFIG = Path(__file__).parents[2] / "config" / "quickstart.yaml"


def main(stage: str | None, description: str | None) -> NoReturn:
    """Run a stage, the chosen analyses for "analyses", or all of them for None, from the command line; never returns."""
    signals.listen()
    try:
        options = parse(stage, description)
        settings = load_config(Path(options.config), options.set)
    except InputError as error:
        _end(error)
    malloc.keep_freed()  # before MPI starts threads: mallopt(3) is not safe beside them
    from vinfo_mpi.parallel.guard import guard

    # Processes that read images (machine.workers) would import the program again and start MPI in themselves: hide it.
    program = sys.modules["__main__"]
    program.__spec__ = program.__file__ = None
    with guard():
        _start(stage, options, settings)
    signals.ignore()
    sys.exit(0)


def parse(stage: str | None, description: str | None) -> argparse.Namespace:
    """Return the options of a command line; raise `InputError` for mistakes in it."""
    parser = _Parser(
        prog=f"python -m {registry.module(stage)}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Settings and their defaults: the comments in config/*.yaml, and config.yaml in every run's folder.\n"
        "Exit codes, the same on all ranks: 0 done, 1 failure, 2 wrong usage, configuration or input, 75 stopped\n"
        "on request (signal USR2) with the work saved: run the same command again.",
    )  # fmt: skip
    add = parser.add_argument
    add("--config", metavar="FILE", default=os.environ.get("VINFO_CONFIG", str(DEFAULT_CONFIG)),
        help="the experiment (default: $VINFO_CONFIG, else config/quickstart.yaml)")  # fmt: skip
    add("--set", metavar="A.B=VALUE", action="append", help="change a setting; may be repeated")
    add("--run-dir", metavar="DIR", help="where everything is written (default: $VINFO_RUNS/<name>, else runs/<name>)")
    add("--only", action="store_true", help="run this stage alone; fail if its inputs are missing")
    add("--force", action="store_true", help="run this stage even if it is up to date")
    add("--dry-run", action="store_true", help="show the plan: images, taps, disk, memory, operations")
    add("--info", action="store_true", help="show versions, MPI, HDF5, and where each rank computes")
    add("--verbose", action="store_true", help="say more")
    options = parser.parse_args()
    if stage not in registry.STAGES and options.only:
        raise InputError("--only belongs to a single stage; for example python -m vinfo_mpi.score --only")
    return options


def _start(stage: str | None, options: argparse.Namespace, settings: Config) -> None:
    import torch

    from vinfo_mpi.cli.header import head
    from vinfo_mpi.parallel import devices, logs
    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.pipeline import engine
    from vinfo_mpi.run.run import Run

    ranks = Ranks()
    logs.start(ranks.rank, options.verbose)
    device, bindings = devices.bind(ranks, settings.machine.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    folder = Path(options.run_dir or Path(os.environ.get("VINFO_RUNS", "runs")) / settings.name)
    run = Run(settings, folder, ranks, device, bindings, shlex.join(["python", "-m", *_module_and_arguments(stage)]))
    if options.info:
        ranks.on_root(lambda: print(head(run)))
        return
    run.checkpoints = ranks.on_root(lambda: run.checkpoints)  # one look at the folder, the same for all
    if options.dry_run:
        engine.check_plan(run, show=True)
        return
    in_job = "SLURM_JOB_ID" in os.environ or options.verbose
    if in_job:
        ranks.on_root(lambda: print(head(run), flush=True))
    every = engine.chosen(run)
    targets = {None: every, "analyses": [one for one in every if one in registry.ANALYSES]}.get(stage, [str(stage)])
    engine.bring_up_to_date(run, targets, options.only, options.force)
    if stage is None or in_job:
        ranks.on_root(_end_of_log, run, stage is None, in_job)


def _end_of_log(run: Run, whole: bool, in_job: bool) -> None:
    from vinfo_mpi.cli.summary import summary, tail

    if whole:
        print(summary(run.folder))
    if in_job:
        print(tail(run))


def _module_and_arguments(stage: str | None) -> list[str]:
    return [registry.module(stage), *sys.argv[1:]]


class _Parser(argparse.ArgumentParser):
    """Turns mistakes into `InputError`; under mpirun only rank 0 prints the help."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def print_help(self, file: object = None) -> None:
        if launcher.rank() == 0:
            super().print_help()


def _end(error: InputError) -> NoReturn:
    """End all ranks for a mistake in options or configuration, with one message."""
    if launcher.size() > 1:
        from vinfo_mpi.parallel.guard import guard

        with guard():
            raise error
    print(f"vinfo_mpi: {error}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code)
