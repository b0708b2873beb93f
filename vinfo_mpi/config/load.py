"""Reading a configuration: YAML, changes from the command line, and sentences for what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from vinfo_mpi.config.schema import Config
from vinfo_mpi.errors import InputError, choices, in_one_line


class _Loader(yaml.SafeLoader):
    """YAML with the numbers that people write: 1e-5 is one, though YAML 1.1 wants 1.0e-5."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_config(path: Path, settings: list[str] | None = None) -> Config:
    """Read and check a configuration file.

    Parameters
    ----------
    path : Path
        A YAML file.
    settings : list of str
        Changes to it, each ``a.b=value`` with the value in YAML.

    Raises
    ------
    InputError
        For anything wrong, with the line or the dotted path and the nearest valid name.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the configuration {path} ({error.strerror}); check its path"
        ) from None
    try:
        node = yaml.compose(text)
        values = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {in_one_line(error)}") from None
    if not isinstance(values, dict):
        raise InputError(
            f"{path} holds no settings: expected sections such as 'network:' and 'data:'"
        )
    lines = _lines(node)
    for changed in change(values, settings or []):
        lines[changed] = 0
        for section in accumulate(changed.split(".")[:-1], "{}.{}".format):
            lines.setdefault(section, 0)  # one that the file does not have
    return check_config(values, path, lines)


def change(values: dict[str, Any], settings: Iterable[str]) -> list[str]:
    """Change values as ``--set`` says, each ``a.b=value``; return the dotted paths."""
    paths = []
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise InputError(
                f"--set {setting}: expected a.b=value, "
                "for example --set dictionary.concepts_per_class=5"
            )
        try:
            _set(values, key.strip(), yaml.load(value, _Loader))
        except yaml.YAMLError as error:
            raise InputError(
                f"--set {setting}: the value is not YAML: {in_one_line(error)}"
            ) from None
        paths.append(key.strip())
    return paths


def check_config(
    values: dict[str, Any], source: object = "configuration", lines: dict[str, int] | None = None
) -> Config:
    """Return the validated configuration; raise `InputError` naming the first thing wrong."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(_sentence(error.errors(), source, lines or {})) from None


def dump_config(config: Config) -> str:
    """Return the configuration with every default filled in, as YAML."""
    return yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False)


def _sentence(problems: list[Any], source: object, lines: dict[str, int]) -> str:
    """Return the first of pydantic's problems as a sentence: where, what, what would be right."""
    problem = problems[0]
    path = _without_union_tags(problem["loc"])
    where = _place(path, source, lines)
    if problem["type"] == "extra_forbidden":
        section = _section(problem["loc"][:-1])
        return f"{where}: unknown key '{path}'; {choices(problem['loc'][-1], section.model_fields)}"
    if problem["type"] == "missing":
        return f"{where}: '{path}' is missing; give it a value"
    message = _message(problems, path)
    names_settings = any(name in message for name in ("network.", "dictionary."))
    if not path or message.startswith(f"{path}.") or names_settings:
        return f"{where}: {message}"
    return f"{where}: '{path}' is {problem['input']!r}: {message}"


def _place(path: str, source: object, lines: dict[str, int]) -> str:
    """Return where a setting stands: in a line of the file, or on the command line (0)."""
    if path not in lines:
        return str(source)
    return f"{source}, line {lines[path]}" if lines[path] else "--set"


def _message(problems: list[Any], path: str) -> str:
    """Return what pydantic says of a setting; of one that may be of several kinds, for each."""
    of_setting = [each["msg"] for each in problems if _without_union_tags(each["loc"]) == path]
    message = " or ".join(dict.fromkeys(of_setting))
    message = message.removeprefix("Value error, ").replace(" or Input should be", " or")
    return message[0].lower() + message[1:]


def _section(location: tuple) -> type[BaseModel]:
    """Return the section that a location of pydantic's names."""
    section: type[BaseModel] = Config
    for name in location:
        section = section.model_fields[name].annotation  # type: ignore[assignment]
    return section


def _without_union_tags(location: tuple) -> str:
    """Return the dotted path of a setting; pydantic appends which member of a union it tried."""
    section: Any = Config
    names: list[str] = []
    for name in location:
        fields = getattr(section, "model_fields", {})
        if fields and name not in fields:
            names.append(str(name))
            break
        if not fields:
            break
        names.append(name)
        section = fields[name].annotation
    return ".".join(names)


def _lines(node: yaml.Node | None, prefix: str = "") -> dict[str, int]:
    """Return the line of every key, by dotted path."""
    lines: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}{key.value}"
            lines[path] = key.start_mark.line + 1
            lines |= _lines(value, f"{path}.")
    return lines


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    """Change a setting, named by its dotted path, in what the file says."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {key}: '{section}' is not a section")
    values[last] = value
