"""Weights as training scripts write them: what is taken, what is said, what is never run."""

import argparse
import collections
import datetime
import json
import logging
import os
import pathlib

import numpy as np
import pytest
import torch
from numpy.testing._private import utils as numpy_utils
from safetensors.torch import save_file
from torch import nn

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import states
from vinfo_mpi.networks.states import Choice


def net(seed=0, classes=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        collections.OrderedDict(
            conv=nn.Conv2d(3, 4, 3), bn=nn.BatchNorm2d(4), head=nn.Linear(4, classes)
        )
    )


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


STATE = net(1).state_dict()
OTHER = {name: value + 1 for name, value in STATE.items()}


@pytest.fixture
def said(caplog, monkeypatch):
    states._say.cache_clear()
    monkeypatch.setattr(logging.getLogger("vinfo_mpi"), "propagate", True)
    caplog.set_level(logging.INFO, "vinfo_mpi")
    return lambda: caplog.text


def loaded(path, network=None, **choice):
    """The state of a network that has been given a file's weights."""
    network = network or net(2)
    options = Choice(**choice)
    states.load_state(network, states.read_state(path, "own", options), str(path), options)
    return network.state_dict()


def same(left, right):
    return all(torch.equal(value, right[name]) for name, value in left.items())


def saved(content, path):
    torch.save(content, path)
    return path


# --- where it lies, under which names ---


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": prefixed(STATE, "net.")},
        {"state_dict": prefixed(STATE, "model.") | {"criterion.weight": torch.ones(3)}},
        {"model": prefixed(STATE, "module.backbone."), "optimizer": {"state": {}}},
        {"student": prefixed(OTHER, "module."), "teacher": prefixed(STATE, "backbone.")},
        {"state": STATE, "optimiser": {"state": {0: torch.ones(2)}}, "fingerprint": "a"},  # ours
        {"model_ema": {"module": STATE}},
        prefixed(STATE, "encoder_q.") | {"queue": torch.ones(3)},
        prefixed(STATE, "_fsdp_wrapped_module."),
        {name.replace("bn.", "bn._orig_mod."): value for name, value in STATE.items()},
        {"n_averaged": torch.tensor(3), **prefixed(STATE, "module.")},
        {name: value for name, value in STATE.items() if "num_batches" not in name},
    ],
    ids=["lightning", "criterion", "backbone", "dino", "ours", "ema", "moco", "fsdp", "compiled",
         "swa", "old"],
)  # fmt: skip
def test_any_place_and_prefix(tmp_path, content):
    result = loaded(saved(content, tmp_path / "x.pth"))
    assert same({name: value for name, value in STATE.items() if "num_batches" not in name}, result)


def test_wrapped_networks_take_plain_weights(tmp_path):
    path = saved(STATE, tmp_path / "x.pth")
    result = loaded(path, nn.DataParallel(net(2)))
    assert same(prefixed(STATE, "module."), result)


def test_which_prefix_and_what_is_left_out_is_said(tmp_path, said):
    content = prefixed(STATE, "model.") | {"criterion.weight": torch.ones(3)}
    loaded(saved(content, tmp_path / "x.pth"))
    assert "names without 'model.'; left out: criterion.weight" in said()


def test_averaged_weights_are_taken_where_asked_for(tmp_path, said):
    path = saved({"state_dict": STATE, "state_dict_ema": OTHER}, tmp_path / "x.pth")
    assert same(STATE, loaded(path))
    assert "'state_dict' is taken; it also holds 'state_dict_ema' (network.ema: true" in said()
    assert same(OTHER, loaded(path, ema=True))
    assert "'state_dict_ema' is taken; it also holds 'state_dict'" in said()
    plain = saved({"state_dict": STATE}, tmp_path / "plain.pth")
    with pytest.raises(InputError, match=r"no state dict as network\.ema: True asks for"):
        loaded(plain, ema=True)


@pytest.mark.parametrize("averaged", ["ema_model.", "model_ema.", "net.teacher.", "ema."])
def test_averaged_weights_among_the_names(tmp_path, averaged):
    content = prefixed(STATE, "model.") | prefixed(OTHER, averaged)
    path = saved({"state_dict": content}, tmp_path / "x.pth")
    assert same(STATE, loaded(path))
    assert same(STATE, loaded(path, ema=False))
    assert same(OTHER, loaded(path, ema=True))
    beside = saved(STATE | prefixed(OTHER, averaged), tmp_path / "beside.pth")
    assert same(OTHER, loaded(beside, ema=True))
    assert same(STATE, loaded(beside, ema=False))


