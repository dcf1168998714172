"""Make NaNs canonical where their bits can be seen, so that the guest's results are the same in every engine, on every CPU.

WebAssembly leaves open which NaN an operation on floats gives. An engine can be told to make each one canonical at once, which
costs a third of the speed of a loop over arrays. Here a value whose bits are open (it is called open below) goes on as it is
into what can't see them: other operations on floats, comparisons, conversions, locals. Before anything else gets it (a store, a
call, a return, an operation on bits) the module itself makes it canonical. What was loaded and not computed with keeps its bits.

So the module does exactly what it did before in an engine that makes every NaN canonical, and an engine that doesn't gives
nothing else: no open bits reach memory, an integer, a branch or a caller. A test holds random modules to both.

The analysis. Each value on the stack and in a local has a state of four bits: whether it may be open as an f32 and as an f64, and
whether it may have a value that making it canonical as f32 or as f64 would change, such as one that was loaded. States of paths
that meet are united, loops are walked until nothing changes. An open value is made canonical where it is needed, but one that may
also be a value to be left alone can't be: the local that holds it is then made canonical wherever it is set.

Sources: WebAssembly Core Specification 2.0, 4.3.3 (NaN propagation); Kildall, 1973, "A unified approach to global program
optimization".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pangea.compute.model.leb128 import unsigned
from pangea.compute.runtime.build import binary
from pangea.compute.runtime.build.binary import F32, F64, V128, FunctionType, Reader
from pangea.compute.runtime.build.float_operations import (
    CARRIED,
    FLOATS,
    OPEN_32,
    OPEN_64,
    OPENING,
    PLAIN,
    RAW,
    SHUFFLE,
    V128_CONST,
    other,
)
from pangea.compute.runtime.build.instructions import (
    BLOCK,
    BRANCH,
    BRANCH_IF,
    BRANCH_TABLE,
    CALL,
    CALL_INDIRECT,
    CLOSE,
    ELSE,
    IF,
    LOOP,
    Instruction,
    decoded,
    targets,
)

_UNREACHABLE, _RETURN, _SELECT, _SELECT_TYPED = 0x00, 0x0F, 0x1B, 0x1C
_LOCAL_GET, _LOCAL_SET, _LOCAL_TEE, _GLOBAL_GET = 0x20, 0x21, 0x22, 0x23
_F32_CONST, _F64_CONST = 0x43, 0x44
_OPEN, _STATE_BITS = 3, 4
#: Canonical NaNs, as constants of the binary format write them.
_NAN = {OPEN_32: struct.pack("<I", 0x7FC00000), OPEN_64: struct.pack("<Q", 0x7FF8 << 48)}
_UNREACHED = -1


class _Value(NamedTuple):
    """A float or a vector on the stack; numbers are None there.

    Attributes:
        type: F32, F64 or V128.
        state: see the module.
        after: where the instruction ends that put it there: until the next one it lies on top.
        local: the local that it was read from; -1: none.
    """

    type: int
    state: int
    after: int
    local: int


@dataclass
class _Frame:
    """A block, loop or `if`, or the whole function, that is being walked through.

    Attributes:
        kind: its opcode; CLOSE for the function.
        at: where it starts.
        height: of the stack below it.
        type: its parameters and results.
        entry: of an `if` without its `else`: what the locals were.
        out: the states of locals where it is left.
    """

    kind: int
    at: int
    height: int
    type: FunctionType
    entry: int = _UNREACHED
    out: int = _UNREACHED


@dataclass(frozen=True)
class _Module:
    """The types that a function's instructions refer to."""

    data: bytes
    types: list[FunctionType]
    functions: list[FunctionType]
    globals: list[int]


def canonical(module: bytes) -> bytes:
    """Make NaNs canonical wherever `module` could show their bits.

    Raises:
        ValueError: it has instructions that aren't known here.
    """
    parts = {part.kind: part for part in binary.sections(module) if part.kind != binary.CUSTOM}
    types = binary.function_types(module)
    imported = [types[each.type] for each in binary.imported_functions(module)]
    functions = Reader(module, parts[binary.FUNCTION].start)
    own = [types[functions.unsigned()] for _ in range(functions.unsigned())]
    known = _Module(module, types, imported + own, _globals(module))
    code = Reader(module, parts[binary.CODE].start)
    bodies = []
    for of in own[: code.unsigned()]:
        size = code.unsigned()
        bodies.append(_body(known, of, code.position, code.position + size))
        code.position += size
    return binary.rewritten(module, {binary.CODE: binary.vector(bodies)})


