"""A command that may write no large files: `python -m limited BYTES MODULE ARGUMENTS...`.

The limit holds from when MPI has begun: the memory that ranks share is a file as well, and without
it Open MPI goes on in ways of its own, of which one is to wait for ever.
"""

import resource
import runpy
import sys

import vinfo_mpi.parallel.ranks  # noqa: F401  begins MPI

if __name__ == "__main__":
    size, module = sys.argv[1:3]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    del sys.argv[:2]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
