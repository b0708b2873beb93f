"""What operations of torch.fx do to channels: keep each by itself, concatenate them, pool, flatten.

Whatever is not listed here is unknown, and channels that meet it are not merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from vinfo_mpi.networks.folded import CONVOLUTIONS

ELEMENTWISE_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Identity,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
)  # fmt: skip
POOLING_MODULES = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
ELEMENTWISE = {
    "relu", "relu_", "relu6", "leaky_relu", "elu", "gelu", "silu", "mish", "sigmoid", "tanh",
    "hardswish", "hardsigmoid", "hardtanh", "softplus", "clamp", "dropout", "dropout2d",
    "stochastic_depth", "contiguous", "clone", "add", "add_", "iadd", "sub", "sub_", "mul", "mul_",
    "imul", "neg",
}  # fmt: skip
POOLING = {
    "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "max_pool1d",
    "avg_pool1d", "adaptive_avg_pool1d", "mean",
}  # fmt: skip
FLATTENING = {"flatten", "view", "reshape"}
CONCATENATION = {"cat", "concat", "concatenate"}
SHAPES = {"size", "dim", "getattr", "_assert"}  # these read shapes, not values


def shape(node: fx.Node) -> Any:
    """Return the shape of the tensor that a node gives, None where it gives something else."""
    return getattr(node.meta.get("tensor_meta"), "shape", None)


def is_layer(module: nn.Module) -> bool:
    """Whether a module has plain weights with channels along two axes of its own."""
    if type(module) not in (*CONVOLUTIONS, nn.Linear):
        return False
    return "weight" in module._parameters and not module._forward_pre_hooks


def name_of(node: fx.Node) -> str:
    """Return what a function or method is called."""
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def kind_of(node: fx.Node, folded: fx.GraphModule) -> str:
    """Return what a node does to channels, empty where that is not known."""
    if node.op == "call_module":
        module = folded.get_submodule(str(node.target))
        if type(module) in ELEMENTWISE_MODULES:
            return "elementwise"
        if type(module) in POOLING_MODULES:
            return "pooling" if not getattr(module, "return_indices", False) else ""
        return "flattening" if type(module) is nn.Flatten else ""
    if node.op not in ("call_function", "call_method"):
        return ""
    name = name_of(node)
    kinds = {
        "elementwise": ELEMENTWISE,
        "pooling": POOLING,
        "flattening": FLATTENING,
        "concatenation": CONCATENATION,
        "shape": SHAPES if shape(node) is None else (),
    }
    return next((kind for kind, names in kinds.items() if name in names), "")


def argument(node: fx.Node, place: int, name: str, default: Any = None) -> Any:
    """Return an argument by its place or its name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def pools_beside(node: fx.Node, axis: int) -> bool:
    """Whether a pooling goes over other axes than that of the channels."""
    if axis != 1 or node.op == "call_module" or name_of(node) != "mean":
        return axis == 1
    [taken] = [each for each in node.all_input_nodes if shape(each) is not None]
    axes = argument(node, 1, "dim")
    listed = axes if isinstance(axes, (tuple, list)) else [axes]
    return all(isinstance(each, int) and each % len(shape(taken)) > 1 for each in listed)


def flattens(node: fx.Node, taken: fx.Node) -> bool:
    """Whether a node gives (N, channels · positions), whatever the number of channels."""
    before = shape(taken)
    if len(shape(node)) != 2 or int(shape(node)[0]) != before[0]:
        return False
    if node.op == "call_module" or name_of(node) == "flatten":
        return True
    sizes = node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:]
    return len(sizes) == 2 and isinstance(sizes[1], int) and sizes[1] == -1


def concatenation(node: fx.Node) -> tuple[Sequence[fx.Node], int | None]:
    """Return what is concatenated and the axis, None where that is not known."""
    tensors = argument(node, 0, "tensors")
    axis = argument(node, 1, "dim", 0)
    inputs = [each for each in node.all_input_nodes if shape(each) is not None]
    listed = isinstance(tensors, (tuple, list)) and set(tensors) == set(inputs)
    if not listed or not isinstance(axis, int):
        return inputs, None
    return list(tensors), axis % len(shape(inputs[0]))
