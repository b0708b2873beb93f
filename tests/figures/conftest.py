"""The small run's results, what its file holds by h5py alone, and axes to draw on."""

import matplotlib.figure
import pytest
from contents import datasets

from vinfo_mpi import Results


@pytest.fixture(scope="session")
def results(run):
    return Results(run[0])


@pytest.fixture(scope="session")
def stored(run):
    return datasets(run[0] / "results.h5")


@pytest.fixture(scope="session")
def living(stored):
    return stored["concepts/alive"] == 1


@pytest.fixture
def ax():
    return matplotlib.figure.Figure().subplots()
