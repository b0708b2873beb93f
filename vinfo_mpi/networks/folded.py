"""A network as a graph of torch.fx, with its batch norms folded into the layers before them."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils import fusion

from vinfo_mpi.errors import NotApplicable, in_one_line

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold(network: nn.Module) -> fx.GraphModule:
    """Return a copy of a network in float64 that computes the same without batch norms.

    Those that follow another operation than a layer become convolutions of every channel by itself.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.

    Raises
    ------
    NotApplicable
        If torch.fx cannot follow it: it decides by values, or reads shapes as numbers.
    """
    copied = copy.deepcopy(network).cpu().double().eval().requires_grad_(False)
    tracer = _Tracer()
    try:
        graph = tracer.trace(copied)
    except Exception as error:  # whatever the network's own code raises when it is given a proxy
        at = f", in {tracer.path}" if tracer.path else ""
        raise NotApplicable(
            f"merging needs torch.fx to trace the network, which fails for {type(network).__name__}"
            f"{at}: {in_one_line(error)}"
        ) from None
    folded = fx.GraphModule(copied, graph)
    for hook in network._forward_hooks.values():  # what picks the logits out of the output
        folded.register_forward_hook(hook)
    calls = calls_of(folded)
    for node in [node for node in graph.nodes if node.op == "call_module"]:
        norm = folded.get_submodule(node.target)
        if type(norm) in NORMS and norm.running_var is not None and calls[node.target] == 1:
            _fold_norm(folded, node, norm, calls)
    graph.lint()
    folded.recompile()
    folded.delete_all_unused_submodules()
    return folded


def calls_of(folded: fx.GraphModule) -> Counter[str]:
    """Return how often every module is called."""
    return Counter(node.target for node in folded.graph.nodes if node.op == "call_module")


class _Tracer(fx.Tracer):
    """Remembers the module that it is in."""

    path = ""

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """See `fx.Tracer`."""
        self.path = self.path_of_module(m)
        return super().call_module(m, forward, args, kwargs)


def _fold_norm(folded: fx.GraphModule, node: fx.Node, norm: Any, calls: Counter[str]) -> None:
    before = node.args[0]
    if isinstance(before, fx.Node) and before.op == "call_module":
        layer: Any = folded.get_submodule(str(before.target))
        fused = None
        if len(before.users) == 1 and calls[str(before.target)] == 1:
            if type(layer) in CONVOLUTIONS:
                fused = fusion.fuse_conv_bn_eval(layer, norm)
            elif type(layer) is nn.Linear and type(norm) is nn.BatchNorm1d:
                fused = fusion.fuse_linear_bn_eval(layer, norm)
        if fused is not None:
            folded.add_submodule(str(before.target), fused)
            node.replace_all_uses_with(before)
            folded.graph.erase_node(node)
            return
    if type(norm) is nn.BatchNorm2d:
        folded.add_submodule(str(node.target), _as_convolution(norm))


def _as_convolution(norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return the convolution of every channel by itself that a batch norm is."""
    d = norm.num_features
    layer = nn.Conv2d(d, d, 1, groups=d, bias=False, dtype=torch.float64)
    layer.eval().requires_grad_(False)
    nn.init.ones_(layer.weight)
    return fusion.fuse_conv_bn_eval(layer, norm)
