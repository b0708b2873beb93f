from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics import examples
from vinfo_mpi.parallel.partition import batches, block

COUNT = 4
LEVELS = (0.75, 0.5, 0.25, 0.0)


@pytest.fixture(scope="module")
def codes():
    """Skewed, sparse, with ties.

    Without activations, with two, with negative ones, and with the same one everywhere.
    """
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
    barrier = Barrier(ranks)
    box = [None] * ranks

    def exchange(rank, value, combine):
        box[rank] = value.clone()
        barrier.wait()
        result = combine(box)
        barrier.wait()
        return result

    def on(rank):
        def batches_of_rank():
            for rows in batches(block(len(codes), ranks, rank), size):
                yield rows.start, torch.from_numpy(codes[rows.start : rows.stop])

        return examples.choose(
            batches_of_rank,
            codes.shape[1],
            COUNT,
            LEVELS,
            lambda x: exchange(rank, x, sum),
            lambda x: exchange(rank, x, torch.cat),
        )

    with ThreadPoolExecutor(ranks) as pool:
        first, *rest = pool.map(on, range(ranks))
    for chosen_there in rest:
        torch.testing.assert_close(chosen_there.codes, first.codes, rtol=0, atol=0)
        torch.testing.assert_close(chosen_there.rows, first.rows, rtol=0, atol=0)
    return first.codes.numpy(), first.rows.numpy()


def test_the_most_activating_images_are_those_of_a_plain_sort(codes):
    values, rows = chosen(codes)
    for concept, column in enumerate(codes.T):
        order = np.lexsort((np.arange(len(column)), -column))[:COUNT]
        expected = np.where(column[order] > 0, order, -1)
        np.testing.assert_array_equal(rows[:COUNT, concept], expected)
        np.testing.assert_array_equal(
            values[:COUNT, concept], np.where(expected >= 0, column[order], 0)
        )


def test_levels_are_quantiles_of_the_positive_codes(codes):
    values, rows = chosen(codes)
    for concept, column in enumerate(codes.T):
        for level, value, row in zip(
            LEVELS, values[COUNT:, concept], rows[COUNT:, concept], strict=True
        ):
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
    codes_and_rows = chosen(codes[:images], ranks, size=11)
    for values, expected_values in zip(codes_and_rows, expected, strict=True):
        np.testing.assert_array_equal(values, expected_values)
