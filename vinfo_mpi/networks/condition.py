"""Whether a network can be analysed: a plain module whose outputs follow from each image alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from vinfo_mpi.errors import InputError, in_one_line
from vinfo_mpi.networks import hooks
from vinfo_mpi.parallel.logs import log

# Largest difference between two passes of the same image, relative to the spread of the values:
# kernels for other batch sizes round otherwise.
AGREEMENT = 1e-3


def in_float32(network: nn.Module) -> nn.Module:
    """Return a network that computes in float32.

    Raises
    ------
    InputError
        For networks whose modules cannot be looked into or change nothing when images change.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise InputError(
            "the network is TorchScript, whose modules cannot be read; let network.target return "
            "the Python class, with network.weights saved from its state_dict()"
        )
    for name, module in network.named_modules():
        if "quantized" in type(module).__module__:
            raise InputError(
                f"the network is quantised ('{name}' is {type(module).__module__}."
                f"{type(module).__name__}); give the one that it was made from, in float32"
            )
    for name, parameter in network.named_parameters():
        if nn.parameter.is_lazy(parameter):
            raise InputError(
                f"the network is lazy: '{name}' has no shape before a first image; pass one "
                "through in network.target, or give network.weights"
            )
    kinds = {value.dtype for value in network.parameters() if value.is_floating_point()}
    if kinds - {torch.float32}:
        names = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        log.info("network: weights in %s are computed with in float32", names)
        return network.float()
    return network


def run_blank(network: Callable[[torch.Tensor], object], shape: Sequence[int]) -> None:
    """Run a network on a blank image once; raise `InputError` where it fails."""
    try:
        with torch.no_grad():
            network(torch.zeros(1, *shape))
    except InputError:
        raise
    except Exception as error:
        channels, height, width = shape
        raise InputError(
            f"the network fails on an image of {channels} channels and {height} × {width} pixels "
            f"({in_one_line(error)}){_first_channels(network, channels)}; set data.image_size "
            "to the size that it was made for, and data.mean and data.std with a value for each of "
            "its channels"
        ) from None


def check_images_alone(
    network: nn.Module, images: torch.Tensor, agreement: float = AGREEMENT
) -> None:
    """Raise `InputError` where what a network makes of an image depends on others, or on chance.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    images : (N, C, H, W) tensor
        The first is looked at alone, and among others.
    """
    first = images[:1]
    alone = _first_of_all(network, first)
    among = _first_of_all(network, torch.cat([first, -first, images[1:2], 0.5 * first]))
    for name, values in alone.items():
        other = among.get(name)
        if other is None or other.shape != values.shape:
            continue
        # Rounding goes with the size of values, not with how much they differ.
        size = values.square().mean().sqrt().clamp(min=1e-6)
        if (values - other).abs().max() > agreement * size:
            module = network.get_submodule(name)
            raise InputError(
                f"'{name}' ({type(module).__name__}) gives the same image other values in another "
                "batch: dropout or batch statistics stay on in evaluation; let network.target "
                "return a network whose eval() turns them off (dropout by nn.Dropout or with "
                "training=self.training, batch normalisation with running statistics)"
            )


@torch.no_grad()
def _first_of_all(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what every module gives for the first of some images, in the order of their ends."""
    values: dict[str, torch.Tensor] = {}

    def keep(name: str, output: object) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim == 0 or name in values:
            return
        if len(output) == len(images):
            values[name] = output[:1].detach().float().clone()

    with hooks.outputs(network, [name for name, _ in network.named_modules()], keep):
        network(images)
    return values


def _first_channels(network: object, channels: int) -> str:
    """Return how many channels the first convolution takes, where it is another number."""
    modules = network.named_modules() if isinstance(network, nn.Module) else []
    for name, module in modules:
        if isinstance(module, nn.Conv2d):
            if module.in_channels == channels:
                return ""
            return f"; its first convolution, '{name}', takes {module.in_channels} channels"
    return ""
