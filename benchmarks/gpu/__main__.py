"""A first hour on a GPU, in some minutes: is everything right, and how fast is it?

First the checks: numerics as on the processor, the small pipeline on the device as on the
processor, on one rank and on two that share it, what is said when its memory is full. Then times,
each beside the ceilings of the same call. gpu.json is written after each section; a section that
needs more time than is left is left out.

    python -m benchmarks.gpu [--only numerics,codes] [--seconds 450]
    python -m benchmarks.gpu --device cpu --tiny      # tries it without a GPU
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.gpu import algebra, ceilings, network, numerics, runs, sizes, solvers, study
from benchmarks.gpu.runs import Runs
from benchmarks.gpu.session import Session


@dataclass(frozen=True)
class Section:
    """One thing to look at.

    Attributes
    ----------
    look : function of the session and its runs
    seconds : float
        What it may take: with less left, it is left out.
    needs : tuple of str
        Sections without which it cannot be.
    """

    look: Callable[[Session, Runs], None]
    seconds: float
    needs: tuple[str, ...] = ()


def _alone(look: Callable[[Session], None]) -> Callable[[Session, Runs], None]:
    return lambda session, _: look(session)


CEILINGS = ("ceilings",)
SECTIONS = {
    "facts": Section(_alone(numerics.facts), 5),
    "reference": Section(runs.reference, 1),
    "numerics": Section(_alone(numerics.numerics), 40),
    "pipeline": Section(runs.pipeline, 150, ("reference",)),
    "out_of_memory": Section(runs.out_of_memory, 20, ("reference", "pipeline")),
    "ceilings": Section(_alone(ceilings.ceilings), 20),
    "decompositions": Section(_alone(ceilings.decompositions), 60, CEILINGS),
    "codes": Section(_alone(algebra.codes), 60, CEILINGS),
    "solvers": Section(_alone(solvers.solvers), 40, CEILINGS),
    "dictionary": Section(_alone(algebra.dictionary), 45, CEILINGS),
    "score": Section(_alone(algebra.score), 45, CEILINGS),
    "network": Section(_alone(network.network), 60, CEILINGS),
    "study": Section(study.study, 90),
    "reading": Section(_alone(network.reading), 5),
    "sums": Section(_alone(ceilings.sums), 25),
    "sizes": Section(_alone(sizes.sizes), 60, CEILINGS),
}


def main() -> int:
    """Look at all sections, or those that are asked for; return 1 if a check has gone wrong."""
    options = parse()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = (
        False  # as our commands do
    )
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-") as work:
        session = Session(
            torch.device(options.device), options.tiny, options.seconds, options.out, Path(work)
        )
        running = Runs(session)
        try:
            for name in chosen(options.only):
                look_at(name, session, running)
        finally:
            running.end()
            session.save()
    right = sum(outcome["right"] is True for outcome in session.checks.values())
    print(f"{right} right, {len(session.failed)} wrong: {session.failed}; {options.out}/gpu.json")
    return int(bool(session.failed))


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="sizes that a processor can try")
    parser.add_argument("--seconds", type=float, default=450, help="for all of it")
    parser.add_argument(
        "--only", default="", metavar="A,B", help=f"sections, of {', '.join(SECTIONS)}"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("OUT", "runs/gpu")),
        help="folder of gpu.json",
    )
    options = parser.parse_args()
    unknown = set(filter(None, options.only.split(","))) - set(SECTIONS)
    if unknown:
        parser.error(
            f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}"
        )
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --device cpu --tiny tries it without one")
    return options


def chosen(only: str) -> list[str]:
    """Return the sections that are looked at, with those that they need, in order."""
    named = [name for name in only.split(",") if name]
    if not named:
        return list(SECTIONS)
    names = {"facts", *named, *(need for name in named for need in SECTIONS[name].needs)}
    return [name for name in SECTIONS if name in names]


def look_at(name: str, session: Session, running: Runs) -> None:
    """Look at a section, if there is time; whatever goes wrong in it is a check that has failed."""
    section = SECTIONS[name]
    if session.left < section.seconds:
        session.leave_out(name, f"{session.left:.0f} s are left, it may take {section.seconds:.0f}")
        return
    print(f"--- {name}, {session.left:.0f} s left", flush=True)
    start = time.monotonic()
    try:
        section.look(session, running)
    except Exception:
        session.check(f"section {name}", False, text=traceback.format_exc())
    session.forget_peak()
    session.facts.setdefault("seconds of sections", {})[name] = round(time.monotonic() - start, 1)
    session.save()


if __name__ == "__main__":
    sys.exit(main())
