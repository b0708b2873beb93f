import pytest
import torch
from torch import nn
from torchvision.models import get_model, resnet18

from vinfo_mpi.config.schema import Network
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import architectures, states

SMALL = Network(name="resnet18", small_images=True, width=0.0625)


def small(seed=0, **options):
    torch.manual_seed(seed)
    return architectures.build(SMALL.model_copy(update=options), 5)


def same(left, right):
    left_state = left.state_dict()
    right_state = right.state_dict()
    return left_state.keys() == right_state.keys() and all(
        torch.equal(values, right_state[name]) for name, values in left_state.items()
    )


# --- building ---


def test_torchvision_network_has_an_output_per_class():
    with torch.device("meta"):
        network = architectures.build(Network(name="resnet18"), 7)
    assert network.fc.out_features == 7
    assert not network.training


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg11", "vgg11_bn"])
def test_all_tensors_of_small_networks_are_in_their_state_dicts(name):
    """So that one without any is whole once it has loaded a checkpoint of ours."""
    options = Network(name=name, small_images=True, width=0.0625)
    assert architectures.is_small_variant(options)
    with torch.device("meta"):
        network = architectures.build(options, 5)
    held = {name for name, _ in (*network.named_parameters(), *network.named_buffers())}
    assert held == network.state_dict().keys()
    for module in network.modules():
        assert not any(isinstance(value, torch.Tensor) for value in vars(module).values())


@pytest.mark.parametrize(
    "name, width, channels, last",
    [
        ("resnet18", 0.0625, [4, 8, 16, 32], 32),
        ("resnet34", 0.125, [8, 16, 32, 64], 64),
        ("resnet50", 0.03125, [2, 4, 8, 16], 64),
    ],
)
def test_small_resnets(name, width, channels, last):
    network = architectures.build(Network(name=name, small_images=True, width=width), 5)
    assert network.conv1.kernel_size == (3, 3)
    assert [
        getattr(network, f"layer{stage}")[0].conv1.out_channels for stage in (1, 2, 3, 4)
    ] == channels
    assert network.fc.weight.shape == (5, last)
    shapes = []
    network.layer1.register_forward_hook(
        lambda module, inputs, output: shapes.append(output.shape[2:])
    )
    network.layer4.register_forward_hook(
        lambda module, inputs, output: shapes.append(output.shape[2:])
    )
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 5)
    assert shapes == [(16, 16), (2, 2)]  # no stride and no pooling before the first block


@pytest.mark.parametrize(
    "name, width, channels",
    [
        ("vgg11_bn", 0.125, [8, 16, 32, 32, 64, 64, 64, 64]),
        ("vgg11", 0.0625, [4, 8, 16, 16, 32, 32, 32, 32]),
        ("vgg13_bn", 0.01, [1, 1, 1, 1, 3, 3, 5, 5, 5, 5]),
    ],
)
def test_small_vggs(name, width, channels):
    network = architectures.build(Network(name=name, small_images=True, width=width), 5)
    with torch.device("meta"):
        original = get_model(name).features
    assert [type(layer) for layer in network.features] == [type(layer) for layer in original][:-1]
    convolutions = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == channels
    assert [layer.in_channels for layer in convolutions] == [3, *channels[:-1]]
    assert not any(tensor.is_meta for tensor in [*network.parameters(), *network.buffers()])
    assert all(layer.bias.abs().max() == 0 < layer.weight.std() for layer in convolutions)
    maps = []
    network.features.register_forward_hook(lambda module, inputs, output: maps.append(output))
    outputs = network(torch.randn(2, 3, 32, 32))
    assert maps[0].shape[2:] == (2, 2)  # four poolings of five are left
    torch.testing.assert_close(network.classifier(maps[0].mean((2, 3))), outputs)


def test_small_images_are_for_resnets_and_vggs():
    with pytest.raises(
        InputError, match="small_images applies to ResNets and VGGs, not to DenseNet"
    ):
        architectures.build(Network(name="densenet121", small_images=True), 5)


def test_small_images_do_not_go_with_weights_of_torchvision():
    network = Network(name="resnet18", weights="IMAGENET1K_V1", small_images=True)
    with pytest.raises(InputError, match=r"IMAGENET1K_V1 does not fit network\.small_images"):
        architectures.build(network, 1000)


