import numpy as np
import pytest
import torch
from contents import SMALL
from small_run import on

from vinfo_mpi.config.schema import Train
from vinfo_mpi.errors import InputError
from vinfo_mpi.stages import train
from vinfo_mpi.stages.train import optimiser_of, order, rate


def test_cosine_schedule_is_that_of_torch():
    options = Train(epochs=10, rate=0.3, warmup_epochs=0.0)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)
    for epoch in range(10):
        assert rate(options, epoch) == pytest.approx(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()


def test_step_schedule_is_that_of_torch():
    options = Train(epochs=10, rate=0.3, warmup_epochs=0.0, schedule="step", step_epochs=[3, 7])
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 7])
    for epoch in range(10):
        assert rate(options, epoch) == pytest.approx(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()


def test_warm_up_rises_to_the_peak_where_the_schedule_takes_over():
    options = Train(epochs=10, rate=0.3, warmup_epochs=2.0)
    rising = [rate(options, epoch) for epoch in np.linspace(0, 1.999, 20)]
    assert np.diff(rising).min() > 0
    assert 0 < rising[0] < 0.001
    assert rising[-1] == pytest.approx(0.3, rel=1e-2)
    assert rate(options, 2) == pytest.approx(0.3)
    assert rate(options, 10) == pytest.approx(0, abs=1e-12)


def test_every_epoch_shows_every_image_once_in_another_order():
    ids = np.array([3, 5, 8, 13, 21, 34, 55, 89])
    epochs = [order(ids, 0, epoch) for epoch in range(5)]
    assert all(sorted(epoch) == sorted(ids) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5
    assert (order(ids[::-1], 0, 1) == epochs[1]).all()


def test_the_last_layer_alone_learns(python, tmp_path):
    """Neither do other weights change, nor the statistics of the batch normalisation."""
    settings = ("train.parameters=head", "train.epochs=1", "train.batch=400")
    options = [option for setting in settings for option in ("--set", setting)]
    done = python("-m", "vinfo_mpi.train", *SMALL, *options, "--run-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    before = torch.load(tmp_path / "checkpoints/epoch_000.pt")["state"]
    after = torch.load(tmp_path / "checkpoints/epoch_001.pt")["state"]
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["fc.weight", "fc.bias"]


def test_more_ranks_than_images_matter_only_where_a_step_is_made(tmp_path):
    for epochs in (0, 1):
        run = on(tmp_path, f"train.epochs={epochs}", "train.batch=4", "train.warmup_epochs=0")
        run.ranks.size = 6
        if epochs == 0:
            assert train._prepare(run).epoch == 0
            continue
        with pytest.raises(InputError, match="4 images per step, fewer than the 6 ranks"):
            train._prepare(run)


def test_a_frozen_network_is_taken_as_it_is_but_not_trained():
    frozen = torch.nn.Linear(2, 3).requires_grad_(False)
    assert optimiser_of(frozen, Train()).state_dict()["state"] == {}
    with pytest.raises(InputError, match=r"train\.epochs: 2, but all weights .* are frozen"):
        optimiser_of(frozen, Train(epochs=2))
    assert optimiser_of(frozen, Train(epochs=2, parameters="head")).param_groups[0]["params"]
