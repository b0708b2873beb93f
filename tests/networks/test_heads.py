import pytest
import torch
from torchvision import models

from vinfo_mpi.config.schema import Extract, Network
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import architectures, heads, taps


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return architectures.build(Network(name="resnet18", small_images=True, width=0.0625), 5)


@torch.no_grad()
def read(network, size=16):
    images = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))
    return taps.read(network, taps.find(network, Extract(), images[:1]), images, Extract())


def test_linear_head_of_a_resnet(resnet):
    reading = read(resnet)
    weight, bias = heads.linear(resnet, reading.map.mean(1), reading.outputs)
    assert torch.equal(weight, resnet.fc.weight)
    torch.testing.assert_close(reading.map.mean(1) @ weight.T + bias, reading.outputs)


def test_head_without_bias(resnet):
    network = architectures.build(Network(name="resnet18", small_images=True, width=0.0625), 5)
    network.fc = torch.nn.Linear(32, 5, bias=False)
    reading = read(network)
    weight, bias = heads.linear(network, reading.map.mean(1), reading.outputs)
    assert torch.equal(weight, network.fc.weight)
    assert torch.equal(bias, torch.zeros(5))


def test_pointwise_convolution_before_the_pooling_is_a_linear_head():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(6, 5, 1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        vectors = network[1](network[0](images)).mean((2, 3))
        weight, bias = heads.linear(network, vectors, network(images))
    assert torch.equal(weight, network[2].weight.flatten(1))
    assert torch.equal(bias, network[2].bias)
    network.insert(3, torch.nn.ReLU())  # as in SqueezeNet
    with torch.no_grad():
        assert heads.linear(network, vectors, network(images)) is None


def test_layer_of_the_right_shape_that_does_not_give_the_logits(resnet):
    reading = read(resnet)
    assert heads.linear(resnet, reading.map.mean(1), 2 * reading.outputs) is None


def test_no_linear_head(resnet):
    torch.manual_seed(0)
    with torch.device("meta"):
        network = models.vgg11().eval()
    network.features = models.vgg.make_layers([8, "M", 16, "M"])
    network.classifier = torch.nn.Sequential(
        torch.nn.Linear(16 * 49, 16), torch.nn.ReLU(), torch.nn.Linear(16, 5)
    )
    reading = read(network)
    assert heads.linear(network, reading.map.mean(1), reading.outputs) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_replaced_head_of_a_resnet_is_its_last_layer(resnet, dtype):
    resnet = resnet.to(dtype)
    vectors = torch.rand(6, 32, dtype=dtype, requires_grad=True)
    blank = torch.zeros(1, 3, 16, 16, dtype=dtype)
    tap = taps.named(resnet, "layer4.1", Extract(), blank)
    logits = heads.replaced(resnet, tap, blank)(vectors)
    torch.testing.assert_close(logits, resnet.fc(vectors), rtol=1e-5, atol=1e-5)
    for label in range(5):
        [gradient] = torch.autograd.grad(logits[:, label].sum(), vectors, retain_graph=True)
        torch.testing.assert_close(
            gradient, resnet.fc.weight[label].expand(6, -1), rtol=1e-5, atol=1e-5
        )


def test_replaced_head_of_a_transformer_gives_every_token_the_vector():
    torch.manual_seed(0)
    network = models.VisionTransformer(16, 8, 2, 2, hidden_dim=8, mlp_dim=16, num_classes=5).eval()
    torch.nn.init.normal_(network.heads.head.weight)
    vectors = torch.randn(3, 8)
    blank = torch.zeros(1, 3, 16, 16)
    tap = taps.named(network, "encoder.layers.encoder_layer_1", Extract(), blank)
    logits = heads.replaced(network, tap, blank)(vectors)
    torch.testing.assert_close(logits, network.heads(network.encoder.ln(vectors)))


class AroundTheTap(torch.nn.Module):
    """A network that joins what follows its tap with a path around it, by addition or side by side.

    Along the images, `flattened` keeps the number that came in.
    """

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.before = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.tap = torch.nn.ReLU()
        self.after = torch.nn.Conv2d(8 if way == "joined" else 4, 5, 3)

    def forward(self, images):
        around = self.before(images)
        values = self.tap(around)
        if self.way == "added":
            values = values + around
        if self.way == "joined":
            values = torch.cat([values, around], 1)
        values = self.after(values).relu()
        if self.way == "flattened":
            return values.reshape(len(images), -1, 5).mean(1)
        return values.mean((2, 3))


@pytest.mark.parametrize("way", ["plain", "added", "joined", "flattened"])
def test_what_leads_to_the_tap_runs_once_where_the_rest_allows_it(way):
    torch.manual_seed(0)
    network = AroundTheTap(way).double()
    blank = torch.zeros(1, 3, 8, 8).double()
    tap = taps.named(network, "tap", Extract(), blank)
    vectors = torch.rand(7, 4).double()
    head = heads.replaced(network, tap, blank)
    with torch.no_grad():
        one_by_one = torch.cat([head(vector[None]) for vector in vectors])
        images = []
        network.before.register_forward_hook(lambda module, inputs, output: images.append(output))
        torch.testing.assert_close(head(vectors), one_by_one)
    assert [len(values) for values in images] == [1 if way in ("plain", "added") else 7]


def test_layers_after_a_relu_are_named_for_a_message(resnet):
    assert heads.after_relu(resnet) == "layer3.1.relu, layer4.0.relu, layer4.1.relu"
    assert heads.after_relu(torch.nn.Linear(2, 2)) == "this network has none"


def test_what_learns():
    network = architectures.build(Network(name="resnet18", small_images=True, width=0.0625), 5)
    assert heads.learned(network, "all") == list(network.parameters())
    assert heads.learned(network, "head") == [network.fc.weight, network.fc.bias]
    network(torch.randn(2, 3, 16, 16)).sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad is not None] == [
        "fc.weight",
        "fc.bias",
    ]
    with pytest.raises(InputError, match="needs a linear layer, and this network has none"):
        heads.learned(torch.nn.Conv2d(3, 5, 1), "head")
