"""Arithmetic precision of a network: float32, with fewer digits on a GPU, or float64 to train."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vinfo_mpi.errors import InputError

AMPERE = 8  # first generation of NVIDIA's with TF32 and bfloat16


def check(precision: str, device: torch.device, setting: str) -> None:
    """Raise `InputError` where a device cannot compute as a setting says.

    Parameters
    ----------
    precision : str
        ``float32``, ``float64``, ``tf32`` or ``bfloat16``.
    device : torch.device
    setting : str
        Its name, for the sentence.
    """
    if precision == "tf32" and device.type != "cuda":
        raise InputError(
            f"{setting}: tf32 is arithmetic of GPUs, and this rank computes on the {device.type}; "
            "set float32 or bfloat16"
        )
    if precision in ("float32", "float64") or device.type != "cuda":
        return
    generation, _ = torch.cuda.get_device_capability(device)
    if generation < AMPERE:
        raise InputError(
            f"{setting}: {torch.cuda.get_device_name(device)} ({device}) has no {precision}; "
            "set float32"
        )


def dtype_of(precision: str) -> torch.dtype:
    """Return the type of weights and images that a network computes with in a precision."""
    return torch.float64 if precision == "float64" else torch.float32


@contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Let networks compute in a precision within the block; their weights stay as they are.

    With ``bfloat16`` convolutions and products take and give bfloat16 (torch's autocast); with
    ``tf32`` they round what they take to 10 binary digits; else they compute as `dtype_of` says.
    """
    if precision == "bfloat16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    elif precision == "tf32":
        with _tf32():
            yield
    else:
        yield


@contextmanager
def _tf32() -> Iterator[None]:
    """Allow it, which the program forbids everywhere else."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
