"""NaNs made canonical where they are seen: each instruction, where checks are put and where none, what keeps its bits."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from wasmtime import Engine, Instance, Module, Store, wat2wasm

from pangea.compute.runtime.build.nans import canonical
from tests.examples import spread
from tests.two_rules import CAREFUL, FAST, after_run

QUIET, NAN_64 = 0x7FF8 << 48, struct.pack("<Q", 0x7FF8 << 48)
#: NaNs with payloads, as f64 and as f32, of both signs.
NANS = struct.pack("<8Q", QUIET | 0x123, 0xFFF8_0000_0000_0456, 0x7FF0_0000_0000_0001, *([0x7FC0_0007_FFC0_0009] * 5))


def module(body: str, functions: str = "") -> bytes:
    """A module whose `run` is `body`, with some locals, and other functions."""
    declared = "(local $n i32) (local $s f64) (local $v v128)"
    return bytes(wat2wasm(f'(module (memory (export "memory") 1) {functions} (func (export "run") {declared} {body}))'))


def checks(wasm: bytes) -> int:
    """How often NaNs are made canonical."""
    return wasm.count(b"\x44" + NAN_64) + wasm.count(b"\xfd\x0c" + NAN_64 * 2)


Signatures = dict[str, tuple[str, str]]
_ONE, _TWO, _SIGNS = ("v128", "v128"), ("v128 v128", "v128"), ("_s", "_u")


def _scalars(type_: str) -> Signatures:
    found: Signatures = {f"{type_}.{name}": (type_, type_) for name in "abs neg ceil floor trunc nearest sqrt".split()}
    found |= {f"{type_}.{name}": (f"{type_} {type_}", type_) for name in "add sub mul div min max copysign".split()}
    found |= {f"{type_}.{name}": (f"{type_} {type_}", "i32") for name in "eq ne lt gt le ge".split()}
    for integer in ("i32", "i64"):
        found |= {f"{integer}.trunc_sat_{type_}{sign}": (type_, integer) for sign in _SIGNS}
        found |= {f"{type_}.convert_{integer}{sign}": (integer, type_) for sign in _SIGNS}
    found |= {"f32.demote_f64": ("f64", "f32"), "f64.promote_f32": ("f32", "f64")}
    integer = "i32" if type_ == "f32" else "i64"
    return found | {f"{integer}.reinterpret_{type_}": (type_, integer), f"{type_}.reinterpret_{integer}": (integer, type_)}


def _lanes(lanes: str, width: int) -> Signatures:
    """Of lanes of integers."""
    signs = ("",) if width == 64 else _SIGNS
    found = {f"{lanes}.{name}": _ONE for name in ("abs", "neg")} | {f"{lanes}.{name}": _TWO for name in "add sub eq ne".split()}
    found |= {f"{lanes}.{name}{sign or '_s'}": _TWO for name in ("lt", "gt", "le", "ge") for sign in signs}
    found |= {f"{lanes}.{name}": ("v128", "i32") for name in ("all_true", "bitmask")}
    found |= {f"{lanes}.{name}": ("v128 i32", "v128") for name in ("shl", "shr_s", "shr_u")}
    if width < 64:
        found |= {f"{lanes}.{name}{sign}": _TWO for name in ("min", "max") for sign in signs}
    if width < 32:
        found |= {f"{lanes}.{name}_sat{sign}": _TWO for name in ("add", "sub") for sign in signs} | {f"{lanes}.avgr_u": _TWO}
        found |= {f"{lanes}.narrow_i{2 * width}x{64 // width}{sign}": _TWO for sign in signs}
    half = f"i{width // 2}x{256 // width}"
    if width > 8:
        found |= {f"{lanes}.mul": _TWO}
        found |= {f"{lanes}.extend_{end}_{half}{sign}": _ONE for end in ("low", "high") for sign in _SIGNS}
        found |= {f"{lanes}.extmul_{end}_{half}{sign}": _TWO for end in ("low", "high") for sign in _SIGNS}
    if width in (16, 32):
        found |= {f"{lanes}.extadd_pairwise_{half}{sign}": _ONE for sign in _SIGNS}
    return found


def _vectors() -> Signatures:
    found: Signatures = {f"v128.{name}": _TWO for name in "and andnot or xor".split()}
    for lanes in ("f32x4", "f64x2"):
        found |= {f"{lanes}.{name}": _ONE for name in "abs neg ceil floor trunc nearest sqrt".split()}
        found |= {f"{lanes}.{name}": _TWO for name in "add sub mul div min max pmin pmax eq ne lt gt le ge".split()}
    for lanes, type_ in {"i8x16": "i32", "i16x8": "i32", "i32x4": "i32", "i64x2": "i64", "f32x4": "f32", "f64x2": "f64"}.items():
        found |= {f"{lanes}.splat": (type_, "v128"), f"{lanes}.replace_lane 1": (f"v128 {type_}", "v128")}
        for sign in _SIGNS if lanes in ("i8x16", "i16x8") else ("",):
            found[f"{lanes}.extract_lane{sign} 1"] = ("v128", type_)
    found |= {"v128.not": _ONE, "v128.bitselect": ("v128 v128 v128", "v128"), "v128.any_true": ("v128", "i32")}
    found |= {"i8x16.popcnt": _ONE, "i8x16.swizzle": _TWO, "i16x8.q15mulr_sat_s": _TWO, "i32x4.dot_i16x8_s": _TWO}
    found |= {f"i8x16.shuffle {' '.join(map(str, range(at, at + 16)))}": _TWO for at in (0, 3, 4, 8)}
    found |= {f"i32x4.trunc_sat_f{end}": _ONE for end in ("32x4_s", "32x4_u", "64x2_s_zero", "64x2_u_zero")}
    found |= {f"{of}_i32x4{sign}": _ONE for of in ("f32x4.convert", "f64x2.convert_low") for sign in _SIGNS}
    return found | {"f32x4.demote_f64x2_zero": _ONE, "f64x2.promote_low_f32x4": _ONE}


def _memory() -> Signatures:
    found: Signatures = {f"v128.load{width}_zero": ("at", "v128") for width in (32, 64)}
    for width in (8, 16, 32, 64):
        found[f"v128.load{width}_lane offset=8 1"] = ("at v128", "v128")
        found[f"v128.store{width}_lane offset=8 1"] = ("at v128", "")
        found[f"v128.load{width}_splat"] = ("at", "v128")
    return found | {f"v128.load{shape}{sign}": ("at", "v128") for shape in ("8x8", "16x4", "32x2") for sign in _SIGNS}


#: Each instruction on floats or vectors, with its operands' types and its result's.
INSTRUCTIONS = _scalars("f32") | _scalars("f64") | _vectors() | _memory()
for _name, _width in {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64}.items():
    INSTRUCTIONS |= _lanes(_name, _width)


#: Operands whose bits are open, as both kinds of lanes.
OPERANDS = {
    "i32": ["(i32.load (i32.const 32))"],
    "i64": ["(i64.load (i32.const 8))"],
    "f32": ["(f32.add (f32.load offset=32 (i32.const 0)) (f32.const 1))"],
    "f64": ["(f64.add (f64.load offset=8 (i32.const 0)) (f64.const 1))"],
    "v128": [
        f"({lanes}.add (v128.load offset={at} (i32.const 0)) (v128.load offset={at} (i32.const 0)))"
        for lanes, at in (("f64x2", 0), ("f32x4", 32))
    ],
    "at": ["(i32.const 0)"],
}


def storing(name: str, at: int) -> str:
    """A function that stores what an instruction makes of its operands, of which `at` says which."""
    operands, result = INSTRUCTIONS[name]
    given = " ".join(OPERANDS[type_][min(at, len(OPERANDS[type_]) - 1)] for type_ in operands.split())
    made = f"({name} {given})"
    return f'(func (export "{name} {at}") {f"({result}.store offset=128 (i32.const 0) {made})" if result else made})'


@cache
def all_instructions() -> tuple[bytes, bytes]:
    """A module with a function for each, so that it is compiled once, as it is and with the pass over it."""
    wasm = module("", " ".join(storing(name, at) for name in INSTRUCTIONS for at in (0, 1)))
    return wasm, canonical(wasm)


@cache
def started(engine: Engine, wasm: bytes) -> Callable[[str], bytes]:
    """What calls one of its functions, and gives the memory after that; before it the memory is NaNs and zeros."""
    store: Any = Store(engine)
    exports = Instance(store, Module(engine, wasm), []).exports(store)
    memory: Any = exports["memory"]
    functions: dict[str, Any] = {str(name): each for name, each in exports.items() if name != "memory"}

    def run(name: str) -> bytes:
        memory.write(store, NANS.ljust(512, b"\0"), 0)
        functions[name](store)
        return bytes(memory.read(store, 0, 512))

    return run


@pytest.mark.parametrize("name", spread(60, INSTRUCTIONS))
def test_each_instruction_gives_the_same_of_open_nans(name: str) -> None:
    wasm, made = all_instructions()
    for at in range(max(len(OPERANDS[type_]) for type_ in INSTRUCTIONS[name][0].split())):
        wanted = started(CAREFUL, wasm)(f"{name} {at}")
        assert started(FAST, made)(f"{name} {at}") == wanted
        assert started(CAREFUL, made)(f"{name} {at}") == wanted


def test_an_engine_that_leaves_nans_to_the_processor_gives_others_without_the_pass() -> None:
    wasm = module("(f64.store offset=128 (i32.const 0) (f64.add (f64.load (i32.const 0)) (f64.const 1)))")
    assert after_run(FAST, wasm, NANS) != after_run(CAREFUL, wasm, NANS)


LOOP = """(loop $again (local.set $s (f64.add (local.get $s) (f64.load (local.get $n))))
  (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 8))) (i32.const 64))))"""


@pytest.mark.parametrize("first", ["(f64.const -0)", "(f64.load (i32.const 0))"])
def test_a_sum_is_made_canonical_once_after_its_loop(first: str) -> None:
    """Also one that starts with what was loaded: bits that the addition doesn't see."""
    wasm = canonical(module(f"(local.set $s {first}) {LOOP} (f64.store offset=128 (i32.const 0) (local.get $s))"))
    assert checks(wasm) == 1
    assert wasm.index(b"\x44" + NAN_64) > wasm.index(b"\x03\x40")
    closed = wasm.index(b"\x0b", wasm.index(b"\x03\x40"))
    assert wasm.index(b"\x44" + NAN_64) > closed


