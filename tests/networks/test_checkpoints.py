import os

import pytest
import torch
from torch import nn

from vinfo_mpi.config.schema import Network, Train
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import checkpoints

RESNET = Network(name="resnet18")


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def save(checkpoint, net, **further):
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    checkpoints.save(checkpoint, net, optimiser, **further)


def epochs(folder, **train):
    expected = checkpoints.expected(folder, RESNET, Train(**train))
    return [checkpoint.epoch for checkpoint in expected]


# --- on disk ---


def test_round_trip(tmp_path):
    saved = network(0)
    loaded = network(1)
    checkpoint = checkpoints.at(tmp_path / "checkpoints", 7)
    save(checkpoint, saved, accuracy=0.5)
    assert checkpoint.path == tmp_path / "checkpoints" / "epoch_007.pt"
    assert checkpoint.content()["epoch"] == 7
    assert checkpoint.content()["accuracy"] == 0.5
    assert checkpoint.record() == {
        name: value
        for name, value in checkpoint.content().items()
        if name not in ("state", "optimiser")
    }
    checkpoint.load_into(loaded)
    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in saved.state_dict().items())


def test_fingerprint_is_that_of_the_weights(tmp_path):
    first = checkpoints.at(tmp_path, 1)
    second = checkpoints.at(tmp_path, 2)
    third = checkpoints.at(tmp_path, 3)
    save(first, network(0), accuracy=0.5)
    save(second, network(0))
    changed = network(0)
    changed[1].running_mean[2] += 1e-6
    save(third, changed)
    assert first.fingerprint() == second.fingerprint() != third.fingerprint()
    assert checkpoints.at(tmp_path, 4).fingerprint() is None
    save(first, changed)
    assert first.fingerprint() == third.fingerprint()  # not what it was when it was last asked for


@pytest.mark.parametrize("what", ["weights", "optimiser state"])
def test_a_changed_bit_is_noticed(tmp_path, what):
    checkpoint = checkpoints.at(tmp_path, 1)
    net = network(0)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.rand(2, 3, 5, 5)).sum().backward()
    optimiser.step()
    checkpoints.save(checkpoint, net, optimiser)
    weight = net[0].weight
    held = weight if what == "weights" else optimiser.state[weight]["momentum_buffer"]
    data = bytearray(checkpoint.path.read_bytes())
    stored = held.detach().numpy().tobytes()
    assert data.count(stored) == 1
    data[data.index(stored) + 17] ^= 4
    checkpoint.path.write_bytes(data)
    with pytest.raises(
        InputError,
        match=rf"epoch_001.pt: its {what} are not what was saved .*; delete it and train again",
    ):
        checkpoint.load_into(net, optimiser)


def test_fingerprint_of_the_users_own_changes_with_the_file(tmp_path):
    checkpoint = checkpoints.Checkpoint(1, tmp_path / "own.pt", ours=False)
    torch.save(network(0).state_dict(), checkpoint.path)
    before = checkpoint.fingerprint()
    assert checkpoint.fingerprint() == before
    torch.save(network(1).state_dict(), checkpoint.path)
    assert checkpoint.fingerprint() != before


def test_users_own_is_loaded_without_its_prefix(tmp_path):
    saved = network(0)
    loaded = network(1)
    state = {f"module.{name}": value for name, value in saved.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "own.pt")
    checkpoints.Checkpoint(1, tmp_path / "own.pt", ours=False).load_into(loaded)
    assert torch.equal(loaded[0].weight, saved[0].weight)


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_damaged_file(tmp_path, damage):
    checkpoint = checkpoints.at(tmp_path, 1)
    path = checkpoint.path
    save(checkpoint, network(0))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    else:
        torch.save(network(0).state_dict(), path)
    with pytest.raises(
        InputError, match=rf"{path} cannot be read .*delete it and run vinfo_mpi\.train again"
    ):
        checkpoint.load_into(network(1))
    with pytest.raises(InputError, match=rf"{path} cannot be read"):
        checkpoint.record()


def test_the_record_runs_nothing_that_a_file_names(tmp_path):
    class Command:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    checkpoint = checkpoints.at(tmp_path, 1)
    torch.save({"state": Command(), "fingerprint": "f", "made_with": "m"}, checkpoint.path)
    assert checkpoint.record() == {"fingerprint": "f", "made_with": "m"}
    assert not (tmp_path / "made").exists()


# --- which are expected ---


def test_epochs_that_are_kept(tmp_path):
    assert epochs(tmp_path, epochs=3) == [0, 1, 2, 3]
    assert epochs(tmp_path, epochs=0) == [0]
    assert epochs(tmp_path, epochs=9, save=[4, 2]) == [0, 2, 4, 9]
    assert epochs(tmp_path, epochs=9, save=[]) == [0, 9]


@pytest.mark.parametrize("epoch", [4, -1])
def test_epoch_outside_the_training(tmp_path, epoch):
    with pytest.raises(InputError, match=rf"train\.save: epoch {epoch} is outside 0\.\.3"):
        epochs(tmp_path, epochs=3, save=[2, epoch])


def test_users_own_are_sorted_by_number(tmp_path):
    for name in ("step_10.pt", "step_2.pt", "step_100.pt", "last.pt"):
        (tmp_path / name).touch()
    patterns = [f"{tmp_path}/step_*.pt", f"{tmp_path}/last.pt"]
    options = Network(name="resnet18", checkpoints=patterns)
    expected = checkpoints.expected(tmp_path, options, Train())
    names = [checkpoint.path.name for checkpoint in expected]
    assert names == ["step_2.pt", "step_10.pt", "step_100.pt", "last.pt"]
    assert [checkpoint.epoch for checkpoint in expected] == [1, 2, 3, 4]
    assert not any(checkpoint.ours for checkpoint in expected)


def test_users_own_that_are_not_there(tmp_path):
    options = Network(name="resnet18", checkpoints=[f"{tmp_path}/step_*.pt"])
    with pytest.raises(InputError, match=r"network\.checkpoints: nothing matches '.*/step_\*\.pt'"):
        checkpoints.expected(tmp_path, options, Train())


def test_a_path_that_exists_is_taken_as_it_is(tmp_path):
    path = tmp_path / "losses=[temporal]" / "epoch_1.pth"
    path.parent.mkdir()
    path.touch()
    options = Network(name="resnet18", checkpoints=[str(path)], ema=True)
    [checkpoint] = checkpoints.expected(tmp_path, options, Train())
    assert checkpoint.path == path
    assert checkpoint.choice.ema
