"""Prepare an input and cut it; and read the segments again, with the libraries that everybody uses."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions

ROWS = {"array": "npy_rows", "table": "arrow_batches"}


def segments(value: object, kind: str, *, most: int = 4096, spool: bool = False, **options: Any) -> list[bytes]:
    """The segments of a prepared input; arrays and tables are cut into rows unless `options` say otherwise."""
    how = {"split_strategy": ROWS.get(kind, "custom"), "min_chunk_size": 1, "max_chunk_size": most, **options}
    checked = JobOptions.of(how)
    with prepare_input(value, kind, checked, spool=spool) as inputs:
        return [bytes(segment) for segment in cut(inputs, checked, custom_max=1 << 40)]


def arrays_in(found: list[bytes]) -> list[Any]:
    """Each segment as an ndarray."""
    return [np.load(io.BytesIO(segment), allow_pickle=False) for segment in found]


def table_in(found: list[bytes]) -> Any:
    """All segments as one pyarrow.Table."""
    return pa.concat_tables([pa.ipc.open_stream(segment).read_all() for segment in found])


def refusal(value: object, kind: str, **options: Any) -> InputError:
    """What is said of an input that can't be prepared, or cut."""
    try:
        found = segments(value, kind, **options)
    except InputError as error:
        return error
    raise AssertionError(f"{len(found)} segments were made of it")
