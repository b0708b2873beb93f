"""How complex is each feature of a vision network: V-information of its concepts, on a cluster."""

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vinfo_mpi.api.cka import cka, concept_cka
    from vinfo_mpi.api.complexity import Complexity, complexity
    from vinfo_mpi.api.importance import Importance, concept_importance
    from vinfo_mpi.api.nmf import NMF, nnls
    from vinfo_mpi.api.results import Results
    from vinfo_mpi.api.vinformation import VInformation, vinformation
    from vinfo_mpi.errors import InputError

__all__ = [
    "NMF",
    "Complexity",
    "Importance",
    "InputError",
    "Results",
    "VInformation",
    "__version__",
    "cka",
    "complexity",
    "concept_cka",
    "concept_importance",
    "nnls",
    "vinformation",
]


def _check_environment() -> None:
    """End a command whose libraries are not there with what to do about it."""
    needed = ("numpy", "torch", "h5py", "mpi4py", "pydantic", "yaml")
    missing = [name for name in needed if find_spec(name) is None]
    if not missing:
        return
    script = Path(__file__).parents[1] / "hpc" / "env.sh"
    remedy = f"source {script} (after bash {script.with_name('setup.sh')}, once)"
    remedy = remedy if script.exists() else "pip install vinfo_mpi brings what it needs"
    print(f"vinfo_mpi: {sys.executable} has no {', '.join(missing)}; {remedy}", file=sys.stderr)
    sys.exit(2)


if sys.argv[:1] == ["-m"]:  # while Python looks for the module that it is to run
    _check_environment()
__version__ = version("vinfo_mpi")

# They bring torch or pandas along, which --help does not need.
_HOMES = {
    "NMF": "api.nmf",
    "Complexity": "api.complexity",
    "Importance": "api.importance",
    "InputError": "errors",
    "Results": "api.results",
    "VInformation": "api.vinformation",
    "cka": "api.cka",
    "complexity": "api.complexity",
    "concept_cka": "api.cka",
    "concept_importance": "api.importance",
    "nnls": "api.nmf",
    "vinformation": "api.vinformation",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vinfo_mpi.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'vinfo_mpi' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