def _globals(module: bytes) -> list[int]:
    """The types of the globals that a module defines; it imports none."""
    found = []
    for part in binary.sections(module):
        if part.kind == binary.GLOBAL:
            reader = Reader(module, part.start)
            for _ in range(reader.unsigned()):
                found.append(reader.byte())
                reader.byte()  # whether it can change
                reader.position = next(end for code, _, _, end in decoded(module, reader.position, part.end) if code == CLOSE)
    return found


def _body(module: _Module, of: FunctionType, start: int, end: int) -> bytes:
    """A function's body with what it needs, and its length before it."""
    reader = Reader(module.data, start)
    groups = reader.unsigned()
    declared, locals_ = reader.position, bytearray(of.parameters)
    for _ in range(groups):
        count = reader.unsigned()
        locals_ += bytes([reader.byte()]) * count
    code = list(decoded(module.data, reader.position, end))
    if OPENING.isdisjoint(instruction[0] for instruction in code):
        return unsigned(end - start) + module.data[start:end]
    edits = _Walk(module, of, bytes(locals_), code).edits()
    room = {type_: len(locals_) + at for at, type_ in enumerate(sorted({type_ for type_, _ in edits.values()}))}
    out = bytearray(unsigned(groups + len(room)) + module.data[declared : reader.position])
    for type_ in room:
        out += bytes([1, type_])
    last = reader.position
    for at, (type_, lanes) in sorted(edits.items()):
        out += module.data[last:at] + _made_canonical(type_, lanes, unsigned(room[type_]))
        last = at
    out += module.data[last:end]
    return unsigned(len(out)) + bytes(out)


