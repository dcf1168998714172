"""A file that somebody cuts short under a job is an error in words, never the end of the user's process; nor half a result."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.inputs import Inputs, open_inputs
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions
from pangea.compute.model.units import KIB, MIB

LINES = b"%063d\n" % 7 * (64 * KIB)


def lines(path: Path) -> None:
    path.write_bytes(LINES)


def array(path: Path) -> None:
    with path.open("wb") as file:  # np.save would add .npy to the name
        np.save(file, np.arange(512 * 1024).reshape(-1, 8))


def columns(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.asfortranarray(np.arange(512 * 1024).reshape(-1, 8)))


def batches(path: Path) -> None:
    table = pa.table({"n": np.arange(512 * 1024)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=8192)


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "fixed_size": (lines, "fixed_size"),
    "lines": (lines, "line_based"),
    "records": (lines, "record_based"),
    "rows of an array": (array, "npy_rows"),
    "batches": (batches, "arrow_batches"),
}


def options(strategy: str) -> JobOptions:
    delimiter = {"delimiter": b"\n\n"} if strategy == "record_based" else {}
    sizes = {"min_chunk_size": 256 * KIB, "max_chunk_size": 8 * MIB if strategy == "record_based" else 256 * KIB}
    return JobOptions.of({"split_strategy": strategy, **sizes, **delimiter})


def assert_cut_short(inputs: Inputs, how: JobOptions, path: Path, *, first: int = 1) -> None:
    segments = cut(inputs, how, custom_max=100 * MIB)
    for _ in range(first):
        next(segments)
    os.truncate(path, 1000)
    with pytest.raises(InputError, match=r"cut short while it was read|bytes when the job began, and has 1,000 now") as caught:
        list(segments)
    assert "nobody writes to" in (caught.value.hint or "")


@pytest.mark.parametrize("case", CASES)
def test_a_file_cut_short_while_it_is_cut(case: str, tmp_path: Path) -> None:
    write, strategy = CASES[case]
    path = tmp_path / "data"
    write(path)
    with open_inputs(path) as inputs:
        assert_cut_short(inputs, options(strategy), path, first=0 if strategy == "record_based" else 1)


def test_an_open_file_too(tmp_path: Path) -> None:
    lines(path := tmp_path / "data")
    with path.open("rb") as file, open_inputs([b"first", file]) as inputs:
        assert_cut_short(inputs, options("line_based"), path, first=2)


def test_a_file_that_goes_to_a_node_whole_too(tmp_path: Path) -> None:
    lines(path := tmp_path / "data")
    with open_inputs(path) as inputs:
        blocks = next(iter(inputs)).blocks(MIB)
        next(blocks)
        os.truncate(path, 1000)
        with pytest.raises(InputError, match="had 4,194,304 bytes when the job began, and has 1,000 now"):
            list(blocks)


def test_an_array_in_columns_is_a_copy_of_its_own(tmp_path: Path) -> None:
    columns(path := tmp_path / "data.npy")
    how = options("npy_rows")
    with prepare_input(path, "array", how) as inputs:
        whole = [bytes(segment) for segment in cut(inputs, how, custom_max=100 * MIB)]
    with prepare_input(path, "array", how) as inputs:
        segments = cut(inputs, how, custom_max=100 * MIB)
        first = bytes(next(segments))
        os.truncate(path, 1000)
        assert [first, *map(bytes, segments)] == whole


def test_what_was_cut_stays_as_it_was_read(tmp_path: Path) -> None:
    lines(path := tmp_path / "data")
    with open_inputs(path) as inputs:
        segments = cut(inputs, options("line_based"), custom_max=100 * MIB)
        first = next(segments)
        before = bytes(first)
        with path.open("r+b") as file:
            file.write(b"x" * MIB)
        assert bytes(first) == before
