"""Memory that was freed is used again without asking the kernel."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from vinfo_mpi.parallel import allocator

HUGE = Path("/sys/kernel/mm/transparent_hugepage/enabled")
pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's"),
    pytest.mark.skipif(HUGE.exists() and "[always]" in HUGE.read_text(), reason="all pages are huge: there are few faults"),
]
LAYERS = """
import resource
from vinfo_mpi.parallel import allocator
print(allocator.keep_freed())
def layers():  # as of a network: two are alive at a time
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for number in range(8):
        values = bytes([number + 1]) * {size}
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(3):
    faults = layers()
print(faults)
"""


def _run(size: int, **variables: str) -> tuple[bool, float]:
    """Return whether the setting took effect, and the share of 8 layers' pages that had to be asked for again."""
    environment = {name: value for name, value in os.environ.items() if name not in allocator.SETTINGS} | variables
    program = [sys.executable, "-c", LAYERS.format(size=size)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    effective, faults = done.stdout.split()
    return effective == "True", int(faults) * os.sysconf("SC_PAGE_SIZE") / (8 * size)


def test_arrays_below_the_limit_reuse_their_memory() -> None:
    effective, asked_again = _run(allocator.LARGEST_ON_HEAP - 2**20)
    assert effective
    assert asked_again < 0.2


def test_larger_arrays_go_back_at_once() -> None:
    effective, asked_again = _run(allocator.LARGEST_ON_HEAP + 2**20)
    assert effective
    assert asked_again > 0.8


def test_what_the_user_has_set_stays() -> None:
    effective, asked_again = _run(2**22, MALLOC_MMAP_THRESHOLD_=str(2**20))
    assert not effective
    assert asked_again > 0.8
