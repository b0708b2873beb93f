"""The numbers of a run that everything it needs follows from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Sizes:
    """The numbers that everything else follows from.

    Attributes
    ----------
    n, steps_of : int
        Images analysed; images learned from, counted once per epoch.
    remembered : int
        Bytes of images that a rank may come to remember: those that it analyses, and those that it
        tests the training on.
    size, channels : int
        Pixels of an image's longer side; its channels.
    checkpoints, classes, outputs : int
        How many.
    positions, d : int
        Kept positions and channels of the last tap's map, `map` of them before any are dropped.
    widths, branches : dict of str to int
        Of the taps, and of the branches of residual blocks, which are kept for the final network.
    maps : int
        Checkpoints whose map is kept.
    concepts, groups : int
        Atoms in all, and dictionaries that they are fitted in.
    linear : bool
        Whether the logits are linear in the last tap: else encode and importance run the network as
        well.
    weights, trainable, tensors : int
        Bytes of the weights, of those that are learned, and how many tensors both are in.
    batch : int
        Images per forward pass of a rank.
    forward, training, backward : float
        Bytes at the peak of a forward pass of `batch` images, of a training step of a rank's share,
        of a step that changes `batch` images; weights apart.
    operations : int
        Of one image's forward pass.
    head : int
        Operations of one vector's way from the last tap to the logits.
    base : float
        Bytes of memory that the program itself takes.
    hidden : dict of str to int
        Units of every layer of hidden units.
    input : str
        What is done to images before the network sees them.
    """

    n: int
    steps_of: int
    remembered: int
    size: int
    checkpoints: int
    classes: list[str]
    outputs: int
    positions: int
    map: int
    d: int
    widths: dict[str, int]
    branches: dict[str, int]
    maps: int
    concepts: int
    groups: int
    linear: bool
    weights: int
    trainable: int
    tensors: int
    batch: int
    forward: float
    training: float
    backward: float
    operations: int
    head: int
    base: float
    channels: int = 3
    hidden: dict[str, int] = field(default_factory=dict)
    input: str = ""
