"""Read and write the WebAssembly binary format, as far as the build needs it.

Source: WebAssembly Core Specification 2.0, chapter 5 (binary format).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pangea.compute.model import leb128
from pangea.compute.model.leb128 import unsigned

HEADER_BYTES = 8
CUSTOM, TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, CODE, DATA, DATA_COUNT = range(13)

#: External kinds of an import or export, by their byte.
FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND = range(4)

I32, I64, F32, F64, V128 = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
END = b"\x0b"
I32_CONST, I64_CONST = b"\x41", b"\x42"


class Section(NamedTuple):
    """A section: its id and where its body lies."""

    kind: int
    start: int
    end: int


class Reader:
    """A cursor over a byte string."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        """Read `data` from `position`."""
        self.data = data
        self.position: int = position

    def byte(self) -> int:
        """Read one byte."""
        self.position += 1
        return self.data[self.position - 1]

    def unsigned(self) -> int:
        """Read an unsigned LEB128 number (of a signed one, as many bytes)."""
        value, self.position = leb128.read(self.data, self.position)
        return value

    def name(self) -> str:
        """Read a length-prefixed UTF-8 name."""
        size = self.unsigned()
        self.position += size
        return self.data[self.position - size : self.position].decode()

    def types(self) -> bytes:
        """Read a vector of value types."""
        size = self.unsigned()
        self.position += size
        return self.data[self.position - size : self.position]

    def limits(self) -> tuple[int, int | None]:
        """Read the limits of a memory or table."""
        has_most = self.byte() & 1
        return self.unsigned(), self.unsigned() if has_most else None


def sections(module: bytes) -> Iterator[Section]:
    """The sections of a module, in order."""
    reader = Reader(module, HEADER_BYTES)
    while reader.position < len(module):
        kind, size = reader.byte(), reader.unsigned()
        yield Section(kind, reader.position, reader.position + size)
        reader.position += size


class Import(NamedTuple):
    """An imported function."""

    module: str
    name: str
    type: int


def imported_functions(module: bytes) -> list[Import]:
    """The functions that a module imports, in order.

    Raises:
        ValueError: it imports something else, too.
    """
    found = []
    for section in sections(module):
        if section.kind == IMPORT:
            reader = Reader(module, section.start)
            for _ in range(reader.unsigned()):
                source, name, kind = reader.name(), reader.name(), reader.byte()
                if kind != FUNCTION_KIND:
                    raise ValueError(f"the module imports {source}.{name}, which is no function")
                found.append(Import(source, name, reader.unsigned()))
    return found


class FunctionType(NamedTuple):
    """The types of a function's parameters and of its results, a byte each."""

    parameters: bytes
    results: bytes


def function_types(module: bytes) -> list[FunctionType]:
    """The types that a module declares, in order.

    Raises:
        ValueError: one isn't a function's.
    """
    found = []
    part = next((part for part in sections(module) if part.kind == TYPE), None)
    reader = Reader(module, part.start if part else len(module))
    for _ in range(reader.unsigned() if part else 0):
        if reader.byte() != 0x60:
            raise ValueError("a type of the module is no function's")
        found.append(FunctionType(reader.types(), reader.types()))
    return found


def exports(module: bytes) -> dict[str, tuple[int, int]]:
    """The exports of a module: name to (kind, index)."""
    found = {}
    for section in sections(module):
        if section.kind == EXPORT:
            reader = Reader(module, section.start)
            for _ in range(reader.unsigned()):
                name = reader.name()
                found[name] = (reader.byte(), reader.unsigned())
    return found


def function_names(module: bytes) -> dict[str, int]:
    """Functions by their names in the custom section "name"."""
    found: dict[str, int] = {}
    for section in sections(module):
        reader = Reader(module, section.start)
        if section.kind != CUSTOM or reader.name() != "name":
            continue
        while reader.position < section.end:
            part, size = reader.byte(), reader.unsigned()
            if part != 1:  # 1 is the functions'
                reader.position += size
                continue
            for _ in range(reader.unsigned()):
                index = reader.unsigned()
                found[reader.name()] = index
    return found


def signed(value: int) -> bytes:
    """Write a signed LEB128 number."""
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        if value == -(byte >> 6):  # the rest is the sign
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def name(text: str) -> bytes:
    """Write a length-prefixed UTF-8 name."""
    data = text.encode()
    return unsigned(len(data)) + data


def section(kind: int, body: bytes) -> bytes:
    """Write a section."""
    return bytes([kind]) + unsigned(len(body)) + body


def vector(items: list[bytes]) -> bytes:
    """Write a vector of items that are written already."""
    return unsigned(len(items)) + b"".join(items)


class Items:
    """A section that is a vector: how many items, and the bytes of them all; none where the module lacks it."""

    def __init__(self, module: bytes, part: Section | None) -> None:
        """Read how many items `part` of `module` has."""
        reader = Reader(module, part.start if part else len(module))
        self.count = reader.unsigned() if part else 0
        self._all = module[reader.position : part.end if part else None]

    def with_more(self, before: Sequence[bytes] = (), after: Sequence[bytes] = ()) -> bytes:
        """The section's body with more items, at its beginning and at its end."""
        return unsigned(len(before) + self.count + len(after)) + b"".join([*before, self._all, *after])


def rewritten(module: bytes, bodies: dict[int, bytes | None]) -> bytes:
    """`module` with the bodies of some sections replaced, or left out where None; one that it lacks is put in its place.

    Args:
        module: a core module.
        bodies: section id to body. Custom sections (0) can only be left out, all of them.
    """
    #: The data count section stands before the code.
    order = [TYPE, IMPORT, FUNCTION, TABLE, MEMORY, GLOBAL, EXPORT, START, ELEMENT, DATA_COUNT, CODE, DATA]
    known = {part.kind: module[part.start : part.end] for part in sections(module) if part.kind != CUSTOM}
    known |= {kind: body for kind, body in bodies.items() if kind != CUSTOM and body is not None}
    out = bytearray(module[:HEADER_BYTES])
    for kind in order:
        if kind in known and bodies.get(kind, b"") is not None:
            out += section(kind, known[kind])
    if CUSTOM not in bodies:
        out += b"".join(section(CUSTOM, module[p.start : p.end]) for p in sections(module) if p.kind == CUSTOM)
    return bytes(out)
