"""The GPUs that a rank sees, and why it sees none."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from vinfo_mpi.errors import InputError

# Compute capabilities of GPUs that do 1/32 or 1/64 of their arithmetic in float64: P40, T4, A40 and
# A10, L40S and L4, B300, those for workstations and games.
SLOW_IN_FLOAT64 = {(6, 1), (7, 5), (8, 6), (8, 7), (8, 9), (10, 3), (12, 0), (12, 1)}
SLOW = (
    "this GPU does 1/32 or 1/64 of its arithmetic in float64: directions find codes in float32 "
    "(encode.precision), score.products: float32 does the same for the score"
)


@dataclass(frozen=True)
class Gpu:
    """A GPU, or an instance of one (MIG).

    Attributes
    ----------
    uuid : str
        Unique id of the GPU, or of the instance.
    name : str
    card : str
        Its place on the bus, which all instances of a GPU have in common.
    """

    uuid: str
    name: str
    card: str


def slow_in_float64(device: torch.device) -> bool:
    """Whether a device is a GPU that has been made for float32 alone."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) in SLOW_IN_FLOAT64


def seen(setting: str, environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """Return the GPUs that this rank sees, in CUDA's order; none with the setting ``cpu``.

    Raises
    ------
    InputError
        For GPUs that torch cannot use; where there are none, if the setting is ``cuda`` or Slurm
        has given this node some.
    """
    if setting == "cpu":
        return []
    count, problem = _count()
    gpus = []
    if problem is None:
        try:
            gpus = [_gpu(torch.cuda.get_device_properties(index)) for index in range(count)]
        except (RuntimeError, AssertionError) as error:
            problem = str(error)
    host = os.uname().nodename
    if problem is not None:
        raise InputError(f"{host}: torch cannot use the GPUs: {_explained(problem)}")
    promised = environment.get("SLURM_GPUS_ON_NODE", "0")
    if not gpus and (setting == "cuda" or promised != "0"):
        why = "machine.device: cuda" if setting == "cuda" else f"SLURM_GPUS_ON_NODE is {promised}"
        raise InputError(
            f"{host}: {why}, but a rank sees no GPU: {_why_none(environment)}; give every rank "
            "one (docs/cluster.md), or set machine.device: cpu"
        )
    return gpus


def _count() -> tuple[int, str | None]:
    """Return how many GPUs there are, and what CUDA complained of while it counted them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count()
    complaints = [str(warning.message) for warning in caught if "CUDA" in str(warning.message)]
    return count, complaints[0] if complaints and not count else None


def _gpu(properties: Any) -> Gpu:
    """Return what matters here of what torch says of a device."""
    place = (properties.pci_domain_id, properties.pci_bus_id, properties.pci_device_id)
    return Gpu(str(properties.uuid), properties.name, ":".join(f"{part:x}" for part in place))


def _explained(problem: str) -> str:
    """Return in a sentence what CUDA complains of, and what to do."""
    version = re.search(r"driver.*too old.*found version (\d+)", problem, re.DOTALL)
    other = "or set machine.device: cpu"
    if version is None:
        return f"{problem.splitlines()[0]} (nvidia-smi may tell more); fix that, {other}"
    major, minor = divmod(int(version[1]) // 10, 100)
    return (
        f"their driver is for CUDA {major}.{minor} and before, torch {torch.__version__} is built "
        f"for CUDA {torch.version.cuda}; install a torch for CUDA {major} (hpc/setup.sh --torch="
        f"cu{major}N, docs/cluster.md) or a newer driver, {other}"
    )


def _why_none(environment: Mapping[str, str]) -> str:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built for CPUs"
    if "CUDA_VISIBLE_DEVICES" in environment:
        return f"CUDA_VISIBLE_DEVICES is '{environment['CUDA_VISIBLE_DEVICES']}'"
    return "no driver, or no GPU of NVIDIA's, is there"
