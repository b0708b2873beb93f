"""Our HDF5 files: whole or not there, and checked when opened."""

import h5py
import numpy as np
import pytest

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage import atomic, hdf5
from vinfo_mpi.storage.hdf5 import Table

ATTRIBUTES = {"filetype": "vinfo-dictionary", "format_version": 2, "fingerprint": "abc"}
TABLES = {
    "atoms": Table(np.eye(3), "atoms", "1", ("concept", "channel"), {"solver": "hals"}),
    "class": Table(np.array([0, 1, -1]), "class of each concept", axes=("concept",)),
}


@pytest.fixture
def path(tmp_path):
    """A whole dictionary file."""
    path = tmp_path / "dictionary.h5"
    hdf5.write_tables(path, TABLES, ATTRIBUTES)
    return path


def test_tables_are_read_back(path):
    with hdf5.open_checked(path, "vinfo-dictionary") as file:
        assert {name: file[name][()].tolist() for name in file} == {
            name: table.values.tolist() for name, table in TABLES.items()
        }
        atoms = file["atoms"]
        assert (
            dict(atoms.attrs).items()
            >= {"description": "atoms", "units": "1", "solver": "hals"}.items()
        )
        assert [axis.label for axis in atoms.dims] == ["concept", "channel"]
        assert "units" not in file["class"].attrs
        assert file.attrs["complete"] == 1


def test_any_of_our_files_opens_without_a_filetype(path):
    with hdf5.open_checked(path) as file:
        assert file.attrs["filetype"] == "vinfo-dictionary"


def remove(path):
    path.unlink()


def replace_by_garbage(path):
    path.write_text("not HDF5 at all")


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def replace_by_foreign(path):
    with h5py.File(path, "w") as file:
        file["weights"] = np.ones(3)


def changed(**attributes):
    """Return the damage that changes attributes; None removes one."""

    def change(path):
        with h5py.File(path, "r+") as file:
            for name, value in attributes.items():
                if value is None:
                    del file.attrs[name]
                else:
                    file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove, "does not exist; run the stage that makes it, or check the path"),
        (
            replace_by_garbage,
            r"is damaged or not an HDF5 file \(.*\); delete it and run its stage again",
        ),
        (replace_by_folder, r"is damaged or not an HDF5 file \(.*\); "),
        (
            truncate,
            r"is damaged or not an HDF5 file \(.*truncated.*\); delete it and run its stage again",
        ),
        (
            replace_by_foreign,
            r"is not a vinfo-dictionary file \(its filetype is none\); check the path",
        ),
        (
            changed(filetype="vinfo-codes"),
            r"is not a vinfo-dictionary file \(its filetype is vinfo-codes\); check the path",
        ),
        (changed(complete=None), "was not finished; delete it and run its stage again"),
        (changed(complete=0), "was not finished; delete it and run its stage again"),
        (
            changed(format_version=99),
            "has format version 99, this program reads 2; delete it and run its stage again",
        ),
        (
            changed(format_version=None),
            "has format version None, this program reads 2; delete it and run its stage again",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(path, damage, sentence):
    damage(path)
    with pytest.raises(InputError, match=f"(?s)^{path} {sentence}"):
        hdf5.open_checked(path, "vinfo-dictionary")
    assert hdf5.fingerprint(path, "vinfo-dictionary") is None


def test_a_foreign_file_where_any_of_ours_would_do(path):
    replace_by_foreign(path)
    with pytest.raises(InputError, match=" or ".join(hdf5.FORMAT_VERSIONS)):
        hdf5.open_checked(path)


def test_fingerprint(path):
    assert hdf5.fingerprint(path, "vinfo-dictionary") == "abc"
    changed(fingerprint=None)(path)
    assert hdf5.fingerprint(path, "vinfo-dictionary") is None


def test_commit_replaces_the_file_before(tmp_path):
    path = tmp_path / "codes.h5"
    path.write_text("before")
    temporary = atomic.partial(path)
    assert temporary.parent == path.parent
    temporary.write_text("after")
    atomic.commit(temporary, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("codes.h5", "after")]


def test_a_failure_while_writing_leaves_the_file_before(path):
    with pytest.raises(TypeError):
        hdf5.write_tables(path, {"atoms": Table(object(), "cannot be stored")}, ATTRIBUTES)
    with hdf5.open_checked(path, "vinfo-dictionary") as file:
        assert np.array_equal(file["atoms"], np.eye(3))


@pytest.mark.parametrize("names", [["layer1.0", "ключ", ""], [""], []])
def test_names_are_fixed_width_utf8(tmp_path, names):
    with h5py.File(tmp_path / "names.h5", "w") as file:
        stored = file.create_dataset("names", data=hdf5.fixed_width(names))
        information = h5py.check_string_dtype(stored.dtype)
        assert (information.encoding, information.length) == (
            "utf-8",
            max([1, *(len(name.encode()) for name in names)]),
        )
        assert stored.asstr()[()].tolist() == names


def test_an_axis_does_not_number_itself(tmp_path):
    with h5py.File(tmp_path / "scales.h5", "w") as file:
        index = file.create_dataset("index", data=np.arange(2))
        values = file.create_dataset("values", data=np.ones((2, 5)))
        index.make_scale("concept")
        hdf5.attach_scales(index, Table(None, "", axes=("concept",)), {"concept": index})
        hdf5.attach_scales(values, Table(None, "", axes=("concept", "channel")), {"concept": index})
        assert [scale.name for scale in values.dims[0].values()] == ["/index"]
        assert len(values.dims[1]) == 0
