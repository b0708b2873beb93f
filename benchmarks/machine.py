"""The rates of a machine: published ones from a YAML file, or those of this machine, measured."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from benchmarks import limits
from vinfo_mpi.storage import checksums, hdf5
from vinfo_mpi.storage.hdf5 import Table

PUBLISHED = Path(__file__).with_name("machine.yaml")
# What takes time, as a key of the rates, and how a table names it where it limits a stage.
RESOURCES = {
    "matrix": "matrix products",
    "decomposition": "eigen- and singular vectors",
    "forward": "the network",
    "forward_tf32": "the network",
    "bandwidth": "memory bandwidth",
    "calls": "latency of small operations",
    "transfer": "host to device and back",
    "decode": "reading images",
    "files": "file system",
    "rows": "checksums of rows",
    "network": "network",
    "messages": "latency of messages",
    "opens": "opening small files",
}


@dataclass(frozen=True)
class Rate:
    """How much of something a second is enough for.

    Attributes
    ----------
    peak, share : float
        Published or measured, and the share of it that is expected.
    of, unit, source : str
        Of what (a rank, a node, all nodes), in what, and where the number is from.
    """

    peak: float
    share: float
    of: str
    unit: str
    source: str

    @property
    def reached(self) -> float:
        """What is expected."""
        return self.peak * self.share


@dataclass(frozen=True)
class Machine:
    """A cluster.

    Attributes
    ----------
    name : str
    ranks_per_node : int
    memory : float
        Bytes that a rank may hold.
    device : str
        ``cpu`` or ``cuda``: which block sizes the stages work with.
    at_once : bool
        Whether images are read and results written by other processors than those that compute.
    rates : dict of str to Rate
        ``files_node``, ``files_all``, ``network`` (between nodes), ``within`` a node, and what
        `RESOURCES` has beside these.
    """

    name: str
    ranks_per_node: int
    memory: float
    device: str
    at_once: bool
    rates: dict[str, Rate]

    def seconds(self, resource: str, work: float, ranks: int) -> float:
        """Return the seconds that work takes.

        Of a rank; for files and network, of all ranks together.
        """
        nodes = -(-ranks // self.ranks_per_node)
        reached = {name: rate.reached for name, rate in self.rates.items()}
        if resource == "files":
            return work / min(nodes * reached["files_node"], reached["files_all"])
        if resource == "network":  # what a rank puts into a sum passes twice
            return 2 * work / (nodes * (reached["network"] if nodes > 1 else reached["within"]))
        if resource == "messages":
            return work * math.log2(ranks) / reached["messages"]
        if resource not in reached:
            raise ValueError(f"{self.name}: no rate is known of '{resource}'")
        return work / reached[resource]

    def reaching(self, rates: Mapping[str, float]) -> Machine:
        """Return the machine with other rates, by name, as they are reached."""
        replaced = {
            name: replace(self.rates[name], peak=value, share=1.0, source="said so")
            for name, value in rates.items()
        }
        return replace(self, rates=self.rates | replaced)


def load(path: Path = PUBLISHED) -> Machine:
    """Return the machine that a file describes."""
    content = yaml.safe_load(path.read_text())
    # YAML takes 2e12 for text.
    rates = {
        name: Rate(**values | {"peak": float(values["peak"])})
        for name, values in content["rates"].items()
    }
    return Machine(
        content["name"],
        content["ranks_per_node"],
        float(content["memory"]),
        content["device"],
        content["at_once"],
        rates,
    )


def measured(forward: float, decode: float) -> Machine:
    """Return this machine for one rank, in this process.

    Parameters
    ----------
    forward, decode : float
        Operations per second of the network's forward pass, and images per second that can be read.
    """
    rates = {
        "matrix": (limits.matrix_rate(), "float64 operations"),
        "decomposition": (_decomposition(), "operations"),
        "forward": (forward, "float32 operations"),
        "bandwidth": (limits.copy_bandwidth(), "bytes"),
        "calls": (_calls(), "operations on a few numbers"),
        "transfer": (math.inf, "bytes"),
        "decode": (decode, "images"),
        "files_node": (limits.disk_rate(Path(tempfile.gettempdir())), "bytes"),
        "files_all": (math.inf, "bytes"),
        "rows": (_checksums(), "bytes checked"),
        "network": (math.inf, "bytes"),
        "within": (math.inf, "bytes"),
        "messages": (math.inf, "messages"),
        "opens": (_opens(), "small files written"),
    }
    measured_here = {
        name: Rate(value, 1.0, "rank", unit, "measured here")
        for name, (value, unit) in rates.items()
    }
    return Machine("this machine", 1, math.inf, "cpu", False, measured_here)


def _decomposition() -> float:
    """Return the operations per second of the eigenvectors of a symmetric matrix."""
    side = limits.SIDE["cpu"] // 4
    matrix = torch.randn(side, side, dtype=torch.float64)
    matrix += matrix.T.clone()
    return 9 * side**3 / limits.best(lambda: torch.linalg.eigh(matrix))


def _calls() -> float:
    """Return how many operations on a few numbers are called in a second."""
    small = torch.zeros(1, 4, 4, dtype=torch.float64)
    return 1000 / limits.best(lambda: [torch.baddbmm(small, small, small) for _ in range(1000)])


def _checksums() -> float:
    """Return the bytes of rows per second whose checksums are computed."""
    values = np.zeros((2**14, 512))
    return values.nbytes / limits.best(lambda: checksums.crc32_of_rows(values))


def _opens() -> float:
    """Return how many small files are written in a second."""
    tables = {"numbers": Table(np.zeros(100), "numbers")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.h5"
        return 1 / limits.best(lambda: hdf5.write_tables(path, tables, {}))
