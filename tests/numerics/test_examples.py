from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import examples
from vinfo_mpi.parallel.partition import batches, block

MOST, LEVELS = 4, (0.75, 0.5, 0.25, 0.0)


@pytest.fixture(scope="module")
def codes():
    """Skewed, sparse, with ties; without activations, with two, with negative ones, and with the same one everywhere."""
    draw = np.random.default_rng(0)
    values = draw.lognormal(0, 2, (500, 12)) * (draw.random((500, 12)) < 0.6)
    values[:, :3] = values[:, :3].round(1)
    values[:, 8] = 0
    values[2:, 9] = 0
    values[:, 10] = -values[:, 10]
    values[:, 11] = 0.7
    return values


def chosen(codes, ranks=1, size=37):
    """Choose on so many ranks, a thread each."""
    barrier, box = Barrier(ranks), [None] * ranks

    def exchange(rank, value, combine):
        box[rank] = value.clone()
        barrier.wait()
        result = combine(box)
        barrier.wait()
        return result

    def on(rank):
        def own():
            for rows in batches(block(len(codes), ranks, rank), size):
                yield rows.start, torch.from_numpy(codes[rows.start : rows.stop])

        return examples.choose(
            own, codes.shape[1], MOST, LEVELS, lambda x: exchange(rank, x, sum), lambda x: exchange(rank, x, torch.cat)
        )

    with ThreadPoolExecutor(ranks) as pool:
        found = list(pool.map(on, range(ranks)))
    for one in found[1:]:
        torch.testing.assert_close((one.codes, one.rows), (found[0].codes, found[0].rows), rtol=0, atol=0)
    return found[0].codes.numpy(), found[0].rows.numpy()


def test_the_most_activating_images_are_those_of_a_plain_sort(codes):
    values, rows = chosen(codes)
    for concept, column in enumerate(codes.T):
        order = np.lexsort((np.arange(len(column)), -column))[:MOST]
        expected = np.where(column[order] > 0, order, -1)
        np.testing.assert_array_equal(rows[:MOST, concept], expected)
        np.testing.assert_array_equal(values[:MOST, concept], np.where(expected >= 0, column[order], 0))


def test_levels_are_quantiles_of_the_positive_codes(codes):
    values, rows = chosen(codes)
    for concept, column in enumerate(codes.T):
        for level, value, row in zip(LEVELS, values[MOST:, concept], rows[MOST:, concept], strict=True):
            positive = column[column > 0]
            if not len(positive):
                assert (value, row) == (0, -1)
                continue
            quantile = np.quantile(positive, level, method="lower")
            assert quantile / 2 ** (1 / examples.PER_OCTAVE) <= value <= quantile
            assert row == np.flatnonzero(column == value)[0]
        assert values[-1, concept] == (column[column > 0].min() if (column > 0).any() else 0)


@pytest.mark.parametrize(("images", "ranks"), [(500, 3), (7, 10)])
def test_the_same_on_any_number_of_ranks(codes, images, ranks, monkeypatch):
    expected = chosen(codes[:images])
    monkeypatch.setattr(examples, "BLOCK", 5)
    for one, other in zip(chosen(codes[:images], ranks, size=11), expected, strict=True):
        np.testing.assert_array_equal(one, other)
