"""Export a module's mutable globals, so that an instance can be put back to an earlier state.

What an instance is made of: its memory, its globals, its tables. A host sees only what is exported. An export changes nothing
that the module's own code can see, nor what a call of it costs.

Source: WebAssembly Core Specification 2.0, sections 5.5.9 (globals) and 5.5.10 (exports).
"""

from __future__ import annotations

from collections.abc import Iterator

from pangea.compute.model.leb128 import read, unsigned

PREFIX = "pangea global "
_HEADER_BYTES = 8
_COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
_CORE_HEADER = b"\0asm\x01\0\0\0"
_IMPORTS, _GLOBALS, _EXPORTS = 2, 6, 7
_GLOBAL_KIND = 3
#: i32, i64, f32, f64: the types whose values a host can keep. A module of ABI 1 has hardly any other.
_NUMBERS = range(0x7C, 0x80)
_END, _CONSTANTS = 0x0B, {0x41: 0, 0x42: 0, 0x43: 4, 0x44: 8, 0x23: 0}


def header_problem(wasm: bytes) -> str:
    """Why these bytes can't be a core module, by the first of them; "" if they may be one."""
    if wasm[:8] == _COMPONENT_HEADER:
        return "this is a component; guest ABI 1 is a core module"
    if wasm[:4] != _CORE_HEADER[:4]:
        return f"not WebAssembly: it starts with {wasm[:4].hex(' ') or 'nothing'}, not with 00 61 73 6d"
    if wasm[4:8] != _CORE_HEADER[4:]:
        return f"not WebAssembly version 1: its version bytes are {wasm[4:8].hex(' ') or 'missing'}"
    return ""


def with_globals_exported(wasm: bytes) -> bytes:
    """The same module with an export, `pangea global N`, for each mutable global that is a number; it must be valid.

    A module that imports anything, or whose globals begin with more than a constant, comes back as it is.
    """
    sections = list(_sections(wasm))
    bodies = {kind: (begin, end) for kind, _, begin, end in sections}
    if _IMPORTS in bodies or _GLOBALS not in bodies or _EXPORTS not in bodies:
        return wasm
    numbers = _mutable(wasm, bodies[_GLOBALS][0])
    if not numbers:
        return wasm
    begin, end = bodies[_EXPORTS]
    count, at = read(wasm, begin)
    names = ((number, f"{PREFIX}{number}".encode()) for number in numbers)
    added = b"".join(unsigned(len(name)) + name + bytes([_GLOBAL_KIND]) + unsigned(number) for number, name in names)
    body = unsigned(count + len(numbers)) + wasm[at:end] + added
    start = next(start for kind, start, *_ in sections if kind == _EXPORTS)
    return wasm[:start] + bytes([_EXPORTS]) + unsigned(len(body)) + body + wasm[end:]


def _sections(wasm: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, start, and begin and end of the body of each section."""
    at = _HEADER_BYTES
    while at < len(wasm):
        size, begin = read(wasm, at + 1)
        yield wasm[at], at, begin, begin + size
        at = begin + size


def _mutable(wasm: bytes, at: int) -> list[int]:
    count, at = read(wasm, at)
    found = []
    for number in range(count):
        kind, is_mutable, at = wasm[at], wasm[at + 1], at + 2
        if is_mutable and kind in _NUMBERS:
            found.append(number)
        opcode = wasm[at]
        if opcode not in _CONSTANTS:
            return []
        at = at + 1 + _CONSTANTS[opcode] if _CONSTANTS[opcode] else read(wasm, at + 1)[1]
        if wasm[at] != _END:
            return []
        at += 1
    return found