def test_unknown_network_names_the_nearest():
    with pytest.raises(InputError, match=r"network\.name: .*'resnt18'; did you mean 'resnet18'"):
        architectures.build(Network(name="resnt18"), 5)


def test_unknown_weights_name_the_nearest():
    with pytest.raises(
        InputError,
        match=r"network\.weights: 'IMAGENET1K_V3' .*resnet50; did you mean .*'IMAGENET1K_V2'",
    ):
        architectures.build(Network(name="resnet50", weights="IMAGENET1K_V3"), 5)


# --- the user's own ---


def test_target(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(
        "from torch import nn\ndef make(): return nn.Linear(3, 2)\ndef number(): return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    network = architectures.build(Network(target="own_network:make"), 5)
    assert isinstance(network, nn.Linear)
    assert not network.training
    with pytest.raises(InputError, match=r"own_network:number returned int, not a torch module"):
        architectures.build(Network(target="own_network:number"), 5)
    with pytest.raises(
        InputError, match=r"'own_network' has no function 'mak'; did you mean 'make'"
    ):
        architectures.build(Network(target="own_network:mak"), 5)


# --- weights ---


@pytest.mark.parametrize(
    "nest, prefix",
    [
        (None, ""),
        (None, "module."),
        (None, "_orig_mod."),
        (None, "model."),
        (None, "module._orig_mod."),
        (None, "_orig_mod.module."),
        ("state_dict", "module."),
        ("model_state_dict", "module."),
        ("model", "module."),
        ("net", "module."),
        ("network", "module."),
    ],
)
def test_state_dict_as_training_scripts_leave_it(tmp_path, nest, prefix):
    trained = small(seed=1)
    state = {prefix + name: value for name, value in trained.state_dict().items()}
    torch.save({nest: state, "epoch": 3} if nest else state, tmp_path / "weights.pt")
    assert not same(small(seed=2), trained)
    assert same(small(seed=2, weights=str(tmp_path / "weights.pt")), trained)


def test_names_that_are_the_networks_own_are_no_prefix():
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = small()

    trained = Wrapper()
    loaded = Wrapper()
    nn.init.ones_(trained.model.fc.weight)
    state = {f"module.{name}": value for name, value in trained.state_dict().items()}
    states.load_state(loaded, state, "own")
    assert same(loaded, trained)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (
            lambda state: state.pop("layer1.0.bn1.weight"),
            "1 keys are missing, first 'layer1.0.bn1.weight'",
        ),
        (
            lambda state: state.update(extra=torch.zeros(1), more=torch.zeros(1)),
            "2 are unexpected, first 'extra'",
        ),
        (
            lambda state: state.update({"fc.bias": torch.zeros(9)}),
            r"'fc.bias' is \(9,\) instead of \(5,\)",
        ),
    ],
    ids=["missing", "unexpected", "shape"],
)
def test_state_dict_that_does_not_fit(tmp_path, change, sentence):
    state = small().state_dict()
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=rf"weights\.pt does not fit the network: {sentence}"):
        small(weights=str(tmp_path / "weights.pt"))


def test_state_dict_without_the_versions_that_mnasnet_asks_for():
    network = get_model("mnasnet0_5", num_classes=3)
    trained = {name: value + 1 for name, value in network.state_dict().items()}
    states.load_state(network, trained, "own")
    assert torch.equal(network.classifier[1].bias, trained["classifier.1.bias"])


def test_state_dict_of_another_network(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(
        InputError,
        match=r"keys are missing, first 'conv1\.weight'; 2 are unexpected, first 'weight'",
    ):
        small(weights=str(tmp_path / "weights.pt"))


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "does not exist"),
        (b"no weights", "is not a state dict that torch can load safely"),
        ([1, 2], "holds no state dict"),
        ({"epoch": 3}, "holds no state dict"),
    ],
    ids=["missing", "garbage", "list", "number"],
)
def test_weights_file_without_weights(tmp_path, content, sentence):
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=rf"network\.weights: {path} {sentence}"):
        small(weights=str(path))


def test_pickled_code_is_not_run(tmp_path):
    # A function: loading it would import and trust it.
    torch.save(resnet18, tmp_path / "weights.pt")
    with pytest.raises(InputError, match="torch can load safely"):
        small(weights=str(tmp_path / "weights.pt"))
