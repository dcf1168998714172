"""Built kernels are kept under all that they are made of, and used again only as they were built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pangea.compute.engine.cache import open_folder
from pangea.compute.kernels import building
from pangea.compute.model.signatures import KernelSignature

FLOATS, INTEGERS = (KernelSignature.parse(f"{kind}[:] -> {kind}[:]") for kind in ("float64", "int64"))
FACTOR = 2.0


def by_factor(values: Any) -> Any:
    return values * FACTOR


def by_factor_and_one(values: Any) -> Any:
    return by_factor(values) + 1


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bytes]:
    """The modules that were built, which are no real ones, in the order of building."""
    made: list[bytes] = []

    def build(*_: object) -> bytes:
        made.append(b"module %d" % len(made))
        return made[-1]

    monkeypatch.setenv("PANGEA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(building, "_built", build)
    return made


def built_for(function: Any, signature: KernelSignature = FLOATS, own: Sequence[Any] = ()) -> bytes:
    return building.build(function, signature, own)


def test_it_is_built_once_and_again_when_anything_that_it_is_made_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [built_for(by_factor) for _ in range(2)] == [b"module 0"] * 2
    assert built_for(by_factor, INTEGERS) == b"module 1"
    assert built_for(by_factor, FLOATS, [np.ones(2)]) == b"module 2"
    assert built_for(by_factor_and_one) == b"module 3"
    monkeypatch.setitem(globals(), "FACTOR", 4.0)
    assert built_for(by_factor) == b"module 4"
    assert built_for(by_factor_and_one) == b"module 5", "it calls a function that reads what has changed"
    monkeypatch.setattr(building, "versions", lambda: "others")
    assert built_for(by_factor) == b"module 6"


def test_one_that_was_altered_or_is_not_whole_is_built_again(built: list[bytes]) -> None:
    for name, content in (("code", b"module 9"), ("code", b"mod"), ("json", b""), ("json", b"[]")):
        assert built_for(by_factor) == built[-1]
        (path,) = (open_folder() / "kernels").glob(f"*.{name}")
        path.write_bytes(content)
        before = len(built)
        assert built_for(by_factor) == built[before]
