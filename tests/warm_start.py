"""Commands of vinfo_mpi that begin in tenths of a second: forked where torch is imported already.

`server` holds a process that has imported what takes seconds, and gives the words that take the
place of `python` before `-m MODULE ARGUMENTS...`. They have the server fork, hand over arguments,
environment, folder, cores and streams, pass on signals, and end as the fork ends. All else, MPI
and HDF5 above all, begins anew in each.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import uuid
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

PRELOADED = (
    "torch._dynamo", "torchvision.transforms.v2", "scipy.optimize", "scipy.special", "scipy.stats",
    "scipy.cluster.hierarchy", "pandas", "psutil", "tqdm", "yaml", "sklearn.cluster",
    "sklearn.datasets", "sklearn.manifold", "jinja2", "pydantic.fields", "pydantic.json_schema",
    "pydantic.functional_validators", "pydantic.types",
)  # fmt: skip
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def server(environment):
    """Serve until the block is left; give the words that begin a command.

    `environment` is what libraries see while they are imported.
    """
    name = f"vinfo-{uuid.uuid4()}"
    process = subprocess.Popen(
        [sys.executable, __file__, "serve", name],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout.readline() == b"ready\n"
        # The interpreter alone, without what an environment adds to it.
        yield (sys.executable, "-I", "-S", __file__, name)
    finally:
        process.stdin.close()
        process.wait(60)


def ask(name, arguments):
    """Have a command run, and end as it ends."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(f"\0{name}")
    for number in FORWARDED:
        signal.signal(number, lambda number, _: connection.send(bytes([number])))
    wanted = (arguments, dict(os.environ), str(Path.cwd()), list(os.sched_getaffinity(0)))
    file = os.memfd_create("wanted")
    os.write(file, json.dumps(wanted).encode())
    socket.send_fds(connection, [b"run"], [file, 0, 1, 2, *of_launcher(os.environ)])
    code = os.waitstatus_to_exitcode(int(connection.recv(16)))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def of_launcher(environment):
    """Return the connection to the launcher that a rank is given: MPICH's stands in PMI_FD."""
    return [int(environment["PMI_FD"])] if "PMI_FD" in environment else []


def serve(name):
    """Fork for every command until the parent ends; return, in the forks, what they were sent."""
    for module in PRELOADED:
        import_module(module)
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"\0{name}")
    listening.listen(64)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, reap)
    while listening in select.select([0, listening], [], [])[0]:
        connection, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            return keep(connection)
        connection.close()
    os._exit(0)


def reap(*_):
    """Wait for the forks that have ended, so that their time counts as the server's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(connection):
    """Fork again, and send how that ends; return, in the fork, what it was sent."""
    _, sent, _, _ = socket.recv_fds(connection, 8, 5)
    process = os.fork()
    if process == 0:
        connection.close()
        return sent
    for fd in sent:
        os.close(fd)
    ended = os.pidfd_open(process)
    while ended not in select.select([connection, ended], [], [])[0]:
        number = connection.recv(1)
        # Who has asked may have been killed.
        os.kill(process, number[0] if number else signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.send(str(status).encode())
    os._exit(0)


def run(wanted, *streams):
    """Run a module as `python -m` does, and end the process."""
    with os.fdopen(wanted) as file:
        file.seek(0)
        (_, module, *arguments), environment, folder, cores = json.load(file)
    for number, fd in zip([0, 1, 2, *of_launcher(environment)], streams, strict=True):
        if fd != number:
            os.dup2(fd, number)
            os.close(fd)
    os.environ.clear()
    os.environ.update(environment)
    os.sched_setaffinity(0, cores)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = [module, *arguments]
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException:
        code = 1
        traceback.print_exc()
    # What follows at the end of a process, but that its modules are not taken apart: for those
    # that are imported here this takes seconds.
    threading._shutdown()
    atexit._run_exitfuncs()
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi and mpi.Is_initialized() and not mpi.Is_finalized():
        mpi.Finalize()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if "PMI_FD" in os.environ:
        # By atexit(3) MPICH takes leave of its launcher, which else kills the ranks that end later.
        ctypes.PyDLL(None).exit(code)
    os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        run(*serve(sys.argv[2]))
    else:
        ask(sys.argv[1], sys.argv[2:])
