"""The configuration that init writes: every setting, at its default, with what it means."""

import pytest

from vinfo_mpi.config.load import check_config, dump_config, load_config
from vinfo_mpi.config.schema import Config
from vinfo_mpi.config.template import template
from vinfo_mpi.errors import InputError
from vinfo_mpi.run.configuration import leaves


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new.yaml"
    path.write_text(template(path))
    return path


def test_it_holds_the_defaults(path):
    assert load_config(path) == check_config({"network": {"name": "resnet18"}})


def test_it_holds_every_setting_once(path):
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    names = [line.split(":")[0] for line in lines if ":" in line]
    expected = [name.split(".")[-1] for name, _ in leaves(load_config(path).model_dump())]
    sections = len([line for line in lines if line.endswith((":", "{}"))])  # or empty ones
    assert len(names) - sections == len(expected)
    assert set(expected) <= set(names)


def test_every_description_and_choice_is_there(path):
    text = " ".join(path.read_text().replace("#", " ").split())
    fields = [
        field
        for section in [Config, *(each.annotation for each in Config.model_fields.values())]
        for field in getattr(section, "model_fields", {}).values()
    ]
    described = [field.description for field in fields if field.description]
    assert len(described) > 60
    for description in described:
        assert " ".join(description.replace("#", " ").split()) in text
    assert "hals | mu" in text and "held-out | in-sample" in text


def test_its_lines_are_short_and_say_where_it_lies(path):
    text = path.read_text()
    assert f"python -m vinfo_mpi {path} --dry-run" in text
    assert max(len(line) for line in text.splitlines() if str(path) not in line) <= 100


def test_a_dumped_configuration_is_the_same(path, tmp_path):
    again = tmp_path / "again.yaml"
    again.write_text(dump_config(load_config(path)))
    assert load_config(again) == load_config(path)


def test_changes_are_written_and_checked(tmp_path):
    path = tmp_path / "birds.yaml"
    changes = ["data.source=folder", "data.root=birds", "network.target=mine:network"]
    path.write_text(template(path, changes))
    data = {"source": "folder", "root": "birds"}
    expected = check_config({"data": data, "network": {"target": "mine:network"}})
    assert load_config(path) == expected
    for change, said in [
        ("data.rot=birds", "--set: unknown key 'data.rot'"),
        ("network=birds", "--set: 'network' is 'birds'"),
        ("name", "--set name: expected a.b=value"),
    ]:
        with pytest.raises(InputError, match=said):
            template(path, [change])
