"""The guest's program break: the same answers as from `memory.size` and `memory.grow`, however much memory there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wasmtime import Engine, Func, Global, Instance, Memory, Module, Store, wat2wasm

from pangea.compute.runtime.build import binary
from pangea.compute.runtime.build.program_break import PAGES, with_break

PLAIN = bytes(
    wat2wasm("""(module
  (memory (export "memory") 2)
  (global $other (mut i64) (i64.const 7))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (local.get 0) (memory.grow))
  (func (export "twice") (param i32) (result i32)
    (local i64)
    (loop $again
      (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then (return (memory.size))))
      (br_if $again (i32.lt_u (memory.size) (i32.const 20))))
    (i32.add (memory.size) (i32.wrap_i64 (global.get $other)))))""")
)
LEAST, MOST = 2, 64
ENGINE = Engine()
COMPILED = {module: Module(ENGINE, module) for module in (PLAIN, with_break(PLAIN))}
PLAIN_COMPILED, BREAK_COMPILED = COMPILED.values()


class Running:
    """An instance whose memory may have `MOST` pages, and has `given` of them from the start."""

    def __init__(self, compiled: Module, given: int = LEAST) -> None:
        self.store = Store(ENGINE)
        self.store.set_limits(memory_size=MOST << 16)
        self.exports = Instance(self.store, compiled, []).exports(self.store)
        memory = self.exports["memory"]
        assert isinstance(memory, Memory)
        self.memory = memory
        memory.grow(self.store, given - LEAST)

    def call(self, name: str, *arguments: int) -> int:
        function = self.exports[name]
        assert isinstance(function, Func)
        return int(function(self.store, *arguments))

    @property
    def pages(self) -> Global:
        found = self.exports[PAGES]
        assert isinstance(found, Global)
        return found


grown = st.one_of(st.integers(0, MOST + 1), st.sampled_from([65_535, 65_536, 65_537, -1, -(2**31), 2**31 - 1]))
calls = st.lists(st.one_of(st.tuples(st.just("grow"), grown), st.just(("size",)), st.tuples(st.just("twice"), st.integers(1, 9))))


@given(calls, st.integers(LEAST, MOST))
def test_it_answers_as_the_memory_itself_would(made: list[tuple[str, int] | tuple[str]], given_pages: int) -> None:
    plain, ours = Running(PLAIN_COMPILED), Running(BREAK_COMPILED, given_pages)
    for name, *arguments in made:
        assert ours.call(name, *arguments) == plain.call(name, *arguments)
    assert ours.pages.value(ours.store) == plain.memory.size(plain.store) == plain.call("size")
    assert ours.memory.size(ours.store) == max(given_pages, plain.memory.size(plain.store))


def test_it_can_be_put_back() -> None:
    ours = Running(BREAK_COMPILED, MOST)
    assert ours.call("grow", 5) == LEAST
    ours.pages.set_value(ours.store, LEAST)
    assert (ours.call("size"), ours.call("grow", 1), ours.call("size")) == (LEAST, LEAST, LEAST + 1)


def test_the_rest_of_the_module_is_as_it_was() -> None:
    made = with_break(PLAIN)
    assert binary.exports(made).items() > binary.exports(PLAIN).items()
    assert [part.kind for part in binary.sections(made)] == [part.kind for part in binary.sections(PLAIN)]


def test_no_other_way_to_the_memory_is_left() -> None:
    """Only the function that is added has the instructions themselves, once and twice."""
    made = with_break(PLAIN)
    code = next(made[part.start : part.end] for part in binary.sections(made) if part.kind == binary.CODE)
    assert (code.count(b"\x40\x00"), code.count(b"\x3f\x00")) == (1, 2)


@pytest.mark.parametrize("pages", [65_537, -1])
def test_what_no_memory_has_is_refused_before_it_is_added(pages: int) -> None:
    ours = Running(BREAK_COMPILED, 9)
    assert ours.call("grow", pages) == -1
    assert ours.call("size") == LEAST
