"""NaNs made canonical where they are seen: random modules do the same, bit for bit, in an engine that makes each NaN canonical
at once, as they are, and in one that leaves NaNs to the processor, after the pass.
"""

from __future__ import annotations

import re
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import wat2wasm

from pangea.compute.runtime.build.nans import canonical
from tests.examples import share_of
from tests.two_rules import CAREFUL, FAST, after_run

_LANES = {"f32": "f32x4", "f64": "f64x2"}
_UNARY, _BINARY = "neg abs ceil floor trunc nearest sqrt".split(), "add sub mul div min max".split()
_COMPARED = "eq ne lt gt le ge".split()
_ENOUGH = "(i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))"


def _scalars(type_: str, integer: str, other: str) -> list[str]:
    """Expressions of a scalar type of floats."""
    hole, lanes = f"{{{type_}}}", _LANES[type_]
    return [
        *(f"({type_}.{name} {hole})" for name in _UNARY),
        *(f"({type_}.{name} {hole} {hole})" for name in (*_BINARY, *_BINARY, "copysign")),
        f"({type_}.reinterpret_{integer} {{{integer}}})",
        f"({type_}.convert_i32_s {{i32}})",
        "(f32.demote_f64 {f64})" if type_ == "f32" else "(f64.promote_f32 {f32})",
        *(f"({lanes}.extract_lane {lane} {{v128}})" for lane in (0, 1)),
        f"(select {hole} {hole} {{i32}})",
        f"(select (result {type_}) {hole} {hole} {{i32}})",
        f"(if (result {type_}) {{i32}} (then {{step}} {hole}) (else {hole}))",
        f"(block $value_{type_} (result {type_}) {{step}} (br_if $value_{type_} {hole} {{i32}}))",
        f"(call $inner_{type_} {{f64}} {{f32}} {{v128}})",
        f"(call_indirect (type $of_{type_}) {{f64}} {{f32}} {{v128}} (i32.const {0 if type_ == 'f32' else 1}))",
        f"({type_}.load offset={{number}} (i32.const 0))",
        *(f"(local.tee ${type_}_{at} {hole})" for at in (0, 1)),
    ]


def _vectors() -> list[str]:
    made = []
    for type_, lanes in _LANES.items():
        made += [f"({lanes}.{name} {{v128}})" for name in _UNARY]
        made += [f"({lanes}.{name} {{v128}} {{v128}})" for name in (*_BINARY, *_BINARY, "pmin", "pmax", *_COMPARED)]
        made += [f"({lanes}.splat {{{type_}}})", f"({lanes}.replace_lane 1 {{v128}} {{{type_}}})"]
    made += ["(f32x4.demote_f64x2_zero {v128})", "(f64x2.promote_low_f32x4 {v128})"]
    made += ["(f32x4.convert_i32x4_s {v128})", "(f64x2.convert_low_i32x4_u {v128})"]
    made += ["(i32x4.trunc_sat_f32x4_s {v128})", "(i32x4.trunc_sat_f64x2_u_zero {v128})"]
    made += [f"({name} {{v128}} {{v128}})" for name in "v128.and v128.andnot v128.or v128.xor i8x16.swizzle i64x2.add".split()]
    made += ["(v128.not {v128})", "(v128.bitselect {v128} {v128} {v128})", "(i16x8.neg {v128})", "(i32x4.shl {v128} {i32})"]
    made += [
        "(i64x2.replace_lane 0 {v128} {i64})",
        "(i32x4.splat {i32})",
        "(v128.load32_lane offset={number} 2 (i32.const 0) {v128})",
    ]
    for places in (
        "8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23",
        "4 5 6 7 20 21 22 23 0 1 2 3 28 29 30 31",
        " ".join("1" * 16),
    ):
        made.append(f"(i8x16.shuffle {places} {{v128}} {{v128}})")
    made += ["(select {v128} {v128} {i32})", "(if (result v128) {i32} (then {v128}) (else {step} {v128}))"]
    made += ["(block $value_v128 (result v128) {step} (br_if $value_v128 {v128} {i32}))", "(call $inner_v128 {f64} {f32} {v128})"]
    made += ["(v128.load offset={number} (i32.const 0))", "(v128.load64_splat offset={number} (i32.const 0))"]
    return [*made, "(local.tee $v128_0 {v128})", "(local.tee $v128_1 {v128})"]


