"""Hoyer's sparseness, from the stored atoms, entry by entry."""

import math

import pytest
from contents import datasets


def test_every_atom(run):
    atoms = datasets(run[0] / "dictionary.h5")["atoms"]
    measured = datasets(run[0] / "results.h5")["concepts/hoyer"]
    assert len(measured) == len(atoms) == 40
    for atom, value in zip(atoms, measured, strict=True):
        root = math.sqrt(len(atom))
        l1 = sum(abs(v) for v in atom)
        l2 = math.sqrt(sum(v * v for v in atom))
        expected = (root - l1 / l2) / (root - 1) if l2 else math.nan
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)
