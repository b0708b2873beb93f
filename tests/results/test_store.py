"""results.h5: each stage adds or replaces its own part."""

import h5py
import numpy as np
import pytest
from contents import datasets

from vinfo_mpi.errors import InputError
from vinfo_mpi.results import store
from vinfo_mpi.storage.hdf5 import Table, fixed_width


def score(concepts=4, value=0.5):
    """Return the tables of the score stage."""
    return {
        "concepts/complexity": Table(np.full(concepts, value), "complexity", "1", ("concept",)),
        "concepts/alive": Table(
            np.ones(concepts, bool), "whether the concept varies", axes=("concept",)
        ),
        "taps": Table(fixed_width(["stem", "layer1"]), "names of the taps", axes=("tap",)),
        "vinformation": Table(
            np.full((2, concepts), value), "V-information", "1", ("tap", "concept"), {"folds": 5}
        ),
    }


def importance(concepts=4, value=2.0):
    """Return the tables of the importance stage."""
    return {"concepts/importance": Table(np.full(concepts, value), "importance", axes=("concept",))}


def provenance(fingerprint, **more):
    inputs = '{"codes": "c1"}'
    return {
        "filetype": "vinfo-results",
        "format_version": 3,
        "fingerprint": fingerprint,
        "inputs": inputs,
        "ranks": 2,
    } | more


@pytest.fixture
def path(tmp_path):
    """A results file with the parts of two stages."""
    path = tmp_path / "results.h5"
    store.update(path, "score", score(), provenance("s1", command="score"))
    store.update(path, "importance", importance(), provenance("i1", command="importance"))
    return path


def values(path):
    """Return the values of all datasets, by name."""
    return {name: stored.tolist() for name, stored in datasets(path).items()}


def test_stages_add_up(path):
    assert values(path) == {
        "concepts/alive": [True] * 4,
        "concepts/complexity": [0.5] * 4,
        "concepts/importance": [2.0] * 4,
        "concepts/index": [0, 1, 2, 3],
        "taps": [b"stem", b"layer1"],
        "vinformation": [[0.5] * 4] * 2,
    }


def test_a_stage_replaces_its_own_datasets_alone(path):
    before = values(path)
    again = {name: table for name, table in score(value=0.25).items() if name != "concepts/alive"}
    store.update(path, "score", again, provenance("s2"))
    after = values(path)
    assert "concepts/alive" not in after
    assert after["concepts/complexity"] == [0.25] * 4
    for name in ("concepts/importance", "concepts/index", "taps"):
        assert after[name] == before[name]


def test_datasets_of_no_stage_give_way(path):
    with h5py.File(path, "r+") as file:
        del file["provenance/score"]
    store.update(path, "score", score(value=0.25), provenance("s2"))
    assert values(path)["vinformation"] == [[0.25] * 4] * 2
    with h5py.File(path) as file:
        assert [len(axis) for axis in file["vinformation"].dims] == [1, 1]


@pytest.mark.parametrize("concepts", [3, 4])
def test_other_codes_drop_what_the_other_stages_said_of_the_old_ones(path, concepts):
    """Also where they are of as many concepts as before."""
    store.update(path, "score", score(concepts), provenance("s2", inputs='{"codes": "c2"}'))
    assert values(path).keys() == score().keys() | {"concepts/index"}
    assert values(path)["concepts/index"] == list(range(concepts))
    assert store.fingerprint(path, "score") == "s2"
    assert store.fingerprint(path, "importance") is None


def test_a_stage_that_speaks_of_no_concepts_leaves_them(path):
    before = values(path)
    tables = {"spectrum/values": Table(np.ones(7), "eigenvalues", axes=("rank",))}
    store.update(path, "spectrum", tables, provenance("p1", inputs="{}"))
    assert values(path) == before | {"spectrum/values": [1.0] * 7}
    assert store.fingerprint(path, "importance") == "i1"
    store.update(path, "score", score(), provenance("s2", inputs='{"codes": "c2"}'))
    assert values(path)["spectrum/values"] == [1.0] * 7


