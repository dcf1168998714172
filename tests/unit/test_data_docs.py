"""What docs/data.md shows in code is run as it stands there."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pangea.compute.data.columntypes import column_type
from pangea.compute.data.ndarrays import array_of, npy_of
from tests.property.drawn_data import npy

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.split("\n")[0][-5:])
def test_the_examples_run(code: str) -> None:
    names: dict[str, object] = {}
    exec(compile(code, "data.md", "exec"), names)
    assert {"array", "table"} & set(names)


def test_every_type_in_the_tables_is_one() -> None:
    arrays, tables = TEXT.split("## Table")
    for dtype in set(re.findall(r"`\\?([<|][a-zA-Z]\d(?:\[\w+\])?)`", arrays)):
        assert array_of([], dtype).dtype == dtype
    listed = re.findall(r"^\| (.*?) \|", tables.split("Without `types`")[0], re.MULTILINE)
    names = [name for cell in listed for name in re.findall(r"`(\w+(?:\[[^`]+\])?)`", cell)]
    assert len(names) > 20
    assert [column_type(name, "column").name for name in names] == names


@pytest.mark.skipif(shutil.which("cc") is None, reason="the page's C is compiled (apt-get install gcc)")
def test_the_reader_in_c_reads_arrays(tmp_path: Path) -> None:
    (tmp_path / "npy.c").write_text(blocks("c")[0])
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", "npy.so", "npy.c"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=50)
    read = ctypes.CDLL(str(tmp_path / "npy.so")).float64s
    read.restype = ctypes.POINTER(ctypes.c_double)
    count = ctypes.c_uint32()

    def numbers(file: bytes) -> list[float] | None:
        found = read(file, len(file), ctypes.byref(count))
        return found[: count.value] if found else None

    array = np.arange(6.0).reshape(3, 2)
    assert numbers(npy(array)) == numbers(npy_of(array)) == [0, 1, 2, 3, 4, 5]
    long_header = npy(np.zeros(2, dtype=[("x" * 70_000, "<f8")]))
    assert long_header[6] > 1
    for other in (npy(np.asfortranarray(array)), npy(array.astype("f4")), npy(array)[:9], b"x" * 99, long_header):
        assert numbers(other) is None
