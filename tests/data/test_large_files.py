"""Data sets in few large files: of Hugging Face, and tar files of WebDataset."""

import io
import json
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets, large_files
from vinfo_mpi.errors import InputError


def picture(value):
    buffer = io.BytesIO()
    Image.new("L", (6, 6), value).save(buffer, "PNG")
    return buffer.getvalue()


def rows(numbers, **more):
    """Return rows as Hugging Face's library stores them, with the names of the classes."""
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"]}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    cells = [{"bytes": picture(number), "path": None} for number in numbers]
    columns = {
        "image": pa.array(cells, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "label": [number % 2 for number in numbers],
        "age": [float(number) for number in numbers],
        "place": ["land" if number % 4 < 2 else "sea" for number in numbers],
    }
    return pa.table(columns | more).replace_schema_metadata(metadata)


def save_to_disk(folder, *shards):
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        path = str(folder / name)
        with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, shard.schema) as stream:
            stream.write_table(shard, max_chunksize=3)
    state = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(state))


def add(shard, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


def save_shard(path, numbers, kind="cls"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as shard:
        for number in numbers:
            name = f"pictures/{number:03d}"
            label = "cat" if number % 2 == 0 else "dog"
            add(shard, f"{name}.png", picture(number))
            known = {"label": label, "age": number}
            content = str(number % 2) if kind == "cls" else json.dumps(known)
            add(shard, f"{name}.{kind}", content.encode())


def load(source, root, **settings):
    return datasets.load(Data(source=source, root=str(root), **settings), seed=0)


def values(images):
    read = pickle.loads(pickle.dumps(images.read))  # as it travels to processes that read
    return [int(np.asarray(read(index)).flat[0]) for index in range(len(images.labels))]


def test_saved_to_disk(tmp_path):
    save_to_disk(tmp_path / "train", rows(range(8)), rows(range(8, 12)))
    save_to_disk(tmp_path / "test", rows(range(12, 16)))
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["test", "train"]}')
    images = load("huggingface", tmp_path, factors=["age"], group="place")
    assert values(images) == [*range(16)]
    assert images.labels.tolist() == [0, 1] * 8
    assert images.classes == ["cat", "dog"]
    assert images.test.tolist() == [False] * 12 + [True] * 4
    assert images.factors["age"].tolist() == [*range(16)]
    assert images.factors["place=sea"].tolist() == [0, 0, 1, 1] * 4
    assert images.names[9] == "train/data-00001-of-00002.arrow, row 1"
    assert len(load("huggingface", tmp_path / "test").labels) == 4


def test_parquet(tmp_path):
    (tmp_path / "data").mkdir()
    for name, numbers in (("train-0", range(7)), ("train-1", range(7, 10)), ("validation-0", [10])):
        parquet.write_table(rows(numbers), tmp_path / "data" / f"{name}.parquet", row_group_size=3)
    images = load("huggingface", tmp_path)
    assert values(images) == [*range(11)]
    assert images.classes == ["cat", "dog"]
    assert images.test.nonzero()[0].tolist() == [10]
    assert images.factors == {}  # none is asked for


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_shards(tmp_path, kind):
    save_shard(tmp_path / "train" / "0.tar", range(5), kind)
    save_shard(tmp_path / "train" / "1.tar", range(5, 8), kind)
    save_shard(tmp_path / "val" / "0.tar", range(8, 10), kind)
    more = {"factors": ["age"]} if kind == "json" else {}
    images = load("webdataset", tmp_path, **more)
    assert values(images) == [*range(10)]
    assert images.labels.tolist() == [0, 1] * 5
    assert images.classes == (["cat", "dog"] if kind == "json" else ["0", "1"])
    assert images.test.tolist() == [False] * 8 + [True] * 2
    assert images.names[5] == "train/1.tar/pictures/005"
    if more:
        assert images.factors["age"].tolist() == [*range(10)]


def test_files_are_those_that_are_read(tmp_path):
    save_shard(tmp_path / "b.tar", [0, 1])
    save_shard(tmp_path / "a.tar", [2, 3])
    data = Data(source="webdataset", root=str(tmp_path))
    assert large_files.files(data) == [tmp_path / "a.tar", tmp_path / "b.tar"]
    assert values(datasets.load(data, 0)) == [2, 3, 0, 1]
    assert large_files.files(Data()) == []


def test_refused(tmp_path):
    with pytest.raises(
        InputError, match="holds no data set of Hugging Face; expected what save_to"
    ):
        load("huggingface", tmp_path)
    with pytest.raises(InputError, match=r"holds no shards; expected <name>\.tar, or train"):
        load("webdataset", tmp_path)
    save_shard(tmp_path / "a.tar", [0, 1], "json")
    with pytest.raises(InputError, match="no further column 'size'; valid: age"):
        load("webdataset", tmp_path, factors=["size"])
    with pytest.raises(InputError, match=r"column 'cls' is empty in 2 of 3 rows \(first: row 1\)"):
        save_shard(tmp_path / "b.tar", [5])
        load("webdataset", tmp_path)
    (tmp_path / "b.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(InputError, match=r"b\.tar cannot be read as a shard"):
        load("webdataset", tmp_path)
    save_to_disk(tmp_path / "one", rows(range(4)).drop_columns(["image"]))
    with pytest.raises(InputError, match="the images should be called 'image'"):
        load("huggingface", tmp_path / "one")
