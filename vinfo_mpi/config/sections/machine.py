"""The section machine: how the work is done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vinfo_mpi.config.sections.section import Count, Positive, Section


class Machine(Section):
    """Devices, memory, storage, and how work is divided.

    Nothing here changes what is computed.
    """

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="cuda: GPUs only; auto: the CPU where no rank sees a GPU"
    )
    batch: Count | None = Field(
        None,
        description="images per forward pass of a rank; default: 128, or as many as keep the "
        "largest feature map below 32 MiB on a CPU, 512 MiB on a GPU",
    )
    checkpoints: Count | None = Field(
        None,
        description="checkpoints to extract together, reading each image once for all; default: "
        "as many as fit into half of the memory that is left",
    )
    rows: Count = Field(1024, description="rows per block of linear algebra")
    workers: Annotated[int, Field(ge=0)] = Field(
        0, description="processes per rank that read images"
    )
    storage: Literal["auto", "parallel", "virtual"] = Field(
        "auto", description="parallel: one shared file; virtual: a file per rank, joined"
    )
    alignment: Count | None = Field(
        None,
        description="MiB: chunks of parallel files fill and begin at multiples of it: "
        "a file system's stripe",
    )
    hints: dict[str, str] = Field(
        {}, description="MPI-IO hints of parallel files: romio_cb_write, striping_factor, ..."
    )
    save_minutes: Annotated[float, Field(ge=0)] = Field(
        10.0, description="minutes between saves of an unfinished epoch or fit"
    )
    memory_limit: Positive | None = Field(
        None, description="GiB of memory per rank; default: what is free on the node"
    )
    disk_limit: Positive | None = Field(
        None, description="GiB of disk; default: what is free on the file system"
    )
