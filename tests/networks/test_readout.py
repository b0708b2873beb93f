"""What networks return, brought to logits; and whether a network is fit to be looked at."""

import json
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from vinfo_mpi.config.load import check_config
from vinfo_mpi.config.schema import Network
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import condition, footprint, heads, readout

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LOGITS = torch.rand(2, 5)
MAP = torch.rand(2, 7, 3, 3)
CLASSES = ["cat", "dog", "eel", "fox", "gnu"]


class Gives(nn.Module):
    """A network that returns what it is told."""

    def __init__(self, output):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.output = output

    def forward(self, images):
        return self.output


def read(output, classes=CLASSES, **options):
    network = Gives(output)
    readout.attach(network, Network(target="a:b", **options), classes)
    return network(IMAGES)


# --- outputs ---


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"logits": LOGITS, "features": MAP},
        OrderedDict(loss=torch.ones(()), logits=LOGITS),
        SimpleNamespace(logits=LOGITS, hidden_states=None),
        namedtuple("GoogLeNetOutputs", "logits aux_logits2 aux_logits1")(LOGITS, None, None),
        (LOGITS, MAP),
        [MAP, LOGITS],
        {"out": LOGITS},
    ],
    ids=lambda output: type(output).__name__,
)
def test_logits_wherever_they_are(output):
    assert torch.equal(read(output), LOGITS)


@pytest.mark.parametrize("output", [{"last_hidden_state": MAP}, (MAP,), None, {"a": 1}])
def test_no_logits_is_said(output):
    with pytest.raises(InputError, match=r"which has no known logits.*network\.outputs: none"):
        read(output)


def test_networks_without_classifier_give_features():
    expected = MAP.mean((2, 3))
    for output in ({"last_hidden_state": MAP}, (MAP,), MAP, {"feature_maps": (MAP[:, :2], MAP)}):
        torch.testing.assert_close(read(output, outputs="none"), expected)
    pooled = {"last_hidden_state": MAP, "pooler_output": LOGITS}
    assert torch.equal(read(pooled, outputs="none"), LOGITS)
    none = Network(target="a:b", outputs="none")
    assert readout.predictions(LOGITS, none).tolist() == [-1, -1]


# --- which output a class is ---


def test_outputs_come_in_the_order_of_the_classes(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("Gnu\ncat\nsea_cow\nfox\ndog\n")
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"0": ["n01", "gnu"], "3": ["n02", "fox"], "1": ["n03", "cat"]}))
    expected = LOGITS[:, [3, 0]]
    for outputs in ([3, 0], {"fox": 3, "gnu": 0}, str(names), str(index)):
        assert torch.equal(read(LOGITS, ["fox", "gnu"], outputs=outputs), expected)
    assert torch.equal(read(LOGITS, ["sea cow"], outputs=str(names)), LOGITS[:, [2]])


@pytest.mark.parametrize(
    "outputs, sentence",
    [
        ([3, 3], "expected 2 different outputs"),
        ([1], "expected 2 different outputs"),
        ([1, 9], "there is no output 9; the network has 5"),
        ({"fox": 1}, "names no output for the class 'gnu'"),
        ("nowhere.txt", r"cannot read nowhere\.txt"),
    ],
)
def test_outputs_that_cannot_be(outputs, sentence):
    with pytest.raises(InputError, match=rf"network\.outputs.*{sentence}|{sentence}"):
        read(LOGITS, ["fox", "gnu"], outputs=outputs)


def test_more_outputs_than_classes_are_never_taken_as_they_come():
    plain = Network(target="a:b")
    with pytest.raises(InputError, match=r"5 outputs, the data 2 classes .*by network\.outputs"):
        readout.check(LOGITS, plain, ["a", "b"], 1)
    readout.check(LOGITS[:, :2], Network(target="a:b", outputs=[3, 0]), ["a", "b"], 1)
    readout.check(LOGITS, Network(target="a:b", outputs="none"), ["a", "b"], 1)
    with pytest.raises(InputError, match="labels go up to 7"):
        readout.check(LOGITS, plain, CLASSES, 7)
    with pytest.raises(InputError, match=r"returns shape \(2, 7, 3, 3\)"):
        readout.check(MAP, plain, CLASSES, 4)