def _made_canonical(type_: int, lanes: int, room: bytes) -> bytes:
    """Code that makes the value on the stack canonical: itself where it equals itself, else the canonical NaN."""
    kept, read = bytes([_LOCAL_TEE]) + room, bytes([_LOCAL_GET]) + room
    if type_ == V128:
        constant = b"\xfd\x0c" + _NAN[lanes] * (16 // len(_NAN[lanes]))
        equal = b"\xfd\x41" if lanes == OPEN_32 else b"\xfd\x47"
        return kept + constant + read + read + equal + b"\xfd\x52"  # v128.bitselect
    constant = bytes([_F32_CONST if lanes == OPEN_32 else _F64_CONST]) + _NAN[lanes]
    equal = b"\x5b" if lanes == OPEN_32 else b"\x61"
    return kept + constant + read + read + equal + bytes([_SELECT])


class _Walk:
    """The walk through one function, again and again until the states at its loops' heads don't change any more.

    The states of all locals are one number, `_STATE_BITS` bits for each; so to unite two is an `|`.
    """

    def __init__(self, module: _Module, of: FunctionType, locals_: bytes, code: list[Instruction]) -> None:
        self.module, self.type, self.locals, self.code = module, of, locals_, code
        self.eager: set[int] = set()  # locals that are canonical wherever they are set
        self.heads: dict[int, int] = {}  # states at loops, by where these start
        self.found: dict[int, tuple[int, int]] = {}
        self.stack: list[_Value | None] = []
        self.frames: list[_Frame] = []
        self.state = 0
        self.is_settled = False

    def edits(self) -> dict[int, tuple[int, int]]:
        """Where the value on the stack is to be made canonical, of which type, as which lanes."""
        while not self.is_settled:
            eager = len(self.eager)
            self.walk()
            if len(self.eager) != eager:
                self.heads, self.is_settled = {}, False
        return self.found

    def walk(self) -> None:
        self.is_settled, self.found, self.stack = True, {}, []
        self.state = sum(RAW << _STATE_BITS * at for at in range(len(self.type.parameters)))
        self.frames = [_Frame(CLOSE, -1, 0, self.type)]
        depth = 0  # of blocks that are never reached
        for instruction in self.code:
            code = instruction[0]
            if self.state == _UNREACHED:
                if BLOCK <= code <= IF:
                    depth += 1
                elif code == CLOSE and depth:
                    depth -= 1
                elif depth == 0 and code in (CLOSE, ELSE):
                    self.control(*instruction)
            elif code in PLAIN:
                self.plain(code, instruction[3])
            elif code <= CALL_INDIRECT:
                self.control(*instruction)
            else:
                self.special(*instruction)

    def plain(self, code: int, end: int) -> None:
        """An instruction of which only its types matter."""
        operands, type_, state = PLAIN[code]
        for sees in operands:
            value = self.stack.pop()
            if value is not None and value.state & _OPEN & ~sees:
                self.need(value)
        if type_ in FLOATS:
            self.stack.append(_Value(type_, state, end, -1))
        elif type_:
            self.stack.append(None)

    def need(self, value: _Value | None) -> None:
        """Something may see the bits of `value`."""
        if value is None or not (lanes := value.state & _OPEN):
            return
        if lanes != _OPEN and not value.state >> 2 & lanes:
            self.found[value.after] = (value.type, lanes)
        else:
            self.eager.add(value.local)

    def special(self, code: int, number: int, _start: int, end: int) -> None:
        """Locals, constants, and what hands bits on without looking at them."""
        stack = self.stack
        if code == _LOCAL_GET:
            type_ = self.locals[number]
            stack.append(_Value(type_, self.state >> _STATE_BITS * number & 15, end, number) if type_ in FLOATS else None)
        elif code in (_LOCAL_SET, _LOCAL_TEE):
            self.set_local(code, number, end)
        elif code == _GLOBAL_GET:
            type_ = self.module.globals[number]
            stack.append(_Value(type_, RAW, end, -1) if type_ in FLOATS else None)
        elif code in (_F32_CONST, _F64_CONST, V128_CONST):
            stack.append(self.constant(code, number, end))
        elif code in (_SELECT, _SELECT_TYPED):
            stack.pop()
            self.hand_on(_OPEN, 2, None, end)
        elif code == SHUFFLE:
            self.hand_on(_whole_lanes(self.module.data[number : number + 16]), 2, V128, end)
        elif code in CARRIED:
            lanes, count, type_ = CARRIED[code]
            self.hand_on(lanes, count, type_, end)
        else:
            raise ValueError(f"instruction {code:#x} isn't known")

    def set_local(self, code: int, number: int, end: int) -> None:
        value = self.stack.pop()
        if value is not None:
            if number in self.eager and value.state & _OPEN:
                self.need(value)
                value = value._replace(state=other(value.state & _OPEN) << 2)
            shift = _STATE_BITS * number
            self.state = self.state & ~(15 << shift) | value.state << shift
        if code == _LOCAL_TEE:
            self.stack.append(value._replace(after=end) if value is not None else None)

    def constant(self, code: int, at: int, end: int) -> _Value:
        """A constant that is no NaN, or the canonical one, may be made canonical like what it meets."""
        if code == V128_CONST:
            text = self.module.data[at : at + 16]
            raw = OPEN_32 * _has_other_nan(text, "<4I", OPEN_32) | OPEN_64 * _has_other_nan(text, "<2Q", OPEN_64)
            return _Value(V128, raw << 2, end, -1)
        lanes, layout = (OPEN_32, "<I") if code == _F32_CONST else (OPEN_64, "<Q")
        raw = lanes * _has_other_nan(self.module.data[at : at + struct.calcsize(layout)], layout, lanes)
        return _Value(F32 if lanes == OPEN_32 else F64, raw << 2, end, -1)

    def hand_on(self, lanes: int, count: int, type_: int | None, end: int) -> None:
        """The result has the bits of `count` operands, whole lanes of them."""
        operands = [value for value in self.stack[-count:] if value is not None]
        del self.stack[-count:]
        if not operands:
            self.stack.append(None)
            return
        state = 0
        for value in operands:
            state |= value.state
        is_one = len(operands) == 1
        opened = state & _OPEN
        if opened & ~lanes or not (is_one or opened == 0 or (opened != _OPEN and not state >> 2 & opened)):
            for value in operands:
                self.need(value)
            state = RAW
        elif type_ is not None and lanes != _OPEN:
            state |= other(lanes) << 2
        self.stack.append(_Value(type_ or operands[0].type, state, end, operands[0].local if is_one else -1))

    def control(self, code: int, number: int, start: int, end: int) -> None:
        """What changes the order of execution, or leaves the function."""
        if code in (BLOCK, LOOP, IF):
            self.enter(code, number, start, end)
        elif code == ELSE:
            self.leave_first_arm(end)
        elif code == CLOSE:
            self.close(end)
        elif code == BRANCH_IF:
            self.stack.pop()
            self.branch(number)
        elif code in (CALL, CALL_INDIRECT):
            if code == CALL_INDIRECT:
                self.stack.pop()
            self.call(self.module.types[number] if code == CALL_INDIRECT else self.module.functions[number], end)
        elif code in (_UNREACHABLE, BRANCH, BRANCH_TABLE, _RETURN):
            self.jump(code, number)
        else:
            raise ValueError(f"instruction {code:#x} isn't known")

    def jump(self, code: int, number: int) -> None:
        if code == BRANCH:
            self.branch(number)
        elif code == BRANCH_TABLE:
            self.stack.pop()
            for depth in targets(self.module.data, number):
                self.branch(depth)
        elif code == _RETURN:
            self.need_top(len(self.type.results))
        self.state = _UNREACHED

    def need_top(self, count: int) -> None:
        for value in self.stack[len(self.stack) - count :]:
            self.need(value)

    def call(self, of: FunctionType, end: int) -> None:
        self.need_top(len(of.parameters))
        del self.stack[len(self.stack) - len(of.parameters) :]
        self.push(of.results, end)

    def push(self, types: Iterable[int], end: int) -> None:
        """Values of which nothing is known but that they aren't open."""
        self.stack += [_Value(type_, RAW, end, -1) if type_ in FLOATS else None for type_ in types]

    def block_type(self, number: int) -> FunctionType:
        if number >= 0:
            return self.module.types[number]
        return FunctionType(b"", b"" if number == -0x40 else bytes([number + 0x80]))

    def enter(self, code: int, number: int, start: int, end: int) -> None:
        if code == IF:
            self.stack.pop()
        of = self.block_type(number)
        self.need_top(len(of.parameters))
        del self.stack[len(self.stack) - len(of.parameters) :]
        self.frames.append(_Frame(code, start, len(self.stack), of, self.state if code == IF else _UNREACHED))
        self.push(of.parameters, end)
        if code == LOOP:
            self.state = self.heads[start] = self.heads.get(start, 0) | self.state

    def branch(self, depth: int) -> None:
        """A branch that may be taken."""
        frame = self.frames[-1 - depth]
        if frame.kind != LOOP:
            self.need_top(len(frame.type.results))
            frame.out = _united(frame.out, self.state)
            return
        self.need_top(len(frame.type.parameters))
        if self.heads[frame.at] | self.state != self.heads[frame.at]:
            self.heads[frame.at] |= self.state
            self.is_settled = False

    def leave_first_arm(self, end: int) -> None:
        frame = self.frames[-1]
        if self.state != _UNREACHED:
            self.need_top(len(frame.type.results))
            frame.out = _united(frame.out, self.state)
        self.state, frame.entry = frame.entry, _UNREACHED
        del self.stack[frame.height :]
        self.push(frame.type.parameters, end)

    def close(self, end: int) -> None:
        frame = self.frames.pop()
        if self.state != _UNREACHED:
            self.need_top(len(frame.type.results))
        self.state = _united(_united(frame.out, self.state), frame.entry)
        del self.stack[frame.height :]
        self.push(frame.type.results, end)


def _united(one: int, another: int) -> int:
    return another if one == _UNREACHED else one if another == _UNREACHED else one | another


def _has_other_nan(text: bytes, layout: str, lanes: int) -> bool:
    """Whether a constant has a NaN that isn't canonical, in lanes of `layout`."""
    infinity = 0x7F800000 if lanes == OPEN_32 else 0x7FF0 << 48
    sign = 1 << (31 if lanes == OPEN_32 else 63)
    nan = int.from_bytes(_NAN[lanes], "little")
    return any(bits & (sign - 1) > infinity and bits != nan for bits in struct.unpack(layout, text))


def _whole_lanes(places: bytes) -> int:
    """As which lanes a shuffle moves whole ones."""
    lanes = 0
    for size, bit in ((4, OPEN_32), (8, OPEN_64)):
        groups = (places[at : at + size] for at in range(0, 16, size))
        if all(group[0] % size == 0 and group == bytes(range(group[0], group[0] + size)) for group in groups):
            lanes |= bit
    return lanes
