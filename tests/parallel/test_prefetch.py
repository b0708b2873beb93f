import threading
import time

import pytest

from vinfo_mpi.errors import InputError
from vinfo_mpi.parallel.prefetch import ahead


def test_ahead_yields_everything_in_order():
    assert list(ahead(range(100))) == list(range(100))


def test_ahead_reads_no_further_than_its_depth():
    taken = []
    items = ahead((taken.append(number) or number for number in range(100)), depth=2)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(taken) == 4  # one given out, two waiting, one in hand
    items.close()


def test_ahead_raises_the_error_of_its_source():
    def broken():
        yield 1
        raise InputError("nothing more")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(InputError, match="nothing more"):
        next(items)


def test_ahead_ends_its_thread_when_the_consumer_leaves():
    before = set(threading.enumerate())
    items = ahead(range(10**9))
    next(items)
    [thread] = set(threading.enumerate()) - before
    items.close()
    thread.join(timeout=5)
    assert not thread.is_alive()
