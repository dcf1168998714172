"""Modules with `_initialize`: called once in each fresh instance, inside the limits."""

from __future__ import annotations

import pytest

from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import BadModuleError, JobFailedError, LimitExceededError
from tests import guests
from tests.guests import module, packed
from tests.runs import module_guest, outcome_of, results_of

#: Each call of `_initialize` adds one; `execute` answers the count.
COUNT = "(i32.store8 (i32.const 0) (global.get $ready))" + packed(0, 1)
READY = "(global $ready (mut i32) (i32.const 48))"


def initialize(body: str) -> str:
    return f'(func (export "_initialize") {body})'


ADD = initialize("(global.set $ready (i32.add (global.get $ready) (i32.const 1)))")


def test_a_reactor_is_initialised_once_per_fresh_instance(engine: Engine) -> None:
    guest = module_guest(engine, module(COUNT, extra=READY + ADD))
    for packs in ([2], [1, 1]):
        assert results_of(outcome_of(engine, guest, b"a", b"b", packs=packs)) == [b"1", b"1"]


def test_a_reactor_is_initialised_after_its_start_function_and_before_init(engine: Engine) -> None:
    tenfold = "(func $tenfold (global.set $ready (i32.const 64))) (start $tenfold)"
    guest = module_guest(engine, module(COUNT, extra=READY + tenfold + ADD))
    assert results_of(outcome_of(engine, guest, b"a")) == [b"A"]


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        (guests.LOOP, LimitExceededError, "_initialize used up its 1,000,000 units of fuel"),
        ("(unreachable)", JobFailedError, "_initialize trapped"),
        ("(call $deeper)", LimitExceededError, "_initialize overflowed its stack"),
    ],
)
def test_a_reactor_that_fails_to_initialise_fails_the_job(body: str, error: type[Exception], said: str, engine: Engine) -> None:
    with pytest.raises(error, match=said):
        submit_job(ModuleJob(module(extra=initialize(body))), b"x", limits={"fuel": 10**6})
    assert submit_job(ModuleJob(module()), b"x") == b"x"


def test_an_initialize_of_another_signature_is_refused(engine: Engine) -> None:
    wasm = module(extra='(func (export "_initialize") (param i32))')
    with pytest.raises(BadModuleError, match=r"_initialize\(i32\) -> nothing; guest ABI 1 wants _initialize\(\) -> nothing"):
        submit_job(ModuleJob(wasm), b"x")
