"""Hoyer's sparseness, from the stored atoms, entry by entry."""

import math

import pytest
from contents import datasets


def test_every_atom(run):
    atoms = datasets(run[0] / "dictionary.h5")["atoms"]
    found = datasets(run[0] / "results.h5")["concepts/hoyer"]
    assert len(found) == len(atoms) == 40
    for atom, value in zip(atoms, found, strict=True):
        one, two = sum(abs(v) for v in atom), math.sqrt(sum(v * v for v in atom))
        expected = (math.sqrt(len(atom)) - one / two) / (math.sqrt(len(atom)) - 1) if two else math.nan
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)
