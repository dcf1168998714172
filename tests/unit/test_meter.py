"""The meter that the build puts into the guest: results stay, what is endless is stopped, the bill is the same each time."""

from __future__ import annotations

import pytest
from wasmtime import Config, Engine, Func, Global, Instance, Module, Store, Trap, Val, wat2wasm

from pangea.compute.runtime.build.instructions import scan
from pangea.compute.runtime.build.meter import metered, on_cycles

MODULE = """(module
  (memory (export "memory") 4 100)
  (global $other (mut i32) (i32.const 7))
  (global $fuel (mut i64) (i64.const 0))
  (export "fuel" (global $fuel))
  (type $unary (func (param i64) (result i64)))
  (table 1 funcref) (elem (i32.const 0) $indirect)
  {functions})"""
FUNCTIONS = """
  (func (export "sum") (param i64) (result i64) (local i64)
    (loop $again
      (local.set 1 (i64.add (local.get 1) (local.get 0)))
      (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
      (br_if $again (i64.gt_s (local.get 0) (i64.const 0))))
    (local.get 1))
  (func $fib (export "fib") (param i64) (result i64)
    (if (result i64) (i64.lt_s (local.get 0) (i64.const 2)) (then (local.get 0))
      (else (i64.add (call $fib (i64.sub (local.get 0) (i64.const 1))) (call $fib (i64.sub (local.get 0) (i64.const 2)))))))
  (func $leaf (param i64) (result i64) (i64.mul (local.get 0) (i64.const 3)))
  (func $twice (param i64) (result i64) (call $leaf (call $leaf (local.get 0))))
  (func (export "plain") (param i64) (result i64) (call $twice (local.get 0)))
  (func $indirect (export "indirect") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 5))
      (else (call_indirect (type $unary) (i64.sub (local.get 0) (i64.const 1)) (i32.const 0)))))
  (func (export "forever") (param i64) (result i64) (loop $again (br $again)) (unreachable))
  (func (export "by_table") (param i64) (result i64)
    (loop $again (block $out (br_table $again $out $again (i32.wrap_i64 (local.get 0))))) (i64.const 1))
  (func (export "copy") (param i64) (result i64)
    (memory.fill (i32.const 0) (i32.const 9) (i32.wrap_i64 (local.get 0)))
    (memory.copy (i32.const 65536) (i32.const 0) (i32.wrap_i64 (local.get 0)))
    (i64.load8_u (i32.const 65540)))
  (func (export "grow") (param i64) (result i64) (i64.extend_i32_u (memory.grow (i32.wrap_i64 (local.get 0)))))
  (func (export "broken") (param i64) (result i64) (unreachable))
  (func (export "vectors") (param i64) (result i64)
    (loop $again
      (v128.store offset=16 (i32.const 0) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
        (v128.const i64x2 1 2) (i64x2.replace_lane 1 (v128.load8_lane 3 (i32.const 2) (v128.const f32x4 1 2 3 4)) (local.get 0))))
      (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
      (br_if $again (i64.gt_s (local.get 0) (i64.const 0))))
    (i64.load (i32.const 16)))
"""
PLAIN = bytes(wat2wasm(MODULE.format(functions=FUNCTIONS)))
#: Exports and arguments that end.
CALLS = [
    ("sum", 1000),
    ("fib", 15),
    ("plain", 4),
    ("indirect", 50),
    ("by_table", 1),
    ("copy", 60_000),
    ("grow", 3),
    ("vectors", 9),
]


class Guest:
    """An instance of a module with a meter."""

    def __init__(self, module: bytes, fuel: int) -> None:
        config = Config()
        config.wasm_relaxed_simd = False
        self.store = Store(Engine(config))
        exports = Instance(self.store, Module(self.store.engine, module), []).exports(self.store)
        self.exports = exports
        counter = exports["fuel"]
        assert isinstance(counter, Global)
        self.counter = counter
        counter.set_value(self.store, Val.i64(fuel))
        self.filled = fuel

    def call(self, name: str, argument: int) -> int:
        function = self.exports[name]
        assert isinstance(function, Func)
        return int(function(self.store, argument))

    @property
    def left(self) -> int:
        return int(self.counter.value(self.store))


def used(name: str, argument: int) -> int:
    guest = Guest(metered(PLAIN), 1 << 40)
    guest.call(name, argument)
    return guest.filled - guest.left


@pytest.mark.parametrize(("name", "argument"), CALLS)
def test_results_stay_and_cost_the_same_each_time(name: str, argument: int) -> None:
    assert Guest(metered(PLAIN), 1 << 40).call(name, argument) == Guest(PLAIN, 1 << 40).call(name, argument)
    assert used(name, argument) == used(name, argument)


@pytest.mark.parametrize(
    ("name", "argument"), [("forever", 0), ("by_table", 0), ("indirect", 1 << 40), ("sum", 1 << 60), ("fib", 60)]
)
def test_what_goes_on_is_stopped_below_zero(name: str, argument: int) -> None:
    guest = Guest(metered(PLAIN), 10_000)
    with pytest.raises(Trap):
        guest.call(name, argument)
    assert guest.left < 0


def test_what_breaks_by_itself_has_fuel_left() -> None:
    guest = Guest(metered(PLAIN), 10_000)
    with pytest.raises(Trap):
        guest.call("broken", 0)
    assert guest.left >= 0


def test_exactly_enough_is_enough_and_one_less_is_not() -> None:
    needs = used("sum", 500)
    assert Guest(metered(PLAIN), needs).call("sum", 500) == 125_250
    short = Guest(metered(PLAIN), needs - 1)
    with pytest.raises(Trap):
        short.call("sum", 500)
    assert short.left < 0


def test_work_is_charged_by_its_amount() -> None:
    assert used("sum", 2000) - used("sum", 1000) == used("sum", 3000) - used("sum", 2000) > 0
    assert used("fib", 16) > 1.5 * used("fib", 15)
    assert used("copy", 64_000) - used("copy", 0) == 2 * 64_000 // 64
    assert used("grow", 5) - used("grow", 0) == 5 * 1024


def test_memory_is_charged_before_it_is_touched() -> None:
    guest = Guest(metered(PLAIN), 500)
    with pytest.raises(Trap):
        guest.call("copy", 64_000)
    memory = guest.exports["memory"]
    assert memory.read(guest.store, 0, 1) == b"\0"  # type: ignore[union-attr]


def test_a_loop_that_charges_for_itself_is_spared() -> None:
    names = list(Guest(PLAIN, 0).exports)
    assert "sum" in names
    guest = Guest(metered(PLAIN, spared=[0]), 0)  # `sum` is function 0
    assert guest.call("sum", 1000) == 500_500
    assert guest.left == 0


def test_a_module_without_a_counter_is_refused() -> None:
    with pytest.raises(ValueError, match="exports no global 'fuel'"):
        metered(bytes(wat2wasm('(module (func (export "fuel")))')))


def test_nodes_on_cycles() -> None:
    graph = {1: {2, 9}, 2: {3}, 3: {1, 4}, 4: {5}, 5: set(), 6: {6}, 7: {6}, 8: {7, 99}}
    assert on_cycles(graph) == {1, 2, 3, 6}


def test_a_body_is_scanned_by_its_regions() -> None:
    # No locals; two instructions outside, a loop of one instruction and a branch back, end.
    body = bytes([0, 0x41, 0, 0x1A, 0x03, 0x40, 0x01, 0x0C, 0, 0x0B, 0x0B])
    found = scan(body, 0, len(body))
    assert found.weights == [2, 2]
    assert found.back == [(7, 9, 0x0C, 0, 1)]
