"""The page of all settings says what the schema says."""

import runpy

import yaml
from contents import ROOT

from vinfo_mpi.config.schema import Config

PAGE = ROOT / "docs/settings.md"


def leaves(section, path=""):
    """Yield the full name and the field of every setting."""
    for name, field in section.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from leaves(field.annotation, f"{path}{name}.")
        else:
            yield path + name, field


def test_the_page_is_that_of_the_schema():
    page = runpy.run_path(str(ROOT / "docs/settings.py"))["page"]()
    assert PAGE.read_text() == page, "run python docs/settings.py, which writes docs/settings.md"


def test_every_setting_has_a_row_with_its_default_and_a_meaning():
    rows = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            name, default, values, meaning = line.strip("| ").split(" | ", 3)
            rows[name.strip("`")] = default.strip("`"), values, meaning
    fields = dict(leaves(Config))
    assert rows.keys() == fields.keys()
    for name, (default, values, meaning) in rows.items():
        assert yaml.safe_load(default) == fields[name].get_default(), name
        assert values and len(meaning) > 5, name
