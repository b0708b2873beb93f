import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vinfo_mpi.numerics.atom_geometry import hoyer

# Below 1e-3 an entry is 0: squares of others must not vanish in the reference.
entries = st.floats(-100, 100).map(lambda value: value if abs(value) > 1e-3 else 0.0)
dictionaries = st.integers(2, 8).flatmap(lambda d: arrays(float, st.tuples(st.integers(1, 5), st.just(d)), elements=entries))


def reference(atom):
    d, one, two = len(atom), sum(abs(value) for value in atom), sum(value * value for value in atom) ** 0.5
    return (d**0.5 - one / two) / (d**0.5 - 1) if two else np.nan


@given(dictionaries)
def test_sparseness_follows_its_definition(atoms):
    found = hoyer(atoms)
    np.testing.assert_allclose(found, [reference(atom.tolist()) for atom in atoms], atol=1e-12)
    known = found[~np.isnan(found)]
    assert ((known > -1e-12) & (known < 1 + 1e-12)).all()


@given(dictionaries, st.sampled_from([1e-300, 1e-9, -1.0, 0.3, 1e200]))
def test_sparseness_does_not_depend_on_the_scale(atoms, scale):
    np.testing.assert_allclose(hoyer(atoms * scale), hoyer(atoms), atol=1e-12)


@pytest.mark.parametrize("d", [2, 5, 2048])
def test_one_channel_is_1_and_all_alike_are_0(d):
    np.testing.assert_allclose(hoyer(np.stack([-np.eye(d)[1], np.full(d, 0.3), np.resize([2.0, -2.0], d)])), [1, 0, 0], atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_zeros_and_single_channels_say_nothing():
    assert np.isnan(hoyer(np.array([[0.0, 0.0], [1.0, 0.0]]))).tolist() == [True, False]
    assert np.isnan(hoyer(np.array([[2.0], [0.0]]))).all()
