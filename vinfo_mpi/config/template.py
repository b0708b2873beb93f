"""A configuration to begin with: every setting at its default, with what it means, as YAML."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from vinfo_mpi.config.load import change, check_config
from vinfo_mpi.config.sections.section import Section

WIDTH = 100
HEAD = """\
# An experiment: a network, images, and what to compute from them. Every setting is here; lines that
# still have their default may be left out. To begin with, set data and network.
# What it costs:  python -m vinfo_mpi {path} --dry-run
# Run it:         mpirun -n 8 python -m vinfo_mpi {path}
"""


def template(path: object, settings: Sequence[str] = ()) -> str:
    """Return the text of a configuration with every setting, at its default unless changed.

    Parameters
    ----------
    path : Path
        Where it will be written, which the text says.
    settings : sequence of str
        Changes, each ``a.b=value`` with the value in YAML.

    Raises
    ------
    InputError
        If a change is not valid.
    """
    values: dict[str, Any] = {}
    changed = change(values, settings)
    network = values.setdefault("network", {})
    if isinstance(network, dict) and not {"name", "target"} & set(network):
        network["name"] = "resnet18"
    config = check_config(values, path, dict.fromkeys(changed, 0))
    return HEAD.format(path=path) + "\n".join(_section(config, "")) + "\n"


def _section(section: Section, indent: str) -> Iterator[str]:
    """Yield the lines of a section, single settings before the sections in it."""
    values = json.loads(section.model_dump_json())
    inner = {name: value for name, value in section if isinstance(value, Section)}
    for name, field in type(section).model_fields.items():
        if name not in inner:
            yield from _setting(name, values[name], field, indent)
    for name, subsection in inner.items():
        yield ""
        yield from _comment((type(subsection).__doc__ or "").split("\n\n")[0], indent)
        yield f"{indent}{name}:"
        yield from _section(subsection, indent + "  ")


def _setting(name: str, value: Any, field: FieldInfo, indent: str) -> Iterator[str]:
    """Yield a setting, what it means and what it may be: beside it where there is room."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n")
    line = f"{indent}{name}: {text.strip()}"
    meaning = field.description or ""
    words = _words(field.annotation)
    if len(words) > 1:
        meaning = f"{' | '.join(words)}{f'; {meaning}' if meaning else ''}"
    if not meaning:
        yield line
    elif len(line) + len(meaning) + 4 <= WIDTH:
        yield f"{line}  # {meaning}"
    else:
        yield from _comment(meaning, indent)
        yield line


def _words(annotation: Any) -> list[str]:
    """Return the words that a setting may be, none for what may be anything."""
    origin = get_origin(annotation)
    if origin is Literal:
        return [str(word) for word in get_args(annotation)]
    if origin is Annotated:
        return _words(get_args(annotation)[0])
    if origin not in (Union, UnionType):
        return []
    return [word for kind in get_args(annotation) for word in _words(kind)]


def _comment(text: str, indent: str) -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=prefix, subsequent_indent=prefix
    )
