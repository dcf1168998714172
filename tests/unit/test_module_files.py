"""Compiled modules are kept open while they are used, and no more of them than have room: descriptors are few."""

from __future__ import annotations

import hashlib
import json
import os
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine import cache as cache_module
from pangea.compute.engine.cache import ModuleCache
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Finished
from tests.guests import module
from tests.leaks import assert_none_left_open


def compiled(cache: ModuleCache, number: int) -> str:
    """A module that was compiled by an earlier process; its name."""
    name, code = sha256(b"%d" % number).hexdigest(), b"code %d" % number
    cache._path(name, "code").write_bytes(code)
    description = {"sha256": sha256(code).hexdigest(), "exports": ["execute"]}
    cache._path(name, "json").write_text(json.dumps(description))
    return name


def test_hundreds_of_modules_take_no_hundreds_of_descriptors(tmp_path: Path) -> None:
    with assert_none_left_open():
        with assert_none_left_open(more=64):
            cache = ModuleCache(tmp_path, "profile")
            for number in range(300):
                assert cache.get(compiled(cache, number), Limits()) is not None
        cache.close()


def test_a_module_stays_open_for_who_has_it_and_comes_back_when_it_is_wanted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_OPEN_MAX", 2)
    cache = ModuleCache(tmp_path, "profile")
    first = cache.get(compiled(cache, 0), Limits())
    assert first is not None
    for number in range(1, 5):
        cache.get(compiled(cache, number), Limits())
    assert os.pread(first.file, 100, 0) == b"code 0"
    again = cache.get(compiled(cache, 0), Limits())
    assert again is not None
    assert again is not first
    assert os.pread(again.file, 100, 0) == b"code 0"
    cache.close()
    assert os.pread(first.file, 100, 0) == b"code 0"


def test_the_module_that_was_used_last_is_the_last_to_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_OPEN_MAX", 2)
    cache = ModuleCache(tmp_path, "profile")
    first, second, third = (compiled(cache, number) for number in range(3))
    kept = cache.get(first, Limits())
    cache.get(second, Limits())
    cache.get(first, Limits())
    cache.get(third, Limits())
    assert cache.get(first, Limits()) is kept
    cache.close()


def test_code_is_looked_at_once_and_again_when_anything_has_changed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_NOTED_BYTES_MIN", 0)
    monkeypatch.setattr(cache_module, "_SETTLED_NS", -1)  # the file is older than it looks
    name = compiled(ModuleCache(tmp_path, "profile"), 1)
    hashed: list[str] = []

    def digest(file: Any, kind: str) -> Any:
        hashed.append(kind)
        return file_digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", digest)
    for _ in range(3):
        assert ModuleCache(tmp_path, "profile").get(name, Limits()) is not None
    assert len(hashed) == 1
    code = ModuleCache(tmp_path, "profile")._path(name, "code")
    before = code.stat()
    with code.open("r+b") as file:
        file.write(b"C")  # as many bytes as before
    os.utime(code, ns=(before.st_atime_ns, before.st_mtime_ns))  # and as if nothing had been
    assert ModuleCache(tmp_path, "profile").get(name, Limits()) is None
    assert len(hashed) == 2


def test_code_that_has_just_changed_is_looked_at_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_NOTED_BYTES_MIN", 0)
    monkeypatch.setattr(cache_module, "_SETTLED_NS", 1 << 62)
    name = compiled(ModuleCache(tmp_path, "profile"), 1)
    assert ModuleCache(tmp_path, "profile").get(name, Limits()) is not None
    assert not list(tmp_path.glob("*.seen"))


def names_in(folder: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in folder.iterdir() if path.suffix in (".code", ".json")}


def test_a_folder_of_modules_that_is_too_large_loses_those_that_were_used_least_recently(tmp_path: Path) -> None:
    cache = ModuleCache(tmp_path, "profile")
    names = [compiled(cache, number) for number in range(6)]
    cache._bytes_max = sum(512 * cache._path(name, kind).stat().st_blocks for name in names[:4] for kind in ("code", "json"))
    for age, name in enumerate(reversed(names)):
        os.utime(cache._path(name, "code"), (0, 1_000_000 - age))
        os.utime(cache._path(name, "json"), (0, 1_000_000 - age))
    (tmp_path / "tests.lock").touch()
    held = cache.get(names[0], Limits())  # the oldest of all, and in use now
    cache._refused(names[1], {"kind": "bad module", "message": "no"}, Limits(), is_kept=True)
    assert names_in(tmp_path) == {names[0], names[1], names[4], names[5]}
    assert (tmp_path / "tests.lock").exists()
    assert held is not None
    cache.close()


def test_the_module_that_was_just_made_stays_whatever_its_size(tmp_path: Path) -> None:
    cache = ModuleCache(tmp_path, "profile", bytes_max=1)
    other = compiled(cache, 1)
    cache._write_description(compiled(cache, 2), {"sha256": "", "exports": []})
    assert names_in(tmp_path) == {sha256(b"2").hexdigest()} != {other}


def test_what_is_made_of_a_stranger_s_module_lies_apart_and_is_used_all_the_same(tmp_path: Path) -> None:
    wasm, limits = module(), Limits().with_fuel_for(python=False)
    engine = LocalEngine(workers=1, cache_folder=tmp_path)
    try:
        strangers = prepare(wasm, limits, engine, lambda _what: None, name="job", associative=False, is_strangers=True)
        name = strangers.guest.module
        assert not list(tmp_path.glob(f"{name}*"))
        assert list((tmp_path / "strangers").glob(f"{name}*.code"))
        assert (tmp_path / "strangers").stat().st_mode & 0o777 == 0o700
        outcome = engine.submit(Task(strangers.guest, "execute", 1, [frames.pack([b"x"])])).result(60)
        assert isinstance(outcome, Finished)
        own = prepare(wasm, limits, engine, lambda _what: None, name="job", associative=False)
        assert list(tmp_path.glob(f"{name}*.code"))  # compiled again: nothing of a stranger's is taken for one's own
        assert isinstance(engine.submit(Task(own.guest, "execute", 1, [frames.pack([b"x"])])).result(60), Finished)
    finally:
        engine.close()
