"""Images that a table lists, factors and groups of its columns, and tables that are refused."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import datasets, tables
from vinfo_mpi.errors import InputError

ROWS = {
    "file_name": [f"photos/{number}.png" for number in range(8)],
    "label": ["dog", "cat ", "dog", "cat", "dog", "cat", "dog", "cat"],
    "split": ["train"] * 4 + ["val"] * 2 + ["test"] * 2,
    "age": [3.5, 1, 2, 4, 5, 6, 7, 8],
    "indoors": [True, False] * 4,
    "place": ["land", "land", "water", "water"] * 2,
}


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(8):
        Image.new("L", (6, 6), number).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


def write(folder, name="labels.csv", **changed):
    frame = pd.DataFrame({key: value for key, value in (ROWS | changed).items() if value})
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep={".csv": ",", ".tsv": "\t", ".txt": ";"}[path.suffix])
    return path


def load(table, **settings):
    return datasets.load(Data(source="table", table=str(table), **settings), seed=0)


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv", "labels.txt", "labels.parquet"])
def test_a_table_lists_images_with_what_is_known_of_them(photos, name):
    images = load(write(photos, name), group="place")
    assert [np.asarray(images.read(index))[0, 0] for index in range(8)] == [*range(8)]
    assert images.classes == ["cat", "dog"]
    assert images.labels.tolist() == [1, 0] * 4
    assert images.test.tolist() == [False] * 4 + [True] * 4
    assert {factor: values.tolist() for factor, values in images.factors.items()} == {
        "age": ROWS["age"],
        "indoors": [1, 0] * 4,
        "place=land": [1, 1, 0, 0] * 2,
        "place=water": [0, 0, 1, 1] * 2,
    }


def test_columns_may_be_called_otherwise_and_numbers_name_groups(photos):
    table = write(
        photos, label=None, split=None, y=[1, 0] * 4, site=[2, 1, 2, 1] * 2, seed=[0, 1] * 4
    )
    images = load(table, group=["site"], factors=["age"])
    assert images.labels.tolist() == [1, 0] * 4
    assert list(images.factors) == ["age", "site=1", "site=2"]
    images = load(table, columns={"label": "site", "split": "seed"}, factors=["age"])
    assert images.labels.tolist() == [2, 1, 2, 1] * 2
    assert images.test.tolist() == [False, True] * 4


def test_images_without_a_factor_are_left_out_on_request(photos):
    table = write(photos, age=[None, 1, 2, 3, 4, 5, 6, 7])
    data = Data(source="table", table=str(table), on_missing_factor="skip")
    assert datasets.load(data, 0).analysed(data, 0).tolist() == [*range(1, 8)]


# --- a table beside other images ---


def test_a_table_describes_images_from_elsewhere(photos):
    (photos / "photos" / "dog").mkdir()
    for number in range(4):
        (photos / "photos" / f"{number}.png").rename(photos / "photos" / "dog" / f"{number}.png")
    (photos / "photos" / "cat").mkdir()
    for number in range(4, 8):
        (photos / "photos" / f"{number}.png").rename(photos / "photos" / "cat" / f"{number}.png")
    names = [f"dog/{number}.png" for number in range(4)] + [
        f"cat/{number}.png" for number in (7, 6, 5, 4)
    ]
    table = write(photos, file_name=names, label=None)
    data = Data(source="folder", root=str(photos / "photos"), table=str(table), group="place")
    images = datasets.load(data, 0)
    assert images.labels.tolist() == [0] * 4 + [1] * 4  # those of the folders
    assert images.factors["age"].tolist() == [8, 7, 6, 5, 3.5, 1, 2, 4]
    write(photos, file_name=[*names[:-1], "cat/9.png"], label=None)
    with pytest.raises(InputError, match=r"1 of 8 images have no row \(first: cat/4\.png, where"):
        datasets.load(data, 0)


def test_ids_are_the_numbers_of_images(tmp_path):
    labels = load_digits().target
    order = np.random.default_rng(0).permutation(len(labels))
    pd.DataFrame({"id": order, "even": labels[order] % 2 == 0, "y": labels[order] // 5}).to_csv(
        tmp_path / "more.csv"
    )
    data = Data(table=str(tmp_path / "more.csv"), columns={"label": "y"})
    images = datasets.load(data, 0)
    assert np.array_equal(images.factors["even"], labels % 2 == 0)
    assert np.array_equal(images.labels, labels // 5)
    assert list(images.factors) == ["even"]  # the column without a name is pandas' own


# --- what depends on a table ---


def test_factors_can_change_without_the_images(photos):
    data = Data(source="table", table=str(write(photos)))
    skipping = data.model_copy(update={"on_missing_factor": "skip"})
    before = tables.key_of_images(data), tables.key_of_factors(data), tables.key_of_images(skipping)
    write(photos, age=[1, 1, 2, 4, 5, 6, 7, 8])
    assert tables.key_of_images(data) == before[0]
    assert tables.key_of_factors(data) != before[1]
    assert tables.key_of_images(skipping) == before[2]
    write(photos, age=[None, 1, 2, 4, 5, 6, 7, 8])
    assert tables.key_of_images(data) == before[0]
    assert tables.key_of_images(skipping) != before[2]
    write(photos, label=["dog"] * 4 + ["cat"] * 4)
    assert tables.key_of_images(data) != before[0]


# --- tables that are refused ---


@pytest.mark.parametrize(
    "changed, settings, sentence",
    [
        ({"file_name": ["photos/9.png", *ROWS["file_name"][1:]]}, {},
         r"1 of 8 files do not exist \(first: row 1, .*photos/9\.png\); set data\.root"),
        ({"file_name": ["photos/1.png", *ROWS["file_name"][1:]]}, {},
         "rows 1 and 2 have the same path, photos/1.png; give every image one row"),
        ({"file_name": None}, {}, "no column is called path, file_name, filename; name"),
        ({"label": ["dog", " ", *ROWS["label"][2:]]}, {},
         r"column 'label' is empty in 1 of 8 rows \(first: row 2, photos/1\.png\); give every"),
        ({"age": [3.5, 1, None, None, 5, 6, 7, 8]}, {},
         r"column 'age' is empty in 2 of 8 rows \(first: row 3, photos/2\.png\); give values"),
        ({"age": [2] * 8}, {}, "column 'age' has the same value, 2, in all rows; name the columns"),
        ({"place": ["sea"] + ["land"] * 7}, {"group": "place"},
         "column 'place': the group 'sea' has only one image; join it"),
        ({"place": ["sea"] + ["land"] * 7}, {}, "the value 'sea' has only one image; join it"),
        ({"split": ["train"] * 7 + ["trial"]}, {},
         "row 8 belongs to the part 'trial'; did you mean 'train'"),
        ({}, {"group": "plaice"},
         r"data.group: .* has no further column 'plaice'; did you mean 'place'\?"),
        ({}, {"factors": ["size"]}, "data.factors: .* has no further column 'size'; valid: age"),
        ({}, {"columns": {"label": "lable"}},
         "data.columns: .* has no column 'lable' for the label; did you mean 'label'"),
        ({"label": [0.5, 1.5] * 4}, {}, "image 0 has label 0.5; classes are numbered by whole"),
    ],
)  # fmt: skip
def test_refused(photos, changed, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        load(write(photos, **changed), **settings)


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "cannot be read as a table|has no rows"),
        (b"path,label\n", "has no rows; give a header and a row for every image"),
        (b"path,label\na.png,1\nb.png,2,3\n", "cannot be read as a table"),
        (b"path,x,x\na.png,1,2\n", "has two columns 'x'; rename one"),
        (b"\xff\xfe\x00binary\n", "cannot be read as a table"),
    ],
)
def test_no_table(tmp_path, content, sentence):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path / "labels.csv")


def test_a_table_has_a_path(photos):
    with pytest.raises(InputError, match=r"data\.table: nowhere\.csv does not exist"):
        load("nowhere.csv")
    with pytest.raises(ValueError, match=r"data\.table is missing; set its path"):
        Data(source="table")
    with pytest.raises(ValueError, match=r"data\.group is about a table; set data\.table"):
        Data(group="place")
