"""What the tests of several analyses look at."""

import pytest
from contents import datasets


@pytest.fixture(scope="session")
def results(run):
    """What all analyses have written."""
    return datasets(run[0] / "results.h5")


@pytest.fixture(scope="session")
def stored(run):
    """The activations of every checkpoint."""
    return [datasets(run[0] / f"activations/epoch_{epoch:03d}.h5") for epoch in range(3)]
