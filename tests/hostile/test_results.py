"""Row 8 of the fault table: results, lists and lengths that lie, or are too large."""

from __future__ import annotations

import resource
from typing import ClassVar

import pytest

from pangea.compute import submit_job
from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.engine.engine import Engine
from pangea.compute.model import frames
from pangea.compute.model.errors import JobFailedError, LimitExceededError
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.units import MIB
from tests import guests
from tests.examples import first, spread
from tests.guests import constant, module, packed, split_into
from tests.runs import (
    failed,
    module_guest,
    outcome_of,
)

FRAME = frames.pack([b"one", b"two"])


class TestRow8Results:
    """The guest controls every pointer and length; none is believed."""

    @pytest.mark.parametrize(
        ("parts", "kind", "message"),
        spread(4, [
            ({"execute": packed(0, 64 * 65536 + 1)}, FailureKind.BAD_RESULT, "outside the guest's memory"),
            ({"execute": packed(64 * 65536, 1)}, FailureKind.BAD_RESULT, "outside the guest's memory"),
            ({"execute": packed(0xFFFFFFFF, 0xFFFFFFFE)}, FailureKind.BAD_RESULT, "outside the guest's memory"),
            ({"execute": packed(0x80000000, 0x80000000)}, FailureKind.BAD_RESULT, "outside the guest's memory"),
            ({"execute": packed(1, 0xFFFFFFFF)}, FailureKind.BAD_RESULT, "4294967295 bytes at 0x1"),
            ({"execute": guests.FAIL}, FailureKind.GUEST_ERROR, "execute failed: the guest gave no reason"),
            ({"execute": guests.FAIL, "extra": '(func (export "last_error") (result i64) (i64.const -1))'},
             FailureKind.GUEST_ERROR, "the guest gave no reason"),
            ({"execute": guests.FAIL, "extra": f'(func (export "last_error") (result i64) {packed(0xFFFFFF, 9)})'},
             FailureKind.BAD_RESULT, "the error text"),
            ({"execute": guests.FAIL, "extra": f'(func (export "last_error") (result i64) {packed(0, 0xFFFFFFFF)})'},
             FailureKind.BAD_RESULT, "the error text"),
            ({"execute": guests.FAIL, "extra": f'(func (export "last_error") (result i64) {packed(0, 65537)})'},
             FailureKind.RESULT_TOO_LARGE, "the error text"),
            ({"alloc": "(i32.const 0x3fffff)"}, FailureKind.BAD_RESULT, "alloc(3) returned 0x3fffff"),
            ({"alloc": "(i32.const -1)"}, FailureKind.BAD_RESULT, "alloc(3) returned 0xffffffff"),
            ({"alloc": "(i32.const -2147483648)"}, FailureKind.BAD_RESULT, "alloc(3) returned 0x80000000"),
        ]),
    )  # fmt: skip
    def test_row_8_a_lie_about_a_place_in_memory_is_found_out(
        self, engine: Engine, parts: dict[str, str], kind: FailureKind, message: str
    ) -> None:
        outcome = failed(outcome_of(engine, module_guest(engine, module(**parts)), b"abc"))
        assert outcome.kind is kind
        assert message in outcome.message

    def test_row_8_the_reason_that_a_guest_gives_reaches_the_user(self, engine: Engine) -> None:
        body, data = constant("no züge today".encode())
        wasm = module(guests.FAIL, extra=f'{data} (func (export "last_error") (result i64) {body})')
        with pytest.raises(JobFailedError, match=r"execute failed: no züge today,? at chunk 0"):
            submit_job(ModuleJob(wasm), b"x")

    @pytest.mark.parametrize("letter", first(1, ["\U0001f4a9", "\x01", "\ud7ff", "a", '"']))
    def test_row_8_the_longest_reason_in_any_letters_is_a_failure_of_the_job(self, engine: Engine, letter: str) -> None:
        text = (letter * (65536 // len(letter.encode()))).encode()
        body, data = constant(text[: 65536 - 5] + b"\nbad!", at=0x30000)
        wasm = module(guests.FAIL, extra=f'{data} (func (export "last_error") (result i64) {body})')
        outcome = failed(outcome_of(engine, module_guest(engine, wasm), b"x"))
        assert (outcome.kind, outcome.message) == (FailureKind.GUEST_ERROR, "execute failed: bad!")
        assert letter * 4000 in outcome.traceback

    @pytest.mark.parametrize("name", ["execute", "merge"])
    def test_row_8_a_result_over_its_limit_is_refused(self, engine: Engine, name: str) -> None:
        wasm = module(**{"execute": guests.ECHO, name: packed(0, 101)})
        with pytest.raises(LimitExceededError, match="is 101 bytes, the limit is 100 bytes") as caught:
            submit_job(ModuleJob(wasm), b"x", limits={"result": 100})
        assert caught.value.details["limit"] == "result"
        assert caught.value.function == name

    LISTS: ClassVar = {
        "nothing": b"",
        "half a header": b"\x01\0\0",
        "a count with no items": frames.header(2),
        "four thousand million items": frames.header(0xFFFFFFFF) + bytes(8),
        "one item too few": frames.header(3) + FRAME[4:],
        "bytes left over": FRAME + b"!",
        "a length past the end": frames.header(1) + frames.entry_header(1000) + b"short",
        "a length of 4 GiB": frames.header(1) + frames.entry_header(0xFFFFFFFF) + b"short",
        "half a length": frames.header(1) + b"\x01\0",
    }

    @pytest.mark.parametrize("name", spread(3, LISTS))
    def test_row_8_a_malformed_list_from_split_is_refused(self, engine: Engine, name: str) -> None:
        wasm = module(**split_into(self.LISTS[name]))
        outcome = failed(outcome_of(engine, module_guest(engine, wasm), b"x", function="split"))
        assert outcome.kind in {FailureKind.BAD_RESULT, FailureKind.RESULT_TOO_LARGE}
        assert outcome.message.startswith("split returned ")

    @pytest.mark.parametrize("name", spread(3, [*LISTS, "one result too many"]))
    def test_row_8_a_malformed_list_from_execute_many_is_refused(self, engine: Engine, name: str) -> None:
        lists = {**self.LISTS, "one result too many": frames.pack([b"", b"", b""])}
        body, data = constant(lists[name])
        guest = module_guest(engine, module(execute_many=body, extra=data))
        outcome = failed(outcome_of(engine, guest, b"a", b"b"))
        assert outcome.kind is FailureKind.BAD_RESULT
        assert outcome.message.startswith("execute_many returned a malformed list")

    def test_row_8_a_result_over_its_limit_within_a_list_is_refused_and_named(self, engine: Engine) -> None:
        body, data = constant(frames.pack([b"ok", b"x" * 101]))
        guest = module_guest(engine, module(execute_many=body, extra=data), result=100)
        outcome = failed(outcome_of(engine, guest, b"a", b"b"))
        assert (outcome.kind, outcome.index) == (FailureKind.RESULT_TOO_LARGE, 1)

    def test_row_8_more_chunks_than_the_limit_are_refused(self, engine: Engine) -> None:
        wasm = module(**split_into(frames.pack([b"x"] * 4)))
        with pytest.raises(LimitExceededError, match="split returned 4 chunks, the limit is 3") as caught:
            submit_job(ModuleJob(wasm), b"x", limits={"items": 3})
        assert caught.value.details["limit"] == "items"

    def test_row_8_a_chunk_over_its_limit_is_refused_and_named(self, engine: Engine) -> None:
        wasm = module(**split_into(frames.pack([b"x", b"y" * 11])))
        with pytest.raises(LimitExceededError, match="chunk 1 of split is 11 bytes, the limit is 10 bytes") as caught:
            submit_job(ModuleJob(wasm), b"x", limits={"chunk": 10})
        assert caught.value.details["limit"] == "chunk"

    def test_row_8_lies_cost_the_node_no_memory(self, engine: Engine) -> None:
        wasms = [module(packed(1, 0xFFFFFFFF)), module(execute_many=constant(self.LISTS["four thousand million items"])[0])]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for wasm in wasms:
            failed(outcome_of(engine, module_guest(engine, wasm), b"x"))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB

    def test_row_8_a_split_near_the_memory_limit_ends_well_or_in_a_typed_error_of_the_guest(self, engine: Engine) -> None:
        size = 60 * MIB
        grow = "(drop (memory.grow (i32.const 4000)))"
        frame = f"""{grow} (i32.store (i32.const 0x100000) (i32.const 4))
          {"".join(f"(i32.store (i32.const {0x100004 + n * (size + 4)}) (i32.const {size}))" for n in range(4))}"""
        guest = module_guest(engine, module(split=frame + packed(0x100000, 4 + 4 * (size + 4))))
        outcome = outcome_of(engine, guest, b"x", function="split")
        assert getattr(outcome, "kind", None) is not FailureKind.WORKER_LOST, outcome

    def test_row_8_results_within_their_limit_don_t_fail_for_being_packed_into_one_task(self, engine: Engine) -> None:
        guest = module_guest(engine, module("(drop (memory.grow (i32.const 1000)))" + packed(0, 60 * MIB)))
        outcome = outcome_of(engine, guest, *[b"x"] * 6)
        assert getattr(outcome, "kind", None) is not FailureKind.WORKER_LOST, outcome
