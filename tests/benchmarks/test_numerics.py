"""Every benchmark of numerics at a tiny size: the answers agree, the table says what they are."""

import pytest

from benchmarks import encode, nmf, v_information
from benchmarks.side_by_side import Options

ONCE = Options(repeats=1)


def test_v_information_is_that_of_himalaya_and_scikit_learn():
    whole, parts = v_information.cases(ONCE, [v_information.Size(1500, 20, 30)])
    assert [row.method for row in whole] == [
        "vinfo_mpi",
        "himalaya RidgeCV",
        "scikit-learn RidgeCV",
    ]
    assert "of himalaya" in whole[0].note
    assert [row.method for row in parts] == ["moments", "solve"]
    assert all(0 < row.share < 2 for row in parts)


def test_another_penalty_would_be_noticed():
    x, z, fold = v_information.sample(v_information.Size(300, 20, 5))
    ours, himalaya, _ = v_information.contestants(x, z, fold, "cpu", peers=True)
    with pytest.raises(AssertionError):
        v_information.same({"ours": ours.call(), himalaya.name: 0.9 * himalaya.call()})


@pytest.mark.parametrize("size", [nmf.Size(400, 40, 6), nmf.Size(60, 40, 3, classes=3)])
def test_factorisations_reach_the_error_of_scikit_learn(size):
    (rows,) = nmf.cases(ONCE, [size])
    assert rows[0].method.startswith("vinfo_mpi")
    assert len(rows) == (3 if size.classes == 1 else 2)
    assert rows[0].note.startswith("error of scikit-learn + 1 %")


def test_codes_are_equally_good():
    few, many = encode.cases(ONCE, [encode.Size(200, 20, 50, 10)])
    assert [row.method.split(",")[0] for row in few] == ["vinfo_mpi", "scikit-learn", "scipy nnls"]
    assert many[0].case == "K = 50, d = 20, 200 rows"


def test_worse_codes_would_be_noticed():
    x, atoms = encode.sample(encode.Size(20, 20, 50, 10))
    with pytest.raises(AssertionError):
        encode.same({"vinfo_mpi": x @ atoms.T / 50}, x, atoms)