def test_what_may_be_computed_or_loaded_keeps_what_was_loaded() -> None:
    """A loop that may be left before the first addition: the payload is still there then, as it was before the pass."""
    head = "(local.set $s (f64.load (i32.const 0))) (block $out (br_if $out (i32.load offset=64 (i32.const 0)))"
    wasm = module(f"{head} {LOOP}) (f64.store offset=128 (i32.const 0) (local.get $s))")
    for taken in (0, 1):
        data = NANS + bytes([taken])
        assert after_run(FAST, canonical(wasm), data) == after_run(CAREFUL, wasm, data)
    assert after_run(FAST, canonical(wasm), NANS + b"\1")[128:136] == NANS[:8]


def test_a_function_without_arithmetic_on_floats_stays_as_it_is() -> None:
    wasm = module("(local.set $s (f64.load (i32.const 8))) (f64.store offset=128 (i32.const 0) (f64.neg (local.get $s)))")
    assert canonical(wasm) == wasm


OPEN = "(f64.add (f64.load (i32.const 0)) (f64.const 1))"
#: Where open bits would leave the place in which they are followed: the value is stored afterwards.
CROSSINGS = {
    "the value of a block": "(block (result f64) {open})",
    "the value of a branch": "(block $b (result f64) (br $b {open}))",
    "the value of a branch that may be taken": "(block $b (result f64) (br_if $b {open} (i32.const 1)) (drop) (f64.const 1))",
    "the value of a table's branch": "(block $b (result f64) (br_table $b $b {open} (i32.const 0)))",
    "the first arm of an if": "(if (result f64) (i32.const 1) (then {open}) (else (f64.const 1)))",
    "the second arm of an if": "(if (result f64) (i32.const 0) (then (f64.const 1)) (else {open}))",
    "the parameter of a block": "{open} (block (param f64) (result f64) (nop))",
    "the parameter of an if": "{open} (i32.const 0) (if (param f64) (result f64) (then))",
    "the parameter of a loop, coming in": "{open} (loop (param f64) (result f64))",
    "the parameter of a loop, coming back": """(f64.const 1) (loop $l (param f64) (result f64) (local.set $s)
      (f64.store offset=136 (i32.const 0) (local.get $s)) {open}
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2))))""",
    "a global": "(global.set $g {open}) (global.get $g)",
    "what a function returns": "(call $returns)",
    "what a function returns at once": "(call $returns_at_once)",
    "what a function returns by a branch": "(call $branches)",
    "an argument": "(call $stores {open}) (f64.load offset=144 (i32.const 0))",
    "an argument, below another": "(call $of_two {open} (f64.const 1)) (f64.load offset=144 (i32.const 0))",
    "an argument of an indirect call": "(call_indirect (type $one) {open} (i32.const 0)) (f64.load offset=144 (i32.const 0))",
    "one of two that are selected": "(select {open} (f64.load (i32.const 8)) (i32.const 1))",
    "the other of two that are selected": "(select (f64.load (i32.const 8)) {open} (i32.const 1))",
    "a local, back at a loop's head": """(f64.const 0)
      (loop $l (f64.store offset=136 (i32.const 0) (local.get $s)) (local.set $s {open})
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2))))""",
    "a local, back at an outer loop's head": """(f64.const 0) (loop $o (f64.store offset=136 (i32.const 0) (local.get $s))
      (loop $l (local.set $s {open}) (br_if $l (i32.const 0)))
      (br_if $o (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 2))))""",
    "a local, or a constant that is another NaN": """(f64.const 0) (local.set $s (f64.const nan:0x4000000000001))
      (if (i32.load offset=64 (i32.const 0)) (then (local.set $s {open}))) (f64.store offset=136 (i32.const 0) (local.get $s))""",
}


