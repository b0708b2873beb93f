"""What one rank does for all of them."""

import pytest

from vinfo_mpi.parallel import alone


@pytest.mark.parametrize("answer", [True, False])
def test_what_the_root_says_all_hear(ranks, answer):
    asked = []

    def say(comm):
        asked.append(comm.Get_size())
        return answer

    assert alone.on_root(say) is (answer and ranks.size > 1)
    assert asked == ([1] if ranks.is_root and ranks.size > 1 else [])
