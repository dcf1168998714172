"""Small guests of ABI 1, in WebAssembly text: each test says only what is special about its own."""

from __future__ import annotations

from wasmtime import wat2wasm

#: `alloc` that always answers the same address: fine for a guest whose input is gone when the next comes.
INPUT = 4096
ECHO = "(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))"
#: Gives its input back without the first byte.
SHIFT = (
    "(i64.or (i64.shl (i64.extend_i32_u (i32.add (local.get 0) (i32.const 1))) (i64.const 32))"
    " (i64.extend_i32_u (i32.sub (local.get 1) (i32.const 1))))"
)
#: Uses up fuel.
LOOP = "(loop $again (br $again)) (unreachable)"
#: Uses up time: filling costs one unit of fuel per byte, and moves gigabytes per second.
BURN = "(loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 0x3f0000)) (br $again)) (unreachable)"
OVERFLOW = "(call $deeper) (i64.const 0)"
FAIL = "(i64.const -1)"
MEMORY = '(memory (export "memory") 64)'


def packed(pointer: int, size: int) -> str:
    """The result that points at `size` bytes at `pointer`."""
    value = pointer << 32 | size
    return f"(i64.const {value - (1 << 64) if value >> 63 else value})"


def constant(data: bytes, *, at: int = 0x20000) -> tuple[str, str]:
    """A function body that returns `data`, and the data segment that it needs."""
    text = "".join(f"\\{byte:02x}" for byte in data)
    return packed(at, len(data)), f'(data (i32.const {at}) "{text}")'


def function(name: str, body: str) -> str:
    """An export of the signature that split, execute and merge share."""
    return f'(func (export "{name}") (param i32 i32) (result i64) {body})'


def wat(
    execute: str | None = ECHO,
    *,
    memory: str = MEMORY,
    alloc: str = f"(i32.const {INPUT})",
    extra: str = "",
    **functions: str,
) -> str:
    """The text of a module; `functions` are bodies of more exports, `extra` anything else."""
    bodies = {**({} if execute is None else {"execute": execute}), **functions}
    exports = "\n ".join(function(name, body) for name, body in bodies.items())
    return f"""(module {memory}
 (func (export "alloc") (param i32) (result i32) {alloc})
 (func $deeper (local i64 i64) (call $deeper))
 {exports}
 {extra})"""


def module(execute: str | None = ECHO, **parts: str) -> bytes:
    """The binary of `wat`."""
    return bytes(wat2wasm(wat(execute, **parts)))


def split_into(data: bytes) -> dict[str, str]:
    """Parts of a module whose split answers `data`, a framed list or a lie."""
    body, segment = constant(data)
    return {"split": body, "extra": segment}


def leb128(value: int) -> bytes:
    """`value` as an unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _section(number: int, count: int, body: bytes) -> bytes:
    content = leb128(count) + body
    return bytes([number]) + leb128(len(content)) + content


def crowd(functions: int) -> bytes:
    """A valid job module with `functions` further, empty functions."""
    call, nothing = b"\x60\x02\x7f\x7f\x01\x7e", b"\x60\x00\x00"
    types = _section(1, 3, call + b"\x60\x01\x7f\x01\x7f" + nothing)
    declared = _section(3, functions + 2, b"\x00\x01" + b"\x02" * functions)
    exports = _section(7, 3, b"\x06memory\x02\x00" + b"\x05alloc\x00\x01" + b"\x07execute\x00\x00")
    bodies = b"\x04\x00\x42\x00\x0b" + b"\x04\x00\x41\x00\x0b" + b"\x02\x00\x0b" * functions
    return b"\0asm\x01\0\0\0" + types + declared + _section(5, 1, b"\x00\x01") + exports + _section(10, functions + 2, bodies)


def thicket(branches: int) -> bytes:
    """A valid job module whose execute has `branches` branches over 200 locals: slow to compile."""
    types = _section(1, 2, b"\x60\x02\x7f\x7f\x01\x7e" + b"\x60\x01\x7f\x01\x7f")
    exports = _section(7, 3, b"\x06memory\x02\x00" + b"\x05alloc\x00\x01" + b"\x07execute\x00\x00")
    code = bytearray(b"\x01\xc8\x01\x7f")  # 200 locals of type i32
    for number in range(branches):
        one, other = leb128(number % 200), leb128((number * 7 + 3) % 200)
        code += b"\x20" + one + b"\x04\x40\x20" + other + b"\x41\x01\x6a\x21" + one + b"\x0b"
    code += b"\x42\x00\x0b"
    bodies = leb128(len(code)) + bytes(code) + b"\x04\x00\x41\x00\x0b"
    return (
        b"\0asm\x01\0\0\0" + types + _section(3, 2, b"\x00\x01") + _section(5, 1, b"\x00\x01") + exports + _section(10, 2, bodies)
    )
