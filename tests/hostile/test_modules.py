"""Rows 1 to 8 of the fault table: whatever a module does, its job ends with a typed error and the engine goes on."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wasmtime import _bindings as native
from wasmtime import wat2wasm

from pangea.compute import submit_job
from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.engine import cache, sandbox
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.prepared import prepare
from pangea.compute.model import frames
from pangea.compute.model.errors import BadModuleError, JobFailedError, LimitExceededError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import GIB, MIB
from tests import guests
from tests.deadlines import children_of, is_running, peak_bytes, until
from tests.examples import first, long, share_of, spread
from tests.guests import module, packed, split_into, wat
from tests.hostile.checker import Checker
from tests.runs import (
    error_of_run,
    failed,
    module_guest,
    module_job,
    outcome_of,
    python_guest,
    python_job,
    results_of,
    run_of,
    task_of,
)

FRAME = frames.pack([b"one", b"two"])
FUEL = 10**7


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    process = Checker()
    yield process
    process.close()


def assert_the_engine_goes_on(engine: LocalEngine) -> None:
    assert results_of(outcome_of(engine, module_guest(engine, module()), b"ping")) == [b"ping"]


class TestRow1BadModules:
    """Refused before they are compiled, with the reason."""

    PROPOSALS: ClassVar = {
        "shared memory": wat(memory='(memory (export "memory") 1 1 shared)'),
        "atomics": wat("(drop (i32.atomic.load (i32.const 0))) (i64.const 0)"),
        "memory64": wat(memory='(memory (export "memory") i64 1)'),
        "multi-memory": wat(memory='(memory (export "memory") 1) (memory 1)'),
        "fifty memories": wat(memory='(memory (export "memory") 1)' + "(memory 1024)" * 49),
        "relaxed simd": wat(extra="(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))"),
        "tail call": wat(extra="(func $f (return_call $f))"),
        "exceptions": wat(extra="(tag $t) (func (throw $t))"),
        "gc": wat(extra="(type $s (struct (field i32)))"),
        "function references": wat(extra="(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))"),
        "wide arithmetic": wat(
            extra="(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))"
        ),
        "custom page sizes": wat(memory='(memory (export "memory") 1 (pagesize 1))'),
    }
    CONTRACT: ClassVar = {
        "no memory": (wat("(i64.const 0)", memory="(memory 1)"), "no memory named 'memory'"),
        "a function named memory": (wat(memory="", extra='(func (export "memory"))'), "no memory named 'memory'"),
        "no execute": (wat(None), "no function 'execute'"),
        "no alloc": (wat().replace('"alloc"', '"malloc"'), "no function 'alloc'"),
        "alloc takes i64": (
            wat(alloc="i32.const 0").replace("(param i32) (result i32)", "(param i64) (result i32)"),
            "alloc(i64)",
        ),
        "execute returns i32": (
            wat(None, extra='(func (export "execute") (param i32 i32) (result i32) (i32.const 0))'),
            "execute(i32, i32) -> i32",
        ),
        "execute takes nothing": (wat(None, extra='(func (export "execute") (result i64) (i64.const 0))'), "execute() -> i64"),
        "split returns nothing": (wat(extra='(func (export "split") (param i32 i32))'), "split(i32, i32) -> nothing"),
        "merge takes floats": (
            wat(extra='(func (export "merge") (param f32 f32) (result i64) (i64.const 0))'),
            "merge(f32, f32) -> i64",
        ),
        "last_error takes one": (
            wat(extra='(func (export "last_error") (param i32) (result i64) (i64.const 0))'),
            "last_error(i32) -> i64",
        ),
        "init is a global": (wat(extra='(global (export "init") i32 (i32.const 0))'), "'init' is not a function"),
        "execute_many is a table": (wat(extra='(table (export "execute_many") 1 funcref)'), "'execute_many' is not a function"),
        "a function is imported": (wat(memory='(import "env" "f" (func)) (memory (export "memory") 1)'), "env.f"),
        "its memory is imported": (wat(memory='(import "env" "memory" (memory 1)) (export "memory" (memory 0))'), "env.memory"),
        "a global is imported": (wat(memory='(import "env" "g" (global i32)) (memory (export "memory") 1)'), "env.g"),
        "it wants WASI": (
            wat(
                memory='(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))' + guests.MEMORY
            ),
            "wasi_snapshot_preview1.fd_write",
        ),
    }
    HEADERS: ClassVar = {
        "empty": (b"", "it starts with nothing"),
        "text": (b"#!/bin/sh\necho hello\n", "not WebAssembly: it starts with 23 21 2f 62"),
        "half a magic number": (b"\0as", "not WebAssembly"),
        "no version": (b"\0asm", "missing"),
        "half a version": (b"\0asm\x01\0", "not WebAssembly version 1"),
        "version 2": (b"\0asm\x02\0\0\0", "not WebAssembly version 1"),
        "a component": (b"\0asm\x0d\0\x01\0", "component"),
        "nothing but a header": (b"\0asm\x01\0\0\0", "no memory"),
        "an unknown section": (b"\0asm\x01\0\0\0\x7f\x01\0", "not a valid module"),
        "a section longer than the file": (b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f", "not a valid module"),
        "a wrong type": (module().replace(b"\x60\x02\x7f\x7f", b"\x60\x02\x11\x11"), "not a valid module"),
    }

    def test_row_1_a_good_module_passes_the_check_that_all_others_fail(self, checker: Checker) -> None:
        assert checker.verdict(module()) == ""

    @pytest.mark.parametrize("name", HEADERS)
    def test_row_1_bytes_that_are_no_module_are_refused(self, checker: Checker, name: str) -> None:
        wasm, reason = self.HEADERS[name]
        verdict = checker.verdict(wasm)
        assert verdict.startswith("BAD_MODULE ")
        assert reason in verdict

    @pytest.mark.parametrize("name", CONTRACT)
    def test_row_1_a_module_outside_the_contract_is_refused_with_the_export_or_import_named(
        self, checker: Checker, name: str
    ) -> None:
        text, reason = self.CONTRACT[name]
        verdict = checker.verdict(wat2wasm(text))
        assert verdict.startswith("BAD_MODULE ")
        assert reason in verdict

    @pytest.mark.parametrize("name", PROPOSALS)
    def test_row_1_a_proposal_outside_the_profile_is_refused(self, checker: Checker, name: str) -> None:
        assert checker.verdict(wat2wasm(self.PROPOSALS[name])).startswith("BAD_MODULE not a valid module: ")

    def test_row_1_every_prefix_of_a_module_is_refused(self, checker: Checker) -> None:
        whole = module(merge=guests.ECHO, split=guests.ECHO)
        named = whole.rindex(b"\x04name") - 2  # a module without its names is still a module
        for size in {*range(len(whole))} - {named}:
            assert checker.verdict(whole[:size]).startswith("BAD_MODULE "), size

    @settings(max_examples=share_of(150))
    @given(
        edits=st.lists(st.tuples(st.integers(8, 10_000), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=4),
    )
    def test_row_1_a_mutated_module_is_refused_or_runs_but_never_crashes_the_check(
        self, checker: Checker, edits: list[tuple[int, bytes, int]]
    ) -> None:
        wasm = module(merge=guests.ECHO, **split_into(FRAME))
        for place, new, dropped in edits:
            at = 8 + place % (len(wasm) - 8)
            wasm = wasm[:at] + new + wasm[at + dropped :]
        assert checker.verdict(wasm).partition(" ")[0] in {"", "BAD_MODULE", "OUT_OF_MEMORY"}

    @pytest.mark.parametrize(
        "wasm", first(2, [b"", b"no module", module()[:-1], b"\0asm\x0d\0\x01\0", bytes(wat2wasm(wat(None)))])
    )
    def test_row_1_submit_job_refuses_it_as_a_bad_module(self, engine: LocalEngine, wasm: bytes) -> None:
        for _ in range(2):  # the second answer is remembered
            with pytest.raises(BadModuleError) as caught:
                submit_job(ModuleJob(wasm), b"x")
            assert caught.value.exit_code == 2
            assert caught.value.hint

    def test_row_1_a_module_larger_than_its_limit_is_refused_before_it_is_read(self, engine: LocalEngine) -> None:
        for _ in range(2):  # the second time it has been compiled already
            with pytest.raises(LimitExceededError, match="the module is 113 bytes, the limit is 100 bytes"):
                submit_job(ModuleJob(module()), b"x", limits={"module": 100})
            assert submit_job(ModuleJob(module()), b"x") == b"x"


class TestRow2CompileBombs:
    """Stopped in the child that compiles, and remembered."""

    @pytest.mark.parametrize(
        ("wasm", "limits", "limit"),
        [
            (guests.crowd(20_000), {"compile_memory": 64 * MIB}, "compile_memory"),
            (guests.thicket(50_000), {"compile_time": 1}, "compile_time"),
        ],
        ids=["20,000 functions", "50,000 branches"],
    )
    def test_row_2_a_compile_bomb_is_stopped_at_its_limit_and_refused_at_once_the_second_time(
        self, engine: LocalEngine, wasm: bytes, limits: dict[str, int], limit: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As on a machine that isn't busy: else it would be the machine's fault, which isn't remembered.
        monkeypatch.setattr(cache, "_cpu_seconds", lambda _process: limits.get("compile_time", 0))
        compiled: list[str] = []
        for _ in range(2):
            with pytest.raises(LimitExceededError) as caught:
                prepare(wasm, Limits.of(limits), engine, compiled.append, name="bomb", associative=False)
            assert caught.value.details["limit"] == limit
            assert limit in caught.value.hint
            assert caught.value.exit_code == 5
        assert compiled == ["bomb"]
        assert_the_engine_goes_on(engine)

    def test_row_2_a_machine_too_busy_to_compile_in_time_is_not_the_modules_fault(
        self, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "_cpu_seconds", lambda _process: 0.2)
        compiled: list[str] = []
        for _ in range(2):
            with pytest.raises(LimitExceededError, match=r"within the limit of 1 s, of which this busy machine gave it 0\.2 s"):
                prepare(guests.thicket(50_001), Limits(compile_time=1), engine, compiled.append, name="bomb", associative=False)
        assert compiled == ["bomb", "bomb"], "it is tried again"

    def test_row_2_cpu_time_is_read_from_the_system(self) -> None:
        before = cache._cpu_seconds(os.getpid())
        while (now := cache._cpu_seconds(os.getpid())) < before + 0.02:
            pass
        assert before + 0.02 <= now <= time.process_time() + 0.02, "the kernel counts in hundredths of a second"

    def test_row_2_a_refusal_for_lack_of_time_holds_for_those_limits_only(self, engine: LocalEngine) -> None:
        wasm = module(extra='(func (export "row 2"))')
        with pytest.raises(LimitExceededError, match="compiling takes longer than the limit of 0 s"):
            prepare(wasm, Limits(compile_time=0), engine, lambda _what: None, name="bomb", associative=False)
        prepare(wasm, Limits(), engine, lambda _what: None, name="bomb", associative=False)

    def test_row_2_nothing_of_a_stopped_compilation_stays_on_disk(self, engine: LocalEngine, cache_folder: Path) -> None:
        with pytest.raises(LimitExceededError):
            prepare(guests.thicket(20_000), Limits(compile_time=0), engine, lambda _what: None, name="bomb", associative=False)
        assert not list(cache_folder.glob("compiling-*"))
        assert not list(cache_folder.glob("describing-*"))


class TestRow3Fuel:
    """A loop ends when its fuel does, the same way each time, and isn't tried again."""

    @pytest.mark.parametrize(
        ("parts", "what"),
        spread(
            3,
            [
                (
                    {"extra": f"(func $start (result i64) {guests.LOOP}) (func $s (drop (call $start))) (start $s)"},
                    "the start function",
                ),
                ({"split": guests.LOOP}, "split"),
                ({"execute": guests.LOOP}, "execute"),
                ({"execute_many": guests.LOOP, "execute": guests.LOOP}, "execute"),
                ({"merge": guests.LOOP}, "merge"),
                ({"alloc": guests.LOOP}, "alloc"),
                ({"execute": guests.FAIL, "extra": f'(func (export "last_error") (result i64) {guests.LOOP})'}, "last_error"),
            ],
        ),
        ids=["start", "split", "execute", "execute_many", "merge", "alloc", "last_error"],
    )
    def test_row_3_an_endless_loop_ends_at_its_fuel_without_a_retry(
        self, engine: LocalEngine, parts: dict[str, str], what: str
    ) -> None:
        job = module_job(engine, module(**parts), fuel=FUEL)
        messages = set()
        for _ in range(3):
            run = run_of(engine, job, [b"chunk"])
            error = error_of_run(run)
            assert isinstance(error, LimitExceededError)
            assert error.message.startswith(f"{what} used up its 10,000,000 units of fuel")
            assert (error.details["limit"], error.details["fuel"]) == ("fuel", FUEL)
            assert run.counts.retries == 0
            messages.add(error.message)
        assert len(messages) == 1
        assert_the_engine_goes_on(engine)

    def test_row_3_a_trap_costs_the_same_fuel_each_time(self, engine: LocalEngine) -> None:
        count_down = (
            "(local i32) (local.set 2 (i32.const 1000)) (loop $l (br_if $l (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))"
        )
        guest = module_guest(engine, module(f"{count_down} (unreachable)"))
        futures = [engine.submit(task_of(guest, b"x")) for _ in range(4 * engine.workers)]
        outcomes = [failed(future.result(50)) for future in futures]
        assert {outcome.kind for outcome in outcomes} == {FailureKind.TRAPPED}
        assert len({outcome.fuel for outcome in outcomes}) == 1
        assert outcomes[0].fuel > 1000

    def test_row_3_a_chunk_that_runs_out_is_named_whatever_its_company(self, python: LocalEngine) -> None:
        source = "def execute(c):\n while c == b'bad': pass\n return c"
        job = python_job(f"def split(data): return data.split(b',')\n{source}", fuel=10**8)
        error = error_of_run(run_of(python, job, [b",".join([b"x"] * 30 + [b"bad"] + [b"x"] * 30)], chunks_per_pack=20))
        assert isinstance(error, LimitExceededError)
        assert error.chunk_index == 30
        assert error.details["limit"] == "fuel"


