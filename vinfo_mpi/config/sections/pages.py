"""The sections visualise and report: what people look at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vinfo_mpi.config.sections.section import Count, Number, Section, Share


class Visualise(Section):
    """Pictures that activate a concept."""

    concepts: list[Number] | Literal["all"] | None = Field(
        None, description="which; default: extremes, and some of every decile"
    )
    extremes: Number = Field(
        5, description="so many of the simplest and of the most complex concepts"
    )
    per_decile: Number = Field(2, description="concepts sampled from every decile of complexity")
    method: Literal["auto", "maco", "fourier"] = Field(
        "auto", description="what is optimised: phases, or amplitudes as well"
    )
    size: Annotated[int, Field(ge=8)] | None = Field(
        None, description="pixels per side; default: the network's input"
    )
    steps: Count = Field(256, description="of the optimisation")
    images: Count = Field(
        2000, description="at most so many, spread over those analysed, have their spectra averaged"
    )

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
        None, description="whose widths and type they have"
    )
    width: Annotated[float, Field(gt=1, le=40)] | None = Field(
        None, description="inches of a figure with several panels, if not the venue's"
    )
    font: Annotated[float, Field(ge=4, le=30)] | None = Field(
        None, description="points of the type, if not the venue's"
    )


class Report(Section):
    """Contents of each concept's page."""

    examples: Annotated[int, Field(ge=1, le=40)] = Field(9, description="most activating images")
    levels: list[Share] = Field(
        [0.75, 0.5, 0.25, 0.0],
        max_length=10,
        description="images at other levels: quantiles of the codes above zero; 0: the least",
    )
    thumbnail: Annotated[int, Field(ge=16, le=256)] = Field(
        64, description="pixels per side of an image, if it has as many"
    )
    quality: Annotated[int, Field(ge=1, le=100)] = Field(75, description="of the WebP sheets")
    neighbours: Count = Field(8, description="nearest other atoms")
