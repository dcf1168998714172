"""A job's execute as a compute shader: what it is declared as, what runs on an adapter, and what it is billed.

The job gives a function of an index that returns one element of the output. What is run is that with a prelude before it and an
entry point behind it, so that which invocation writes where isn't the job's to say:

    prelude    input(i), which is 0 beyond the end, input_length(), shift_left(x, n), shift_right(x, n)
    the job's  fn main(index: u32) -> u32 { … }
    entry      for each index below the number of rows: output[index] = main(index)

Each turn of a loop is counted, and an invocation may take so many (`turns`): so an endless loop ends the same way everywhere.

A driver that cuts loops short by itself can't give another result. Mesa's software driver does: one counter of 65,535 is lowered
at the end of each turn of each loop, by all invocations together that it runs in step; when it is used up, every loop ends,
whatever its condition says, and so does each that comes later, after one turn. So the last thing that an invocation does is a
loop of a few turns, how many being read from the meter: where it ends too early, one before it may have, and the run is void.

Sources: Mesa, src/gallium/auxiliary/gallivm: lp_bld_limits.h (LP_MAX_TGSI_LOOP_ITERATIONS), lp_bld_ir_common.c (lp_exec_endloop);
measured with 22.3.6: 65,531 turns pass, from 65,532 on it is said, from 65,536 on results are wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.limits import shown
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.model.wgsl import RESERVED, Token, check
from pangea.compute.model.wgsl_loops import fixed_turns, metered

#: Which adapter may be used: hardware before software, one of them alone, or none; or a driver's own, by its file (`is_driver`).
ADAPTERS = ("auto", "software", "hardware", "off")
#: Of one workgroup, below WebGPU's defaults (256, 256, 64; 256 invocations).
_WORKGROUP_MAX = (256, 256, 64)
_INVOCATIONS_MAX = 256
#: Workgroups that one dispatch may have.
_GROUPS_MAX = 65_535
#: Numbers in one row of the output.
WIDTH_MAX = 64
#: Rows for each element of the input, and rows if that isn't what they depend on.
_FACTOR_MAX = 2**24
ITEM_BYTES = 4
#: The shader's file in a job archive.
SHADER_NAME = "shader.wgsl"
#: Turns of loops that one invocation may take, all its loops together, where the job doesn't say; and the most that it may say.
#: Software runs eight at most in step (`engine.jail`), each turn of which is one of some of them: 8 × 8,000 is below what it cuts
#: short, so that what doesn't say more runs everywhere.
TURNS, TURNS_MAX = 8_000, 2**30
#: The meter: what is to be told (`_IS_OVER`, `_IS_CUT`), how many turns the last loop takes, and sums of turns, which are kept
#: apart in so many places, since invocations that run together seldom meet at one: lower words, then upper words.
_SUMS = 64
_WORDS = 2 + 2 * _SUMS
_IS_OVER, _IS_CUT = 1, 2
_LAST_LOOP = 3
METER = b"".join(number.to_bytes(4, "little") for number in (0, _LAST_LOOP, *[0] * (2 * _SUMS)))
_TYPES = {"uint32": "u32", "int32": "i32", "float32": "f32"}
_DECLARED = re.compile(r"(\w+)\[(?:(\d+)|(?:(\d+)\*)?(n))(?:,(\d+))?\]")
_ENTRY = re.compile(r"[a-zA-Z]\w*", re.ASCII)

_PRELUDE = f"""\
@group(0) @binding(0) var<storage, read> {RESERVED}in: array<{{input}}>;
@group(0) @binding(1) var<storage, read_write> {RESERVED}out: array<{{element}}>;
@group(0) @binding(2) var<storage, read_write> {RESERVED}meter: array<atomic<u32>, {_WORDS}>;
var<private> {RESERVED}turns: u32;
fn {RESERVED}turn(goes_on: bool) -> bool {{{{
    {RESERVED}turns += 1u;
    return goes_on & ({RESERVED}turns <= {{turns}}u);
}}}}
fn {RESERVED}ahead(count: u32) -> bool {{{{
    if {RESERVED}turns > {{turns}}u {{{{ return false; }}}}
    {RESERVED}turns += count;
    return {RESERVED}turns <= {{turns}}u;
}}}}
fn input_length() -> u32 {{{{ return arrayLength(&{RESERVED}in); }}}}
fn input(i: u32) -> {{input}} {{{{
    if i < arrayLength(&{RESERVED}in) {{{{ return {RESERVED}in[i]; }}}}
    return 0;
}}}}
fn shift_left(x: u32, n: u32) -> u32 {{{{ return x << (n & 31u); }}}}
fn shift_right(x: u32, n: u32) -> u32 {{{{ return x >> (n & 31u); }}}}
"""
_START = f"""
@compute @workgroup_size({{x}}, {{y}}, {{z}})
fn {RESERVED}start(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {{{{
    let index = group.x * {{invocations}}u + local;
    if index < arrayLength(&{RESERVED}out) {{{{
        {RESERVED}out[index] = {{entry}}(index);{{count}}
    }}}}
}}}}
"""
_COUNT = f"""
        if {RESERVED}turns > {{turns}}u {{{{ atomicOr(&{RESERVED}meter[0], {_IS_OVER}u); }}}}
        let low = atomicAdd(&{RESERVED}meter[2u + local % {_SUMS}u], {RESERVED}turns);
        if low + {RESERVED}turns < low {{{{ atomicAdd(&{RESERVED}meter[{2 + _SUMS}u + local % {_SUMS}u], 1u); }}}}
        let last = atomicLoad(&{RESERVED}meter[1]);
        var turn = 0u;
        loop {{{{ if turn >= last {{{{ break; }}}} turn += 1u; }}}}
        if turn != last {{{{ atomicOr(&{RESERVED}meter[0], {_IS_CUT}u); }}}}"""
ENTRY_POINT = f"{RESERVED}start"
#: Lines before the job's own, for the compiler's messages.
PRELUDE_LINES = _PRELUDE.count("\n")


def is_driver(which: str) -> bool:
    """Whether `which` adapter is named by its Vulkan driver's file: an absolute path of what describes it to the loader."""
    return which.startswith("/") and which.endswith(".json")


class ArrayType(NamedTuple):
    """A declared array: "uint32[n]", "int32[4*n]", "uint32[1000]", "uint32[n, 8]".

    Attributes:
        dtype: "uint32", "int32" or "float32".
        factor: rows for each element of the input; 0: their number is `rows`.
        rows: how many, if `factor` is 0.
        width: numbers in a row; 0: there is one dimension.
    """

    dtype: str
    factor: int
    rows: int
    width: int

    @classmethod
    def of(cls, text: Any, option: str) -> ArrayType:
        """What `text` declares; `option` is its name, for messages.

        Raises:
            JobDefinitionError: it is no such declaration, or out of range.
        """
        found = _DECLARED.fullmatch(text.replace(" ", "")) if isinstance(text, str) else None
        if found is None or found[1] not in _TYPES:
            raise JobDefinitionError(
                f"execute is declared {option}={shown(text)}; a shader's array is uint32, int32 or float32",
                hint='such as "uint32[n]", "int32[4*n]", "float32[1000]" or "uint32[n, 8]"; n is the length of the input',
                option=option,
            )
        declared = cls(found[1], int(found[3] or 1) if found[4] else 0, int(found[2] or 0), int(found[5] or 0))
        for what, value, low, high in (
            ("rows", declared.factor or declared.rows, 1, _FACTOR_MAX),
            ("numbers in a row", declared.width or (1 if found[5] is None else 0), 1, WIDTH_MAX),
        ):
            if not low <= value <= high:
                message = f"execute is declared {option}={shown(text)}: {value:,} {what}; there may be {low:,} to {high:,}"
                raise JobDefinitionError(message, option=option)
        return declared

    def shape(self, n: int) -> tuple[int, ...]:
        """Of the output for an input of `n` elements."""
        rows = self.factor * n if self.factor else self.rows
        return (rows, self.width) if self.width else (rows,)

    @property
    def scalar(self) -> str:
        """WGSL's name of the numbers."""
        return _TYPES[self.dtype]

    @property
    def element(self) -> str:
        """WGSL's type of a row."""
        return f"array<{self.scalar}, {self.width}>" if self.width else self.scalar

    def __str__(self) -> str:
        rows = ("n" if self.factor == 1 else f"{self.factor}*n") if self.factor else str(self.rows)
        return f"{self.dtype}[{rows}, {self.width}]" if self.width else f"{self.dtype}[{rows}]"


class Metered(NamedTuple):
    """What a run took.

    Attributes:
        turns: of the loops of all invocations together.
        is_over: whether one invocation took more than it may.
        is_cut: whether the driver may have ended a loop that would have gone on: what the run gave is worth nothing.
    """

    turns: int
    is_over: bool = False
    is_cut: bool = False


@dataclass(frozen=True)
class GpuProgram:
    """A shader as a job's execute.

    Attributes:
        shader: its WGSL, of `model.wgsl`.
        entry: its function that is called for each row.
        workgroup: invocations that are started together, in three dimensions; no result depends on it.
        input, output: what a chunk is, and what becomes of it.
        tolerance: by how much two results may differ and be the same answer; None: by nothing; no floats are used.
        turns: that one invocation may take of all its loops.
    """

    shader: str
    entry: str = "main"
    workgroup: tuple[int, int, int] = (64, 1, 1)
    input: str = "uint32[n]"
    output: str = "uint32[n]"
    tolerance: Tolerance | None = None
    turns: int = TURNS

    def __post_init__(self) -> None:
        """Check all of it; raises JobDefinitionError."""
        _check_workgroup(self.workgroup)
        if type(self.turns) is not int or not 1 <= self.turns <= TURNS_MAX:
            message = f"execute is declared turns={shown(self.turns)}; it must be a whole number from 1 to {TURNS_MAX:,}"
            raise JobDefinitionError(
                message, hint=f"without, an invocation may take {TURNS:,} turns of its loops", option="turns"
            )
        if not isinstance(self.entry, str) or not _ENTRY.fullmatch(self.entry):
            raise JobDefinitionError(f"execute is declared entry={shown(self.entry)}; it must be the name of a function")
        taken, returned = ArrayType.of(self.input, "input"), ArrayType.of(self.output, "output")
        if taken.factor != 1 or taken.width:
            message = (
                f'execute is declared input={shown(self.input)}; a shader\'s chunk is "uint32[n]", "int32[n]" or "float32[n]"'
            )
            raise JobDefinitionError(message, hint="arrays of any shape are taken, row by row", option="input")
        if not isinstance(self.shader, str):
            raise JobDefinitionError(f"a shader is text, not {type(self.shader).__name__}", option="gpu")
        _check_tolerance(self.tolerance, taken, returned)
        _check_entry(self._tokens(), self.entry, returned.element)

    def _tokens(self) -> list[Token]:
        return check(self.shader, takes_floats=self.tolerance is not None)

    @property
    def taken(self) -> ArrayType:
        """What a chunk is."""
        return ArrayType.of(self.input, "input")

    @property
    def returned(self) -> ArrayType:
        """What becomes of a chunk."""
        return ArrayType.of(self.output, "output")

    @property
    def invocations(self) -> int:
        """Of one workgroup."""
        x, y, z = self.workgroup
        return x * y * z

    @property
    def rows_max(self) -> int:
        """Rows that one chunk can have."""
        return _GROUPS_MAX * self.invocations

    @cached_property
    def fixed_turns(self) -> int | None:
        """How many turns each invocation takes, if the text says so, and as few as no driver cuts short: none is counted then."""
        turns = fixed_turns(self._tokens(), self.entry)
        return None if turns is None or turns > min(self.turns, TURNS) else turns

    @property
    def text(self) -> str:
        """The whole shader, as the compiler is given it."""
        x, y, z = self.workgroup
        tokens, shader, count = self._tokens(), self.shader, ""
        if self.fixed_turns is None:
            shader = metered(shader, tokens, turn=f"{RESERVED}turn", ahead=f"{RESERVED}ahead")
            count = _COUNT.format(turns=self.turns)
        prelude = _PRELUDE.format(input=self.taken.scalar, element=self.returned.element, turns=self.turns)
        start = _START.format(x=x, y=y, z=z, invocations=self.invocations, entry=self.entry, count=count)
        return prelude + shader + start

    def fuel(self, elements: int, rows: int) -> int:
        """What a chunk of `elements` is billed, the turns of its loops aside: a unit for each row, and for each byte in and out.

        Like the turns, which are a unit each, it is the same on every adapter. With floating point it is all that is billed:
        turns may hang on the last bit there.
        """
        return rows + ITEM_BYTES * (elements + rows * max(1, self.returned.width))

    def metered(self, meter: memoryview, rows: int) -> Metered:
        """What a run of so many rows took: as its meter's buffer says, or its text."""
        if self.fixed_turns is not None:
            return Metered(rows * self.fixed_turns)
        told, _, *sums = meter.cast("B").cast("I")
        turns = sum(sums[:_SUMS]) + (sum(sums[_SUMS:]) << 32)
        return Metered(turns, is_over=bool(told & _IS_OVER), is_cut=bool(told & _IS_CUT))

    def to_json(self) -> dict[str, Any]:
        """All but the text."""
        record: dict[str, Any] = {name: getattr(self, name) for name in ("entry", "workgroup", "input", "output")}
        record["workgroup"] = [*self.workgroup]
        if self.turns != TURNS:
            record["turns"] = self.turns
        return record if self.tolerance is None else record | {"tolerance": self.tolerance.stated}

    @classmethod
    def of_json(cls, record: Any, shader: str) -> GpuProgram:
        """What `to_json` wrote, of a stranger maybe.

        Raises:
            JobDefinitionError: it makes no sense.
        """
        names = {"entry", "workgroup", "input", "output"}
        if (
            not isinstance(record, dict)
            or record.keys() - {"tolerance", "turns"} != names
            or not isinstance(record["workgroup"], list)
        ):
            raise JobDefinitionError(f"a shader is described by {', '.join(sorted(names))}, not by {shown(record)}")
        tolerance = Tolerance.of(record["tolerance"]) if "tolerance" in record else None
        return cls(shader, **{**record, "workgroup": tuple(record["workgroup"]), "tolerance": tolerance})


def _check_tolerance(tolerance: Tolerance | None, taken: ArrayType, returned: ArrayType) -> None:
    """Floating point and a tolerance belong together."""
    if tolerance is None:
        for option, declared in (("input", taken), ("output", returned)):
            if declared.dtype == "float32":
                raise JobDefinitionError(
                    f"execute is declared {option}={shown(str(declared))} without a tolerance: floats differ between adapters",
                    hint='say by how much results may differ: tolerance="4ulp" or tolerance=1e-5',
                    option="tolerance",
                )
    elif returned.dtype != "float32":
        raise JobDefinitionError(
            f"execute is declared tolerance={shown(tolerance.stated)} and output={shown(str(returned))}: whole numbers have none",
            hint="return float32 where floats are used; else leave tolerance= out, and results are compared byte for byte",
            option="tolerance",
        )


def _check_workgroup(sizes: Any) -> None:
    is_three = isinstance(sizes, tuple) and len(sizes) == 3 and all(type(size) is int for size in sizes)
    if is_three and all(1 <= size <= most for size, most in zip(sizes, _WORKGROUP_MAX, strict=True)):
        x, y, z = sizes
        if x * y * z <= _INVOCATIONS_MAX:
            return
    raise JobDefinitionError(
        f"execute is declared workgroup={shown(sizes)}; it must be three integers, at most {_WORKGROUP_MAX}, whose product is at"
        f" most {_INVOCATIONS_MAX}",
        hint="(64, 1, 1) suits most adapters; no result depends on it",
        option="workgroup",
    )


def _check_entry(tokens: list[Token], entry: str, element: str) -> None:
    """Whether there is a function `entry` that takes an index and returns a row."""
    words = [token.text for token in tokens]
    wanted = f"fn {entry}(index: u32) -> {element}"
    ends = element.replace("<", " < ").replace(">", " > ").replace(",", " , ").split()
    for at in range(len(words)):
        if words[at : at + 3] == ["fn", entry, "("]:
            is_taken = words[at + 4 : at + 8] == [":", "u32", ")", "->"] or words[at + 4 : at + 9] == [":", "u32", ",", ")", "->"]
            start = words.index("->", at) + 1 if is_taken else 0
            if is_taken and words[start : start + len(ends) + 1] == [*ends, "{"]:
                return
            raise JobDefinitionError(
                f"the shader, line {tokens[at].line}: {entry} isn't declared as {wanted}",
                hint="it is called for each row of the output, and returns that row",
                option="entry",
            )
    raise JobDefinitionError(
        f"the shader has no function {entry!r}", hint=f"write {wanted} {{ … }}, or name another with entry=", option="entry"
    )