class TestRow4Time:
    """Time is kept outside: the process is killed and replaced."""

    LIMITS: ClassVar = {"fuel": 10**15, "time": 0.5}

    def test_row_4_a_guest_that_burns_time_and_no_fuel_is_killed_and_its_process_replaced(self, engine: LocalEngine) -> None:
        guest = module_guest(engine, module(guests.BURN), **self.LIMITS)
        future = engine.submit(task_of(guest, b"x"))
        [pid] = until(engine.pids)
        [child] = until(lambda: children_of(pid))
        outcome = failed(future.result(50))
        assert (outcome.kind, outcome.limit) == (FailureKind.TIMED_OUT, "time")
        until(lambda: not is_running(pid) and not is_running(child))
        for _ in range(2 * engine.workers):
            assert_the_engine_goes_on(engine)

    def test_row_4_the_time_limit_is_a_fault_of_the_machine_so_it_is_tried_again(self, engine: LocalEngine) -> None:
        job = module_job(engine, module(guests.BURN), fuel=10**15, time=0.1)
        run = run_of(engine, job, [b"x"], retry_count=1)
        error = error_of_run(run)
        assert isinstance(error, LimitExceededError)
        assert error.details["limit"] == "time"
        assert "0.1 s" in error.message
        assert "2 attempts" in error.message
        assert run.counts.retries == 1

    def test_row_4_a_chunk_that_runs_out_of_time_is_named(self, engine: LocalEngine) -> None:
        body = f"(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 33)) (then {guests.BURN})) {guests.ECHO}"
        guest = module_guest(engine, module(body), **self.LIMITS)
        assert failed(outcome_of(engine, guest, b"a", b"b", b"!", b"d", packs=[1] * 4)).index == 2

    def test_row_4_the_top_level_of_a_python_job_has_a_time_limit_too(self, python: LocalEngine) -> None:
        guest = python_guest("while True: pass", time=0.5, fuel=10**15)
        outcome = failed(outcome_of(python, guest, b"x"))
        assert (outcome.kind, outcome.function) == (FailureKind.TIMED_OUT, "init")


