"""Threads that need one module at the same time have it compiled once."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pangea.compute.engine.cache import RefusedError
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model.limits import Limits
from tests.guests import module

SIX = 6


def prepared_by_six(engine: LocalEngine, wasm: bytes) -> tuple[list[object], int]:
    """What six threads that begin together get, and how often something was compiled."""
    together, compiled = threading.Barrier(SIX), []

    def prepare() -> object:
        together.wait(20)
        try:
            return engine.prepare(hashlib.sha256(wasm).hexdigest(), Limits(), lambda: wasm, lambda: compiled.append(1))
        except RefusedError as error:
            return error.failure.message

    with ThreadPoolExecutor(SIX) as threads:
        answers = [each.result(60) for each in [threads.submit(prepare) for _ in range(SIX)]]
    return answers, len(compiled)


def test_six_threads_compile_one_module_once(engine: LocalEngine) -> None:
    wasm = module(extra='(data (i32.const 70000) "compiled once")')
    answers, compiled = prepared_by_six(engine, wasm)
    assert (len(answers), set(answers), compiled) == (SIX, {("alloc", "execute")}, 1)


def test_a_module_that_is_refused_is_compiled_once_too(engine: LocalEngine) -> None:
    answers, compiled = prepared_by_six(engine, b"\0asm\x01\0\0\0 refused once")
    assert (len(set(answers)), compiled) == (1, 1)
    assert str(answers[0]).startswith("not a valid module")


@pytest.mark.parametrize("same", [True, False])
def test_only_threads_with_the_same_module_wait_for_each_other(engine: LocalEngine, same: bool) -> None:
    first, second = module(extra='(data (i32.const 70000) "one")'), module(extra='(data (i32.const 70000) "two")')
    names = [hashlib.sha256(wasm).hexdigest() + "-turn" for wasm in (first, first if same else second)]
    turns = [engine._modules.turn(name) for name in names]
    assert (turns[0] is turns[1]) is same
