"""Which features of an autoencoder fire, over the images of all ranks."""

from types import SimpleNamespace

import numpy as np
import torch

from vinfo_mpi.concepts.saes.features import FromFile
from vinfo_mpi.concepts.saes.source import count_firing
from vinfo_mpi.numerics.autoencoder import Encoder


def test_the_ranks_count_what_one_counts(ranks):
    random = np.random.default_rng(0)
    weight = torch.from_numpy(random.normal(size=(30, 4)))
    encoder = Encoder(weight, torch.full((30,), -2.0, dtype=torch.float64), top_k=3)
    for n in (2, 11):  # of four ranks, two have no image of two
        maps = torch.from_numpy(random.normal(size=(n, 5, 4)))
        run = SimpleNamespace(
            ranks=ranks,
            device=torch.device("cpu"),
            config=SimpleNamespace(machine=SimpleNamespace(rows=8)),
            progress=lambda items, what: items,
        )
        observed = SimpleNamespace(
            run=run, map_shape=maps.shape, map=lambda rows, maps=maps: maps[rows.start : rows.stop]
        )
        firing = count_firing(observed, FromFile(encoder))
        codes = encoder(maps)
        assert firing.vectors == 5 * n
        np.testing.assert_array_equal(firing.at_positions, (codes != 0).sum((0, 1)))
        np.testing.assert_array_equal(firing.pooled, (encoder(maps.mean(1)) != 0).sum(0))
