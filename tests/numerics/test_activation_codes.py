"""Activation codes: closed cases, planted copies, a comparison with whole codes, units drawn."""

import numpy as np
import pytest
import torch

from vinfo_mpi.numerics.activation_codes import hashes, packed, redundancy, some_units, unpacked


def ratio(bits):
    """Return what the hashes of codes say."""
    return redundancy(hashes(packed(torch.from_numpy(bits))))


def test_packing_and_back():
    bits = np.random.default_rng(0).random((9, 130)) < 0.5
    words = packed(torch.from_numpy(bits))
    assert words.shape == (9, 3)
    expected = np.packbits(np.pad(bits, ((0, 0), (0, 62))), axis=1, bitorder="little")
    np.testing.assert_array_equal(words.view(np.uint8), expected)
    np.testing.assert_array_equal(unpacked(words, 130), bits)


@pytest.mark.parametrize("copies", [0, 1, 17])
def test_planted_copies_are_counted_exactly(copies):
    random = np.random.default_rng(copies)
    bits = random.random((80, 300)) < 0.5
    bits = np.concatenate([bits, bits[random.integers(80, size=copies)]])
    bits = bits[random.permutation(len(bits))]
    assert ratio(bits)[0] == copies / (80 + copies)


def test_units_that_are_all_on_and_a_single_rectifier():
    x = torch.linspace(-1, 1, 50)[:, None]
    n = len(x)
    always_on = torch.nn.functional.relu(x @ torch.ones(1, 70) + 10) > 0
    assert redundancy(hashes(packed(always_on)))[0] == (n - 1) / n
    assert redundancy(hashes(packed(x.relu() > 0)))[0] == (n - 2) / n


def test_scaled_activations_have_the_same_codes():
    x = torch.randn(20, 100, generator=torch.Generator().manual_seed(0))
    codes = [hashes(packed((scale * x).relu() > 0)) for scale in (1, 1e-3, 400)]
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])


@pytest.mark.parametrize("kind", ["GELU", "SiLU", "Mish", "Hardswish", "ELU", "SELU", "LeakyReLU"])
def test_other_nonlinearities_are_on_where_their_input_is_above_zero(kind):
    x = torch.cat([torch.linspace(-20, 20, 801), torch.tensor([-1e-6, 1e-6, 0.0])])
    assert torch.equal(getattr(torch.nn, kind)()(x) > 0, x > 0)


def test_as_many_as_there_are_different_rows_and_a_bit_makes_the_difference():
    random = np.random.default_rng(3)
    bits = random.random((2000, 9)) < 0.5  # 512 codes at most
    different = len(np.unique(bits, axis=0))
    assert ratio(bits)[0] == (2000 - different) / 2000
    one_hot = np.eye(200, dtype=bool)  # zeros but for one bit, at any place
    assert ratio(one_hot)[0] == 0


def test_the_error_is_the_jackknife_over_the_images():
    bits = np.random.default_rng(4).random((60, 5)) < 0.5
    value, error = ratio(bits)
    without = np.array([ratio(np.delete(bits, image, 0))[0] for image in range(60)])
    assert error == pytest.approx(np.sqrt(59 / 60 * ((without - without.mean()) ** 2).sum()))
    assert 0 < error < value


def test_a_hash_looks_like_chance():
    words = np.arange(4096, dtype=np.uint64)[:, None]
    ones = np.unpackbits(hashes(words).view(np.uint8), axis=1).mean(0)
    assert abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(4096)


def test_fewer_units_are_the_first_of_more_in_every_layer_and_in_all():
    sizes = [40, 7, 300]
    many, few = some_units(sizes, 60, seed=5), some_units(sizes, 20, seed=5)
    assert many.counts == [40, 7, 60, 60]
    assert few.counts == [20, 7, 20, 20]
    offsets = [0, 40, 47]

    def units(some, count):
        every = np.concatenate(
            [layer + start for layer, start in zip(some.of_layers, offsets, strict=True)]
        )
        return every[some.together][:count]

    np.testing.assert_array_equal(units(many, 20), units(few, 20))
    for layer, fewer, size in zip(many.of_layers, few.of_layers, sizes, strict=True):
        np.testing.assert_array_equal(layer[: len(fewer)], fewer)
        assert len(np.unique(layer)) == len(layer) and layer.max() < size
    assert len(np.unique(units(many, 60))) == 60
    assert not np.array_equal(some_units(sizes, 20, seed=6).of_layers[2], few.of_layers[2])
