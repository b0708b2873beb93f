"""The experiment: every setting, its default, what it may be. Loads in well under a second, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vinfo_mpi.errors import choices
from vinfo_mpi.registry import ANALYSES, LONG

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]

SOURCES = ("nmf", "neurons", "pca", "eigenfunctions", "logits", "factors")  # of concepts; or a file
ATOM_FILES = (".npy", ".npz", ".safetensors")


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Predictivity(Section):
    """How well each planted factor predicts its bit of the label: 0 independent of it, 1 the same."""

    colour: Share = 1.0
    texture: Share = 0.0
    shape: Share = 1.0
    relation: Share = 1.0


class Difficulty(Section):
    """How hard each planted factor is to see: 0 easiest, 1 still visible."""

    colour: Share = Field(0.0, description="the contrast of the two hues shrinks")
    texture: Share = Field(0.0, description="the contrast of the stripes shrinks")
    shape: Share = Field(0.0, description="angular outlines become rounder")
    relation: Share = Field(0.0, description="the two objects differ more in size and rotation")


class Planted(Section):
    """The generated images of data.source: planted."""

    images: Count = Field(12000, description="how many")
    size: Annotated[int, Field(ge=16)] = Field(32, description="pixels per side")
    predictivity: Predictivity = Predictivity()
    difficulty: Difficulty = Difficulty()


class Data(Section):
    """Which images are learned from and analysed."""

    source: str = Field(
        "digits", description="digits, planted, folder, a torchvision data set (CIFAR10), or package.module:function"
    )
    root: str | None = Field(None, description="where a folder or torchvision data set lies on disk")
    image_size: Count | None = Field(None, description="pixels per side; default: the weights' own, else 32")
    mean: list[float] | None = Field(None, description="per channel, subtracted; default: the weights' own, else 0.5")
    std: list[Positive] | None = Field(None, description="per channel, divided by; default: the weights' own, else 0.5")
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="held out from training where the source has no split")
    analyse: Literal["train", "test", "all"] = Field("all", description="which images are analysed")
    per_class: Count | None = Field(None, description="analyse at most this many images per class, chosen by seed and id")
    on_bad_image: Literal["fail", "skip"] = Field("fail", description="what to do with an image that cannot be read")
    planted: Planted = Planted()


class Network(Section):
    """Which network is analysed."""

    name: str | None = Field(None, description="a torchvision classification model (resnet50)")
    target: str | None = Field(None, description="package.module:function that returns a torch module, instead of name")
    weights: str | None = Field(None, description="a torchvision weights enum name (IMAGENET1K_V2) or a state dict's path")
    small_images: bool = Field(False, description="ResNets, VGGs: little or no early pooling, for images of 32 pixels or so")
    width: Positive = Field(1.0, description="with small_images: factor on the number of channels")
    checkpoints: list[str] = Field([], description="your own training's state dicts, in order, paths or globs; skips training")

    @model_validator(mode="after")
    def _one_source(self) -> Network:
        if (self.name is None) == (self.target is None):
            raise ValueError("give exactly one of network.name and network.target")
        if self.small_images and self.target is not None:
            raise ValueError("network.small_images applies to network.name only; let the function of network.target do it")
        if self.width != 1 and not self.small_images:
            raise ValueError("network.width applies to small_images: true only")
        return self


class Train(Section):
    """How the network is trained; epochs: 0 takes the weights as they are."""

    epochs: Annotated[int, Field(ge=0)] = 0
    parameters: Literal["all", "head"] = Field(
        "all", description="what learns: everything, or the last linear layer alone, batch normalisation standing still as well"
    )
    save: list[int] | Literal["all"] = Field("all", description="epochs whose checkpoint is kept; the last one always is")
    batch: Count = Field(128, description="images per step, over all ranks")
    rate: Positive = Field(0.1, description="peak learning rate")
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    warmup_epochs: Annotated[float, Field(ge=0)] = 1.0
    schedule: Literal["cosine", "step"] = "cosine"
    step_epochs: list[int] = Field([30, 60, 80], description="step schedule: the rate is divided by ten at these epochs")
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    augment: Literal["none", "crop", "crop-flip", "resized-crop-flip"] = "none"


class Extract(Section):
    """Which activations are read and how they are stored."""

    taps: list[str] | Literal["auto"] = Field("auto", description="module names or globs, in any order; auto: every block")
    pooling: str = Field("mean", description="feature maps: mean, or grid:G for GxG averages", pattern=r"^(mean|grid:[1-9]\d*)$")
    tokens: Literal["class", "mean"] = Field("class", description="transformers: the class token, or the mean of the others")
    positions: Count | Literal["all"] = Field("all", description="positions kept per image of the last map")
    dtype: Literal["float32", "float16"] = "float32"
    maps: list[int] | Literal["final", "all"] = Field(
        "final", description="epochs whose last tap is also kept unpooled; sedimentation needs several, the final one always is"
    )
    branches: bool = Field(True, description="also keep shortcut and main branch of residual blocks, which flow needs")


class Dictionary(Section):
    """What the concepts are, and how they are fitted."""

    source: str = Field(
        "nmf",
        description="nmf, neurons, pca, eigenfunctions, logits, factors, or a file of atoms (.npy, .npz, .safetensors)",
    )
    kind: Literal["class-wise", "joint"] = "class-wise"
    concepts_per_class: Count = Field(10, description="class-wise: atoms of every class")
    concepts: Count = Field(100, description="joint: atoms in all")
    solver: Literal["hals", "mu"] = "hals"
    atoms: Literal["non-negative", "signed"] = Field("non-negative", description="signed: for layers without a ReLU (hals only)")
    init: Literal["nndsvda", "random"] = Field("nndsvda", description="the atoms that the fit starts from")
    tolerance: Positive = Field(1e-4, description="stop when one iteration lowers the objective by less than this share")
    max_iterations: Count = 500

    @property
    def file(self) -> Path | None:
        """The file that the atoms come from, None for the other sources."""
        return None if self.source in SOURCES else Path(self.source).expanduser()

    @property
    def non_negative(self) -> bool:
        """Whether codes are found by non-negative least squares."""
        return self.source == "nmf" or self.file is not None

    @field_validator("source")
    @classmethod
    def _known(cls, source: str) -> str:
        if source not in SOURCES and Path(source).suffix not in ATOM_FILES:
            valid = choices(source, [*SOURCES, f"the path of a file {', '.join(ATOM_FILES)}"])
            raise ValueError(f"dictionary.source: '{source}' is none; {valid}")
        return source

    @model_validator(mode="after")
    def _solver_fits(self) -> Dictionary:
        if self.atoms == "signed" and self.solver == "mu":
            raise ValueError("dictionary.solver: mu needs non-negative atoms; use hals")
        return self


class Encode(Section):
    """How codes are found."""

    positions: Literal["all", "pooled"] = Field("all", description="encode every position and average, or the pooled vector")
    tolerance: Positive = Field(1e-4, description="largest violation of the KKT conditions, relative to max|x D^T|")
    max_iterations: Count = 5000


class Score(Section):
    """How V-information is estimated."""

    family: Literal["linear", "random-features"] = Field("linear", description="the predictors V")
    estimator: Literal["held-out", "in-sample"] = "held-out"
    also: list[Literal["linear", "random-features", "in-sample", "held-out"]] = Field(
        [], description="score again with another family or estimator, side by side"
    )
    random_features: Count = Field(500, description="random Fourier features beside the tap's own channels")
    folds: Annotated[int, Field(ge=2)] = 5
    penalties: list[Positive] = Field(
        [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0], min_length=1, description="relative to the tap's mean eigenvalue"
    )
    products: Literal["float64", "float32"] = Field("float64", description="matrix products; sums are always float64")

    @property
    def beside(self) -> int:
        """Random features beside the channels of a tap; 0 where no predictor looks at them."""
        return self.random_features if "random-features" in (self.family, *self.also) else 0


class Importance(Section):
    """How much the decision rests on a concept."""

    target: Literal["prediction", "label"] = Field("prediction", description="whose logit is explained")


class Flow(Section):
    """How concepts travel through shortcuts and main branches."""

    extremes: Annotated[float, Field(gt=0, le=0.5)] = Field(0.1, description="share of concepts at either end that are averaged")


class Redundancy(Section):
    """How many channels of the last tap a concept is spread over."""

    rates: list[Annotated[float, Field(gt=0, lt=1)]] = Field([0.1, 0.5, 0.9], min_length=1, description="shares of channels kept")
    masks: Annotated[int, Field(ge=2)] = Field(100, description="random masks per rate")


class Support(Section):
    """How the accuracy falls when concepts are removed."""

    steps: Annotated[int, Field(ge=2)] = Field(20, description="removals, evenly spaced from all concepts to none")
    draws: Annotated[int, Field(ge=2)] = Field(5, description="random orders")


class Metafeatures(Section):
    """Which concepts and classes are alike."""

    clusters: Count | None = Field(None, description="of atoms; default: 1.5 times the root of their number (150 for 10,000)")
    map: Literal["tsne", "umap", "none"] = Field("tsne", description="plane in which atoms are shown; umap needs umap-learn")
    super_classes: str | None = Field(None, description="YAML file, class: super-class, for a second tree")


class Spectrum(Section):
    """Spectrum of the feature map."""

    taps: Literal["last", "all"] = Field("last", description="of the last tap, or of every tap")


class Robustness(Section):
    """How much codes change when images are noisy."""

    images: Count = Field(2000, description="at most so many, spread over those analysed")
    draws: Annotated[int, Field(ge=2)] = Field(100, description="noisy copies of each image")
    sigmas: list[Positive] = Field([0.01, 0.1, 0.5], min_length=1, description="of normal noise on inputs in [0, 1]")


class Stability(Section):
    """Whether another start of the factorisation finds the same atoms."""

    seeds: Count = Field(3, description="further fits, from random atoms")


class Sedimentation(Section):
    """How concepts of every checkpoint's own are."""

    important: Annotated[float, Field(gt=0, le=1)] = Field(0.01, description="share of the most important concepts, averaged apart")
    at_least: Count = Field(5, description="but at least so many")


