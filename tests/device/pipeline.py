"""python -m vinfo_mpi on the pretended device: `python pipeline.py COUNTS OPTIONS...`.

What each stage has asked of the device goes to COUNTS, a JSON file for every rank. The process
group of training is pretended as well: training is on one rank.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pretended
import torch
import torch.distributed
import torch.nn.parallel
import torchvision  # noqa: F401  while it is imported it must see no pretended device


def without_inference(mode: bool = True) -> Any:
    """Take the place of torch.inference_mode: tensors that hold others cannot be of that kind."""
    return torch.no_grad() if mode else torch.enable_grad()


torch.inference_mode = without_inference  # before vinfo_mpi uses it


def alone(
    network: torch.nn.Module, device_ids: list[torch.device] | None = None
) -> torch.nn.Module:
    """Take the place of DistributedDataParallel, on one rank."""
    assert device_ids == [pretended.CUDA]
    return network


def nothing(*_: Any, **__: Any) -> None:
    """Take the place of a function of torch.distributed, on one rank."""


torch.nn.parallel.DistributedDataParallel = alone
torch.distributed.init_process_group = nothing
torch.distributed.broadcast = nothing
torch.distributed.destroy_process_group = nothing

import undrawn  # noqa: F401

from vinfo_mpi.cli import command
from vinfo_mpi.parallel import launcher
from vinfo_mpi.run.run import Run


def main(path: str, options: list[str]) -> None:
    """Run the pipeline with these options."""
    counts: dict[str, Any] = {}
    save_timings = Run.save_timings

    def save_counts(run: Run, stage: str) -> None:
        counts[stage] = pretended.COUNTS.summary()
        pretended.COUNTS.clear()
        save_timings(run, stage)

    Run.save_timings = save_counts
    sys.argv = ["vinfo_mpi", *options]
    try:
        with pretended.device():
            command.main(None, None)
    finally:
        Path(f"{path}.{launcher.rank()}").write_text(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