def _integers(type_: str, scalar: str) -> list[str]:
    return [
        f"({type_}.reinterpret_{scalar} {{{scalar}}})",
        *(f"({type_}.trunc_sat_{each}_s {{{each}}})" for each in _LANES),
        f"({type_}.load offset={{number}} (i32.const 0))",
        f"({type_}.xor {{{type_}}} {{{type_}}})",
        f"(if (result {type_}) {{i32}} (then {{{type_}}}) (else {{{type_}}}))",
    ]


_RESTS = {
    type_: [f"(local.get ${type_}_{at})" for at in (0, 1, 2)] + [f"({type_}.load offset={{number}} (i32.const 0))"]
    for type_ in ("f32", "f64", "v128")
}
#: What a hole may be filled with, as long as the module may grow.
_GRAMMAR: dict[str, list[str]] = {
    "f32": _scalars("f32", "i32", "f64"),
    "f64": _scalars("f64", "i64", "f32"),
    "v128": _vectors(),
    "i32": [
        *_integers("i32", "f32"),
        *(f"({type_}.{name} {{{type_}}} {{{type_}}})" for type_ in _LANES for name in _COMPARED),
        "(v128.any_true {v128})",
        "(i32x4.bitmask {v128})",
        "(i16x8.extract_lane_u 3 {v128})",
    ],
    "i64": [*_integers("i64", "f64"), "(i64x2.extract_lane 1 {v128})"],
    "step": [
        *(f"({type_}.store offset={{number}} (i32.const 0) {{{type_}}})" for type_ in ("f32", "f64", "v128", "i64")),
        *(f"(local.set ${type_}_{at} {{{type_}}})" for type_ in ("f32", "f64", "v128") for at in (0, 1, 2)),
        "(v128.store32_lane offset={number} 1 (i32.const 0) {v128})",
        *(f"(global.set ${type_} {{{type_}}}) (local.set ${type_}_2 (global.get ${type_}))" for type_ in ("f32", "f64", "v128")),
        *(f"(drop {{{type_}}})" for type_ in ("f64", "v128")),
        f"(loop $again {{step}} {{step}} {{step}} (br_if $again {_ENOUGH}))",
        f"(loop $again {{step}} (if {{i32}} (then {{step}} (br_if $again {_ENOUGH}) {{step}})) {{step}})",
        "(block $out {step} (br_if $out {i32}) {step})",
        "(block $out {step} (block $in (br_table $in $out $out (i32.and (i32.const 3) {i32})) {step}) {step})",
        "(if {i32} (then {step} {step}))",
        "(if {i32} (then {step}) (else {step} (br $out) {step}))",
        "(if {i32} (then (return {f64})))",
        f"{{f64}} (loop $more (param f64) (result f64) (local.set $f64_0) {{step}} (br_if $more {{f64}} {_ENOUGH}))"
        " (local.set $f64_1)",
        "{f32} (block $out (param f32) (local.set $f32_1) {step})",
    ],
}
_RESTS |= {"i32": ["(local.get $n)"], "i64": ["(i64.load offset={number} (i32.const 0))"], "step": ["(nop)"]}
_CONSTANTS = {
    "f32": "0 -0 1.5 -2 inf nan -nan nan:0x200001 3e38".split(),
    "f64": "0 -0 1.5 -2 inf -inf nan -nan nan:0x4000000000001 1e308".split(),
}
for _type, _texts in _CONSTANTS.items():
    _RESTS[_type] += [f"({_type}.const {text})" for text in _texts]
    _RESTS["v128"] += [f"(v128.const {_LANES[_type]} {' '.join([text] * (4 if _type == 'f32' else 2))})" for text in _texts]