@pytest.mark.parametrize("where", CROSSINGS)
@pytest.mark.parametrize("taken", [0, 1])
def test_open_bits_do_not_cross(where: str, taken: int) -> None:
    functions = f"""(global $g (mut f64) (f64.const 0)) (type $one (func (param f64)))
      (table 1 funcref) (elem (i32.const 0) $stores)
      (func $returns (result f64) {OPEN}) (func $returns_at_once (result f64) (return {OPEN}))
      (func $branches (result f64) (br 0 {OPEN}))
      (func $stores (param f64) (f64.store offset=144 (i32.const 0) (local.get 0)))
      (func $of_two (param f64 f64) (f64.store offset=144 (i32.const 0) (local.get 0)))"""
    body = f"{CROSSINGS[where].format(open=OPEN)} (local.set $s) (f64.store offset=128 (i32.const 0) (local.get $s))"
    wasm = module(body, functions=functions)
    data = NANS + bytes([taken])
    wanted = after_run(CAREFUL, wasm, data)
    assert after_run(FAST, canonical(wasm), data) == wanted
    assert after_run(CAREFUL, canonical(wasm), data) == wanted


@pytest.mark.parametrize("body", ["(return_call 0)", "(drop (ref.is_null (ref.null func)))"])
def test_instructions_that_are_not_known_are_refused(body: str) -> None:
    with pytest.raises(ValueError, match="isn't known"):
        canonical(module(f"(f64.store (i32.const 0) (f64.add (f64.const 1) (f64.const 2))) {body}"))
