"""Common part of all commands: options, configuration, the guard over all ranks, exit codes.

Options and configuration are read before torch and MPI are imported, so that --help and mistakes
answer at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vinfo_mpi import registry
from vinfo_mpi.cli.options import SAMPLE, parse, write_template
from vinfo_mpi.config.load import load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel import launcher, malloc, signals

if TYPE_CHECKING:
    from mpi4py import MPI

    from vinfo_mpi.run.run import Run


def main(stage: str | None, description: str | None) -> NoReturn:
    """Run a stage from the command line; "analyses": those chosen; None: all. Never returns."""
    signals.listen()
    try:
        options = parse(stage, description)
        if options.new is not None:
            write_template(options.new, options.set or [])
            sys.exit(0)
        config = load_config(Path(options.config), options.set)
        if options.stages:
            _print_stages(config, options)
            sys.exit(0)
    except InputError as error:
        _end(error)
    if options.is_sample and launcher.rank() == 0:
        print(SAMPLE.format(folder=_folder(options, config).absolute()), file=sys.stderr)
    if launcher.size() == 1 and _shows(options):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as other programs end when head has enough
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
            print(f"continue with: python -m vinfo_mpi --config {path} --run-dir {folder}")

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


def _folder(options: argparse.Namespace, config: Config) -> Path:
    """Return where everything is written."""
    return Path(options.run_dir or Path(os.environ.get("VINFO_RUNS", "runs")) / config.name)


def _shows(options: argparse.Namespace) -> bool:
    """Whether nothing is to be run."""
    return options.info or options.show_network or options.dry_run


def _start(stage: str | None, options: argparse.Namespace, config: Config) -> None:
    """Do what the options say, all ranks together."""
    from vinfo_mpi.parallel import alone

    in_job = "SLURM_JOB_ID" in os.environ or options.verbose
    # Where ranks share cores each waits for torch of all: not where there is nothing to do.
    look_first = not (in_job or _shows(options) or options.force) and alone.crowded()
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
    typed = shlex.join(["python", "-m", registry.command(stage), *sys.argv[1:]])
    return Run(config, _folder(options, config), ranks, device, bindings, typed)


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


def _end(error: InputError) -> NoReturn:
    """End all ranks for a mistake in options or configuration, with one message."""
    if launcher.size() > 1:
        from vinfo_mpi.parallel.guard import guard

        with guard():
            raise error
    print(f"vinfo_mpi: {error}", file=sys.stderr, flush=True)
    sys.exit(error.exit_code)
