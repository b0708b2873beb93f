"""Checkpoints that are extracted together: the files of each alone, and each image opened once."""

import shutil
from collections import Counter
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from contents import datasets
from small_run import on, run_stage

from vinfo_mpi.data import loading
from vinfo_mpi.errors import InputError, Stopped
from vinfo_mpi.networks import checkpoints
from vinfo_mpi.networks.positions import PILOT
from vinfo_mpi.parallel import signals

SETTINGS = ("data.per_class=8", "extract.maps=final", "machine.batch=16")
IMAGE = 3 * 16 * 16  # bytes


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with three checkpoints, of networks that are not trained."""
    folder = tmp_path_factory.mktemp("weights")
    run = on(folder, *SETTINGS)
    for checkpoint in run.checkpoints:
        network = run.subject.network()
        torch.manual_seed(checkpoint.epoch)
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(0.01 * torch.rand_like(value))
        checkpoints.save(checkpoint, network, torch.optim.SGD(network.parameters()))
    return folder


@pytest.fixture
def extract(weights, tmp_path):
    """Return a function that extracts so many checkpoints together, and counts opened images."""

    def make(together, at_image=lambda count: None):
        if not (tmp_path / "checkpoints").exists():
            (tmp_path / "checkpoints").symlink_to(weights / "checkpoints")
        run = on(tmp_path, *SETTINGS, f"machine.checkpoints={together}")
        opened = Counter()
        read = run.subject.images.read

        def counted(index):
            opened[index] += 1
            at_image(opened.total())
            return read(index)

        run.subject.images = replace(run.subject.images, read=counted)
        run.subject.skipped = frozenset()
        run_stage(run, "extract")
        return run, opened

    return make


@pytest.fixture(scope="module")
def alone(weights):
    """Everything in the files of the three checkpoints, each extracted alone."""
    run = on(weights, *SETTINGS, "machine.checkpoints=1")
    run_stage(run, "extract")
    return [datasets(run.activations(checkpoint)) for checkpoint in run.checkpoints]


def assert_same(run, alone):
    for checkpoint, expected in zip(run.checkpoints, alone, strict=True):
        path = run.activations(checkpoint)
        stored = datasets(path)
        assert stored.keys() == expected.keys()
        for name, values in expected.items():
            assert stored[name].tobytes() == values.tobytes(), name
        with h5py.File(path) as file:
            assert file.attrs["complete"] == 1
            assert file.attrs["epoch"] == checkpoint.epoch


@pytest.mark.parametrize(("together", "groups"), [(1, 3), (2, 2), (3, 1)])
def test_files_are_those_of_each_alone_and_images_are_opened_once_per_group(
    extract, alone, monkeypatch, together, groups
):
    # As many are remembered as are looked at beforehand: the others are not.
    monkeypatch.setattr(loading, "MEMORY", (PILOT - 1) * IMAGE)
    run, opened = extract(together)
    assert_same(run, alone)
    assert sorted(opened.values()) == [1] * PILOT + [groups] * (80 - PILOT)
    differ = {name for name in alone[0] if not np.array_equal(alone[0][name], alone[1].get(name))}
    assert {"outputs", "taps/layer4.1/activations"} <= differ


def test_what_is_left_of_several_files_is_gone_on_with(extract, alone, monkeypatch, caplog):
    monkeypatch.setattr(loading, "MEMORY", 0)
    wishes = []
    monkeypatch.setattr(signals, "_wishes", wishes)
    with pytest.raises(Stopped):
        extract(3, at_image=lambda count: count == PILOT + 41 and wishes.append(count))
    wishes.clear()
    caplog.set_level("INFO", "vinfo_mpi")
    run, opened = extract(3)
    assert "images reused" in caplog.text
    read_again = opened.total() - PILOT
    assert 0 < read_again < 80
    assert_same(run, alone)


def test_a_value_that_is_not_finite_names_its_checkpoint(extract, weights, tmp_path):
    shutil.copytree(weights / "checkpoints", tmp_path / "checkpoints")
    run = on(tmp_path, *SETTINGS)
    network = run.subject.network()
    torch.nn.init.constant_(network.layer3[0].conv1.weight, torch.nan)
    checkpoints.save(run.checkpoints[1], network, torch.optim.SGD(network.parameters()))
    with pytest.raises(
        InputError, match=r"^/taps/layer3\.0/.* hold NaN or infinity at epoch_001; check"
    ):
        extract(3)


def test_weights_that_cannot_be_put_back_are_refused(weights, tmp_path):
    """A network that combines its weights when they are loaded, into no buffer."""
    (tmp_path / "checkpoints").symlink_to(weights / "checkpoints")
    run = on(tmp_path, *SETTINGS, "machine.checkpoints=3")
    build = run.subject.network

    def combined():
        network = build()
        network.scale = 1.0

        def combine(module, keys):
            module.scale = module.fc.weight.mean().item()

        network.register_load_state_dict_post_hook(combine)
        network.fc.register_forward_hook(lambda module, inputs, output: output * network.scale)
        return network

    run.subject.network = combined
    with pytest.raises(InputError, match=r"^epoch_000: .*set machine\.checkpoints: 1$"):
        run_stage(run, "extract")
