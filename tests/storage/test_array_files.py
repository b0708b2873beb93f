"""Arrays in files of other programs, by rows."""

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage.array_files import RowsOfArray

ARRAY = np.random.default_rng(0).normal(size=(20, 3, 2)).astype(np.float32)


def write(path, **arrays):
    if path.suffix == ".npy":
        np.save(path, *arrays.values())
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.update(arrays)
    else:
        save_file({name: torch.tensor(values) for name, values in arrays.items()}, path)
    return path


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5", "safetensors"])
def test_rows_in_any_order(tmp_path, suffix):
    path = write(tmp_path / f"a:b.{suffix}", values=ARRAY)
    array = RowsOfArray(str(path), "layer a:")
    assert array.shape == ARRAY.shape
    for rows in ([3, 4, 5], [7, 2, 2, 19], [0]):
        np.testing.assert_array_equal(array.read(np.array(rows)), ARRAY[rows])
    np.testing.assert_array_equal(array.all(), ARRAY)


@pytest.mark.parametrize("suffix", ["npz", "h5", "safetensors"])
def test_one_of_several_is_named(tmp_path, suffix):
    path = write(tmp_path / f"all.{suffix}", one=ARRAY, other=ARRAY + 1)
    array = RowsOfArray(f"{path}:other", "layer a:")
    np.testing.assert_array_equal(array.read(np.array([4])), ARRAY[[4]] + 1)
    with pytest.raises(InputError, match=r"layer a: .* it holds several arrays; give path:name"):
        RowsOfArray(str(path), "layer a:")
    with pytest.raises(InputError, match=r"there is no 'ones'; give path:name, did you mean 'one'"):
        RowsOfArray(f"{path}:ones", "layer a:")


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5", "safetensors"])
def test_what_cannot_be_read_is_refused(tmp_path, suffix):
    path = tmp_path / f"bad.{suffix}"
    with pytest.raises(InputError, match=r"bad\.\w+ does not exist; give an array as path or"):
        RowsOfArray(str(path), "layer a:")
    path.write_bytes(b"nothing at all")
    with pytest.raises(InputError, match=rf"cannot be read as \.{suffix} \([^\n]+\); write it"):
        RowsOfArray(str(path), "layer a:")


def test_what_holds_no_numbers_is_refused(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    with pytest.raises(InputError, match=r"text\.npy holds <U1, not numbers"):
        RowsOfArray(str(tmp_path / "text.npy"), "layer a:").read(np.arange(2))
    broken = ARRAY.copy()
    broken[13, 1] = np.inf
    np.save(tmp_path / "nan.npy", broken)
    array = RowsOfArray(str(tmp_path / "nan.npy"), "layer a:")
    array.read(np.arange(13))
    with pytest.raises(InputError, match=r"layer a: .*nan\.npy: row 13 holds NaN or infinity"):
        array.read(np.array([18, 13, 2]))
    with pytest.raises(InputError, match=r"'a\.txt' is not an array; give a file \.npy, "):
        RowsOfArray("a.txt", "layer a:")


def test_zarr_is_named_where_it_is_missing(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    try:
        import zarr  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match=r"reading it needs zarr: pip install zarr"):
            RowsOfArray(str(tmp_path / "a.zarr"), "layer a:")
