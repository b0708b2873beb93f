"""Merging: the merged networks that a run has kept, loaded again and looked at by plain torch."""

import numpy as np
import pytest
import torch
from contents import datasets
from small_run import on, run_stage
from torch import nn

from vinfo_mpi.analyses.merged_networks import MergedNetworks
from vinfo_mpi.errors import NotApplicable, Stopped
from vinfo_mpi.networks import slimmer
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.parallel import signals


@pytest.fixture(scope="module")
def images(run):
    """The run in this process, and the images that the merged networks have seen."""
    study = on(run[0])
    ids = study.subject.ids[evenly_spaced(len(study.subject.ids), 130)]
    [(images, _, labels)] = study.subject.loader.batches([ids])
    return study, images, labels


def load(study, name):
    state = torch.load(study.folder / f"merging/{name}.pt", weights_only=True)
    return slimmer.load(study.subject.network(study.final).eval(), state)


def test_saved_networks_are_those_that_were_measured(results, images):
    study, pictures, labels = images
    np.testing.assert_array_equal(results["merging/checkpoints"], [0, 1, 2])
    for epoch in range(3):
        for row, threshold in enumerate(("0", "0.5")):
            slim = load(study, f"epoch_{epoch:03d}_{threshold}")
            with torch.no_grad():
                right = (slim(pictures).argmax(1) == labels).double()
            assert results["merging/accuracy"][epoch, row] == pytest.approx(right.mean().item())
            assert results["merging/accuracy_se"][epoch, row] == pytest.approx(
                (right.std() / len(right) ** 0.5).item()
            )
            count = sum(weight.numel() for weight in slim.parameters())
            assert results["merging/parameters"][epoch, row] == count
            for layer, name in enumerate(results["merging/layers"]):
                channels = slim.get_submodule(name.decode()).out_channels
                assert results["merging/channels"][epoch, row, layer] == channels
    assert (results["merging/channels"][:, 0] == results["merging/widths"]).all()
    assert (results["merging/channels"][:, 1] < results["merging/widths"]).any()


def test_without_merges_the_network_is_as_before(results, images):
    study, pictures, _ = images
    network = study.subject.network(study.final).eval()
    with torch.no_grad():
        torch.testing.assert_close(load(study, "epoch_002_0")(pictures), network(pictures),
                                   rtol=1e-4, atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(
        results["merging/accuracy"][:, 0], results["merging/accuracy_before"]
    )
    np.testing.assert_array_equal(
        results["merging/parameters"][:, 0], results["merging/parameters_before"]
    )
    operations = results["merging/operations_before"]
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    sizes = []
    for module in [*convolutions, network.fc]:
        module.register_forward_hook(
            lambda module, _, output: sizes.append(2 * output[0].numel() * module.weight[0].numel())
        )
    with torch.no_grad():
        network(pictures[:1])
    np.testing.assert_array_equal(operations, sum(sizes))
    assert (results["merging/operations"][:, 1] <= operations).all()


def test_what_was_stopped_goes_on(copy, results, monkeypatch):
    """With the labels of channels that were found before; the numbers are as if it had not been."""
    small = on(copy("checkpoints", "activations"), "merging.checkpoints=final")
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(signals, "wished", lambda: True)
        run_stage(small, "merging")
    [piece] = small.folder.glob(".merging.pieces/*")
    assert piece.name == "epoch_002_labels.h5"
    monkeypatch.setattr(MergedNetworks, "labels", None)  # it is not called again
    run_stage(small, "merging")
    assert not piece.parent.exists()
    written = datasets(small.results)
    np.testing.assert_array_equal(written["merging/channels"], results["merging/channels"][-1:])
    np.testing.assert_allclose(written["merging/accuracy"], results["merging/accuracy"][-1:])


def test_what_cannot_be_traced_is_refused_in_a_sentence(run, monkeypatch):
    class Deciding(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.first(x).mean((2, 3)) if x.sum() > 0 else self.first(-x).mean((2, 3))

    study = on(run[0])
    monkeypatch.setattr(study.subject, "network", lambda checkpoint: Deciding())
    with pytest.raises(NotApplicable, match=r"which fails for Deciding"):
        run_stage(study, "merging")
