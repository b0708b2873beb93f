import pytest

from vinfo_mpi import units


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.0 s"), (59.4, "59.4 s"), (187, "3:07 min"), (3600, "1:00:00 h")]
)
def test_durations(seconds, text):
    assert units.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0.0 B"), (1023, "1023.0 B"), (3 * 2**20, "3.0 MiB"), (5 * 2**50, "5120.0 TiB")],
)
def test_sizes(count, text):
    assert units.size(count) == text