def test_every_dataset_explains_itself(path):
    """Also those that stay while another stage writes."""
    with h5py.File(path) as file:
        vinformation = file["vinformation"]
        assert (
            dict(vinformation.attrs).items()
            >= {"description": "V-information", "units": "1", "folds": 5}.items()
        )
        assert [axis.label for axis in vinformation.dims] == ["tap", "concept"]
        assert [[scale.name for scale in axis.values()] for axis in vinformation.dims] == [
            ["/taps"],
            ["/concepts/index"],
        ]
        assert file["concepts/importance"].dims[0][0] == file["concepts/index"]
        assert all(file["concepts"][name].attrs["description"] for name in file["concepts"])


def test_axes_point_to_what_has_been_replaced(path):
    """Also where another stage has written the dataset, and where the file had none before."""
    flow = {"flow/cka": Table(np.ones((2, 4)), "CKA", axes=("tap", "concept"))}
    store.update(path, "flow", flow, provenance("f1"))
    other = fixed_width(["stem", "layer2"])
    store.update(path, "score", score() | {"taps": Table(other, "taps", axes=("tap",))},
                 provenance("s2"))  # fmt: skip
    with h5py.File(path) as file:
        for name in ("flow/cka", "vinformation"):
            [taps], [concepts] = (axis.values() for axis in file[name].dims)
            assert taps == file["taps"]
            assert concepts == file["concepts/index"]
        assert file["taps"][()].tolist() == [b"stem", b"layer2"]
    store.update(path, "flow", flow, provenance("f2", inputs='{"codes": "c2"}'))
    with h5py.File(path) as file:
        assert {*file} == {"concepts", "flow", "provenance"}  # no group is left empty
        assert [len(axis) for axis in file["flow/cka"].dims] == [0, 1]


def test_what_is_replaced_leaves_its_room_to_what_replaces_it(path):
    large = {"flow/cka": Table(np.ones(10**5), "CKA")}
    for number in range(4):
        store.update(path, "flow", large, provenance(f"f{number}"))
    assert path.stat().st_size < 1.5 * 8 * 10**5


def test_types_survive_other_stages(path):
    with h5py.File(path) as file:
        assert file["concepts/alive"].dtype == bool
        assert file["taps"].asstr()[()].tolist() == ["stem", "layer1"]
        assert h5py.check_string_dtype(file["taps"].dtype).encoding == "utf-8"


def test_provenance_of_each_stage(path):
    with h5py.File(path) as file:
        stages = {stage: dict(group.attrs) for stage, group in file["provenance"].items()}
        assert stages["score"] == provenance(
            "s1", command="score", datasets=" ".join(sorted(score()))
        )
        assert stages["importance"] == provenance(
            "i1", command="importance", datasets="concepts/importance"
        )
        assert (
            dict(file.attrs).items() >= provenance("i1", command="importance", complete=1).items()
        )


def test_fingerprint(path, tmp_path):
    assert store.fingerprint(path, "score") == "s1"
    assert store.fingerprint(path, "importance") == "i1"
    assert store.fingerprint(path, "dynamics") is None
    assert store.fingerprint(tmp_path / "missing.h5", "score") is None


def test_a_damaged_file_is_not_overwritten(path):
    path.write_bytes(path.read_bytes()[:-100])
    before = path.read_bytes()
    with pytest.raises(InputError, match="is damaged"):
        store.update(path, "score", score(), provenance("s2"))
    assert path.read_bytes() == before


def test_a_failure_while_writing_leaves_the_file_before(path):
    before = values(path)
    with pytest.raises(TypeError):
        store.update(
            path, "score", score() | {"bad": Table(object(), "cannot be stored")}, provenance("s2")
        )
    assert values(path) == before
    assert store.fingerprint(path, "score") == "s1"