class Report(Section):
    """What the pages show of each concept."""

    examples: Annotated[int, Field(ge=1, le=40)] = Field(9, description="most activating images")
    levels: list[Share] = Field(
        [0.75, 0.5, 0.25, 0.0], max_length=10, description="images at other levels: quantiles of the codes above zero; 0: the least"
    )
    thumbnail: Annotated[int, Field(ge=16, le=256)] = Field(64, description="pixels per side of an image, if it has as many")
    quality: Annotated[int, Field(ge=1, le=100)] = Field(75, description="of the WebP sheets")
    neighbours: Count = Field(8, description="nearest other atoms")


class Visualise(Section):
    """Pictures that activate a concept."""

    concepts: list[Number] | Literal["all"] | None = Field(None, description="which; default: extremes, and some of every decile")
    extremes: Number = Field(5, description="so many of the simplest and of the most complex concepts")
    per_decile: Number = Field(2, description="concepts sampled from every decile of complexity")
    method: Literal["auto", "maco", "fourier"] = Field("auto", description="what is optimised: phases, or amplitudes as well")
    size: Annotated[int, Field(ge=8)] | None = Field(None, description="pixels per side; default: the network's input")
    steps: Count = Field(256, description="of the optimisation")
    images: Count = Field(2000, description="at most so many, spread over those analysed, have their spectra averaged")

    @model_validator(mode="after")
    def _some(self) -> Visualise:
        if self.concepts == [] or (self.concepts is None and not self.extremes and not self.per_decile):
            raise ValueError("visualise.concepts, .extremes and .per_decile choose no concept; to draw none, take it out of pages")
        return self


