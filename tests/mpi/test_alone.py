"""What one rank does for all of them."""

import os

import pytest

from vinfo_mpi.parallel import alone


@pytest.mark.parametrize("answer", [True, False])
def test_what_the_root_says_all_hear(ranks, answer):
    asked = []

    def say(comm):
        asked.append(comm.Get_size())
        return answer

    assert alone.on_root(say) is answer
    assert asked == [1] * ranks.is_root


def test_ranks_that_share_cores(ranks, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7})
    assert alone.crowded() is (ranks.size > 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 10 + ranks.rank})
    assert not alone.crowded()
