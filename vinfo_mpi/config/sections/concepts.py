"""The sections dictionary, encode, score and importance: what concepts are, and their numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from vinfo_mpi.config.concept_sources import (
    ATOM_FILE,
    ATOM_FILES,
    AUTOENCODER_SETTINGS,
    AUTOENCODER_WEIGHTS,
    SOURCES,
    ConceptSource,
)
from vinfo_mpi.config.sections.section import Count, Number, Positive, Section
from vinfo_mpi.errors import choices


class Dictionary(Section):
    """The concepts, and how they are fitted."""

    source: str = Field(
        "nmf",
        description="nmf, neurons, pca, eigenfunctions, logits, factors, sae, "
        "or a file of atoms (.npy, .npz, .safetensors)",
    )
    sae: str | None = Field(
        None,
        description="source: sae: file or folder of a sparse autoencoder, as Overcomplete, "
        "SAELens, saev and dictionary_learning write them, or package.module:function",
    )
    top_k: Number | None = Field(
        None,
        description="source: sae: features that are active at once, where the file does not say; "
        "0: all that are positive",
    )
    tap: str = Field(
        "last",
        description="the tap whose vectors are expressed in concepts: one of extract.taps; its map "
        "is stored, and importance runs the network from there",
    )
    kind: Literal["class-wise", "joint"] = Field(
        "class-wise", description="nmf: a dictionary for each class, or one for all images"
    )
    concepts_per_class: Count = Field(10, description="class-wise: number of atoms for each class")
    concepts: Count = Field(100, description="joint: total number of atoms")
    solver: Literal["hals", "mu"] = Field(
        "hals", description="nmf: coordinate descent (hals) or multiplicative updates (mu)"
    )
    atoms: Literal["auto", "non-negative", "signed"] = Field(
        "auto",
        description="signed: for layers without a ReLU (hals only); auto: signed where the last "
        "tap has negative values",
    )
    init: Literal["nndsvda", "random"] = Field(
        "nndsvda", description="the atoms that the fit starts from"
    )
    tolerance: Positive = Field(
        1e-4, description="stop when one iteration lowers the objective by less than this share"
    )
    max_iterations: Count = Field(500, description="limit on the iterations of the fit")

    added_later: ClassVar[tuple[str, ...]] = ("sae", "top_k", "tap")

    @property
    def kind_of_source(self) -> ConceptSource:
        """Properties that all dictionaries of this source share."""
        return SOURCES.get(self.source, ATOM_FILE)

    @property
    def file(self) -> Path | None:
        """The file that the atoms come from, None for the other sources."""
        return None if self.source in SOURCES else Path(self.source).expanduser()

    @property
    def autoencoder_function(self) -> str | None:
        """The function that returns a sparse autoencoder, None where it comes from a file."""
        function = self.sae is not None and re.fullmatch(r"[\w.]+:\w+", self.sae)
        return self.sae if function else None

    @property
    def autoencoder(self) -> Path | None:
        """The file of a sparse autoencoder's weights, that of its folder; it may be missing."""
        if self.sae is None or self.autoencoder_function:
            return None
        path = Path(self.sae).expanduser()
        inside = [path / name for name in AUTOENCODER_WEIGHTS if (path / name).is_file()]
        return inside[0] if inside else path

    @property
    def autoencoder_settings(self) -> Path | None:
        """The file of settings beside these weights, None where there is none."""
        if self.autoencoder is None:
            return None
        beside = [self.autoencoder.with_name(name) for name in AUTOENCODER_SETTINGS]
        return next((path for path in beside if path.is_file()), None)

    def identity(self) -> dict[str, Any]:
        """Return all settings of a factorisation; other sources know few, or none."""
        if self.kind_of_source.fitted:
            return super().identity()
        if self.source == "sae":
            return {"source": "sae", "top_k": self.top_k, "sae": self.autoencoder_function}
        return {"source": self.source}

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source not in SOURCES and Path(source).suffix not in ATOM_FILES:
            valid = choices(source, [*SOURCES, f"the path of a file {', '.join(ATOM_FILES)}"])
            raise ValueError(f"dictionary.source: unknown source '{source}'; {valid}")
        return source

    @model_validator(mode="after")
    def _autoencoder_is_named(self) -> Dictionary:
        if (self.source == "sae") != (self.sae is not None):
            raise ValueError(
                "dictionary.source: sae and dictionary.sae: (a file, a folder, or "
                "package.module:function) go together; give both"
            )
        return self

    @model_validator(mode="after")
    def _solver_fits(self) -> Dictionary:
        if self.atoms == "signed" and self.solver == "mu":
            raise ValueError("dictionary.solver: mu needs non-negative atoms; use hals")
        return self


class Encode(Section):
    """Computation of the codes."""

    added_later = ("precision", "solver")

    positions: Literal["all", "pooled"] = Field(
        "all",
        description="encode every position and average the codes, or encode the pooled vector",
    )
    tolerance: Positive = Field(
        1e-4, description="largest violation of the KKT conditions, relative to max|x D^T|"
    )
    max_iterations: Count = Field(5000, description="limit on the iterations for a code")
    solver: Literal["auto", "directions", "working-sets"] = Field(
        "auto",
        description="alternating directions, or working sets first, these in float64 whatever "
        "precision says; auto: working sets on CPUs against 2,000 to 16,384 atoms, twice as many "
        "as channels",
    )
    precision: Literal["auto", "float64", "float32"] = Field(
        "auto",
        description="precision of the iterations; the result is checked in float64. "
        "auto: float32 on GPUs that are slow in float64",
    )
    by_position: Literal["auto", "always", "never"] = Field(
        "auto",
        description="also keep the positive codes of every position, for heat maps; "
        "auto: where they take no more room than the image's activations",
    )

    def identity(self) -> dict[str, Any]:
        """Return all settings but the one that only saves the report work."""
        settings = super().identity()
        del settings["by_position"]
        return settings


class Score(Section):
    """Estimation of V-information."""

    family: Literal["linear", "random-features"] = Field(
        "linear", description="family V of predictors"
    )
    estimator: Literal["held-out", "in-sample"] = Field(
        "held-out",
        description="cross-validated R², or that of the images that are learned from, which is "
        "inflated by about channels / images",
    )
    also: list[
        Literal[
            "linear",
            "random-features",
            "in-sample",
            "held-out",
            "within-classes",
            "classes-alone",
        ]
    ] = Field(
        [],
        description="score again with another family or estimator, without the means of the "
        "classes, or from class identity alone, side by side",
    )
    random_features: Count = Field(
        500, description="number of random Fourier features, added to the tap's own channels"
    )
    folds: Annotated[int, Field(ge=2)] = Field(
        5, description="folds of the images, each held out in turn; standard errors are over folds"
    )
    penalties: list[Positive] = Field(
        [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0],
        min_length=1,
        description="ridge penalties, relative to the tap's mean eigenvalue",
    )
    products: Literal["float64", "float32"] = Field(
        "float64", description="precision of matrix products; sums are always float64"
    )

    @property
    def beside(self) -> int:
        """Random features beside the channels of a tap; 0 where no predictor looks at them."""
        return self.random_features if "random-features" in (self.family, *self.also) else 0


class Importance(Section):
    """Estimation of the importance of a concept for the decision."""

    target: Literal["prediction", "label"] = Field(
        "prediction", description="class whose logit is explained"
    )
