"""The small run with other concepts."""

from types import SimpleNamespace

import numpy as np
import pytest
from small_run import on, run_stage

FROM_ACTIVATIONS = ("dictionary", "encode", "score", "importance", "dynamics")


@pytest.fixture
def with_source(run, factors, tmp_path):
    """Return a function of a source and settings: the small run with these concepts.

    After some `stages`, by default all of them.
    """

    def make(source, *settings, stages=FROM_ACTIVATIONS):
        view = on(run[0], f"dictionary.source={source}", *settings)
        view.outputs = tmp_path / f"outputs{len(list(tmp_path.iterdir()))}"
        view.outputs.mkdir()
        (view.outputs / "activations").symlink_to(run[0] / "activations")
        images = SimpleNamespace(factors=factors, classes=[str(digit) for digit in range(10)])
        view.subject = SimpleNamespace(images=images, ids=np.arange(1797))
        for stage in stages:
            view.begin()
            run_stage(view, stage)
        return view

    return make


@pytest.fixture(scope="session")
def factors():
    """Return factors of the digits, by id.

    One that the pooled tap may know, one that it cannot, one that is constant.
    """
    ids = np.arange(1797)
    return {
        "even": (ids % 2).astype(float),
        "noise": np.random.default_rng(0).normal(size=1797),
        "none": np.ones(1797),
    }
