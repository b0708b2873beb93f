"""The features of a sparse autoencoder as concepts: those that fire, with their atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vinfo_mpi.concepts.dictionary_tables import Tables, tables_of
from vinfo_mpi.concepts.saes import files
from vinfo_mpi.concepts.saes.features import Features, FromFile, FromFunction
from vinfo_mpi.concepts.stored import Observed
from vinfo_mpi.costs.formulas import NUMBER
from vinfo_mpi.costs.workload import Costs, Workload
from vinfo_mpi.errors import InputError
from vinfo_mpi.networks.footprint import held
from vinfo_mpi.numerics import directions
from vinfo_mpi.numerics.autoencoder import Autoencoder
from vinfo_mpi.numerics.gram import Gram
from vinfo_mpi.parallel.logs import log
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.part import Part
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.hdf5 import Table, fixed_width

FEATURES = ("feature",)
ENCODER = {
    "weight": ("codes are s(x · weight + bias), s: see the attributes", ("feature", "channel")),
    "bias": ("of the encoder, with what is subtracted from its input", FEATURES),
    "threshold": ("features fire above it", FEATURES),
}


@dataclass
class Firing:
    """Firing rates of features; sums over images.

    Attributes
    ----------
    at_positions, pooled : (F,) float64 tensor
        Vectors of positions, and of images averaged over positions, whose code is not 0.
    vectors : int
        Vectors of positions.
    most : int
        Features that fire somewhere in an image, at most.
    """

    at_positions: torch.Tensor
    pooled: torch.Tensor
    vectors: int
    most: int


class SparseFeatures:
    """The features of a sparse autoencoder that fire at the last tap. See `ConceptKind`."""

    def count(self, run: Run, tap: str, channels: int, outputs: int) -> int:
        """Return the number of features, dead ones as well: none has been seen to fire."""
        options = run.config.dictionary
        if options.autoencoder_function is not None:
            return FromFunction(options.autoencoder_function, channels, torch.device("cpu")).count
        return len(files.read(options, channels, tap).atoms)

    def groups(self, run: Run) -> int:
        """Return 1: all images have the same concepts. See `ConceptKind`."""
        return 1

    def make(self, run: Run, part: Part) -> tuple[Tables, dict[str, Any]]:
        """Return the datasets, and how sparse the codes are. See `ConceptKind`."""
        with run.clock.phase("fit"), run.open_activations(run.final) as activations:
            tables, attributes = _made(Observed(run, activations))
        log.info(
            "dictionary: %d of %d features of the autoencoder fire, %d never do and are left out; "
            "%.1f are active per vector",
            attributes["features"] - attributes["dead"],
            attributes["features"],
            attributes["dead"],
            attributes["l0"],
        )
        return tables, attributes

    def costs(self, work: Workload) -> Costs:
        """Return what looking which features fire takes. See `ConceptKind`."""
        return Costs(
            memory=memory(work),
            operations=2.0 * work.sizes.n * (work.sizes.positions + 1) * _weights(work),
            sent=work.sent(2 * work.sizes.concepts + 1),
        )


SPARSE_FEATURES = SparseFeatures()


def _made(observed: Observed) -> tuple[Tables, dict[str, Any]]:
    """Return the dictionary, and how sparse the codes are."""
    run = observed.run
    tap = observed.activations.map_tap
    features, decoder, tables, attributes = _loaded(run, observed.channels, tap)
    firing = count_firing(observed, features)
    living = torch.nonzero(firing.at_positions + firing.pooled)[:, 0]
    if not len(living):
        raise InputError(
            f"no feature of dictionary.sae: {run.config.dictionary.sae} fires at {tap}; is it "
            "the layer that the autoencoder was trained on, scaled as then?"
        )
    if decoder is None:
        decoder = _least_squares(observed, features, len(firing.pooled))
    atoms, offset = decoder
    share = (firing.at_positions / firing.vectors)[living].cpu().numpy()
    numbers = living.cpu().numpy()
    names = fixed_width([f"feature {number}" for number in numbers])
    tables |= tables_of(atoms[living], offset=offset) | {
        "feature": Table(numbers, "number of the feature", axes=("concept",)),
        "firing": Table(share, "share of all vectors at which it fires", axes=("concept",)),
        "names": Table(names, "name of the concept", axes=("concept",)),
    }
    sparsity = {
        "features": len(firing.pooled),
        "dead": len(firing.pooled) - len(living),
        "l0": float(firing.at_positions.sum()) / firing.vectors,
        "most_active": firing.most,
    }
    return tables, attributes | sparsity


def memory(work: Workload) -> float:
    """Return the bytes of the weights, and of encoding a block of vectors."""
    rows = max(1, work.rows // work.sizes.positions) * work.sizes.positions
    weights = 3 * NUMBER * _weights(work)
    return weights + 5 * held(NUMBER * rows * work.sizes.concepts)


def _weights(work: Workload) -> int:
    return work.sizes.concepts * work.sizes.d


def _loaded(
    run: Run, channels: int, tap: str
) -> tuple[Features, tuple[torch.Tensor, torch.Tensor] | None, Tables, dict[str, Any]]:
    """Return features, their decoder, and what the dictionary must hold to encode with them."""
    options = run.config.dictionary
    if options.autoencoder_function is not None:
        own = FromFunction(options.autoencoder_function, channels, run.device)
        return own, own.decoder(run.device), {}, {}
    model: Autoencoder = run.ranks.on_root(files.read, options, channels, tap)
    encoder = model.encoder
    tensors = {"weight": encoder.weight, "bias": encoder.bias, "threshold": encoder.threshold}
    tables = {
        f"encoder/{name}": Table(tensor.numpy(), ENCODER[name][0], axes=ENCODER[name][1])
        for name, tensor in tensors.items()
        if tensor is not None
    }
    attributes = {
        "top_k": encoder.top_k or 0,
        "reached": int(encoder.reached),
        "signed": int(encoder.signed),
    }
    on_device = encoder.to(run.device)
    decoder = (model.atoms.to(run.device), model.offset.to(run.device))
    return FromFile(on_device), decoder, tables, attributes


def _blocks(observed: Observed) -> list[range]:
    """Return this rank's rows, block by block."""
    n, positions, _ = observed.map_shape
    size = max(1, observed.run.config.machine.rows // positions)
    return batches(observed.run.ranks.block(n), size)


@torch.no_grad()
def count_firing(observed: Observed, features: Features) -> Firing:
    """Return how often every feature fires, over the images of all ranks."""
    run = observed.run
    positions = torch.zeros(1, dtype=torch.float64, device=run.device)
    pooled = positions
    vectors = 0
    most = 0
    for rows in run.progress(_blocks(observed), "dictionary: blocks"):
        maps = observed.map(rows)
        at_positions = features.codes(maps.flatten(0, 1)) != 0
        of_means = features.codes(maps.mean(1)) != 0
        positions = positions + at_positions.sum(0)
        pooled = pooled + of_means.sum(0)
        vectors += len(at_positions)
        in_images = at_positions.unflatten(0, maps.shape[:2]).any(1)
        most = max(most, int(torch.cat([in_images, of_means]).sum(1).max()))
    count = max(run.ranks.allgather(len(positions)))  # a rank without images has seen no feature
    sums = torch.cat(
        [positions.expand(count), pooled.expand(count), positions.new_tensor([vectors])]
    )
    sums = run.ranks.sum(sums)
    return Firing(sums[:count], sums[count:-1], int(sums[-1]), run.ranks.max(most))


@torch.no_grad()
def _least_squares(
    observed: Observed, features: Features, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the linear decoder that rebuilds the vectors of all positions best."""
    run = observed.run
    gram = Gram([count, observed.channels], run.device)
    for rows in run.progress(_blocks(observed), "dictionary: decoder"):
        vectors = observed.map(rows).flatten(0, 1)
        gram.add(features.codes(vectors), vectors)
    return directions.decoder(gram.reduced(run.ranks.sum))
