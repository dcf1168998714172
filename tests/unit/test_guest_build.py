"""The parts of the guest's build that need no compiler: the binary format, the files of a build, the snapshot, exact changes."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import Engine, Func, Instance, Memory, Module, Store, wat2wasm

from pangea.compute.model.leb128 import unsigned
from pangea.compute.runtime.build import binary, contents, wasi
from pangea.compute.runtime.build.binary import Reader, signed
from pangea.compute.runtime.build.changes import Change, apply
from pangea.compute.runtime.build.origins import MissingSourceError, Origin, content, unpack
from pangea.compute.runtime.build.snapshot import snapshot
from pangea.compute.runtime.build.sources import bare

#: A guest in small: its stack lies lowest, `setup` reads a file through WASI and leaves its text in memory.
CORE = bytes(
    wat2wasm("""(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (global $stack (mut i32) (i32.const 1024))
  (global $fuel (mut i64) (i64.const 0)) (export "fuel" (global $fuel))
  (data (i32.const 2048) "python/lib/a.py")
  (func $look (result i32) (call $open (i32.const 3) (i32.const 0) (i32.const 2048) (i32.const 15) (i32.const 0)
    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 2080)))
  (func (export "setup") (result i32)
    (i32.store (i32.const 512) (i32.const 99))
    (if (call $look) (then (return (i32.const 1))))
    (i32.store (i32.const 2088) (i32.const 70000)) (i32.store (i32.const 2092) (i32.const 64))
    (drop (call $read (i32.load (i32.const 2080)) (i32.const 2088) (i32.const 1) (i32.const 2096)))
    (drop (memory.grow (i32.const 1)))
    (i32.const 0))
  (func $ask (param i32 i32) (result i64) (i64.extend_i32_u (call $look)))
  (func (export "alloc") (param i32) (result i32) (i32.const 0))
  (func (export "last_error") (result i64) (i64.const 0))
  (export "init" (func $ask)) (export "split" (func $ask)) (export "execute" (func $ask)) (export "execute_many" (func $ask))
  (export "merge" (func $ask)) (export "take_prints" (func $ask)))""")
)
TEXT = b"answer = 42\n"


class Ram(wasi.Memory):
    """Memory for WASI's functions."""

    def __init__(self) -> None:
        self.data = bytearray(4096)

    def read(self, start: int, size: int) -> bytes:
        return bytes(self.data[start : start + size])

    def write(self, start: int, data: bytes) -> None:
        self.data[start : start + len(data)] = data


@given(st.integers(0, 2**64 - 1))
def test_unsigned_numbers_are_read_as_written(value: int) -> None:
    assert Reader(unsigned(value)).unsigned() == value


@pytest.mark.parametrize(
    ("value", "written"), [(0, "00"), (-1, "7f"), (63, "3f"), (64, "c000"), (-64, "40"), (-65, "bf7f"), (1 << 31, "8080808008")]
)
def test_signed_numbers(value: int, written: str) -> None:
    assert signed(value).hex() == written


def test_a_snapshot_starts_where_setup_ended_and_has_no_imports() -> None:
    made = snapshot(CORE, {"python/lib/a.py": TEXT})
    store = Store(Engine())
    module = Module(store.engine, made)
    exports = Instance(store, module, []).exports(store)
    memory, execute = exports["memory"], exports["execute"]
    assert isinstance(memory, Memory)
    assert isinstance(execute, Func)

    assert not module.imports
    assert "setup" not in exports
    assert memory.read(store, 70000, 70000 + len(TEXT)) == TEXT
    assert memory.size(store) == 3
    assert memory.read(store, 512, 516) == bytes(4), "what calls left on the stack is no part of it"
    assert execute(store, 0, 0) == wasi.NOT_FOUND, "in the guest there are no files"


def test_equal_builds_give_equal_snapshots_whatever_the_order_of_files() -> None:
    files = {"python/lib/a.py": TEXT, "python/lib/b.py": b"", "a/b/c": b"x"}
    assert snapshot(CORE, files) == snapshot(CORE, dict(reversed(files.items())))


def test_a_setup_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="doesn't start"):
        snapshot(CORE, {})


