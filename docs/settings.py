"""Write docs/settings.md: every setting, from the schema.

python docs/settings.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vinfo_mpi.config.schema import Config
from vinfo_mpi.config.sections.section import Section

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
# Settings

Every setting of an experiment, with its default and what it may be. A configuration is a YAML file
that names those that differ, and `--set score.folds=4` changes one for a run. What is unknown or of
the wrong type is refused. [config/](../config) has examples, and every run writes all of its
settings to `config.yaml` in its folder. Give one of `network.name` and `network.target`; all others
have defaults.

Made by `python docs/settings.py` from `vinfo_mpi/config/sections/`.
"""
BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}
TYPES = {"string": "text", "boolean": "`true`, `false`", "number": "number", "integer": "integer"}
Schema = dict[str, Any]


def page() -> str:
    """Return the page, in Markdown."""
    schema = Config.model_json_schema()
    definitions = schema["$defs"]
    top = {name: field for name, field in schema["properties"].items() if not _section(field)}
    parts = [HEAD, *_table("", "The experiment", Config.__doc__, top, definitions)]
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            parts += _of_section(name, field.annotation, definitions)
    return "\n".join(parts)


def _of_section(path: str, section: type[Section], definitions: Schema) -> Iterator[str]:
    """Yield the table of a section, and those of sections in it."""
    properties = definitions[section.__name__]["properties"]
    own = {name: field for name, field in properties.items() if not _section(field)}
    if own:
        yield from _table(f"{path}.", f"`{path}`", section.__doc__, own, definitions)
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _of_section(f"{path}.{name}", field.annotation, definitions)


def _section(field: Schema) -> bool:
    return "$ref" in field


def _table(
    prefix: str, title: str, docstring: str | None, fields: Schema, definitions: Schema
) -> Iterator[str]:
    sentences = " ".join((docstring or "").split("Attributes\n")[0].split())
    yield f"## {title}\n\n{sentences}\n"
    yield "| setting | default | values | meaning |\n|---|---|---|---|"
    for name, field in fields.items():
        default = "required" if "default" not in field else f"`{_yaml(field['default'])}`"
        meaning = re.sub(r"([<*|])", r"\\\1", field["description"])
        yield f"| `{prefix}{name}` | {default} | {_values(field, definitions)} | {meaning} |"
    yield ""


def _yaml(value: Any) -> str:
    """Return a value as it is written in a line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")


def _values(field: Schema, definitions: Schema) -> str:
    """Return what a setting may be, in words."""
    if "anyOf" in field:
        return " or ".join(_values(option, definitions) for option in field["anyOf"])
    if "enum" in field or "const" in field:
        options = field.get("enum", [field.get("const")])
        return ", ".join(f"`{option}`" for option in options)
    kind = field["type"]
    if kind == "null":
        return "`null`"
    if kind == "array":
        return " ".join(["list of", _values(field["items"], definitions), _bounds(field)]).strip()
    if kind == "object":
        names = field.get("propertyNames", {"type": "string"})
        further = field.get("additionalProperties")
        of_values = _values(further, definitions) if isinstance(further, dict) else "anything"
        return f"{{{_values(names, definitions)}: {of_values}}}"
    return " ".join([TYPES[kind], _bounds(field)]).strip()


def _bounds(field: Schema) -> str:
    found = [text.format(field[name]) for name, text in BOUNDS.items() if name in field]
    return f"({', '.join(found)})" if found else ""


if __name__ == "__main__":
    PAGE.write_text(page())
