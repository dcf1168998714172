"""Which loops of a shader take as many turns as its text says, and how those of all others are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.gpu import TURNS, GpuProgram, Metered

HELPERS = "fn f(x: u32) -> u32 { return x; }\nfn g(x: u32) -> u32 { for (var i = 0u; i < 2u; i++) { } return x; }\n"
#: Whose turns nobody knows before: with it, all of a shader's are counted.
UNTOLD = "while x < index { x += 1u; }"


def program(text: str, turns: int = TURNS) -> GpuProgram:
    helpers = "".join(line + "\n" for line in HELPERS.splitlines() if f"{line[3]}(" in text)
    return GpuProgram(f"{helpers}fn main(index: u32) -> u32 {{ var x = index; {text} return x; }}", turns=turns)


@pytest.mark.parametrize(
    ("head", "turns"),
    [
        ("var i = 0u; i < 16u; i++", 17),
        ("var i = 0u; i <= 16u; i++", 18),
        ("var i: i32 = 3; i < 10i; i += 3", 4),
        ("var i = 0x10u; i < 0x20u; i += 0x8u", 3),
        ("var i = 7u; i < 7u; i++", 1),
        ("var i = 7u; i <= 3u; i++", 1),
    ],
)
def test_turns_that_the_text_tells_are_counted_before_the_loop(head: str, turns: int) -> None:
    for text in (f"for ({head}) {{ x += u32(i) & x; }}", f"for ({head})\n{{ if x < 3u {{ continue; }} x = x ^ u32(i); }}"):
        told = program(text)
        assert told.fixed_turns == turns
        assert f"; {text} return x" in told.text
        assert told.metered(memoryview(b""), 5) == Metered(5 * turns)
        among = program(f"{UNTOLD} {text}")
        assert among.fixed_turns is None
        assert f"if pangea_ahead({turns}u) {{ {text} }} return x" in among.text


@given(start=st.integers(0, 40), end=st.integers(0, 60), step=st.integers(1, 9), sign=st.sampled_from(["<", "<="]))
def test_they_are_the_turns_that_the_loop_takes(start: int, end: int, step: int, sign: str) -> None:
    at, turns = start, 1
    while at < end or (sign == "<=" and at == end):
        at, turns = at + step, turns + 1
    assert program(f"for (var i = {start}u; i {sign} {end}u; i += {step}u) {{ x += i; }}").fixed_turns == turns


@pytest.mark.parametrize(
    "loop",
    [
        "for (var i = 0u; i < 3u; i++) { i += x; }",
        "for (var i = 0u; i < 3u; i++) { (i) = x; }",
        "for (var i = 0u; i < 3u; i++) { ((i))--; }",
        "for (var i = 0u; i < 3u; i++) { let p = &i; *p = x; }",
        "for (var i = 0u; i < 3u; i++) { if x < 3u { break; } }",
        "for (var i = 0u; i < 3u; i++) { if x < 3u { return 1u; } }",
        "for (var i = 0u; i < 3u; i++) { x = f(x); }",
        "for (var i = 0u; i < 3u; i++) { loop { break; } }",
        "for (var i = 0u; i < x; i++) { }",
        "for (var i = x; i < 3u; i++) { }",
        "for (var i = 0u; i != 3u; i++) { }",
        "for (var i = 0u; i < 3u; i += 0u) { }",
        "for (var i = 0u; i < 3u; i += x) { }",
        "for (var i = 0u; i < 3u; x++) { }",
        "for (var i = 0u; x < 3u; i++) { }",
        "for (var i = 3i; i < 9i; i--) { }",
        "for (var i = 0u; i < 3u; ) { }",
        "for (var i = 0u; i <= 4294967295u; i++) { }",
        "for (var i = 0i; i < 2147483647i; i += 2i) { }",
    ],
)
def test_a_loop_that_may_take_others_is_asked_at_each(loop: str) -> None:
    made = program(loop)
    assert made.fixed_turns is None
    assert "pangea_ahead(3u)" not in made.text
    assert "pangea_ahead(4u)" not in made.text
    assert made.text.count("pangea_turn(") > 1


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("", 0),
        ("for (var i = 0u; i < 3u; i++) { } for (var i = 0u; i < 4u; i++) { }", 9),
        ("if x < 3u { x = 1u; } for (var i = 0u; i < 3u; i++) { }", 4),
        ("if x < 3u { for (var i = 0u; i < 3u; i++) { } }", None),
        ("{ for (var i = 0u; i < 3u; i++) { } }", None),
        ("if x < 3u { return x; } for (var i = 0u; i < 3u; i++) { }", None),
        ("for (var i = 0u; i < 3u; i++) { } if x < 3u { return x; }", 4),
        ("x = g(x);", None),
        (f"for (var i = 0u; i < {TURNS - 1}u; i++) {{ }}", TURNS),
        (f"for (var i = 0u; i < {TURNS}u; i++) {{ }}", None),
    ],
)
def test_nothing_is_counted_where_all_invocations_take_the_turns_that_the_text_tells(text: str, turns: int | None) -> None:
    made = program(text)
    assert made.fixed_turns == turns
    assert ("atomicAdd" in made.text) is (turns is None)


def test_more_than_an_invocation_may_take_are_counted() -> None:
    loop = "for (var i = 0u; i < 9u; i++) { }"
    assert program(loop, turns=10).fixed_turns == 10
    assert program(loop, turns=9).fixed_turns is None
