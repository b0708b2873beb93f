"""The examples in docstrings are true."""

import doctest
import importlib

import pytest
from contents import ROOT

PACKAGE = ROOT / "vinfo_mpi"


# Only the modules that have examples are imported.
PATHS = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>>" in path.read_text()]
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PATHS]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
