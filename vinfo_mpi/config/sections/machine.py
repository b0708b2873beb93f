"""The section machine: how the work is done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vinfo_mpi.config.sections.section import Count, Positive, Section


class Machine(Section):
    """Devices, memory, storage, and how work is divided.

    Nothing here changes what is computed (but workers draw other random augmentations).
    """

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="cuda: a GPU or nothing; auto: the CPU where no rank sees a GPU"
    )
    batch: Count = Field(128, description="images per forward pass of a rank")
    checkpoints: Count | None = Field(
        None,
        description="that are extracted together, each image being read once for them; default: "
        "as many as fit into half of the memory that is left",
    )
    rows: Count = Field(1024, description="rows per block of linear algebra")
    workers: Annotated[int, Field(ge=0)] = Field(
        0, description="processes per rank that read images"
    )
    storage: Literal["auto", "parallel", "virtual"] = Field(
        "auto", description="one shared file, or one per rank joined"
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
        10.0, description="between savings of an unfinished epoch or fit"
    )
    memory_limit: Positive | None = Field(
        None, description="GiB per rank; default: what the node has free"
    )
    disk_limit: Positive | None = Field(
        None, description="GiB; default: what the file system has free"
    )
