"""Memory that was freed is used again without asking the kernel."""

import os
import subprocess
import sys

from vinfo_mpi.parallel import malloc

LAYERS = """
import ctypes
import resource
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a huge page would be one fault
from vinfo_mpi.parallel import malloc
print(malloc.keep_freed())
def layers():  # as of a network: two are alive at a time
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for number in range(8):
        values = bytes([number + 1]) * {size}
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(3):
    faults = layers()
print(faults)
"""
FREED = """
import psutil
from vinfo_mpi.parallel import malloc
malloc.keep_freed()
before = malloc.resident()
arrays = [bytes([1]) * 2**24 for _ in range(4)]
del arrays
print(psutil.Process().memory_info().rss - before, malloc.resident() - before)
"""


def _words(program: str, **variables: str) -> list[str]:
    """Return what a program prints in a process whose only settings are these variables."""
    inherited = {name: value for name, value in os.environ.items() if name not in malloc.SETTINGS}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=inherited | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def _layers(size: int, **variables: str) -> tuple[bool, float]:
    """Return whether the setting took effect, and the share of 8 layers' pages asked for again."""
    effective, faults = _words(LAYERS.format(size=size), **variables)
    return effective == "True", int(faults) * os.sysconf("SC_PAGE_SIZE") / (8 * size)


def test_arrays_below_the_limit_reuse_their_memory() -> None:
    effective, asked_again = _layers(malloc.LARGEST_ON_HEAP - 2**20)
    assert effective
    assert asked_again < 0.2


def test_larger_arrays_go_back_at_once() -> None:
    effective, asked_again = _layers(malloc.LARGEST_ON_HEAP + 2**20)
    assert effective
    assert asked_again > 0.8


def test_what_the_user_has_set_stays() -> None:
    effective, asked_again = _layers(2**22, MALLOC_MMAP_THRESHOLD_=str(2**20))
    assert not effective
    assert asked_again > 0.8


def test_what_is_kept_does_not_count_as_held() -> None:
    with_retained, held = map(int, _words(FREED))
    assert with_retained > 0.9 * 4 * 2**24
    assert held < 0.1 * 4 * 2**24
