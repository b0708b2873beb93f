"""What tests look at in files."""

from pathlib import Path

import h5py

ROOT = Path(__file__).parent.parent


def datasets(path):
    """Return every dataset of a file, by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, thing: found.update({name: thing[()]}) if isinstance(thing, h5py.Dataset) else None)
    return found
