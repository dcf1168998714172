"""Answer inside what a module asks of WASI preview 1: a clock that stands still, the same random bytes at every start, no files.

A guest imports nothing. `sdk/closed_wasi.c` is that for C and C++, whose libc is linked with it; here it is done to a module that
is finished, of a compiler that links nothing else. Imported functions come first among a module's functions. So if all of them
become functions of its own, in their place, no number changes.

Sources: WASI preview 1 (wasi_snapshot_preview1.witx); WebAssembly Core Specification 2.0, chapter 5; Marsaglia, "Xorshift RNGs"
(2003).
"""

from __future__ import annotations

from collections.abc import Callable

from pangea.compute.model.leb128 import unsigned
from pangea.compute.runtime.build import binary
from pangea.compute.runtime.build.binary import FunctionType, Items, signed

_WASI = "wasi_snapshot_preview1"
_BADF, _NOSYS = 8, 52
#: Of the random bytes: the first state, and the shifts left, right and left again.
_SEED, _SHIFTS = 0x9E3779B97F4A7C15, ((b"\x86", 13), (b"\x88", 7), (b"\x86", 17))
_ADD, _LE_U, _LT_U, _SELECT, _XOR64, _WRAP = b"\x6a", b"\x4d", b"\x49", b"\x1b", b"\x85", b"\xa7"
_SHIFT_RIGHT_64, _UNREACHABLE = b"\x88", b"\x00"
_LOOP, _AGAIN, _IF = b"\x03\x40", b"\x0c\x01", b"\x04\x40"

#: What makes a function's body, its locals first and without its end, of the number of the global that random bytes come from.
Body = Callable[[bytes], bytes]


def closed(module: bytes) -> bytes:
    """`module` without imports, if all that it imports is functions of WASI preview 1; else as it is, for the sandbox to refuse.

    A function that isn't known to it says that there is no such function (ENOSYS), or traps if it has no result.
    """
    try:
        imports = binary.imported_functions(module)
    except ValueError:
        return module
    if not imports or any(each.module != _WASI for each in imports):
        return module
    types = binary.function_types(module)
    parts = {part.kind: part for part in binary.sections(module) if part.kind != binary.CUSTOM}
    globals_ = Items(module, parts.get(binary.GLOBAL))
    state = unsigned(globals_.count)
    bodies = [_body(each.name, types[each.type], state) for each in imports]
    return binary.rewritten(
        module,
        {
            binary.IMPORT: None,
            binary.FUNCTION: Items(module, parts[binary.FUNCTION]).with_more(before=[unsigned(each.type) for each in imports]),
            binary.GLOBAL: globals_.with_more(after=[bytes([binary.I64, 1]) + _const64(_SEED) + binary.END]),
            binary.CODE: Items(module, parts[binary.CODE]).with_more(before=bodies),
        },
    )


def _body(name: str, kind: FunctionType, state: bytes) -> bytes:
    """A function's body, with its size."""
    unknown = b"\x00" + (_const(_NOSYS) if kind.results else _UNREACHABLE)
    code = (_BODIES[name](state) if name in _BODIES else unknown) + binary.END
    return unsigned(len(code)) + code


def _const(value: int) -> bytes:
    return binary.I32_CONST + signed(value)


def _const64(value: int) -> bytes:
    return binary.I64_CONST + signed(value - (1 << 64) if value >> 63 else value)


def _get(local: int) -> bytes:
    return b"\x20" + unsigned(local)


def _set(local: int) -> bytes:
    return b"\x21" + unsigned(local)


def _store(address: bytes, value: int, offset: int = 0) -> bytes:
    """Write eight bytes."""
    return address + _const64(value) + b"\x37\x00" + unsigned(offset)


def _store32(address: bytes, value: bytes) -> bytes:
    return address + value + b"\x36\x00\x00"


def _zeros_32(*locals_: int) -> Body:
    """Write four bytes of zeros to each place that a parameter names."""
    return lambda _: b"\x00" + b"".join(_store32(_get(each), _const(0)) for each in locals_) + _const(0)


def _time(local: int, value: int) -> Body:
    return lambda _: b"\x00" + _store(_get(local), value) + _const(0)


def _answers(errno: int) -> Body:
    return lambda _: b"\x00" + _const(errno)


def _for_streams() -> bytes:
    """0 if the first parameter is one of the three standard streams, else EBADF."""
    return _const(0) + _const(_BADF) + _get(0) + _const(2) + _LE_U + _SELECT


def _stat(_: bytes) -> bytes:
    """Write 24 bytes of zeros: a stream of no known kind that allows nothing."""
    return b"\x00" + b"".join(_store(_get(1), 0, offset) for offset in (0, 8, 16)) + _for_streams()


def _write(_: bytes) -> bytes:
    """Add up the sizes of the pieces: what is printed goes nowhere, as if it had been read."""
    total, piece, sizes = 4, _get(1), b"\x28\x00\x04"  # the second word of a piece is its size
    more = _get(total) + piece + sizes + _ADD + _set(total) + piece + _const(8) + _ADD + _set(1)
    less = _get(2) + _const(-1) + _ADD + _set(2)
    loop = _LOOP + _get(2) + _IF + more + less + _AGAIN + binary.END + binary.END
    return b"\x01\x01\x7f" + loop + _store32(_get(3), _get(total)) + _for_streams()


def _random(state: bytes) -> bytes:
    """Fill bytes from a stream that begins anew with each instance."""
    read, write = b"\x23" + state, b"\x24" + state
    steps = b"".join(read + read + _const64(count) + shift + _XOR64 + write for shift, count in _SHIFTS)
    byte = _get(0) + read + _const64(32) + _SHIFT_RIGHT_64 + _WRAP + b"\x3a\x00\x00"
    on = _get(0) + _const(1) + _ADD + _set(0)
    end = _get(0) + _get(1) + _ADD + _set(2)
    loop = _LOOP + _get(0) + _get(2) + _LT_U + _IF + steps + byte + on + _AGAIN + binary.END + binary.END
    return b"\x01\x01\x7f" + end + loop + _const(0)


_BODIES: dict[str, Body] = {
    "args_get": _answers(0),
    "args_sizes_get": _zeros_32(0, 1),
    "clock_res_get": _time(1, 1),
    "clock_time_get": _time(2, 1),  # Go takes zero for a clock that is broken
    "environ_get": _answers(0),
    "environ_sizes_get": _zeros_32(0, 1),
    "fd_close": _answers(_BADF),
    "fd_fdstat_get": _stat,
    "fd_fdstat_set_flags": _answers(_BADF),
    "fd_filestat_get": _answers(_BADF),
    "fd_prestat_dir_name": _answers(_BADF),
    "fd_prestat_get": _answers(_BADF),
    "fd_read": lambda _: b"\x00" + _store32(_get(3), _const(0)) + _for_streams(),
    "fd_seek": _answers(_BADF),
    "fd_write": _write,
    "random_get": _random,
    "sched_yield": _answers(0),
}
