"""A section for every analysis that has settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vinfo_mpi.config.sections.section import Count, Positive, Section


class Flow(Section):
    """Flow of concepts through shortcuts and main branches."""

    extremes: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.1, description="share of concepts at either end that are averaged"
    )


class Redundancy(Section):
    """Spread of a concept over the channels of the last tap."""

    rates: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.1, 0.5, 0.9], min_length=1, description="shares of channels kept"
    )
    masks: Annotated[int, Field(ge=2)] = Field(30, description="random masks per rate")


class Support(Section):
    """Loss of accuracy when concepts are removed."""

    steps: Annotated[int, Field(ge=2)] = Field(
        20, description="number of removals, evenly spaced from all concepts to none"
    )
    draws: Annotated[int, Field(ge=2)] = Field(5, description="number of random orders")


class Metafeatures(Section):
    """Similarity of concepts and of classes."""

    clusters: Count | None = Field(
        None,
        description="clusters of atoms; default: 1.5 √atoms (150 for 10,000)",
    )
    map: Literal["tsne", "umap", "none"] = Field(
        "tsne", description="method of the map of atoms; umap needs umap-learn"
    )
    super_classes: str | None = Field(
        None, description="YAML file, class: super-class, for their tree and importances"
    )


class Sparsity(Section):
    """Share of hidden units that are active at a time."""

    images: Annotated[int, Field(ge=2)] = Field(
        200, description="limit on the images used, spread over those analysed"
    )
    top: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        [],
        description="accuracy of the final network where these shares of the hidden units of every "
        "position, the largest, are kept",
    )


class Spectrum(Section):
    """Spectrum of the feature map."""

    taps: Literal["last", "all"] = Field(
        "last", description="spectra of the last tap, or of every tap"
    )


class Robustness(Section):
    """Change of codes when images are noisy."""

    images: Count = Field(2000, description="limit on the images used, spread over those analysed")
    draws: Annotated[int, Field(ge=2)] = Field(100, description="noisy copies of each image")
    sigmas: list[Positive] = Field(
        [0.01, 0.1, 0.5],
        min_length=1,
        description="standard deviations of normal noise on inputs in [0, 1]",
    )


class Stability(Section):
    """Whether another start of the factorisation finds the same atoms."""

    seeds: Count = Field(3, description="further fits, from random atoms")
    score: bool = Field(
        True, description="encode and score the images with each fit, for dictionary_se"
    )


class Autoencoder(Section):
    """A sparse autoencoder that is trained beside the dictionary, and scored like it."""

    features: Count | None = Field(
        None, description="features to train; null: as many as the dictionary has concepts"
    )
    top_k: Count = Field(10, description="features that are active at once, at most")
    steps: Count = Field(3000, description="steps of Adam")
    batch: Count = Field(512, description="vectors of a step, drawn with replacement")
    rate: Positive = Field(
        3e-3, description="of Adam, for vectors of mean squared length 1; falls to 0 at the end"
    )
    vectors: Count = Field(
        200_000,
        description="at most so many are learned from: all positions of images spread over those "
        "analysed; rank 0 holds them",
    )
    seeds: Annotated[int, Field(ge=0)] = Field(
        1, description="further trainings, for the similarity of their features"
    )


class Names(Section):
    """Words for the concepts, from embeddings that images and words share."""

    vocabulary: str | None = Field(None, description="text file, a word or phrase a line")
    open_clip: str | None = Field(
        None,
        description="model of open_clip that embeds words and images: its name (ViT-B-32), or a "
        "folder with open_clip_config.json and weights",
    )
    open_clip_weights: str | None = Field(
        None, description="file of its weights, or a tag of open_clip that is on this machine"
    )
    words: str | None = Field(
        None,
        description="embeddings of the words, (W, e): .npy, .npz, .safetensors, HDF5 or zarr; "
        "path or path:name",
    )
    images: str | None = Field(
        None, description="embeddings of all images of the data set, by their ids: (N, e)"
    )
    strongest: Count = Field(100, description="at most so many images say what a concept is")
    draws: Annotated[int, Field(ge=19)] = Field(
        99, description="sets of random images, whose best words say what chance gives"
    )

    @model_validator(mode="after")
    def _embedded_once(self) -> Names:
        """Embeddings are made, or they are given."""
        if self.open_clip is not None and (self.words is not None or self.images is not None):
            raise ValueError(
                "names.open_clip makes the embeddings that names.words and names.images are files "
                "of: leave out either"
            )
        return self

    @property
    def model_files(self) -> list[Path]:
        """The files of the model that embeds, as far as they are the user's own."""
        folder = Path(self.open_clip or "").expanduser()
        if self.open_clip is not None and folder.is_dir():
            return sorted(path for path in folder.iterdir() if path.is_file())
        weights = Path(self.open_clip_weights or "").expanduser()
        return [weights] if weights.is_file() else []

    @property
    def words_file(self) -> str | None:
        """The file of the embeddings of the words."""
        return None if self.words is None else _file(self.words)

    @property
    def images_file(self) -> str | None:
        """The file of the embeddings of the images."""
        return None if self.images is None else _file(self.images)


