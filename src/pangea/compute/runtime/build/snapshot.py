"""The snapshot: start the interpreter once, import what is preloaded, and write the module whose memory starts where that ended.

This is enough for a guest that is linked statically: it has one memory, a table that nothing changes, and no global that
changes but the stack pointer, which is back at its start when `setup` returns, and the fuel, which the host sets before each
call. The imports that were files while the guest was built become functions that say that there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pangea.compute.model.leb128 import unsigned
from pangea.compute.runtime.build import binary, wasi
from pangea.compute.runtime.build.binary import Reader, signed
from pangea.compute.runtime.build.machine import Machine
from pangea.compute.runtime.build.meter import FUEL

#: What the finished guest exports: guest ABI 1 and the meter's counter.
EXPORTS = ("memory", "alloc", "init", "split", "execute", "execute_many", "merge", "take_prints", "last_error", FUEL)
#: As many zeros in a row end a data segment: a segment costs a few bytes and the engine some time.
_GAP_BYTES = 256
_PAGE_BYTES = 1 << 16
_UNREACHABLE = b"\x00"


def snapshot(core: bytes, files: Mapping[str, bytes]) -> bytes:
    """The finished guest.

    Args:
        core: the interpreter, linked, metered, not started.
        files: the standard library and the guest's own Python, by path.

    Raises:
        RuntimeError: the interpreter didn't start; it has said why on standard error.
    """
    machine = Machine(core, files)
    if machine.run("setup") != 0:
        raise RuntimeError("the guest's interpreter doesn't start (see above)")
    memory = _without_stack(core, machine.read(0, machine.size))
    found = list(_segments(memory))
    segments = [b"\0" + binary.I32_CONST + signed(_as_i32(at)) + binary.END + unsigned(len(part)) + part for at, part in found]
    bodies: dict[int, bytes | None] = {
        binary.MEMORY: b"\x01" + _memory_type(core, len(memory)),
        binary.EXPORT: _kept_exports(core),
        binary.START: None,
        binary.DATA: binary.vector(segments),
        binary.DATA_COUNT: unsigned(len(segments)),
        binary.CUSTOM: None,
    }
    return binary.rewritten(core, bodies | _closed_imports(core))


def _without_stack(core: bytes, memory: bytes) -> bytes:
    """The stack lies lowest (ld's --stack-first), up to where its pointer starts; what calls have left there is dead."""
    part = next(part for part in binary.sections(core) if part.kind == binary.GLOBAL)
    globals_ = Reader(core, part.start)
    globals_.unsigned()
    kind, _mutable, _opcode = globals_.byte(), globals_.byte(), globals_.byte()
    assert kind == binary.I32, "the first global is the stack pointer"
    top = globals_.unsigned()
    return bytes(top) + memory[top:]


def _segments(memory: bytes) -> Iterator[tuple[int, bytes]]:
    at, zeros = 0, bytes(_GAP_BYTES)
    while at < len(memory):
        if memory[at : at + _GAP_BYTES] == zeros[: len(memory) - at]:
            at += _GAP_BYTES
            continue
        end = memory.find(zeros, at + 1)
        end = len(memory) if end < 0 else end
        yield at, memory[at:end]
        at = end + -end % _GAP_BYTES


def _as_i32(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


def _memory_type(core: bytes, size: int) -> bytes:
    part = next(part for part in binary.sections(core) if part.kind == binary.MEMORY)
    reader = Reader(core, part.start)
    reader.unsigned()
    _, most = reader.limits()
    pages = unsigned(size // _PAGE_BYTES)
    return b"\0" + pages if most is None else b"\x01" + pages + unsigned(most)


def _kept_exports(core: bytes) -> bytes:
    known = binary.exports(core)
    return binary.vector([binary.name(name) + bytes([known[name][0]]) + unsigned(known[name][1]) for name in EXPORTS])


def _closed_imports(core: bytes) -> dict[int, bytes | None]:
    """Imported functions come first in the numbering, so functions put before all others take their places."""
    imports = binary.imported_functions(core)
    parts = {part.kind: part for part in binary.sections(core) if part.kind != binary.CUSTOM}
    closed: dict[int, bytes | None] = {binary.IMPORT: None}
    own = {
        binary.FUNCTION: [unsigned(each.type) for each in imports],
        binary.CODE: [_answer(each.name) for each in imports],
    }
    for kind, items in own.items():
        reader = Reader(core, parts[kind].start)
        count = reader.unsigned()
        closed[kind] = unsigned(count + len(items)) + b"".join(items) + core[reader.position : parts[kind].end]
    return closed


def _answer(name: str) -> bytes:
    """The body of a function that returns an errno: there is nothing outside."""
    errno = {"fd": wasi.BAD_DESCRIPTOR, "path": wasi.NOT_FOUND}.get(name.partition("_")[0], wasi.NOT_SUPPORTED)
    what = _UNREACHABLE if name == "proc_exit" else binary.I32_CONST + signed(errno)
    body = b"\0" + what + binary.END
    return unsigned(len(body)) + body