def test_files_are_listed_read_and_told_of() -> None:
    files, ram = wasi.Files({"lib/a.py": b"abcdef", "lib/sub/b.py": b""}), Ram()
    files.memory = ram
    ram.write(0, b"lib/../lib")
    assert files.path_open(3, 0, 0, 10, 2, 0, 0, 0, 100) == 0
    (folder,) = struct.unpack("<I", ram.read(100, 4))
    assert files.fd_readdir(folder, 200, 500, 0, 104) == 0
    (used,) = struct.unpack("<I", ram.read(104, 4))
    assert b"a.py" in ram.read(200, used)
    assert b"sub" in ram.read(200, used)
    ram.write(0, b"a.py")
    assert files.path_filestat_get(folder, 0, 0, 4, 800) == 0
    assert struct.unpack("<Q", ram.read(832, 8)) == (6,)
    assert files.path_open(folder, 0, 0, 4, 0, 0, 0, 0, 100) == 0
    (file,) = struct.unpack("<I", ram.read(100, 4))
    ram.write(300, struct.pack("<IIII", 1000, 4, 1004, 8))
    assert files.fd_read(file, 300, 2, 104) == 0
    assert ram.read(1000, 6) == b"abcdef"
    assert files.fd_seek(file, -2, 1, 104) == 0
    assert struct.unpack("<Q", ram.read(104, 8)) == (4,)
    assert files.fd_close(file) == 0
    assert files.fd_close(file) == wasi.BAD_DESCRIPTOR


@pytest.mark.parametrize(
    ("path", "how", "errno"), [("no", 0, wasi.NOT_FOUND), ("lib/a", 1, wasi.READ_ONLY), ("lib/a", 2, wasi.NO_FOLDER)]
)
def test_what_is_not_there_cannot_be_opened(path: str, how: int, errno: int) -> None:
    files, ram = wasi.Files({"lib/a": b""}), Ram()
    files.memory = ram
    ram.write(0, path.encode())
    assert files.path_open(3, 0, 0, len(path), how, 0, 0, 0, 100) == errno


def test_a_change_that_does_not_fit_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("one two two\n")
    apply([Change("a.c", "one", "1"), Change("a.c", "two", "2", 2)], tmp_path)
    assert (tmp_path / "a.c").read_text() == "1 2 2\n"
    with pytest.raises(ValueError, match="0 times, not 1"):
        apply([Change("a.c", "one", "1")], tmp_path)


def test_a_source_that_is_missing_or_another_is_refused(tmp_path: Path) -> None:
    import tarfile

    (tmp_path / "top").mkdir()
    (tmp_path / "top/a.c").write_text("int a;")
    (tmp_path / "top/readme").write_text("not compiled")
    with tarfile.open(tmp_path / "x-1.tar.gz", "w") as archive:
        archive.add(tmp_path / "top", "x-1")
    pinned = Origin("x", "x-*.tar.*", ("*.c",), "", "look for it")
    right = Origin("x", "x-*.tar.*", ("*.c",), content(pinned, tmp_path / "top"), "look for it")

    with pytest.raises(MissingSourceError, match="other content"):
        unpack(pinned, [tmp_path], tmp_path / "out")
    with pytest.raises(MissingSourceError, match="look for it"):
        unpack(right, [tmp_path / "top"], tmp_path / "out")
    assert (unpack(right, [tmp_path], tmp_path / "out2") / "a.c").read_text() == "int a;"


def test_code_stays_and_what_is_for_people_goes() -> None:
    text = '''"""Docs."""
from __future__ import annotations

X = """a

# no comment
"""  # a comment


def f(a: str) -> str:
    """More.

    Docs.
    """
    return f"#{a}"  # why
'''
    plain = bare(text)
    names: dict[str, object] = {}
    exec(compile(plain, "plain", "exec"), names)

    assert names["X"] == "a\n\n# no comment\n"
    assert names["f"]("b") == "#b"  # type: ignore[operator]
    assert "Docs" not in plain
    assert "why" not in plain
    assert bare(plain) == plain
    assert "\n\n" not in plain.replace(str(names["X"]), "")


def test_imports_and_exports_are_told() -> None:
    assert [each.name for each in binary.imported_functions(CORE)] == ["path_open", "fd_read", "proc_exit"]
    assert binary.exports(CORE)["fuel"] == (binary.GLOBAL_KIND, 1)


def test_what_is_inside_is_told_with_its_licences() -> None:
    folder = Path(contents.__file__).parents[1]
    told = (folder / "licences.txt").read_text()

    assert json.loads((folder / "python-runtime.cdx.json").read_text()) == contents.bill()
    for component in contents.COMPONENTS:
        assert f"\n{component.name} {component.version}: {component.licence}\n" in told
    assert {"PSF-2.0", "MIT", "Zlib"} <= {component.licence for component in contents.COMPONENTS}