class Monosemanticity(Section):
    """How alike the images are that a concept is active in."""

    images: str | None = Field(
        None,
        description="embeddings that images are compared by, of all images of the data set, by "
        "their ids, (N, e): .npy, .npz, .safetensors, HDF5 or zarr; path or path:name; default: a "
        "tap",
    )
    activations: str | None = Field(
        None,
        description="activations file of another run of the same images, whose tap it is; default: "
        "of this run",
    )
    tap: str = Field("last", description="which tap, where there are no embeddings of the images")
    strongest: Annotated[int, Field(ge=2)] = Field(
        30, description="images in which a concept is strongest, for its clarity"
    )

    @property
    def images_file(self) -> str | None:
        """The file of the embeddings of the images."""
        return None if self.images is None else _file(self.images)


def _file(place: str) -> str:
    """Return the path of an array in a file: path, or path:name."""
    path, _, _ = place.rpartition(":")
    return path if Path(path).suffix else place


class Facets(Section):
    """Groups into which the images of a concept fall."""

    images: Annotated[int, Field(ge=10)] = Field(
        100, description="at most so many, the strongest of each concept, are divided"
    )
    tap: str | None = Field(
        None,
        description="tap whose activations say which images are alike; default: that whose vectors "
        "are expressed in concepts",
    )


class Audit(Section):
    """Factors of the images that decisions rest on."""

    carriers: Count = Field(
        10, description="concepts to remove for each factor; half of all at most"
    )
    pictures: bool = Field(
        True, description="take brightness, contrast, sharpness and colours as factors too"
    )


class Sedimentation(Section):
    """Concepts that are fitted anew at each checkpoint."""

    important: Annotated[float, Field(gt=0, le=1)] = Field(
        0.01, description="share of the most important concepts, which are averaged separately"
    )
    at_least: Count = Field(5, description="minimum number of these concepts")


class Migration(Section):
    """Movement of concepts through the network during training."""

    consecutive: Count = Field(
        2, description="consecutive checkpoints that define an emergence or a disappearance"
    )


class Patterns(Section):
    """Which hidden units are on: codes of images, patterns of classes."""

    images: Annotated[int, Field(ge=2)] = Field(
        2000, description="at most so many go through the networks, spread over those analysed"
    )
    bits: Count = Field(
        4096, description="of a layer's code, at most, that categories and patterns are of"
    )
    equal_bits: Count = Field(
        64, description="of every layer's code, at most, in the redundancy that compares layers"
    )
    relaxations: list[Annotated[float, Field(ge=0, lt=0.5)]] = Field(
        [0.0, 0.01, 0.05, 0.1, 0.15, 0.25],
        min_length=1,
        description="shares of a class's images that need not follow in a unit of its pattern",
    )


class Merging(Section):
    """How many channels are left when those that are nearly equal are merged."""

    thresholds: list[Annotated[float, Field(ge=0)]] = Field(
        [0.1, 0.3, 0.5],
        min_length=1,
        description="squared distance, relative to the largest of two channels of the layer, up to "
        "which channels are merged",
    )
    distance: Literal["means", "sums"] = Field(
        "means",
        description="of merged channels: between means of what they take in; or sums, as "
        "published: two merged copies are then far from a third",
    )
    checkpoints: Literal["final", "all"] = Field(
        "final", description="of the network that is analysed, or of every checkpoint"
    )
    images: Annotated[int, Field(ge=2)] = Field(
        2000, description="at most so many for the accuracy, spread over those analysed"
    )
