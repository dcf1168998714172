"""Keep the guest's program break, how much of its memory it has taken, apart from how much memory there is.

A memory that has grown can't shrink, so an instance whose guest took more memory could never be put back to what it was. Here
`memory.size` answers the exported global `pages`, and `memory.grow` raises it: the memory itself grows only where there is less
than that. So a host may give an instance all the memory it may have at once. The guest sees no difference, in what it is
answered, in where its limit lies, or in its bill; only code gone wild, which writes where it has taken nothing, is trapped by a
host that doesn't.

Source: brk(2) for the notion; WebAssembly Core Specification 2.0, section 4.4.7 (memory instructions).
"""

from __future__ import annotations

from collections.abc import Iterator

from pangea.compute.model.leb128 import unsigned
from pangea.compute.runtime.build import binary
from pangea.compute.runtime.build.binary import Items, Reader, signed
from pangea.compute.runtime.build.instructions import CALL, MEMORY_GROW, MEMORY_SIZE, scan

PAGES = "pages"
_FUNCTION_TYPE = 0x60
#: A 32-bit memory has no more.
_PAGES_MAX = 65_536
_LOCAL_GET, _GLOBAL_GET, _GLOBAL_SET, _CONST = b"\x20", b"\x23", b"\x24", binary.I32_CONST
_ADD, _SUB, _EQ, _GT_U, _IF, _RETURN = b"\x6a", b"\x6b", b"\x46", b"\x4b", b"\x04\x40", b"\x0f"
_SIZE, _GROW = bytes([MEMORY_SIZE, 0]), bytes([MEMORY_GROW, 0])


def with_break(module: bytes) -> bytes:
    """`module`, whose code asks for `pages` and raises it.

    Args:
        module: a core module that imports nothing, exports its memory, and is known to be ours.
    """
    parts = {part.kind: part for part in binary.sections(module) if part.kind != binary.CUSTOM}
    types = Items(module, parts[binary.TYPE])
    functions = Items(module, parts[binary.FUNCTION])
    globals_ = Items(module, parts[binary.GLOBAL])
    exports = Items(module, parts[binary.EXPORT])
    grow = bytes([_FUNCTION_TYPE]) + binary.vector([bytes([binary.I32])]) + binary.vector([bytes([binary.I32])])
    memory = Reader(module, parts[binary.MEMORY].start)
    memory.unsigned()
    pages = bytes([binary.I32, 1]) + _CONST + signed(memory.limits()[0]) + binary.END
    number = unsigned(globals_.count)
    code = [_calling(module, start, end, number, functions.count) for start, end in _bodies(module, parts[binary.CODE])]
    return binary.rewritten(
        module,
        {
            binary.TYPE: types.with_more(after=[grow]),
            binary.FUNCTION: functions.with_more(after=[unsigned(types.count)]),
            binary.GLOBAL: globals_.with_more(after=[pages]),
            binary.EXPORT: exports.with_more(after=[binary.name(PAGES) + bytes([binary.GLOBAL_KIND]) + number]),
            binary.CODE: binary.vector([*code, _grow(number)]),
        },
    )


def _bodies(module: bytes, part: binary.Section) -> Iterator[tuple[int, int]]:
    reader = Reader(module, part.start)
    for _ in range(reader.unsigned()):
        size = reader.unsigned()
        yield reader.position, reader.position + size
        reader.position += size


def _calling(module: bytes, start: int, end: int, pages: bytes, grow: int) -> bytes:
    """One function's body, with its size, as it asks the break."""
    out, last = bytearray(), start
    for at, opcode in scan(module, start, end).memory:
        out += module[last:at] + (_GLOBAL_GET + pages if opcode == MEMORY_SIZE else bytes([CALL]) + unsigned(grow))
        last = at + 2  # the opcode and the memory's number
    out += module[last:end]
    return unsigned(len(out)) + bytes(out)


def _grow(pages: bytes) -> bytes:
    """The function: as `memory.grow`, of the break. Sums don't overflow: what is asked for is checked first."""
    wanted, refused = _LOCAL_GET + b"\0", _CONST + signed(-1) + _RETURN + binary.END
    above = _GLOBAL_GET + pages + wanted + _ADD
    body = b"".join(
        [
            b"\0",  # no locals
            wanted + _CONST + signed(_PAGES_MAX) + _GT_U + _IF + refused,
            above + _SIZE + _GT_U + _IF,
            above + _SIZE + _SUB + _GROW + _CONST + signed(-1) + _EQ + _IF + refused,
            binary.END,
            _GLOBAL_GET + pages,  # the answer, under what follows
            above + _GLOBAL_SET + pages,
            binary.END,
        ]
    )
    return unsigned(len(body)) + body
