"""What a finished module asks of WASI preview 1 is answered inside of it, in the functions' own places."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from pangea.compute import JobFailedError, ModuleJob, submit_job
from pangea.compute.errors import BadModuleError
from pangea.compute.guests.closing import closed
from pangea.compute.runtime.build import binary
from tests.examples import spread

WASI = "wasi_snapshot_preview1"


def module(imports: str, body: str) -> bytes:
    """A job whose execute does `body`, and then answers the 32 bytes from 64 on; it has a function beside, and calls it first."""
    return bytes(
        wat2wasm(f"""
        (module {imports}
          (memory (export "memory") 1)
          (func $beside (result i32) (i32.const 7))
          (func (export "alloc") (param i32) (result i32) (i32.const 1024))
          (func (export "execute") (param i32 i32) (result i64)
            (i32.store (i32.const 64) (call $beside)) {body}
            (i64.const {64 << 32 | 32})))
        """)
    )


def asks(name: str, parameters: str, call: str, *, result: str = "(result i32)") -> bytes:
    """Such a job that calls one function of WASI, and stores its answer behind the seven."""
    kept = f"(i32.store (i32.const 68) {call})" if result else call
    return module(f'(import "{WASI}" "{name}" (func $asked {parameters} {result}))', kept)


def answered(wasm: bytes) -> bytes:
    """What execute gives once the module is closed: without its first word, a seven."""
    whole = closed(wasm)
    assert binary.imported_functions(whole) == []
    result = bytes(submit_job(ModuleJob(whole), b"x"))
    assert result[:4] == (7).to_bytes(4, "little")
    return result[4:]


def words(*values: int) -> bytes:
    """Numbers of four bytes, and zeros behind them, 28 bytes in all."""
    return b"".join(value.to_bytes(4, "little") for value in values).ljust(28, b"\0")


AT = "(i32.const 72)"
FULL = "(memory.fill (i32.const 72) (i32.const 255) (i32.const 24))"


@pytest.mark.parametrize(
    ("name", "parameters", "call", "expected"),
    spread(
        4,
        [
            ("clock_time_get", "(param i32 i64 i32)", f"(call $asked (i32.const 0) (i64.const 1) {AT})", words(0, 1)),
            ("clock_res_get", "(param i32 i32)", f"(call $asked (i32.const 0) {AT})", words(0, 1)),
            ("args_sizes_get", "(param i32 i32)", f"(call $asked {AT} (i32.const 76))", words(0)),
            ("fd_fdstat_get", "(param i32 i32)", f"(call $asked (i32.const 2) {AT})", words(0)),
            ("fd_fdstat_get", "(param i32 i32)", f"(call $asked (i32.const 3) {AT})", words(8)),
            ("fd_read", "(param i32 i32 i32 i32)", f"(call $asked (i32.const 0) {AT} (i32.const 0) {AT})", words(0)),
            ("fd_prestat_get", "(param i32 i32)", f"(call $asked (i32.const 3) {AT})", words(8)),
            ("path_open_of_another_year", "(param i64)", "(call $asked (i64.const 1))", words(52)),
            ("sched_yield", "", "(call $asked)", words(0)),
        ],
    ),
)
def test_the_outside_is_a_clock_that_stands_and_no_files(name: str, parameters: str, call: str, expected: bytes) -> None:
    assert answered(asks(name, parameters, call)) == expected


def test_zeros_are_written_where_something_was_and_nowhere_else() -> None:
    wasm = module(
        f'(import "{WASI}" "environ_sizes_get" (func $asked (param i32 i32) (result i32)))',
        f"{FULL} (i32.store (i32.const 68) (call $asked {AT} (i32.const 76)))",
    )
    assert answered(wasm) == words(0, 0, 0, *[0xFFFFFFFF] * 4)


def test_what_is_printed_goes_nowhere_and_counts_as_printed() -> None:
    pieces = "(i32.store (i32.const 204) (i32.const 5)) (i32.store (i32.const 212) (i32.const 300))"
    wasm = module(
        f'(import "{WASI}" "fd_write" (func $asked (param i32 i32 i32 i32) (result i32)))',
        f"{pieces} (i32.store (i32.const 68) (call $asked (i32.const 1) (i32.const 200) (i32.const 2) {AT}))",
    )
    assert answered(wasm) == words(0, 305)


def test_random_bytes_are_the_same_at_every_start_and_go_on_within_one() -> None:
    draw = "(drop (call $asked (i32.const {at}) (i32.const 8)))"
    wasm = module(
        f'(import "{WASI}" "random_get" (func $asked (param i32 i32) (result i32)))', draw.format(at=72) + draw.format(at=80)
    )
    first, again = answered(wasm), answered(wasm)
    assert first == again
    assert len({first[4:12], first[12:20], bytes(8)}) == 3
    state, expected = 0x9E3779B97F4A7C15, bytearray()
    for _ in range(16):
        for shift in (13, -7, 17):
            state ^= (state << shift if shift > 0 else state >> -shift) & (1 << 64) - 1
        expected.append(state >> 32 & 0xFF)
    assert first[4:20] == expected


def test_whoever_ends_the_process_ends_the_call() -> None:
    job = ModuleJob(closed(asks("proc_exit", "(param i32)", "(call $asked (i32.const 1))", result="")))
    with pytest.raises(JobFailedError, match="unreachable"):
        submit_job(job, b"x")


@pytest.mark.parametrize(
    "imports",
    [
        '(import "env" "now" (func $asked (result i32)))',
        f'(import "{WASI}" "sched_yield" (func $asked (result i32))) (import "env" "now" (func $other (result i32)))',
        f'(import "{WASI}" "sched_yield" (func $asked (result i32))) (import "env" "pages" (global i32))',
    ],
)
def test_a_module_that_asks_for_more_stays_as_it_is_and_is_refused(imports: str) -> None:
    wasm = module(imports, "(drop (call $asked))")
    assert closed(wasm) == wasm
    with pytest.raises(BadModuleError, match=r"import"):
        submit_job(ModuleJob(wasm), b"x")


def test_a_module_without_imports_stays_as_it_is() -> None:
    wasm = module("", "")
    assert closed(wasm) == wasm
