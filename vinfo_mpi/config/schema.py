"""The experiment: all sections of its configuration, and which stages it asks for.

Every setting stands in `vinfo_mpi.config.sections`, with its default and what it may be. This loads
in well under a second, without torch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vinfo_mpi.config.sections.analyses import (
    Audit,
    Autoencoder,
    Facets,
    Flow,
    Merging,
    Metafeatures,
    Migration,
    Monosemanticity,
    Names,
    Patterns,
    Redundancy,
    Robustness,
    Sedimentation,
    Sparsity,
    Spectrum,
    Stability,
    Support,
)
from vinfo_mpi.config.sections.concepts import Dictionary, Encode, Importance, Score
from vinfo_mpi.config.sections.data import Data, Difficulty, Planted, Predictivity
from vinfo_mpi.config.sections.machine import Machine
from vinfo_mpi.config.sections.network import Extract, Network, Train
from vinfo_mpi.config.sections.pages import Figures, Report, Visualise
from vinfo_mpi.config.sections.section import Section
from vinfo_mpi.errors import choices
from vinfo_mpi.registry import ANALYSES, SPINE, STAGES

__all__ = [
    "Audit",
    "Autoencoder",
    "Config",
    "Data",
    "Dictionary",
    "Difficulty",
    "Encode",
    "Extract",
    "Facets",
    "Figures",
    "Flow",
    "Importance",
    "Machine",
    "Merging",
    "Metafeatures",
    "Monosemanticity",
    "Names",
    "Network",
    "Patterns",
    "Planted",
    "Predictivity",
    "Redundancy",
    "Report",
    "Robustness",
    "Score",
    "Section",
    "Sedimentation",
    "Spectrum",
    "Stability",
    "Support",
    "Train",
    "Visualise",
]


class Config(Section):
    """One experiment."""

    name: str = Field(
        "run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="results go to runs/<name>"
    )
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        0, description="seed of all randomness: training, folds, the start of a fit"
    )
    data: Data = Data()
    network: Network
    train: Train = Train()
    extract: Extract = Extract()
    dictionary: Dictionary = Dictionary()
    encode: Encode = Encode()
    score: Score = Score()
    importance: Importance = Importance()
    flow: Flow = Flow()
    redundancy: Redundancy = Redundancy()
    support: Support = Support()
    metafeatures: Metafeatures = Metafeatures()
    sparsity: Sparsity = Sparsity()
    spectrum: Spectrum = Spectrum()
    robustness: Robustness = Robustness()
    stability: Stability = Stability()
    sedimentation: Sedimentation = Sedimentation()
    migration: Migration = Migration()
    merging: Merging = Merging()
    autoencoder: Autoencoder = Autoencoder()
    audit: Audit = Audit()
    names: Names = Names()
    monosemanticity: Monosemanticity = Monosemanticity()
    facets: Facets = Facets()
    patterns: Patterns = Patterns()
    visualise: Visualise = Visualise()
    figures: Figures = Figures()
    report: Report = Report()
    machine: Machine = Machine()
    analyses: list[str] | Literal["all"] = Field(
        [name for name, stage in ANALYSES.items() if not stage.long],
        description="analyses that the whole pipeline runs after the main stages",
    )
    pages: list[Literal["visualise", "report"]] = Field(
        ["visualise", "report"],
        description="last stages of the whole pipeline: pictures of concepts, a report",
    )

    @property
    def chosen_analyses(self) -> list[str]:
        """The analyses that belong to the whole pipeline."""
        return list(ANALYSES) if self.analyses == "all" else self.analyses

    @property
    def chosen_pages(self) -> list[str]:
        """The pages that belong to the whole pipeline.

        Factors cannot be drawn: they are known beforehand.
        """
        of_network = self.dictionary.kind_of_source.of_network
        return [page for page in self.pages if page != "visualise" or of_network]

    @property
    def stages(self) -> list[str]:
        """The stages of the whole pipeline, in order.

        A network that is trained elsewhere has no training.
        """
        chosen = {*SPINE, *self.chosen_analyses, *self.chosen_pages}
        if self.network.checkpoints:
            chosen.remove("train")
        return [stage for stage in STAGES if stage in chosen]

    def without_positions(self) -> Config:
        """Return the settings for concepts of which no page is made."""
        encode = self.encode.model_copy(update={"by_position": "never"})
        return self.model_copy(update={"encode": encode})

    @model_validator(mode="after")
    def _head_is_trained(self) -> Config:
        """A head that was left out says nothing until it is trained."""
        trained = self.train.epochs and not self.network.checkpoints
        if self.network.head == "drop" and not trained and self.network.outputs != "none":
            raise ValueError(
                "network.head: drop may leave the head untrained; set network.outputs: none, "
                "or train it (train.epochs, train.parameters: head)"
            )
        return self

    @model_validator(mode="after")
    def _imported_as_they_are(self) -> Config:
        """Imported activations come without the network that gave them."""
        if self.data.source == "imported" and self.train.epochs:
            raise ValueError(
                "train.epochs: training needs the network and its images; of imported activations "
                "there are neither: set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _concepts_by_position(self) -> Config:
        """Beside the last tap, the network continues from whole maps that the codes rebuild."""
        by_position = self.dictionary.kind_of_source.codes in ("non-negative", "encoder")
        whole = self.encode.positions == "all" and self.extract.positions == "all"
        if self.dictionary.tap != "last" and not (by_position and whole):
            raise ValueError(
                "dictionary.tap: another tap than the last needs codes of every position: "
                "dictionary.source: nmf, sae or a file, with encode.positions and "
                "extract.positions: all"
            )
        return self

    @field_validator("analyses")
    @classmethod
    def _known(cls, names: list[str] | str) -> list[str] | str:
        for name in names if isinstance(names, list) else []:
            if name not in ANALYSES:
                raise ValueError(f"unknown analysis '{name}'; {choices(name, ANALYSES)}")
        return names
