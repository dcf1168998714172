"""Arrays of any type, shape and order go through a job by every door: the items that NumPy has, in its order and type."""

from __future__ import annotations

import io
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pangea.compute import Job
from pangea.compute.jobs import JobDefinition
from tests.examples import share_of

#: Names of fields that aren't Latin make a header that NumPy 1.17 is needed for.
pytestmark = pytest.mark.filterwarnings("ignore:Stored array in format 3.0:UserWarning")
SETTINGS = settings(max_examples=share_of(30), deadline=None)
SCALARS = (
    hnp.scalar_dtypes().filter(lambda dtype: dtype.itemsize <= 16 and dtype.kind != "V" and dtype.str[1:] not in ("f16", "c32"))
    | hnp.unicode_string_dtypes(max_len=5)
    | hnp.byte_string_dtypes(max_len=5)
)
TYPES = SCALARS | hnp.array_dtypes(SCALARS, max_size=3, allow_subarrays=True)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)


@Job.define(name="same", split_strategy="npy_rows", max_chunk_size=4096, min_chunk_size=1)
def same() -> None:
    @Job.execute(input="array", output="array")
    def execute(array: Any) -> Any:
        return array


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = draw(TYPES)
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    items = draw(st.binary(min_size=min(count, 4) * dtype.itemsize, max_size=min(count, 4) * dtype.itemsize))
    few = np.frombuffer(bytes(byte & 0x41 for byte in items) or bytes(dtype.itemsize), dtype)  # truth is 0 or 1, text ASCII
    array = np.resize(few, shape)
    turn = draw(st.sampled_from(["as it is", "Fortran", "backwards", "every second", "turned"]))
    if turn == "Fortran":
        return np.asfortranarray(array)
    return {"backwards": array[::-1], "every second": array[::2], "turned": array.T}.get(turn, array)


def check(job: JobDefinition, given_as: Any, wanted: Any) -> None:
    found = job.run_local(given_as, max_chunk_size=4096).as_array()
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.tobytes() == np.ascontiguousarray(wanted).tobytes()


@SETTINGS
@given(arrays())
def test_an_array_and_its_files_come_back_as_they_are(array: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        np.save(path / "a.npy", array, allow_pickle=False)
        np.savez(path / "a.npz", array)
        np.savez_compressed(path / "c.npz", of_columns=np.asfortranarray(array))
        for value in (array, path / "a.npy", path / "a.npz", path / "c.npz"):
            check(same, value, array)


@SETTINGS
@given(arrays(), st.integers(1, 3))
def test_the_arrays_of_an_npz_file_come_one_after_the_other(array: Any, more: int) -> None:
    parts = [array, np.asfortranarray(array[:1]), array[::-1]][: more + 1]
    sink = io.BytesIO()
    np.savez(sink, *parts)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "several.npz").write_bytes(sink.getvalue())
        whole = np.empty((sum(map(len, parts)), *array.shape[1:]), array.dtype)
        for start, part in zip(itertools.accumulate((len(part) for part in parts), initial=0), parts, strict=False):
            whole[start : start + len(part)] = part
        check(same, Path(folder) / "several.npz", whole)
