"""A small run, what tests look at in its files, and the environment of other programs."""

import importlib.util
import os
from pathlib import Path

import h5py

ROOT = Path(__file__).parent.parent
# Fewer where a set-up is tried, not what each analysis computes: .ci/run.
ANALYSES = os.environ.get("VINFO_TESTED_ANALYSES") or (
    "flow,support,redundancy,hoyer,sparsity,spectrum,collapse,metafeatures,stability,robustness,"
    "sedimentation,migration,audit,patterns,merging,pointwise,autoencoder,"
    "monosemanticity,filters,facets"
)
SMALL = [
    "--config", ROOT / "config/quickstart.yaml",
    "--set", "data.per_class=40",
    "--set", "data.image_size=16",
    "--set", "network.width=0.0625",
    "--set", "train.epochs=2",
    "--set", "dictionary.concepts_per_class=4",
    "--set", "machine.batch=50",
    "--set", "machine.rows=300",
    "--set", "extract.maps=all",
    "--set", f"analyses=[{ANALYSES}]",
    "--set", "sparsity={images: 130, top: [0.05, 1.0]}",
    "--set", "patterns={images: 130, bits: 128, equal_bits: 8, relaxations: [0.0, 0.25]}",
    "--set", "spectrum.taps=all",
    "--set", "merging={thresholds: [0.0, 0.5], checkpoints: all, images: 130}",
    "--set", "robustness={images: 20, draws: 3, sigmas: [0.05, 0.5]}",
    "--set", "stability.seeds=2",
    "--set", "facets.images=40",
    "--set", "autoencoder={features: 24, top_k: 4, steps: 60, batch: 64}",
    "--set", "visualise={steps: 200, extremes: 2, per_decile: 1}",
    "--set", "pages=[visualise]",
    "--set", f"metafeatures.super_classes={ROOT / 'tests/parity.yaml'}",
]  # fmt: skip


# As it was at the start: what MPI has added to this process since then would mislead a child.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def datasets(path):
    """Return every dataset of a file, by name."""
    values = {}

    def read(name, item):
        if isinstance(item, h5py.Dataset):
            values[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(read)
    return values


def check_with_sklearn():
    """Return the program that computes the numbers of a run from its files alone."""
    path = ROOT / "docs/check_with_sklearn.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flip(paths, row):
    """Flip one bit of a row in the only one of these files that holds it."""
    holding = [path for path in paths if path.is_file() and row.tobytes() in path.read_bytes()]
    assert len(holding) == 1
    path = holding[0]
    data = bytearray(path.read_bytes())
    data[data.index(row.tobytes()) + 3] ^= 16
    path.write_bytes(data)
