"""The stages in order: what each reads, and which settings its result depends on. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes
    ----------
    reads : tuple of str
        Its inputs: names of `MADE_BY`, or stages whose part of results.h5 it reads.
    settings : tuple of str
        The sections of the configuration that its result depends on.
    package : str
        Where its module is.
    """

    reads: tuple[str, ...]
    settings: tuple[str, ...]
    package: str = "vinfo_mpi"

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages that make what it reads."""
        return tuple(dict.fromkeys(MADE_BY.get(one, one) for one in self.reads))


# What a stage may read, beside parts of results.h5, and the stage that makes it. "activations" are those of the final
# network, "all activations" those of every checkpoint.
MADE_BY = {
    "checkpoint": "train",
    "activations": "extract",
    "all activations": "extract",
    "dictionary": "dictionary",
    "codes": "encode",
}

SPINE = {
    "train": Stage((), ("seed", "data", "network", "train")),
    "extract": Stage(("checkpoint",), ("seed", "data", "network", "extract")),
    "dictionary": Stage(("activations",), ("seed", "dictionary")),
    "encode": Stage(("activations", "dictionary"), ("encode",)),
    "score": Stage(("activations", "codes"), ("seed", "score")),
    "importance": Stage(("activations", "dictionary", "codes"), ("importance",)),
    "dynamics": Stage(("all activations", "codes"), ("seed", "score")),
}


def _analysis(*reads: str, settings: tuple[str, ...]) -> Stage:
    return Stage(reads, settings, "vinfo_mpi.analyses")


ANALYSES = {
    "flow": _analysis("activations", "codes", "score", settings=("seed", "score", "flow")),
    "redundancy": _analysis("activations", "codes", settings=("seed", "redundancy")),
    "support": _analysis("activations", "dictionary", "codes", "score", "importance", settings=("seed", "support")),
    "hoyer": _analysis("dictionary", "codes", settings=()),
    "metafeatures": _analysis("activations", "dictionary", "codes", "score", settings=("seed", "metafeatures")),
    "sparsity": _analysis("all activations", settings=()),
    "spectrum": _analysis("all activations", settings=("spectrum",)),
    "robustness": _analysis("activations", "dictionary", "codes", settings=("seed", "data", "network", "encode", "robustness")),
    "stability": _analysis("activations", "dictionary", "codes", settings=("seed", "dictionary", "stability")),
    "sedimentation": _analysis(
        "all activations",
        "codes",
        "score",
        "importance",
        settings=("seed", "extract", "dictionary", "encode", "score", "importance", "sedimentation"),
    ),
}
LONG = ("robustness", "stability", "sedimentation")  # cost as much as the stages before them, or more
PAGES = {
    "visualise": Stage(("activations", "dictionary", "codes", "score"), ("seed", "data", "network", "encode", "visualise")),
    "report": Stage(("activations", "dictionary", "codes", "score", "importance"), ("report",)),  # and of the others what is there
}
STAGES = SPINE | ANALYSES | PAGES


def module(stage: str | None) -> str:
    """Return the module of a stage, of the analyses together, or of the whole pipeline for None."""
    return f"{STAGES[stage].package}.{stage}" if stage in STAGES else f"vinfo_mpi.{stage}" if stage else "vinfo_mpi"


def program(stage: str) -> str:
    """Return the module that does the work of a stage."""
    package = STAGES[stage].package
    return f"{package}.{stage}" if package.endswith("analyses") else f"{package}.stages.{stage}"


def before(stage: str) -> set[str]:
    """Return all stages that a stage needs, directly or not."""
    return {one for need in STAGES[stage].needs for one in {need, *before(need)}}
