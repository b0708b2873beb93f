"""The sections visualise and report: what people look at."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from vinfo_mpi.config.sections.section import Count, Number, Section, Share


class Visualise(Section):
    """Pictures that activate a concept."""

    concepts: list[Number] | Literal["all"] | None = Field(
        None, description="concepts to draw; default: extremes, and some of every decile"
    )
    extremes: Number = Field(
        5, description="number of the simplest, and of the most complex concepts"
    )
    per_decile: Number = Field(
        2, description="number of concepts sampled from each decile of complexity"
    )
    method: Literal["auto", "maco", "fourier"] = Field(
        "auto", description="parameters to optimise: phases, or amplitudes too"
    )
    size: Annotated[int, Field(ge=8)] | None = Field(
        None, description="pixels per side; default: the network's input"
    )
    steps: Count = Field(256, description="steps of the optimisation")
    images: Count = Field(
        2000,
        description="limit on the images whose spectra are averaged, spread over those analysed",
    )

    facets: bool = Field(
        True,
        description="draw each facet of these concepts as well, if `facets` is among the analyses",
    )
    added_later: ClassVar[tuple[str, ...]] = ("facets",)

    @model_validator(mode="after")
    def _some(self) -> Visualise:
        by_default = self.extremes > 0 or self.per_decile > 0
        if self.concepts == [] or (self.concepts is None and not by_default):
            raise ValueError(
                "visualise.concepts, .extremes and .per_decile choose no concept; "
                "to draw none, take it out of pages"
            )
        return self


class Figures(Section):
    """Figures as files, for a paper."""

    venue: Literal["neurips", "icml", "cvpr", "nature"] | None = Field(
        None, description="venue whose widths and type size to use"
    )
    width: Annotated[float, Field(gt=1, le=40)] | None = Field(
        None, description="width in inches of a figure with several panels, instead of the venue's"
    )
    font: Annotated[float, Field(ge=4, le=30)] | None = Field(
        None, description="type size in points, instead of the venue's"
    )


class Report(Section):
    """Contents of each concept's page."""

    examples: Annotated[int, Field(ge=1, le=40)] = Field(
        9, description="number of most activating images"
    )
    levels: list[Share] = Field(
        [0.75, 0.5, 0.25, 0.0],
        max_length=10,
        description="images at other levels: quantiles of the codes above zero; 0: the least",
    )
    thumbnail: Annotated[int, Field(ge=16, le=256)] = Field(
        64, description="pixels per side of an image, at most its own"
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(
        75, description="quality of the WebP sheets"
    )
    neighbours: Count = Field(8, description="number of nearest other atoms")
