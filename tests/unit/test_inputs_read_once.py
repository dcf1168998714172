"""A file that is read once leaves the page cache behind the cut; whoever is late reads the same bytes again."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from pangea.compute.inputs import reading as reading_module
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.inputs import open_inputs
from pangea.compute.model.options import JobOptions
from tests.leaks import assert_none_left_open

MIB = 1 << 20


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything happens within a few megabytes."""
    for name, size in (("BEHIND_BYTES_MAX", MIB), ("CACHED_BYTES_MAX", 2 * MIB), ("_NEXT_BYTES", MIB)):
        monkeypatch.setattr(reading_module, name, size)


def test_segments_are_the_same_whenever_they_are_looked_at(tmp_path: Path) -> None:
    data, path = Random(1).randbytes(12 * MIB + 5_000), tmp_path / "file"
    path.write_bytes(data)
    options = JobOptions.of({"split_strategy": "fixed_size", "min_chunk_size": 300_000, "max_chunk_size": 300_000})
    with assert_none_left_open():
        with open_inputs([path, b"in memory", path]) as given:
            segments = list(cut(given.read_once(), options, custom_max=1))
        assert b"".join(map(bytes, segments)) == data + b"in memory" + data
        del segments  # each keeps its file mapped


def test_what_is_far_behind_has_left_the_cache_and_what_is_not_read_once_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(8 * MIB))
    advice: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _file, *given: advice.append(given))
    options = JobOptions.of({"split_strategy": "fixed_size", "min_chunk_size": MIB, "max_chunk_size": MIB})
    with open_inputs(path) as given:
        list(cut(given, options, custom_max=1))
        assert {what for _, _, what in advice} == {os.POSIX_FADV_SEQUENTIAL}
        list(cut(given.read_once(), options, custom_max=1))
    gone = [(start, size) for start, size, what in advice if what == os.POSIX_FADV_DONTNEED]
    assert gone == [(start * MIB, MIB) for start in range(6)]