@pytest.mark.parametrize("prefix", ["schema.", "hematology.", "emanet.backbone."])
def test_a_name_with_the_letters_of_ema_is_of_no_average(tmp_path, prefix):
    path = saved(prefixed(STATE, prefix), tmp_path / "x.pth")
    assert same(STATE, loaded(path, ema=False))
    with pytest.raises(InputError, match=r"no state dict as network\.ema: True asks for"):
        loaded(path, ema=True)
    both = saved(prefixed(STATE, prefix) | prefixed(OTHER, "ema."), tmp_path / "both.pth")
    assert same(STATE, loaded(both))


def test_the_average_of_something_else_is_not_the_networks(tmp_path):
    content = prefixed(STATE, "model.") | {"teacher_loss.center": torch.ones(3)}
    with pytest.raises(InputError, match="does not fit the network"):
        loaded(saved(content, tmp_path / "x.pth"), ema=True)


def test_a_network_that_is_there_several_times_is_asked_for(tmp_path):
    path = saved(prefixed(STATE, "left.") | prefixed(OTHER, "right."), tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"several times, as left\., right\."):
        loaded(path)


# --- heads of another size ---


def test_a_head_of_another_size_is_left_out_where_asked_for(tmp_path, said):
    path = saved(net(1, classes=7).state_dict(), tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"'head.weight' is \(7, 4\).*network\.head: drop"):
        loaded(path)
    fresh = net(2).state_dict()
    result = loaded(path, net(2), drop_head=True)
    assert torch.equal(result["conv.weight"], STATE["conv.weight"])
    assert torch.equal(result["head.weight"], fresh["head.weight"])
    assert "head.weight, head.bias stay as initialised (network.head: drop)" in said()
    body = {name: value for name, value in STATE.items() if not name.startswith("conv")}
    with pytest.raises(InputError, match=r"2 keys are missing, first 'conv\.weight'"):
        loaded(saved(body, tmp_path / "body.pth"), drop_head=True)


# --- files and folders ---


def test_safetensors_also_in_shards(tmp_path):
    names = list(STATE)
    save_file({name: STATE[name] for name in names[:3]}, tmp_path / "a.safetensors")
    save_file({name: STATE[name] for name in names[3:]}, tmp_path / "b.safetensors")
    files = ["a.safetensors"] * 3 + ["b.safetensors"] * (len(names) - 3)
    index = {"weight_map": dict(zip(names, files, strict=True))}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert same(STATE, loaded(tmp_path / "model.safetensors.index.json"))
    assert same(STATE, loaded(tmp_path))
    save_file(STATE, tmp_path / "whole.safetensors")
    assert same(STATE, loaded(tmp_path / "whole.safetensors"))


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n", "is a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"", "is empty"),
        (b"PK\x03\x04 cut off", "is not a state dict that torch can load safely"),
        (b"some text", "is not a state dict that torch can load safely"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, sentence):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        states.read_state(path, "own")
    assert not any(word in str(caught.value) for word in ("\x1b", "options", "weights_only=False"))


def test_what_has_to_be_converted_is_told_how(tmp_path):
    (tmp_path / ".metadata").touch()
    with pytest.raises(InputError, match="format_utils dcp_to_torch"):
        states.read_state(tmp_path, "own")
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(InputError, match=r"TorchScript archive.*torch\.jit\.load\(path\)"):
        states.read_state(tmp_path / "script.pt", "own")
    path = saved(net(), tmp_path / "whole.pt")
    with pytest.raises(InputError, match=r"holds torch\.nn\.modules.*\.state_dict\(\)"):
        states.read_state(path, "own")


# --- nothing runs ---


class Code:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
def test_harmless_classes_are_passed_over(tmp_path, zipped):
    beside = {
        "args": argparse.Namespace(lr=0.1, path=pathlib.Path("a")),
        "best": np.float64(0.5),
        "array": np.arange(3),
        "when": datetime.datetime(2024, 5, 1),
        "losses": collections.deque([1.0], maxlen=3),
        "counts": collections.defaultdict(list, {"a": [1]}),
        "classes": {1, 2},
    }
    path = tmp_path / "x.pth"
    torch.save({"model": STATE, **beside}, path, _use_new_zipfile_serialization=zipped)
    assert same(STATE, loaded(path))


def test_nothing_that_a_file_asks_for_is_run(tmp_path):
    trace = tmp_path / "trace"
    text = f"open({str(trace)!r}, 'w')"
    path = saved({"model": STATE, "x": Code(os.system, f"touch {trace}")}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"holds (posix|nt)\.system"):
        states.read_state(path, "own")
    path = saved({"model": STATE, "x": Code(eval, text)}, tmp_path / "b.pth")
    with pytest.raises(InputError, match=r"holds builtins\.eval"):
        states.read_state(path, "own")
    # Under a name that counts as harmless: passed over, not called.
    run = Code(numpy_utils.runstring, text, {})
    assert same(STATE, loaded(saved({"model": STATE, "x": run}, tmp_path / "c.pth")))
    assert not trace.exists()
