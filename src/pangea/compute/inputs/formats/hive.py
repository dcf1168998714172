"""Columns that stand in the names of folders: `trips/year=2024/city=Oslo/part.parquet`, as Hive, Spark and pyarrow write them.

Source: Apache Arrow, "Reading partitioned data": whole numbers of 32 bits where all values of a key are such, else text;
keys and values are percent-encoded; `__HIVE_DEFAULT_PARTITION__` is null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pangea.compute.inputs.formats.tables import Table
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need

_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = re.compile(r"[*?\[]")
_WHOLE = re.compile(r"-?[0-9]+")
_INT32_MAX = (1 << 31) - 1

#: What a file's folders say: by key, the type of the column and the value.
Partition = Mapping[str, tuple[str, str | int | None]]


def files_below(folder: Path) -> list[Path]:
    """The .parquet files in a folder and those within, sorted; names that begin with a dot or an underscore aren't data.

    Raises:
        InputError: there are none.
    """
    within = (path for path in sorted(folder.rglob("*.parquet")) if path.is_file())
    found = [path for path in within if not any(part[0] in "._" for part in path.relative_to(folder).parts)]
    if not found:
        hint = "give the files in it, as a list or a pattern"
        raise InputError(f"{folder} is a directory in which there are no .parquet files", hint=hint, name=str(folder))
    return found


def fixed_part(pattern: str) -> str:
    """The folder in which a pattern begins to look: what lies in it is a dataset."""
    magic = _MAGIC.search(pattern)
    return pattern[: magic.start() if magic else len(pattern)].rpartition("/")[0]


def partitions(root: str, names: Sequence[str]) -> list[Partition]:
    """What the folders between `root` and each file say, each key's values of one type.

    Args:
        root: the folder in which the dataset lies.
        names: of the files, with their folders.

    Raises:
        InputError: folders within each other say something of one key, or what one says isn't UTF-8.
    """
    said = [_said(name, name.removeprefix(root)) for name in names]
    keys = dict.fromkeys(key for each in said for key in each)
    held = {key: {each[key] for each in said if each.get(key) is not None} for key in keys}
    whole = {key for key, values in held.items() if values and all(map(_is_whole, values))}
    return [{key: _typed(each.get(key), key in whole) for key in keys} for each in said]


def with_partition(table: Table, partition: Partition) -> Table:
    """The table with a column more for each key of its folders, behind its own.

    Raises:
        InputError: it has a column of that name.
    """
    if not partition:
        return table
    pa = need("pyarrow", "a table as input")
    schema, scalars = table.schema, []
    for key, (kind, value) in partition.items():
        if key in schema.names:
            raise InputError(
                f"{table.name} has a column {key!r}, and lies in a folder {key}=…",
                hint="give the files as a list, whose folders are no columns, or rename one",
                name=table.name,
                column=key,
            )
        scalars.append(pa.scalar(value, kind))
        schema = schema.append(pa.field(key, scalars[-1].type))

    def batches() -> Iterator[Any]:
        for batch in table.batches():
            arrays = [*batch.columns, *(pa.repeat(scalar, batch.num_rows) for scalar in scalars)]
            yield pa.RecordBatch.from_arrays(arrays, names=schema.names)

    return replace(table, schema=schema, batches=batches)


def _said(name: str, path: str) -> dict[str, str | None]:
    """What the folders of `path`, the end of a file's name, say by key."""
    found: dict[str, str | None] = {}
    for folder in path.split("/")[:-1]:
        if not ("=" in folder and folder.partition("=")[0]):
            continue
        try:
            key, _, value = (unquote(part, errors="strict") for part in folder.partition("="))
        except UnicodeDecodeError as error:
            hint = "percent-encode it as UTF-8, or give the files as a list, whose folders are no columns"
            raise InputError(f"{name} lies in a folder {folder}, which isn't UTF-8", hint=hint, name=name) from error
        if key in found:
            hint = "rename one, or give the files as a list, whose folders are no columns"
            raise InputError(f"{name} lies in two folders {key}=…", hint=hint, name=name, column=key)
        found[key] = None if value == _NULL else value
    return found


def _is_whole(value: str | None) -> bool:
    return value is not None and _WHOLE.fullmatch(value) is not None and -_INT32_MAX - 1 <= int(value) <= _INT32_MAX


def _typed(value: str | None, is_whole: bool) -> tuple[str, str | int | None]:
    return ("int32", None if value is None else int(value)) if is_whole else ("string", value)
