"""Whole numbers as WebAssembly writes them: seven bits a byte, lowest first. Source: WebAssembly core specification, 5.2.2."""

from __future__ import annotations


def unsigned(value: int) -> bytes:
    """Write an unsigned LEB128 number."""
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def read(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number (of a signed one, only where it ends), and what comes after it.

    Raises:
        IndexError: it doesn't end within `data`.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