def test_the_head_of_chosen_outputs_is_linear_too():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                            nn.Linear(6, 9))  # fmt: skip
    readout.attach(network, Network(target="a:b", outputs=[7, 2]), ["a", "b"])
    with torch.no_grad():
        vectors = network[:3](IMAGES)
        weight, bias = heads.linear(network, vectors, network(IMAGES))
    assert torch.equal(weight, network[3].weight[[7, 2]])
    assert torch.equal(bias, network[3].bias[[7, 2]])


def test_a_head_that_is_dropped_has_to_be_trained():
    network = {"name": "resnet18", "head": "drop"}
    with pytest.raises(InputError, match=r"network\.head: drop may leave the head untrained"):
        check_config({"network": network})
    check_config({"network": network, "train": {"epochs": 1}})
    check_config({"network": network | {"outputs": "none"}})


# --- fit to be looked at ---


def test_half_precision_is_computed_in_float32():
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        network = condition.in_float32(nn.Linear(3, 2).to(dtype))
        assert network.weight.dtype == torch.float32


def test_what_cannot_be_looked_into_is_refused():
    with pytest.warns(FutureWarning):
        script = torch.jit.script(nn.Linear(3, 2))
    with pytest.raises(InputError, match="TorchScript"):
        condition.in_float32(script)
    quantised = torch.ao.nn.quantized.dynamic.Linear(3, 2)
    with pytest.raises(InputError, match=r"quantised.*in float32"):
        condition.in_float32(nn.Sequential(quantised))
    with pytest.raises(InputError, match=r"lazy: '0\.weight' has no shape before a first image"):
        condition.in_float32(nn.Sequential(nn.LazyLinear(2)))


def test_the_wrong_size_and_channels_are_said():
    vit = torchvision.models.VisionTransformer(32, 16, 1, 1, 4, 4)
    with pytest.raises(InputError, match=r"3 channels and 8 × 8 pixels.*set data\.image_size"):
        condition.run_blank(vit, (3, 8, 8))
    grey = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(InputError, match="first convolution, '0', takes 1 channels"):
        condition.run_blank(grey, (3, 8, 8))
    condition.run_blank(grey, (1, 8, 8))


class AlwaysDropout(nn.Module):
    def forward(self, values):
        return functional.dropout(values, 0.5)


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm2d(4, track_running_stats=False), AlwaysDropout()],
    ids=["statistics", "dropout"],
)  # fmt: skip
def test_what_depends_on_other_images_or_chance_is_refused_by_name(layer):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), layer, nn.Flatten()).eval()
    with pytest.raises(InputError, match=rf"'2' \({type(layer).__name__}\) .*another batch"):
        condition.check_images_alone(network, IMAGES)
    with pytest.raises(InputError, match="'2'"):
        condition.check_images_alone(network, IMAGES[:1])
    network[2] = nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.Dropout(0.5)).eval()
    condition.check_images_alone(network, IMAGES)


def test_values_far_from_zero_are_rounded_and_not_random():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    nn.init.constant_(network[0].bias, -1e4)
    condition.check_images_alone(network, IMAGES)


def test_networks_that_are_not_trained_need_not_be_trainable():
    googlenet = torchvision.models.googlenet(num_classes=5, init_weights=False).eval()
    readout.attach(googlenet, Network(name="googlenet"), CLASSES)
    assert footprint.to_the_pixels(googlenet, (3, 32, 32), 2) > 0
    frozen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).requires_grad_(False)
    assert footprint.to_the_pixels(frozen, (3, 8, 8), 2) > 0

    class Still(nn.Module):
        @torch.no_grad()
        def forward(self, images):
            return images.mean((2, 3)) * 2

    assert footprint.to_the_pixels(Still(), (3, 8, 8), 2) > 0
