"""The log: rank 0 talks, the others only warn; each line says which rank speaks."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tqdm import tqdm

log = logging.getLogger("vinfo_mpi")


class _Terminal(logging.Handler):
    """Write whole lines above the progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        # In one piece: other ranks write there too.
        tqdm.write(self.format(record) + "\n", file=sys.stderr, end="")


def start(rank: int, verbose: bool = False) -> None:
    """Set up the log of this process."""
    if verbose:
        log.setLevel(logging.DEBUG)
    else:
        log.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    log.propagate = False
    terminal = _Terminal()
    terminal.setFormatter(logging.Formatter(f"[rank {rank}] %(message)s"))
    log.handlers = [terminal]
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").handlers = [terminal]


def to_file(path: Path, rank: int) -> None:
    """Write the log to this file as well, instead of to the one before."""
    for handler in list(log.handlers):
        if isinstance(handler, logging.FileHandler):
            log.removeHandler(handler)
            handler.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(path)
    file.setFormatter(logging.Formatter(f"%(asctime)s [rank {rank}] %(levelname)s %(message)s"))
    log.addHandler(file)


def last_words(text: str) -> None:
    """Write how the program ends to the log's file, which the terminal has been told already."""
    record = log.makeRecord(log.name, logging.ERROR, "", 0, text, (), None)
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(record)
            handler.flush()
