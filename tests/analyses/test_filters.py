"""Filters of the small run, from the weights in its checkpoints alone."""

import numpy as np
import pytest
import torch
from drawings import numbers
from small_run import on, run_stage
from torch import nn

from vinfo_mpi import Results
from vinfo_mpi.errors import NotApplicable
from vinfo_mpi.figures.catalogue import FIGURES


def test_every_convolution_by_plain_numpy(run, results):
    layers = [name.decode() for name in results["filters/layers"]]
    assert layers[0] == "conv1" and "layer2.0.conv1" in layers
    assert not any("downsample" in name for name in layers), "1 × 1"
    for row, checkpoint in enumerate(on(run[0]).checkpoints):
        state = on(run[0]).subject.network(checkpoint).state_dict()
        for column, layer in enumerate(layers):
            weight = state[f"{layer}.weight"].double().numpy()
            kernels = weight.reshape(-1, 9)
            idle = np.abs(kernels).max(1) < 0.01 * np.abs(kernels).max()
            assert results["filters/sparsity"][row, column] == idle.mean()
            assert results["filters/kernels"][column] == len(kernels)
            units = nn.functional.normalize(torch.from_numpy(weight).flatten(1))
            cosines = (units @ units.T).abs().fill_diagonal_(0).sum() / (
                len(units) * (len(units) - 1)
            )
            assert results["filters/orthogonality"][row, column] == pytest.approx(
                1 - cosines.item()
            )
    assert (results["filters/entropy"] > 0).all()
    untrained = results["filters/entropy"][0]
    assert np.median(untrained) == pytest.approx(1, abs=0.03), "random weights"


def test_the_figure_names_the_degenerate(run):
    results = Results(run[0])
    said = FIGURES["filters"].sentence(results)
    bad = results.read("filters/degenerate")[-1] == 1
    named = [
        layer for layer, is_bad in zip(results.names("filters/layers"), bad, strict=True) if is_bad
    ]
    assert f"Of the convolutions {len(named)} are degenerate" in said
    assert all(layer in said for layer in named)
    assert numbers(said)[0] == pytest.approx(results.read("filters/entropy")[0].mean(), abs=0.00501)


def test_a_network_without_convolutions_is_refused(run, monkeypatch):
    dense = nn.Sequential(nn.Flatten(), nn.Linear(4, 10))
    monkeypatch.setattr("vinfo_mpi.run.subject.Subject.network", lambda self, checkpoint: dense)
    with pytest.raises(NotApplicable, match="the network has none beyond 1 × 1"):
        run_stage(on(run[0]), "filters")
