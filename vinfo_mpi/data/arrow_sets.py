"""Data sets of Hugging Face as they lie on disk: Arrow files of save_to_disk, Parquet files.

They are read by pyarrow alone. Arrow files are mapped into memory, of a Parquet file the group of
rows that holds an image is read.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from vinfo_mpi.config.schema import Data
from vinfo_mpi.data import items, large_files, tables
from vinfo_mpi.data.tables import Rows
from vinfo_mpi.errors import InputError, require

if TYPE_CHECKING:
    import pyarrow as pa

GROUPS = 4  # groups of rows of Parquet files that are kept


def rows(data: Data) -> Rows:
    """Return the images of a data set that lies in data.root.

    Raises
    ------
    InputError
        Where there is none, or it has no column of images.
    """
    require("data.source: huggingface", "pyarrow")
    import pyarrow as pa

    root = Path(data.root or ".").expanduser()
    parts = large_files.arrow_parts(root)
    files = [path for paths in parts.values() for path in paths]
    schema = _schema(files[0])
    for path in files:
        if not _schema(path).equals(schema):
            raise InputError(f"data.root: {files[0]} and {path} have different columns")
    column = items.key_of_image(dict.fromkeys(schema.names))
    if column is None:
        raise InputError(
            f"data.root: the columns of {files[0]} are {', '.join(schema.names)}; the images "
            "should be called 'image'"
        )
    others = [name for name in schema.names if name != column and _is_plain(schema.field(name))]
    counts = [_rows(path) for path in files]
    frame = pa.concat_tables([_columns(path, others) for path in files]).to_pandas()
    label = data.columns.get("label") or items.key_of_label(dict.fromkeys(others))
    table = tables.of_frame(root, frame, {"label": label} if label else {}, data)
    count_of = dict(zip(files, counts, strict=True))
    in_parts = [sum(count_of[path] for path in paths) for paths in parts.values()]
    held_out = np.repeat([name.lower() in large_files.HELD_OUT for name in parts], in_parts)
    return Rows(
        table,
        partial(_read, [str(path) for path in files], np.cumsum(counts), column),
        [f"{path.relative_to(root)}, row {row}" for path, n in zip(files, counts, strict=True)
         for row in range(n)],
        held_out if len(parts) > 1 else None,
        _class_names(schema, label),
    )  # fmt: skip


def _is_plain(field: pa.Field) -> bool:
    """Whether a column holds numbers, booleans or texts."""
    import pyarrow as pa

    kind = field.type
    known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string)
    return any(is_kind(kind) for is_kind in known) or pa.types.is_large_string(kind)


def _schema(path: Path) -> pa.Schema:
    if path.suffix == ".arrow":
        return _opened(str(path)).schema
    return _parquet(str(path)).schema_arrow


def _rows(path: Path) -> int:
    if path.suffix == ".arrow":
        return _opened(str(path)).num_rows
    return _parquet(str(path)).metadata.num_rows


def _columns(path: Path, names: list[str]) -> pa.Table:
    if path.suffix == ".arrow":
        return _opened(str(path)).select(names)
    return _parquet(str(path)).read(names)


def _class_names(schema: pa.Schema, label: str | None) -> list[str] | None:
    """Return what the data set says that its labels are called."""
    stored = (schema.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(stored).get("info", {}).get("features", {})
    return features.get(label, {}).get("names")


@lru_cache(maxsize=4096)
def _opened(path: str) -> pa.Table:
    """Return the rows of an Arrow file, mapped into memory."""
    import pyarrow as pa

    try:
        return pa.ipc.open_stream(pa.memory_map(path)).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"data.root: {path} cannot be read ({error})") from None


@lru_cache(maxsize=4096)
def _parquet(path: str) -> Any:
    """Return an open Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"data.root: {path} cannot be read ({error})") from None


@lru_cache(maxsize=GROUPS)
def _group(path: str, group: int, column: str) -> pa.ChunkedArray:
    """Return the images of a group of rows."""
    return _parquet(path).read_row_group(group, [column]).column(column)


def _read(files: list[str], ends: np.ndarray, column: str, index: int) -> Any:
    """Return an image by its number in all files."""
    number = int(np.searchsorted(ends, index, side="right"))
    row = index - (int(ends[number - 1]) if number else 0)
    path = files[number]
    if path.endswith(".arrow"):
        cell = _opened(path).column(column)[row].as_py()
    else:
        metadata = _parquet(path).metadata
        group = 0
        while row >= metadata.row_group(group).num_rows:
            row -= metadata.row_group(group).num_rows
            group += 1
        cell = _group(path, group, column)[row].as_py()
    return _picture(cell, Path(path).parent)


def _picture(cell: Any, folder: Path) -> Image.Image:
    """Return the picture in a cell: bytes, or a path beside the file."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if isinstance(cell, dict) and content is None and cell.get("path"):
        content = (folder / cell["path"]).read_bytes()
    if not isinstance(content, bytes):
        raise InputError(f"its cell holds {type(content).__name__}, no picture")
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
