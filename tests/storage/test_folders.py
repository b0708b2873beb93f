import pytest

from vinfo_mpi.errors import InputError
from vinfo_mpi.storage import folders

NEW = {"fingerprint": "new", "ranks": 2}
OLD = {"fingerprint": "old", "ranks": 1}


@pytest.fixture
def folder(tmp_path):
    """A finished folder with one file."""
    folder = tmp_path / "pages"
    (folders.begin(folder, OLD) / "a.txt").write_text("old")
    folders.commit(folder)
    return folder


def test_what_is_being_made_is_not_there(folder):
    unfinished = folders.begin(folder, NEW)
    (unfinished / "b.txt").write_text("new")
    assert folders.fingerprint(folder) == "old"
    assert (folder / "a.txt").read_text() == "old"
    folders.commit(folder)
    assert folders.fingerprint(folder) == "new"
    assert sorted(path.name for path in folder.iterdir()) == ["b.txt", "provenance.json"]
    assert [path.name for path in folder.parent.iterdir()] == ["pages"]


def test_what_an_interrupted_job_has_made_is_kept_if_it_is_of_the_same(folder):
    (folders.begin(folder, NEW) / "b.txt").write_text("new")
    assert (folders.begin(folder, NEW) / "b.txt").exists()
    folders.discard_unfinished(folder)
    assert not (folders.begin(folder, NEW) / "b.txt").exists()
    (folders.begin(folder, NEW) / "b.txt").write_text("new")
    assert not (folders.begin(folder, OLD) / "b.txt").exists()


@pytest.mark.parametrize("half", ["neither is there", "both are there"])
def test_a_job_that_is_ended_while_one_takes_the_place_of_the_other_loses_none(folder, half):
    old = folder.with_name(".pages.old")
    (folders.begin(folder, NEW) / "b.txt").write_text("new")
    folder.rename(old)
    if half == "both are there":
        folder.mkdir()
        (folder / folders.PROVENANCE).write_text('{"fingerprint": "newer"}')
    unfinished = folders.begin(folder, NEW)
    assert (unfinished / "b.txt").read_text() == "new"
    assert folders.fingerprint(folder) == ("old" if half == "neither is there" else "newer")
    assert not old.exists()


@pytest.mark.parametrize("content", [None, "", "[]", "{}", "{"])
def test_no_fingerprint(tmp_path, content):
    if content is not None:
        (tmp_path / folders.PROVENANCE).write_text(content)
    assert folders.fingerprint(tmp_path) is None


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        folders.begin(tmp_path / "run" / "pages", NEW)
