"""What every command shares: options, configuration, the guard over all ranks, exit codes.

Options and configuration are read before torch and MPI are imported, so that --help and mistakes
answer at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vinfo_mpi import __version__, registry
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import launcher, malloc, signals

if TYPE_CHECKING:
    from _typeshed import SupportsWrite
    from mpi4py import MPI

    from vinfo_mpi.run.run import Run

DEFAULT_CONFIG = Path(__file__).parents[1] / "config" / "quickstart.yaml"
FLAGS = {
    "--only": "run this stage alone; fail if its inputs are missing",
    "--force": "run this stage even if it is up to date",
    "--dry-run": "show what would run and why, and the plan: disk, memory, operations",
    "--show-network": "show modules and their shapes, which are read, tokens, the head",
    "--stages": "show the run's name and the stages of the whole pipeline, a pair a line",
    "--info": "show versions, MPI, HDF5, and where each rank computes",
    "--verbose": "say more",
}
EPILOG = """\
Settings and their defaults: docs/settings.md, and config.yaml in every run's folder.
Exit codes, the same on all ranks: 0 done, 1 failure, 2 wrong usage, configuration or input,
75 stopped on request (Ctrl-C, signal USR2) with the work saved: run the same command again."""


def main(stage: str | None, description: str | None) -> NoReturn:
    """Run a stage from the command line; "analyses": those chosen; None: all. Never returns."""
    signals.listen()
    try:
        options = parse(stage, description)
        config = load_config(Path(options.config), options.set)
        if options.stages:
            _print_stages(config, options)
            sys.exit(0)
    except InputError as error:
        _end(error)
    guarded(lambda: _start(stage, options, config))


def run_made(stage: str, folder: Path, make: Callable[[], Path]) -> NoReturn:
    """Run a stage in a folder by a configuration that one rank makes first. Never returns."""
    signals.listen()

    def work() -> None:
        from vinfo_mpi.parallel.ranks import Ranks
        from vinfo_mpi.pipeline import engine

        path = Ranks().on_root(make)
        names = argparse.Namespace(run_dir=folder, verbose=False)
        engine.bring_up_to_date(run_of(stage, names, load_config(path)), [stage], False, False)
        if launcher.rank() == 0:
            print(f"go on with: python -m vinfo_mpi --config {path} --run-dir {folder}")

    guarded(work)


def guarded(work: Callable[[], None]) -> NoReturn:
    """Do work on all ranks, of which none waits for one that has failed. Never returns."""
    # Before torch loads OpenMP: threads that spin while they wait keep the cores from the threads
    # that they wait for, wherever another process runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    malloc.keep_freed()  # before MPI starts threads: mallopt(3) is not safe beside them
    from vinfo_mpi.parallel.guard import guard

    # Processes that read images (machine.workers) would import the program again and start MPI in
    # themselves: hide it.
    program = sys.modules["__main__"]
    program.__spec__ = None
    program.__dict__.pop("__file__", None)  # None in its place is an error to torch.library
    with guard():
        work()
    signals.ignore()
    sys.exit(0)


def parse(stage: str | None, description: str | None) -> argparse.Namespace:
    """Return the options of a command line; raise `InputError` for mistakes in it."""
    parser = _Parser(
        prog=f"python -m {registry.command(stage)}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=os.environ.get("VINFO_CONFIG", str(DEFAULT_CONFIG)),
        help="the experiment (default: $VINFO_CONFIG, else config/quickstart.yaml)",
    )
    parser.add_argument(
        "--set", metavar="A.B=VALUE", action="append", help="change a setting; may be repeated"
    )
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="where everything is written (default: $VINFO_RUNS/<name>, else runs/<name>)",
    )
    parser.add_argument("--version", action="version", version=f"vinfo_mpi {__version__}")
    for name, meaning in FLAGS.items():
        parser.add_argument(name, action="store_true", help=meaning)
    options = parser.parse_args()
    if stage not in registry.STAGES and options.only:
        raise InputError(
            "--only belongs to a single stage; for example python -m vinfo_mpi.score --only"
        )
    return options


def _start(stage: str | None, options: argparse.Namespace, config: Config) -> None:
    """Do what the options say, all ranks together."""
    from vinfo_mpi.parallel import alone

    in_job = "SLURM_JOB_ID" in os.environ or options.verbose
    shown = options.info or options.show_network or options.dry_run
    # Where ranks share cores each waits for torch of all: not where there is nothing to do.
    look_first = not (in_job or shown or options.force) and alone.crowded()
    if look_first and alone.on_root(lambda comm: _is_up_to_date(stage, options, config, comm)):
        return
    from vinfo_mpi.cli.header import head
    from vinfo_mpi.pipeline import engine

    run = run_of(stage, options, config)
    ranks = run.ranks
    if options.info:
        ranks.on_root(lambda: print(head(run)))
        return
    # One look at the folder, the same for all.
    run.checkpoints = ranks.on_root(lambda: run.checkpoints)
    if options.show_network:
        ranks.on_root(lambda: print(_network(run)))
        return
    if options.dry_run:
        engine.show(run, _targets(stage, config), options.only, options.force)
        return
    if in_job:
        ranks.on_root(lambda: print(head(run), flush=True))
    engine.bring_up_to_date(run, _targets(stage, config), options.only, options.force)
    if stage is None or in_job:
        ranks.on_root(_end_of_log, run, stage is None, in_job)


def run_of(
    stage: str | None, options: argparse.Namespace, config: Config, comm: MPI.Comm | None = None
) -> Run:
    """Return the run that the options name, of the ranks of a communicator (default: all)."""
    import torch

    from vinfo_mpi.parallel import devices, logs
    from vinfo_mpi.parallel.ranks import Ranks
    from vinfo_mpi.run.run import Run

    ranks = Ranks() if comm is None else Ranks(comm)
    logs.start(ranks.rank, options.verbose)
    device, bindings = devices.bind(ranks, config.machine.device)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    folder = Path(options.run_dir or Path(os.environ.get("VINFO_RUNS", "runs")) / config.name)
    typed = shlex.join(["python", "-m", registry.command(stage), *sys.argv[1:]])
    return Run(config, folder, ranks, device, bindings, typed)


def _is_up_to_date(
    stage: str | None, options: argparse.Namespace, config: Config, comm: MPI.Comm
) -> bool:
    """Whether there is nothing to do, which is said then; on one rank.

    What is wrong is for all ranks to find, together.
    """
    from vinfo_mpi.pipeline import engine

    try:
        run = run_of(stage, options, config, comm)
        if not engine.say_up_to_date(run, _targets(stage, config)):
            return False
    except InputError:
        return False
    if stage is None:
        _end_of_log(run, whole=True, in_job=False)
    return True


def _network(run: Run) -> str:
    """Return what there is to show of the run's network."""
    from vinfo_mpi.cli.show_network import shown

    network = run.subject.network()
    blank = next(network.parameters()).new_zeros(1, *run.subject.preprocessing.shape)
    return f"input: {run.subject.preprocessing}\n\n{shown(network, run.config.extract, blank)}"


