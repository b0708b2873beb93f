"""Training a sparse autoencoder on the stored vectors of a run, and its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from vinfo_mpi.config.sections.concepts import AUTOENCODER_SETTINGS, AUTOENCODER_WEIGHTS
from vinfo_mpi.numerics.arrays import evenly_spaced
from vinfo_mpi.numerics.autoencoder import Autoencoder
from vinfo_mpi.numerics.topk_training import TopKTraining
from vinfo_mpi.parallel.partition import batches
from vinfo_mpi.run.run import Run
from vinfo_mpi.storage.activations import MAP
from vinfo_mpi.storage.atomic import write_bytes, write_text

STEPS = 100  # after which a run that is to stop does
WEIGHTS = AUTOENCODER_WEIGHTS[0]  # as SAELens names them
SETTINGS = AUTOENCODER_SETTINGS[0]


def train(run: Run, features: int, seed: int, folder: Path, key: str) -> None:
    """Write a TopK autoencoder of the vectors that are encoded, unless it is there with this key.

    Rank 0 trains alone, on a bounded number of vectors: the same features on any number of ranks.
    The others wait.
    """
    if run.ranks.on_root(_is_there, folder, key):
        return
    options = run.config.autoencoder
    training: list[TopKTraining] = []

    def begin() -> None:
        with run.clock.phase("read"):
            x = vectors(run)
        training.append(
            TopKTraining(
                x, features, options.top_k, options.steps, options.batch, options.rate, seed
            )
        )

    run.ranks.on_root(begin)
    for steps in run.progress(batches(range(options.steps), STEPS), "autoencoder: steps"):
        with run.clock.phase("fit"):
            run.ranks.on_root(lambda steps=steps: training[0].advance(steps))
        run.safe_point()
    run.ranks.on_root(lambda: write(training[0].trained(), folder, key))


def vectors(run: Run) -> torch.Tensor:
    """Return what the autoencoder learns from: (n, d) float32, on this rank's device.

    All positions of images spread over those analysed, or their means where these are encoded.
    """
    with run.open_activations(run.final) as activations:
        count, positions, _ = activations.shape(MAP)
        pooled = run.config.encode.positions == "pooled"
        images = max(1, run.config.autoencoder.vectors // (1 if pooled else positions))
        maps = [
            torch.from_numpy(activations.read(MAP, range(row, row + 1))).float()
            for row in evenly_spaced(count, images).tolist()
        ]
    stacked = torch.cat([each.mean(1) for each in maps] if pooled else maps)
    return stacked.flatten(0, -2).to(run.device)


def write(model: Autoencoder, folder: Path, key: str) -> None:
    """Write an autoencoder as SAELens does, in float32; the key goes into its settings."""
    tensors = {
        "W_enc": model.encoder.weight.T,
        # SAELens subtracts the offset from what is encoded.
        "b_enc": model.encoder.bias + model.encoder.weight @ model.offset,
        "W_dec": model.atoms,
        "b_dec": model.offset,
    }
    features, channels = model.atoms.shape
    settings: dict[str, Any] = {
        "architecture": "topk",
        "d_in": channels,
        "d_sae": features,
        "k": model.encoder.top_k,
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "dtype": "float32",
        "metadata": {"fingerprint": key},
    }
    contiguous = {name: each.float().cpu().contiguous() for name, each in tensors.items()}
    write_bytes(folder / WEIGHTS, save(contiguous))
    write_text(folder / SETTINGS, json.dumps(settings, indent=1))


def _is_there(folder: Path, key: str) -> bool:
    """Whether the settings, which are written last, say that it is this one."""
    try:
        settings = json.loads((folder / SETTINGS).read_text())
    except (OSError, ValueError):
        return False
    return bool(settings.get("metadata", {}).get("fingerprint") == key)
