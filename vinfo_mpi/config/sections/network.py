"""The sections network, train and extract: which network, and which of its activations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vinfo_mpi.config.sections.section import Count, Positive, Section

# Of what a module gives: images, channels, rows and columns of a map, tokens.
Axes = Literal["NCHW", "NHWC", "NTC", "NCT", "TNC", "NC"]
Precision = Literal["float32", "tf32", "bfloat16"]


class Network(Section):
    """The network to analyse."""

    added_later = ("ema", "head", "outputs", "channels_last")

    name: str | None = Field(
        None,
        description="a torchvision classification model (resnet50), timm/<name>, hf/<folder> or "
        "open_clip/<name>",
    )
    target: str | None = Field(
        None, description="package.module:function that returns a torch module, instead of name"
    )
    weights: str | None = Field(
        None,
        description="a torchvision weights enum name (IMAGENET1K_V2), pretrained (timm's own), a "
        "tag of open_clip, or a state dict's path",
    )
    small_images: bool = Field(
        False,
        description="ResNets, VGGs: little or no early pooling, for images of 32 pixels or so",
    )
    width: Positive = Field(1.0, description="with small_images: factor on the number of channels")
    checkpoints: list[str] = Field(
        [], description="your own training's state dicts, in order, paths or globs; skips training"
    )
    ema: bool | None = Field(
        None,
        description="of files that hold weights as trained and averaged (EMA): true takes the "
        "averaged ones; default: those as trained",
    )
    head: Literal["keep", "drop"] = Field(
        "keep",
        description="drop: a head that the file lacks or has in another size stays untrained",
    )

    outputs: Literal["none"] | list[int] | dict[str, int] | str | None = Field(
        None,
        description="output of each class: a list, {class: output}, or a file that names "
        "all outputs; none: the network is not a classifier",
    )
    channels_last: bool = Field(
        False,
        description="store feature maps in memory position by position: often faster; last digits "
        "change",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Network:
        if (self.name is None) == (self.target is None):
            raise ValueError("give exactly one of network.name and network.target")
        if self.small_images and self.target is not None:
            raise ValueError(
                "network.small_images applies to network.name only; "
                "let the function of network.target do it"
            )
        if self.width != 1 and not self.small_images:
            raise ValueError("network.width applies to small_images: true only")
        return self

    @property
    def classifies(self) -> bool:
        """Whether the network gives logits: else there are no predictions."""
        return self.outputs != "none"


class Train(Section):
    """Training of the network; epochs: 0 takes the weights as they are."""

    added_later = ("parameters", "per_class", "precision")

    epochs: Annotated[int, Field(ge=0)] = Field(
        0, description="number of epochs; 0: the network is analysed as it is"
    )
    parameters: Literal["all", "head"] = Field(
        "all",
        description="parameters to train: all, or only those of the last linear layer, "
        "with batch normalisation frozen too",
    )
    save: list[int] | Literal["all"] = Field(
        "all", description="epochs whose checkpoint is kept; the last one always is"
    )
    per_class: Count | None = Field(
        None, description="train on at most this many images per class, chosen by seed and id"
    )
    batch: Count = Field(128, description="images per step, over all ranks")
    rate: Positive = Field(0.1, description="peak learning rate")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.9, description="momentum of stochastic gradient descent"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        5e-4, description="weight decay of all parameters"
    )
    warmup_epochs: Annotated[float, Field(ge=0)] = Field(
        1.0, description="epochs during which the learning rate rises linearly"
    )
    schedule: Literal["cosine", "step"] = Field(
        "cosine", description="decay of the learning rate after the warm-up"
    )
    step_epochs: list[int] = Field(
        [30, 60, 80], description="step schedule: the rate is divided by ten at these epochs"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the target that is spread over all classes"
    )
    augment: Literal["none", "crop", "crop-flip", "resized-crop-flip"] = Field(
        "none",
        description="random shifts by an eighth of the side (crop), parts of random size and "
        "proportions (resized-crop), mirror images (flip)",
    )
    precision: Precision | Literal["float64"] = Field(
        "float32",
        description="precision of the network's arithmetic; float64: slower, and machines agree",
    )


class Extract(Section):
    """Activations to read, and how they are stored."""

    added_later = ("precision",)

    taps: list[str] | Literal["auto"] = Field(
        "auto",
        description="module names (relu#2: its second call) or globs (* within a name, ** across "
        "dots), in any order; auto: every block",
    )
    pooling: str = Field(
        "mean",
        description="feature maps: mean, grid:G for GxG averages, or equal:n for the smallest "
        "grid per tap that leaves at least n numbers",
        pattern=r"^(mean|(grid|equal):[1-9]\d*)$",
    )
    input: bool = Field(False, description="the images themselves, pooled likewise, as first tap")
    layout: Literal["auto"] | Axes | dict[str, Axes] = Field(
        "auto", description="axes of taps, where they are ambiguous: NHWC, or {glob: NHWC}"
    )
    tokens: Literal["auto", "class", "mean"] = Field(
        "auto",
        description="transformers: the class token, or the mean of the patches; "
        "auto: the class token where the head looks at one",
    )
    prefix_tokens: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="tokens before the patches: class token, registers; default: those that "
        "are the same for all images at first",
    )
    positions: Count | Literal["all"] = Field(
        "all", description="positions kept per image of the last map"
    )
    dtype: Literal["float32", "float16"] = Field(
        "float32", description="type in which activations are stored"
    )
    precision: Precision = Field(
        "float32",
        description="precision of the network's arithmetic; tf32, bfloat16: faster on a GPU, and "
        "V-information changes",
    )
    maps: list[int] | Literal["final", "all"] = Field(
        "final",
        description="epochs whose last tap is also kept unpooled; "
        "sedimentation needs several, the final one always is",
    )
    branches: bool = Field(
        True, description="also keep shortcut and main branch of residual blocks, which flow needs"
    )
