"""Modules of parents' jobs on this disk: kept over restarts, looked at before they are believed, the oldest go first."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from pangea.compute.node.storage import modules as room
from pangea.compute.node.storage.modules import Modules


def named(module: bytes) -> str:
    return sha256(module).hexdigest()


def keep(folder: Path, *kept: bytes) -> Modules:
    modules = Modules(folder)
    for module in kept:
        assert asyncio.run(modules.keep(named(module), module)) == module
    return modules


def get(modules: Modules, module: bytes) -> bytes | None:
    return asyncio.run(modules.get(named(module)))


def test_a_module_outlives_the_node(tmp_path: Path) -> None:
    keep(tmp_path, b"module")
    assert get(Modules(tmp_path), b"module") == b"module"


def test_what_was_never_kept_is_not_here(tmp_path: Path) -> None:
    assert get(keep(tmp_path, b"module"), b"other") is None


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + b"!", lambda data: data[:-1], lambda _: b""])
def test_a_module_that_was_damaged_on_disk_is_fetched_again(tmp_path: Path, damage: object) -> None:
    keep(tmp_path, b"a module of some length")
    (path,) = (each for each in tmp_path.rglob("*") if each.is_file())
    path.chmod(0o600)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    modules = Modules(tmp_path)
    assert get(modules, b"a module of some length") is None
    assert asyncio.run(modules.keep(named(b"a module of some length"), b"a module of some length"))
    assert get(Modules(tmp_path), b"a module of some length") == b"a module of some length"


def test_a_module_that_was_deleted_under_the_node_is_fetched_again(tmp_path: Path) -> None:
    keep(tmp_path, b"module")
    modules = Modules(tmp_path)
    (path,) = (each for each in tmp_path.rglob("*") if each.is_file())
    path.unlink()
    assert get(modules, b"module") is None


def test_when_there_is_no_room_the_least_recently_used_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MODULES_BYTES_MAX", 300)
    first, second, third = (bytes([number]) * 120 for number in range(3))
    modules = keep(tmp_path, first, second)
    assert get(modules, first) == first
    asyncio.run(modules.keep(named(third), third))
    assert (get(modules, first), get(modules, second), get(modules, third)) == (first, None, third)


def test_one_module_larger_than_all_the_room_is_kept_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MODULES_BYTES_MAX", 300)
    modules = keep(tmp_path, b"small", bytes(1000))
    assert (get(modules, b"small"), get(modules, bytes(1000))) == (None, bytes(1000))
