"""The section data: which images are learned from and analysed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vinfo_mpi.config.sections.section import Count, Positive, Section, Share


class Predictivity(Section):
    """Strength with which each planted factor predicts its bit of the label.

    0: independent of it, 1: the same.
    """

    colour: Share = Field(1.0, description="of the objects")
    texture: Share = Field(0.0, description="stripes of the background")
    shape: Share = Field(1.0, description="of the objects' outlines")
    relation: Share = Field(1.0, description="where the two objects lie to each other")


class Difficulty(Section):
    """Difficulty of seeing each planted factor: 0 easiest, 1 still visible."""

    colour: Share = Field(0.0, description="the contrast of the two hues shrinks")
    texture: Share = Field(0.0, description="the contrast of the stripes shrinks")
    shape: Share = Field(0.0, description="angular outlines become rounder")
    relation: Share = Field(0.0, description="the two objects lie less in line")


class Planted(Section):
    """The generated images of data.source: planted."""

    images: Count = Field(12000, description="number of images")
    size: Annotated[int, Field(ge=16)] = Field(32, description="pixels per side")
    predictivity: Predictivity = Predictivity()
    difficulty: Difficulty = Difficulty()


Sides = Annotated[list[Count], Field(min_length=2, max_length=2)]


class Data(Section):
    """Images that are used for training and analysis."""

    added_later = (
        "resize", "crop", "interpolation", "normalised", "options", "on_empty_class",
        "on_missing_factor", "white", "background", "exif_rotation", "table", "columns",
        "factors", "group",
    )  # fmt: skip

    source: str = Field(
        "digits",
        description="digits, planted, folder, table, huggingface, webdataset, imported, "
        "a torchvision data set (CIFAR10), or package.module:function",
    )
    root: str | None = Field(None, description="path of a folder or a torchvision data set")
    table: str | None = Field(
        None,
        description="a row per image (.csv, .tsv, .parquet): of data.source: table all that there "
        "is, of other sources what else is known of the images",
    )
    columns: dict[Literal["path", "id", "label", "split"], str] = Field(
        {}, description="names of the table's columns; default: their usual names"
    )
    factors: list[str] | None = Field(
        None, description="columns to use as factors; default: all other columns"
    )
    group: str | list[str] = Field([], description="columns that name the group of an image")
    options: dict[str, Any] = Field(
        {}, description="further arguments of a torchvision data set: {size: 160px} for Imagenette"
    )
    image_size: Count | Sides | None = Field(
        None,
        description="pixels per side of the network's input, or [height, width]; "
        "default: the weights' own, else 32",
    )
    resize: Count | Sides | None = Field(
        None,
        description="length of the shorter side before the middle is cut out, or "
        "[height, width], whatever the proportions; default: the weights' own, else image_size",
    )
    crop: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="instead of resize: the share that is cut out (0.875: 224 of 256)"
    )
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None = Field(
        None, description="interpolation when resizing; default: the weights' own, else bilinear"
    )
    mean: list[float] | None = Field(
        None, description="subtracted from each channel; default: the weights' own, else 0.5"
    )
    std: list[Positive] | None = Field(
        None, description="divisor of each channel; default: the weights' own, else 0.5"
    )
    normalised: bool = Field(
        False,
        description="the data set itself resizes and normalises, by the mean and std given here",
    )
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="share held out from training where the source has no split"
    )
    analyse: Literal["train", "test", "all"] = Field("all", description="images to analyse")
    per_class: Count | None = Field(
        None, description="analyse at most this many images per class, chosen by seed and id"
    )
    on_bad_image: Literal["fail", "skip"] = Field(
        "fail", description="what to do with an image that cannot be read"
    )
    on_empty_class: Literal["fail", "skip"] = Field(
        "fail", description="what to do with a class folder without images"
    )
    on_missing_factor: Literal["fail", "skip"] = Field(
        "fail", description="what to do with an image that lacks a factor (NaN, None)"
    )
    white: Positive | None = Field(
        None,
        description="the value of white in images of more than 8 bits or of floats; "
        "default: 65535 of unsigned 16 bits, 1 of floats",
    )
    background: Annotated[str, Field(pattern="^(white|black|grey|#[0-9a-fA-F]{6})$")] | None = (
        Field(None, description="colour behind transparent pixels; default: alpha is dropped")
    )
    exif_rotation: bool = Field(False, description="rotate photographs by their EXIF orientation")
    planted: Planted = Planted()

    @model_validator(mode="after")
    def _one_resize(self) -> Data:
        if self.resize is not None and self.crop is not None:
            raise ValueError("data.resize and data.crop say the same; give one of them")
        return self

    @model_validator(mode="after")
    def _a_table(self) -> Data:
        if self.source == "table" and self.table is None:
            raise ValueError("data.source is table, but data.table is missing; set its path")
        if self.table is None and self.source not in ("huggingface", "webdataset"):
            settings = ("columns", "factors", "group")
            idle = [name for name in settings if getattr(self, name)]
            if idle:
                raise ValueError(f"data.{idle[0]} is about a table; set data.table to its path")
        return self

    def identity(self) -> dict[str, Any]:
        """Return all settings; those of generated images only where they are the source."""
        relevant = super().identity()
        if self.source != "planted":
            del relevant["planted"]
        return relevant