_SIGNATURE = "(param $f64_0 f64) (param $f32_0 f32) (param $v128_0 v128)"
_LOCALS = "(local $f64_1 f64) (local $f64_2 f64) (local $f32_1 f32) (local $f32_2 f32) (local $v128_1 v128) (local $v128_2 v128)"
_MODULE = f"""(module (memory (export "memory") 1)
  (global $f32 (mut f32) (f32.const 0)) (global $f64 (mut f64) (f64.const 0))
  (global $v128 (mut v128) (v128.const i64x2 0 0))
  (type $of_f32 (func (param f64 f32 v128) (result f32))) (type $of_f64 (func (param f64 f32 v128) (result f64)))
  (table 2 funcref) (elem (i32.const 0) $inner_f32 $inner_f64)
  (func $inner_f32 {_SIGNATURE} (result f32) (local $n i32) (f64.store offset=496 (i32.const 0) (local.get $f64_0)) %s)
  (func $inner_f64 {_SIGNATURE} (result f64) (local $n i32) (v128.store offset=480 (i32.const 0) (local.get $v128_0)) %s)
  (func $inner_v128 {_SIGNATURE} (result v128) (local $n i32) (f32.store offset=476 (i32.const 0) (local.get $f32_0)) %s)
  (func $tested {_SIGNATURE} (result f64) {_LOCALS} (local $n i32)
    (local.set $n (i32.const 6)) (block $out %s)
  (func (export "run") (f64.store offset=504 (i32.const 0)
    (call $tested (f64.load (i32.const 0)) (f32.load offset=8 (i32.const 0)) (v128.load offset=16 (i32.const 0))))))"""
_SIMPLE = {
    "f32": ["(local.get $f32_0)", "(f32.add (local.get $f32_0) (f32.load offset=36 (i32.const 0)))"],
    "f64": ["(local.get $f64_0)", "(f64.sqrt (local.get $f64_0))"],
    "v128": ["(local.get $v128_0)", "(f64x2.mul (local.get $v128_0) (local.get $v128_0))", "(f32x4.abs (local.get $v128_0))"],
}
_HOLE = re.compile(r"\{(\w+)\}")


def _filled(draw: st.DrawFn, kind: str, left: list[int], depth: int = 0) -> str:
    """A step or an expression; `left` says how often the module may still grow."""
    if kind == "number":
        return str(draw(st.integers(0, 60)) * 4)
    left[0] -= 1
    grown = _GRAMMAR[kind] if left[0] > 0 and depth < 9 else []
    pattern = draw(st.sampled_from(grown + _RESTS[kind] if depth else grown or _RESTS[kind]))
    return _HOLE.sub(lambda hole: _filled(draw, hole[1], left, depth + 1), pattern)


@st.composite
def modules(draw: st.DrawFn) -> str:
    """A module's text: a random function of floats and vectors."""
    left = [draw(st.integers(10, 120))]
    inner = [draw(st.sampled_from(_SIMPLE[kind])) for kind in ("f32", "f64", "v128")]
    steps = " ".join(_filled(draw, "step", left) for _ in range(draw(st.integers(1, 6))))
    shown = "".join(
        f"({type_}.store offset={at} (i32.const 0) (local.get ${type_}_{number}))"
        for type_, base in (("f64", 256), ("f32", 320), ("v128", 352))
        for number, at in enumerate(range(base, base + 48, 16))
        if draw(st.booleans())
    )
    return _MODULE % (*inner, f"{steps} (local.set $f64_0 {_filled(draw, 'f64', left, 1)})) {shown} (local.get $f64_0)")


def _floats(layout: str, exponent: int, fraction: int) -> st.SearchStrategy[bytes]:
    """NaNs of every sign and payload, infinities, zeros and numbers."""
    size = 8 * struct.calcsize(layout)
    nans = st.builds(
        lambda sign, payload: sign << size - 1 | exponent << fraction | payload,
        st.booleans(),
        st.integers(0, (1 << fraction) - 1),
    )
    return (nans | st.integers(0, (1 << size) - 1)).map(lambda bits: struct.pack(layout, bits)) | st.sampled_from(
        [struct.pack("<d" if size == 64 else "<f", number) for number in (0.0, -0.0, 1.0, -3.5, 1e30)]
    )


MEMORY = st.lists(_floats("<Q", 0x7FF, 52) | st.tuples(*[_floats("<I", 0xFF, 23)] * 2).map(b"".join), min_size=32, max_size=32)


@settings(max_examples=share_of(200), suppress_health_check=list(HealthCheck))
@given(text=modules(), words=MEMORY)
def test_after_the_pass_every_engine_gives_the_bits_of_one_that_makes_each_nan_canonical(text: str, words: list[bytes]) -> None:
    module, data = bytes(wat2wasm(text)), b"".join(words)
    wanted = after_run(CAREFUL, module, data)
    changed = canonical(module)
    assert after_run(FAST, changed, data) == wanted
    assert after_run(CAREFUL, changed, data) == wanted
