"""The command line of every stage: what may be typed, and what it means."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from vinfo_mpi import __version__, registry
from vinfo_mpi.errors import InputError, choices
from vinfo_mpi.parallel import launcher

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

DEFAULT_CONFIG = Path(__file__).parents[1] / "config" / "quickstart.yaml"
INIT = "init"  # in place of a configuration: write one to begin with
SAMPLE = (
    "no configuration is named: this is the sample, a small ResNet-18 on scikit-learn's digits, in "
    "{folder}; for an experiment of your own: python -m vinfo_mpi init"
)
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
Settings and their defaults: docs/settings.md; python -m vinfo_mpi init writes them all.
Exit codes, the same on all ranks: 0 done, 1 failure, 2 wrong usage, configuration or input,
75 stopped on request (Ctrl-C, signal USR2) with the work saved: run the same command again."""


def parse(stage: str | None, description: str | None) -> argparse.Namespace:
    """Return the options of a command line; raise `InputError` for mistakes in it."""
    parser = _Parser(
        prog=f"python -m {registry.command(stage)}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="*",
        help="the experiment (default: $VINFO_CONFIG, else the sample); init [NEW.yaml] writes one "
        "with all settings, changed by --set",
    )
    parser.add_argument("--config", metavar="FILE", help="the same")
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
    options = parser.parse_intermixed_args()
    _read_words(options)
    if stage not in registry.STAGES and options.only:
        raise InputError(
            "--only applies to a single stage; for example python -m vinfo_mpi.score --only"
        )
    return options


def _read_words(options: argparse.Namespace) -> None:
    """Set the configuration, and where one is to be written, from what stands without an option."""
    words = options.file
    options.new = None
    if words[:1] == [INIT] and not Path(INIT).exists():
        options.new = Path(words[1] if len(words) > 1 else "experiment.yaml")
        words = words[2:]
    elif words and options.config is None:
        options.config = words[0]
        words = words[1:]
        _check_is_no_stage(options.config)
    if words:
        raise InputError(f"'{words[0]}' is a second configuration; name only one")
    options.is_sample = options.config is None and "VINFO_CONFIG" not in os.environ
    options.config = options.config or os.environ.get("VINFO_CONFIG", str(DEFAULT_CONFIG))


def _check_is_no_stage(word: str) -> None:
    """Raise `InputError` for a stage, or what was to be one, in the place of a configuration."""
    if os.sep in word or Path(word).suffix in (".yaml", ".yml") or Path(word).exists():
        return
    word = word.removeprefix("analyses.")
    if Path(word).suffix:
        return
    if word in registry.STAGES:
        raise InputError(
            f"'{word}' is a stage, not a configuration; run python -m {registry.command(word)}"
        )
    raise InputError(
        f"'{word}' is neither a configuration nor a stage; {choices(word, registry.STAGES, 40)} "
        "(stages are run by python -m vinfo_mpi.<stage>, analyses by .analyses.<stage>)"
    )


def write_template(path: Path, settings: Sequence[str]) -> None:
    """Write a configuration with all settings; raise `InputError` where there is a file.

    ``--set`` changes settings in what is written.
    """
    from vinfo_mpi.config.template import template

    if launcher.rank() > 0:
        return
    if path.exists():
        raise InputError(f"{path} already exists; name another: python -m vinfo_mpi init NEW.yaml")
    try:
        path.write_text(template(path, settings), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path} ({error.strerror}); name another path") from None
    first = "" if settings else "set data and network in it, then: "
    print(f"{path}: {first}python -m vinfo_mpi {path} --dry-run")


class _Parser(argparse.ArgumentParser):
    """Turns mistakes into `InputError`; under mpirun only rank 0 prints help and version."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if launcher.rank() == 0:
            super()._print_message(message, file)
