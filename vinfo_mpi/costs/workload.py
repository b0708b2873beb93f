"""Costs of a stage, and the numbers that they follow from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from vinfo_mpi.config.schema import Config
from vinfo_mpi.costs.sizes import Sizes

# Iterations of the fit of the dictionary; of the codes of a vector, mean over the vectors.
TYPICAL = {"dictionary": 100.0, "encode": 200.0}
SUMS = 1 / 4  # of what a rank has of a GPU: sums of taps that are read together


@dataclass(frozen=True)
class Costs:
    """Costs of a stage.

    Attributes
    ----------
    memory : float
        Bytes per rank, at the peak, beside those of the program itself: all of them where the
        stage computes on the CPU, those on the device where it computes on one.
    host : float, or None
        Bytes per rank in the processor's memory where the stage computes on a device: what is read
        and written ahead, and staged. None: as many as on the device.
    on_cpu : bool
        Whether the stage computes on the CPU whatever the ranks' device is.
    operations : float
        Floating-point operations of matrix products and convolutions, over all ranks.
    sent : float
        Bytes that all ranks together put into sums, scatters and broadcasts: what timings.json
        counts as communicated. Exact, but for the training, whose gradients torch sends:
        timings.json does not count them. Small Python objects that the ranks tell each other
        (scores of their concepts, wishes to stop) are in neither. One rank sends nothing.
    disk : mapping of str to float
        Bytes, by kind of file, when the run is done.
    temporary : float
        Bytes on disk that are needed for a while beside these.
    """

    memory: float = 0.0
    host: float | None = None
    on_cpu: bool = False
    operations: float = 0.0
    sent: float = 0.0
    disk: Mapping[str, float] = field(default_factory=dict)
    temporary: float = 0.0

    @property
    def beside_device(self) -> float:
        """Bytes in the processor's memory of a rank that computes on a device."""
        return self.memory if self.host is None or self.on_cpu else self.host

    @property
    def on_device(self) -> float:
        """Bytes on the device of a rank that computes on one."""
        return 0.0 if self.on_cpu else self.memory


def _unknown(stage: str, work: Workload) -> Costs:
    raise LookupError(f"the costs of {stage} are not known")


@dataclass(frozen=True)
class Workload:
    """Argument of every stage's `costs`.

    Attributes
    ----------
    sizes : Sizes
    config : Config
    ranks : int
    shared : bool
        Whether the ranks write one file together, not one each.
    device : str
        Where the ranks compute: cpu or cuda.
    together : int
        Checkpoints that are extracted together.
    room : float, or None
        Bytes for sums of taps that are read together, `SUMS` of what the rank has of a GPU; None:
        the default of the kind of device.
    iterations : mapping of str to float
        Of fitting the dictionary, of finding codes.
    formulas : function of a stage and a workload
        What each stage takes, for those that repeat others.
    """

    sizes: Sizes
    config: Config
    ranks: int
    shared: bool = True
    device: str = "cpu"
    together: int = 1
    room: float | None = None
    iterations: Mapping[str, float] = field(default_factory=lambda: TYPICAL)
    formulas: Callable[[str, Workload], Costs] = _unknown

    def costs_of(self, stage: str, config: Config | None = None) -> Costs:
        """Return what another stage takes, with other settings where these are given."""
        return self.formulas(stage, replace(self, config=config or self.config))

    @property
    def images_of_rank(self) -> int:
        """Images of the rank that has most."""
        return -(-self.sizes.n // self.ranks)

    @property
    def rows(self) -> int:
        """Rows of a block of linear algebra."""
        return min(self.config.machine.rows, self.images_of_rank)

    def sent(self, numbers: float) -> float:
        """Return the bytes of so many float64 or int64 from every rank; one alone sends none."""
        return 8.0 * self.ranks * numbers if self.ranks > 1 else 0.0
