"""Which wasmtime a worker runs with is told without loading it, and too old a one is refused."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from pangea.compute.engine import wasmtime_version


def test_the_version_is_the_one_in_the_metadata() -> None:
    assert wasmtime_version.installed() == version("wasmtime")
    assert wasmtime_version.problem() is None


@pytest.mark.parametrize("found", ["49.9.9", "50.0.0"])
def test_one_below_the_floor_is_a_problem(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasmtime_version, "installed", lambda: found)
    assert "security fixes" in str(wasmtime_version.problem())