class TestRow4Exports:
    """No fuel is counted for finding a module's exports, and a stranger's may have a hundred thousand."""

    def test_row_4_a_pack_costs_the_same_however_many_exports_its_module_has(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Wasmtime goes through all of them before the nth: 10,000 took 18 s a pack."""
        many = module(extra="".join(f'(export "{number}" (func $deeper))' for number in range(10_000)))
        (tmp_path / "code").write_bytes(sandbox.check_and_compile(many, Limits())[0])
        asked = list[str]()

        def get(*given: Any) -> bool:
            asked.append(given[2].decode())
            return bool(by_name(*given))

        by_name = native.wasmtime_instance_export_get
        monkeypatch.setattr(native, "wasmtime_instance_export_get", get)
        monkeypatch.setattr("wasmtime._instance.ffi.wasmtime_instance_export_nth", None)  # going through all is an error
        guest = sandbox.Sandbox(sandbox.CompiledModule.load(str(tmp_path / "code")), Limits(fuel=FUEL))
        guest.reserve(4)[:] = b"ping"
        assert bytes(guest.call("execute", 100)) == b"ping"
        assert len(asked) <= 10


class TestRow5Memory:
    """Memory beyond the limit is refused; what is below it stays bounded in the process, too."""

    def test_row_5_memory_grow_past_the_limit_answers_minus_one_and_the_guest_goes_on(self, engine: LocalEngine) -> None:
        grow = """(local i32) (i32.store (i32.const 0) (memory.grow (i32.const 65000)))
          (loop $more (local.set 2 (memory.grow (i32.const 1))) (br_if $more (i32.ge_s (local.get 2) (i32.const 0))))
          (i32.store (i32.const 4) (memory.size))"""
        guest = module_guest(engine, module(grow + packed(0, 8)))
        [result] = results_of(outcome_of(engine, guest, b"x"))
        assert int.from_bytes(result[:4], "little", signed=True) == -1
        assert int.from_bytes(result[4:], "little") == 4096  # 256 MiB

    @pytest.mark.parametrize(
        ("memory", "message"),
        first(
            2,
            [
                ('(memory (export "memory") 65536)', "the module's memory starts at 4.0 GiB, the limit is 256 MiB"),
                ('(memory (export "memory") 4097)', "the limit is 256 MiB"),
                (guests.MEMORY + "(table 1000001 funcref)", "the module asks for more than its limits"),
                (guests.MEMORY + "(table 4000000000 funcref)", "the module asks for more than its limits"),
                (guests.MEMORY + "(table 1 funcref)(table 1 funcref)", "the module asks for more than its limits"),
                (guests.MEMORY + "(table 9 externref)" * 90, "the module asks for more than its limits"),
            ],
        ),
        ids=["4 GiB", "a page too many", "a large table", "a huge table", "two tables", "90 tables"],
    )
    def test_row_5_a_module_that_starts_over_its_limits_is_refused(self, engine: LocalEngine, memory: str, message: str) -> None:
        with pytest.raises(LimitExceededError) as caught:
            submit_job(ModuleJob(module(memory=memory)), b"x")
        assert caught.value.message.startswith(message.partition(",")[0]) or message in caught.value.message
        assert caught.value.details["limit"] == "memory"
        assert_the_engine_goes_on(engine)

    def test_row_5_table_grow_past_the_limit_answers_minus_one(self, engine: LocalEngine) -> None:
        grow = "(i32.store (i32.const 0) (table.grow $t (ref.null func) (i32.const 1000000)))" + packed(0, 4)
        guest = module_guest(engine, module(grow, extra="(table $t 1 funcref)"))
        assert results_of(outcome_of(engine, guest, b"x")) == [b"\xff\xff\xff\xff"]

    def test_row_5_a_data_segment_outside_memory_is_a_trap(self, engine: LocalEngine) -> None:
        with pytest.raises(JobFailedError, match=r"start function trapped: .*out of bounds"):
            submit_job(ModuleJob(module(extra='(data (i32.const 0x3ffffe) "abcd")')), b"x")

    def test_row_5_a_module_compiled_under_a_wide_limit_keeps_to_a_narrow_one(self, engine: LocalEngine) -> None:
        wasm = module(memory='(memory (export "memory") 160)')
        assert submit_job(ModuleJob(wasm), b"x") == b"x"
        with pytest.raises(LimitExceededError) as caught:
            submit_job(ModuleJob(wasm), b"x", limits={"memory": 8 * MIB})
        assert caught.value.details["limit"] == "memory"

    def test_row_5_the_process_of_a_guest_that_touches_all_it_can_get_stays_near_the_limit(self, engine: LocalEngine) -> None:
        fill = """(drop (memory.grow (i32.const 4032)))
          (memory.fill (i32.const 65536) (i32.const 1) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))"""
        future = engine.submit(task_of(module_guest(engine, module(fill + guests.BURN), fuel=10**15), b"x"))
        [pid] = until(engine.pids)
        peak = until(lambda: [each for each in map(peak_bytes, children_of(pid)) if each > 256 * MIB], what="touching 256 MiB")
        assert max(peak) < (256 + 64) * MIB
        engine.cancel([future])
        assert failed(future.result(50)).kind is FailureKind.CANCELLED

    def test_row_5_a_python_job_out_of_memory_says_so(self, python: LocalEngine) -> None:
        outcome = failed(outcome_of(python, python_guest("def execute(c): return bytes(1 << 30)"), b"x"))
        assert (outcome.kind, outcome.limit) == (FailureKind.OUT_OF_MEMORY, "memory")

    def test_row_5_an_input_with_no_room_in_the_guest_is_out_of_memory(self, engine: LocalEngine) -> None:
        guest = module_guest(engine, module(alloc="(i32.const 0)"))
        assert failed(outcome_of(engine, guest, b"x")).kind is FailureKind.OUT_OF_MEMORY


class TestRow5NoMemoryOnTheMachine:
    """That a machine is short of memory is no outcome of the job, whoever notices."""

    def test_row_5_no_room_for_a_sandbox_is_the_machine_s(self, cache_folder: Path) -> None:
        with contextlib.closing(LocalEngine(workers=1, cache_folder=cache_folder)) as engine:
            burning = engine.submit(task_of(module_guest(engine, module(guests.LOOP), fuel=10**9), b"x"))
            [pid] = until(engine.pids)
            resource.prlimit(pid, resource.RLIMIT_AS, (GIB, GIB))  # a sandbox reserves 4 GiB of addresses
            outcomes = [burning.result(50), outcome_of(engine, module_guest(engine, module()), b"ping")]
        # The first if the limit came before its sandbox, else the second.
        outcome = next(each for each in outcomes if isinstance(each, Failure) and each.kind is not FailureKind.OUT_OF_FUEL)
        assert outcome.kind is FailureKind.HOST_MEMORY
        assert outcome.is_machine_fault
        assert outcome.message.startswith("the machine couldn't make a sandbox: ")

    def test_row_5_a_guest_can_t_tell_that_the_machine_gives_less_than_the_job_allows(self, cache_folder: Path) -> None:
        """Else it says so, and an honest machine's answer is another than everybody's."""
        tells = "(i32.store (i32.const 0) (memory.grow (i32.const 3000)))" + packed(0, 4)
        with contextlib.closing(LocalEngine(workers=1, cache_folder=cache_folder)) as engine:
            guest = module_guest(engine, module(tells))
            assert results_of(outcome_of(engine, guest, b"x")) == [(64).to_bytes(4, "little")]
            burning = engine.submit(task_of(module_guest(engine, module(guests.LOOP), fuel=10**9), b"x"))
            [pid] = until(engine.pids)
            for process in (pid, *children_of(pid)):
                resource.prlimit(process, resource.RLIMIT_DATA, (220 * MIB, 220 * MIB))
            outcomes = [burning.result(50), outcome_of(engine, guest, b"x")]
        # The first if it still ran when the limit came, and then a new process has the second; else the second.
        outcome = next(each for each in outcomes if isinstance(each, Failure) and each.kind is not FailureKind.OUT_OF_FUEL)
        assert outcome.kind is FailureKind.HOST_MEMORY
        assert outcome.message.startswith("the machine doesn't give a sandbox the 256 MiB that it may still take")

    def test_row_5_a_module_that_wants_more_than_it_may_have_is_the_job_s_everywhere(self, engine: LocalEngine) -> None:
        guest = module_guest(engine, module(extra="(table 2000000 funcref)"))
        assert failed(outcome_of(engine, guest, b"x")).kind is FailureKind.OUT_OF_MEMORY


class TestRow6Stack:
    """Recursion ends in a typed error, and the process survives."""

    @pytest.mark.parametrize("count", [5, *long(50)])
    def test_row_6_endless_recursion_overflows_the_stack_again_and_again_without_a_crash(
        self, engine: LocalEngine, count: int
    ) -> None:
        guest = module_guest(engine, module(guests.OVERFLOW))
        outcomes = [failed(outcome_of(engine, guest, b"x")) for _ in range(count)]
        assert {(outcome.kind, outcome.limit) for outcome in outcomes} == {(FailureKind.STACK_OVERFLOW, "stack")}
        assert all(outcome.is_machine_fault for outcome in outcomes)  # another CPU's code may get further
        assert len({outcome.fuel for outcome in outcomes}) == 1

    def test_row_6_recursion_in_the_start_function_too(self, engine: LocalEngine) -> None:
        with pytest.raises(LimitExceededError, match=r"start function overflowed its stack of 1\.0 MiB"):
            submit_job(ModuleJob(module(extra="(start $deeper)")), b"x")

    @pytest.mark.parametrize("body", first(1, ["return execute(c)", "return repr(eval('['*90 + ']'*90)).encode() + execute(c)"]))
    def test_row_6_endless_recursion_in_python_is_a_python_error_or_an_overflow(self, python: LocalEngine, body: str) -> None:
        outcome = failed(outcome_of(python, python_guest(f"def execute(c): {body}"), b"x"))
        assert outcome.kind in {FailureKind.GUEST_ERROR, FailureKind.STACK_OVERFLOW}