def _targets(stage: str | None, config: Config) -> list[str]:
    """Return the stages that a command brings up to date."""
    if stage is None:
        return config.stages
    if stage == "analyses":
        return [name for name in config.stages if name in registry.ANALYSES]
    return [stage]


def _print_stages(config: Config, options: argparse.Namespace) -> None:
    """Print name and stages of the whole pipeline, the analyses as one; on one rank.

    A network of a single checkpoint has no dynamics.
    """
    from vinfo_mpi.networks import checkpoints

    folder = Path(options.run_dir or ".")
    several = len(checkpoints.expected(folder, config.network, config.train)) > 1
    stages = [stage for stage in config.stages if several or stage != "dynamics"]
    commands = ["analyses" if stage in registry.ANALYSES else stage for stage in stages]
    if launcher.rank() == 0:
        for command in dict.fromkeys(commands):
            print(config.name, command)


def _end_of_log(run: Run, whole: bool, in_job: bool) -> None:
    from vinfo_mpi.cli.summary import summary, tail

    if whole:
        print(summary(run.folder))
    if in_job:
        print(tail(run))


class _Parser(argparse.ArgumentParser):
    """Turns mistakes into `InputError`; under mpirun only rank 0 prints help and version."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if launcher.rank() == 0:
            super()._print_message(message, file)


def _end(error: InputError) -> NoReturn:
    """End all ranks for a mistake in options or configuration, with one message."""
    if launcher.size() > 1:
        from vinfo_mpi.parallel.guard import guard

        with guard():
            raise error
    print(f"vinfo_mpi: {error}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code)