class Machine(Section):
    """How the work is done; nothing here changes what is computed (workers draw other random augmentations)."""

    device: Literal["auto", "cpu"] = "auto"
    batch: Count = Field(128, description="images per forward pass of a rank")
    rows: Count = Field(1024, description="rows per block of linear algebra")
    workers: Annotated[int, Field(ge=0)] = Field(0, description="processes per rank that read images")
    storage: Literal["auto", "parallel", "virtual"] = Field("auto", description="one shared file, or one per rank joined")
    alignment: Count | None = Field(
        None, description="MiB: chunks of parallel files fill and begin at multiples of it: a file system's stripe"
    )
    hints: dict[str, str] = Field({}, description="MPI-IO hints of parallel files: romio_cb_write, striping_factor, ...")
    save_minutes: Annotated[float, Field(ge=0)] = Field(10.0, description="between savings of an unfinished epoch or fit")
    memory_limit: Positive | None = Field(None, description="GiB per rank; default: what the node has free")
    disk_limit: Positive | None = Field(None, description="GiB; default: what the file system has free")


class Config(Section):
    """One experiment."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="results go to runs/<name>")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
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
    spectrum: Spectrum = Spectrum()
    robustness: Robustness = Robustness()
    stability: Stability = Stability()
    sedimentation: Sedimentation = Sedimentation()
    visualise: Visualise = Visualise()
    report: Report = Report()
    machine: Machine = Machine()
    analyses: list[str] | Literal["all"] = Field(
        [name for name in ANALYSES if name not in LONG], description="of the whole pipeline, beside the main stages"
    )
    pages: list[Literal["visualise", "report"]] = Field(
        ["visualise", "report"], description="what the whole pipeline ends with: pictures of concepts, a report"
    )

    @property
    def chosen_analyses(self) -> list[str]:
        """The analyses that belong to the whole pipeline."""
        return list(ANALYSES) if self.analyses == "all" else self.analyses

    @property
    def chosen_pages(self) -> list[str]:
        """The pages that belong to the whole pipeline: there is no drawing of factors, which are known beforehand."""
        return [one for one in self.pages if one != "visualise" or self.dictionary.source != "factors"]

    @field_validator("analyses")
    @classmethod
    def _known(cls, names: list[str] | str) -> list[str] | str:
        for name in names if isinstance(names, list) else []:
            if name not in ANALYSES:
                raise ValueError(f"analyses: '{name}' is none; {choices(name, ANALYSES)}")
        return names
