"""From the last tap to the logits: the part of the network that the decision rests on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import torch
from torch import nn

from vinfo_mpi.errors import InputError
from vinfo_mpi.networks import hooks
from vinfo_mpi.networks.layouts import USUAL_AXES, Tap, in_usual_order
from vinfo_mpi.networks.readout import columns_in

# Largest difference of logits, relative to their spread, for a head to count as linear.
AGREEMENT = 1e-3


def linear(
    network: nn.Module, vectors: torch.Tensor, outputs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return weight (C, d) and bias (C) of a linear head, None where the head is not linear.

    It is linear where the logits are W·mean(last tap) + b.

    Parameters
    ----------
    network : nn.Module
    vectors : (N, d) tensor
        The last tap, averaged over positions.
    outputs : (N, C) tensor
        The logits of the same images: the claim is tested, not assumed.
    """
    classes = outputs.shape[1]
    chosen = columns_in(network)
    for layer in reversed(list(network.modules())):
        # A convolution of 1x1 before the pooling is as linear.
        if not isinstance(layer, (nn.Linear, nn.Conv2d)):
            continue
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            continue
        weight: torch.Tensor = layer.weight.flatten(1)
        enough = len(weight) == classes if chosen is None else len(weight) > classes
        if not enough or weight.shape[1] != vectors.shape[1]:
            continue
        bias: torch.Tensor | None = layer.bias
        if bias is None:
            bias = torch.zeros(len(weight), device=vectors.device)
        if chosen is not None:
            weight = weight[chosen]
            bias = bias[chosen]
        difference = vectors @ weight.T + bias - outputs
        if difference.abs().max() <= AGREEMENT * outputs.std().clamp(min=1e-6):
            return weight.detach(), bias.detach()
    return None


def learned(network: nn.Module, parameters: Literal["all", "head"]) -> list[nn.Parameter]:
    """Return the parameters that learn.

    All of them, or those of the last linear layer alone, the others being frozen.

    Raises
    ------
    InputError
        If there is no linear layer.
    """
    if parameters == "head":
        layers = _linear_layers(network)
        if not layers:
            raise InputError(
                "train.parameters: head needs a linear layer, and this network has none; use all"
            )
        network.requires_grad_(False)
        layers[-1].requires_grad_(True)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def replaced(
    network: nn.Module, tap: Tap, blank: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the head as a function of (N, d) vectors.

    It gives the logits if the tap had this vector at every position: the network runs on blank
    images (of this shape) whose values at the tap are replaced, so that any network has a head.
    Where the rest of the network goes on with any number of vectors from a single image, which is
    tried, what leads to the tap runs once and not for every vector.
    """

    def logits_of(vectors: torch.Tensor, images: int) -> torch.Tensor:
        def replace(module: str, call: int, output: Any) -> Any:
            if call != tap.call:
                return None
            values = hooks.first_tensor(output)
            assert values is not None
            lengths = dict(zip("NC", vectors.shape, strict=True))
            spread = vectors.to(values.dtype).reshape([lengths.get(axis, 1) for axis in tap.axes])
            sizes = dict(zip(tap.axes, values.shape, strict=True)) | lengths
            shape = [sizes[axis] for axis in tap.axes]
            return hooks.with_first_tensor(output, spread.expand(shape).clone())

        with hooks.calls(network, [tap.module], replace):
            return network(blank.expand(images, -1, -1, -1))

    @cache
    @torch.no_grad()
    def one_image_is_enough(channels: int) -> bool:
        two = torch.stack([blank.new_zeros(channels), blank.new_ones(channels)])
        try:
            from_one = logits_of(two, 1)
        except Exception:  # whatever the network raises where two vectors meet one image's
            return False
        from_two = logits_of(two, 2)
        return from_one.shape == from_two.shape and torch.allclose(from_one, from_two)

    def head(vectors: torch.Tensor) -> torch.Tensor:
        images = 1 if one_image_is_enough(vectors.shape[1]) else len(vectors)
        return logits_of(vectors, images)

    return head


def with_map(
    network: nn.Module, tap: Tap, images: torch.Tensor, vectors: torch.Tensor
) -> torch.Tensor:
    """Return the logits of images if the tap had these vectors at its positions.

    Tokens that are no positions, and paths around the tap, stay the images' own.

    Parameters
    ----------
    network : nn.Module
    tap : Tap
    images : (N, channels, H, W) tensor
    vectors : (N, P, d) tensor
        As `taps.positions` gives them.
    """

    def replace(module: str, call: int, output: Any) -> Any:
        if call != tap.call:
            return None
        values = hooks.first_tensor(output)
        assert values is not None
        usual = USUAL_AXES[len(tap.axes)]
        ordered = in_usual_order(values, tap.axes)
        own = vectors.to(values.dtype)
        if usual == "NCHW":
            ordered = own.transpose(1, 2).reshape(ordered.shape)
        elif usual == "NC":
            ordered = own[:, 0]
        elif tap.tokens == "class":
            ordered = torch.cat([own, ordered[:, 1:]], dim=1)
        else:
            ordered = torch.cat([ordered[:, : tap.prefix], own], dim=1)
        restored = ordered.permute([usual.index(axis) for axis in tap.axes])
        return hooks.with_first_tensor(output, restored.contiguous())

    with hooks.calls(network, [tap.module], replace):
        return network(images)


def after_relu(network: nn.Module) -> str:
    """Return the names of the last modules that give non-negative activations, for a message."""
    names = [
        name for name, module in network.named_modules() if isinstance(module, (nn.ReLU, nn.ReLU6))
    ]
    return ", ".join(names[-3:]) if names else "this network has none"


def _linear_layers(network: nn.Module) -> list[nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Linear)]
