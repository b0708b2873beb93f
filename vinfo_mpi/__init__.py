"""How complex is each feature of a vision network: V-information of its concepts, on a cluster."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vinfo_mpi.api import Results

__all__ = ["Results", "__version__"]
__version__ = version("vinfo_mpi")


def __getattr__(name: str) -> Any:
    # Results brings pandas along, which --help does not need.
    if name == "Results":
        from vinfo_mpi.api import Results

        return Results
    raise AttributeError(f"module 'vinfo_mpi' has no attribute '{name}'")
