"""Read and write the WebAssembly binary format, as far as the build needs it.

Source: WebAssembly Core Specification 2.0, chapter 5 (binary format).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

HEADER_BYTES = 8
IMPORT_SECTION, EXPORT_SECTION, CUSTOM_SECTION = 2, 7, 0

#: External kinds of an import or export, by their byte.
FUNCTION, TABLE, MEMORY, GLOBAL, TAG = range(5)


class Reader:
    """A cursor over a byte string."""

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        """Read `data` from `position` up to `end`."""
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end

    def byte(self) -> int:
        """Read one byte."""
        self.position += 1
        return self.data[self.position - 1]

    def unsigned(self) -> int:
        """Read an unsigned LEB128 number."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def name(self) -> str:
        """Read a length-prefixed UTF-8 name."""
        size = self.unsigned()
        start = self.position
        self.position += size
        return self.data[start : self.position].decode()

    def sections(self) -> Iterator[tuple[int, int, Reader]]:
        """Yield (id, start of the section with its header, reader over its body) from here to the end."""
        while self.position < self.end:
            start = self.position
            kind, size = self.byte(), self.unsigned()
            body = Reader(self.data, self.position, self.position + size)
            self.position = body.end
            yield kind, start, body


def unsigned(value: int) -> bytes:
    """Write an unsigned LEB128 number."""
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def name(text: str) -> bytes:
    """Write a length-prefixed UTF-8 name."""
    data = text.encode()
    return unsigned(len(data)) + data


def section(kind: int, body: bytes) -> bytes:
    """Write a section."""
    return bytes([kind]) + unsigned(len(body)) + body


def export_names(module: bytes) -> frozenset[str]:
    """The names that a core module exports."""
    names: set[str] = set()
    for kind, _, body in Reader(module, HEADER_BYTES).sections():
        if kind == EXPORT_SECTION:
            for _ in range(body.unsigned()):
                names.add(body.name())
                body.byte()
                body.unsigned()
    return frozenset(names)


def rename_imports(module: bytes, rename: Callable[[str, str], tuple[str, str]]) -> bytes:
    """Rename each import of a core module and drop the custom sections that nothing reads."""
    out = bytearray(module[:HEADER_BYTES])
    for kind, start, body in Reader(module, HEADER_BYTES).sections():
        if kind == IMPORT_SECTION:
            out += section(IMPORT_SECTION, _renamed(body, rename))
        elif kind != CUSTOM_SECTION or body.name() not in {"name", "producers", "dylink.0", "component-type"}:
            out += module[start : body.end]
    return bytes(out)


def _renamed(body: Reader, rename: Callable[[str, str], tuple[str, str]]) -> bytes:
    count = body.unsigned()
    out = bytearray(unsigned(count))
    for _ in range(count):
        module, field = rename(body.name(), body.name())
        start = body.position
        _skip_import_type(body)
        out += name(module) + name(field) + body.data[start : body.position]
    return bytes(out)


def _skip_import_type(body: Reader) -> None:
    kind = body.byte()
    if kind == FUNCTION:
        body.unsigned()
    elif kind in (TABLE, MEMORY):
        if kind == TABLE:
            body.byte()
        has_maximum = body.byte() & 1
        body.unsigned()
        if has_maximum:
            body.unsigned()
    elif kind == GLOBAL:
        body.byte()
        body.byte()
    elif kind == TAG:
        body.byte()
        body.unsigned()


def keep_exports(module: bytes, prefix: str) -> bytes:
    """Keep the exports whose name starts with `prefix`, and take the prefix off."""
    out = bytearray(module[:HEADER_BYTES])
    for kind, start, body in Reader(module, HEADER_BYTES).sections():
        if kind != EXPORT_SECTION:
            out += module[start : body.end]
            continue
        kept = []
        for _ in range(body.unsigned()):
            field, entry = body.name(), body.position
            body.byte()
            body.unsigned()
            if field.startswith(prefix):
                kept.append(name(field.removeprefix(prefix)) + body.data[entry : body.position])
        out += section(EXPORT_SECTION, unsigned(len(kept)) + b"".join(kept))
    return bytes(out)
