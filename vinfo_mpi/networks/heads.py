"""From the last tap to the logits: the part of the network that the decision rests on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from vinfo_mpi.errors import InputError

AGREEMENT = 1e-3  # largest difference of logits, relative to their spread, for a head to count as linear


def linear(network: nn.Module, vectors: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return weight (C, d) and bias (C) where the logits are W·mean(last tap) + b, None where they are not.

    Parameters
    ----------
    network : nn.Module
    vectors : (N, d) tensor
        The last tap, averaged over positions.
    outputs : (N, C) tensor
        The logits of the same images: the claim is tested, not assumed.
    """
    shape = (outputs.shape[1], vectors.shape[1])
    for layer in reversed([one for one in network.modules() if isinstance(one, nn.Linear)]):
        if (layer.out_features, layer.in_features) == shape:
            bias = layer.bias if layer.bias is not None else torch.zeros(shape[0], device=vectors.device)
            difference = vectors @ layer.weight.T + bias - outputs
            if difference.abs().max() <= AGREEMENT * outputs.std().clamp(min=1e-6):
                return layer.weight.detach(), bias.detach()
    return None


def learned(network: nn.Module, parameters: Literal["all", "head"]) -> list[nn.Parameter]:
    """Return the parameters that learn: all of them, or those of the last linear layer alone, the others being frozen.

    Raises
    ------
    InputError
        If there is no linear layer.
    """
    if parameters == "head":
        layers = [one for one in network.modules() if isinstance(one, nn.Linear)]
        if not layers:
            raise InputError("train.parameters: head needs a linear layer, and this network has none; use all")
        network.requires_grad_(False)
        layers[-1].requires_grad_(True)
    return [one for one in network.parameters() if one.requires_grad]


def replaced(network: nn.Module, tap: str, size: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the head as a function of (N, d) vectors: the logits if the tap had this vector at every position.

    The rest of the network runs on blank images whose values at the tap are replaced, so that any network has a head.
    """

    def head(vectors: torch.Tensor) -> torch.Tensor:
        def hook(module: nn.Module, inputs: object, output: torch.Tensor) -> torch.Tensor:
            spread = vectors.to(output.dtype)
            spread = {4: spread[:, :, None, None], 3: spread[:, None], 2: spread}[output.ndim] if output.ndim > 1 else spread
            return spread.expand_as(output).clone()

        handle = network.get_submodule(tap).register_forward_hook(hook)
        try:
            parameter = next(network.parameters())
            blank = parameter.new_zeros(len(vectors), 3, size, size)
            return network(blank)
        finally:
            handle.remove()

    return head


def after_relu(network: nn.Module) -> str:
    """Return the names of the last modules that give non-negative activations, for a message."""
    names = [name for name, module in network.named_modules() if isinstance(module, (nn.ReLU, nn.ReLU6))]
    return ", ".join(names[-3:]) if names else "this network has none"
