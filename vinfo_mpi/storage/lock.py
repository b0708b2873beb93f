"""One job at a time in a run's folder."""

from __future__ import annotations

import errno
import fcntl
import time
from pathlib import Path
from typing import TextIO

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.storage.atomic import writing

PATIENCE = 5.0  # seconds: the processes of a job that was killed may need a moment to be gone
HELD = (errno.EAGAIN, errno.EACCES)


def hold(folder: Path, holder: str) -> TextIO:
    """Keep other jobs out of a folder for as long as the returned file is open.

    At most until this process ends: the operating system holds the lock, also over NFS and Lustre
    (mounted with flock), and takes it back from a process that dies; the text in the file only says
    who it is.

    Raises
    ------
    InputError
        If another job holds the folder, with what it says of itself.
    """
    path = folder / ".lock"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in HELD:
                log.warning(
                    "%s cannot be locked (%s): make sure that no other job uses this run directory",
                    path,
                    error.strerror,
                )
                break
        if time.monotonic() > limit:
            file.seek(0)
            raise InputError(
                f"{folder} is in use by {file.read().strip() or 'another job'}; "
                "wait until it ends, stop it, or name another folder with --run-dir"
            )
        time.sleep(0.1)
    with writing(path):
        file.truncate(0)
        file.write(holder + "\n")
        file.flush()
    return file
