"""Walk over the instructions of function bodies, and what the meter and the program break need of them.

Source: WebAssembly Core Specification 2.0, section 5.4 (instructions), and the fixed-width SIMD instructions of the same section.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK, LOOP, IF, ELSE, CLOSE = 0x02, 0x03, 0x04, 0x05, 0x0B
BRANCH, BRANCH_IF, BRANCH_TABLE = 0x0C, 0x0D, 0x0E
CALL, CALL_INDIRECT, MEMORY_SIZE, MEMORY_GROW = 0x10, 0x11, 0x3F, 0x40
_PREFIX_FC, _PREFIX_FD = 0xFC, 0xFD
#: Of the 0xFC group, as `Body.bulk` tells them.
MEMORY_COPY, MEMORY_FILL = 0xFC0A, 0xFC0B

#: How many LEB128 numbers follow an opcode; other kinds of what follows are negative.
_BLOCK_TYPE, _TABLE, _F32, _F64, _TYPES, _LONG = -1, -2, -3, -4, -5, -6
_FOLLOWS = [0] * 256
for _opcode in (0x0C, 0x0D, 0x10, *range(0x20, 0x27), 0x3F, 0x40, 0x41, 0x42, 0xD0, 0xD2):
    _FOLLOWS[_opcode] = 1
for _opcode in (0x11, *range(0x28, 0x3F)):
    _FOLLOWS[_opcode] = 2
for _opcode in (BLOCK, LOOP, IF):
    _FOLLOWS[_opcode] = _BLOCK_TYPE
_FOLLOWS[BRANCH_TABLE], _FOLLOWS[0x43], _FOLLOWS[0x44], _FOLLOWS[0x1C] = _TABLE, _F32, _F64, _TYPES
_FOLLOWS[_PREFIX_FC] = _FOLLOWS[_PREFIX_FD] = _LONG
#: Numbers after the opcodes of the 0xFC group; those below 8 (conversions) have none.
_FC = {8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}


@dataclass
class Body:
    """A function's body. Region 0 is the code outside loops, each loop is a region more."""

    declared: int = 0  # where the groups of locals start, after their count
    start: int = 0  # of the first instruction
    end: int = 0
    locals: tuple[int, int] = (0, 0)  # how many, in how many groups
    #: Instructions of each region.
    weights: list[int] = field(default_factory=lambda: [0])
    #: Calls: the function (-1: indirect) and the region.
    calls: list[tuple[int, int]] = field(default_factory=list)
    #: Branches back: where, where they end, opcode, depth and the loop's region.
    back: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    #: Instructions that touch as much memory as they are told: where, and which.
    bulk: list[tuple[int, int]] = field(default_factory=list)
    #: `memory.size` and `memory.grow`: where, and which.
    memory: list[tuple[int, int]] = field(default_factory=list)


def scan(data: bytes, start: int, end: int) -> Body:
    """Scan the body that lies at `data[start:end]`."""
    body = Body(end=end)
    groups, at = _number(data, start)
    body.declared = at
    total = 0
    for _ in range(groups):
        count, at = _number(data, at)
        at += 1  # the type
        total += count
    body.start, body.locals = at, (total, groups)
    _Scan(data, body).run()
    return body


class _Scan:
    """The state of a scan: open blocks, with the region of each that is a loop (0: it is none), and the regions around."""

    def __init__(self, data: bytes, body: Body) -> None:
        self.data, self.body = data, body
        self.blocks: list[int] = []
        self.regions = [0]

    def run(self) -> None:
        weights = self.body.weights
        for opcode, value, place, end in decoded(self.data, self.body.start, self.body.end):
            if opcode == CLOSE:
                if self.blocks and self.blocks.pop():
                    self.regions.pop()
                continue
            if BLOCK <= opcode <= IF:
                self.open(opcode)
                continue
            if opcode <= CALL_INDIRECT or opcode >= MEMORY_COPY or opcode in (MEMORY_SIZE, MEMORY_GROW):
                self.note(opcode, value, place, end)
            weights[self.regions[-1]] += 1

    def open(self, opcode: int) -> None:
        region = 0
        if opcode == LOOP:
            region = len(self.body.weights)
            self.body.weights.append(0)
            self.regions.append(region)
        self.blocks.append(region)

    def note(self, opcode: int, value: int, place: int, end: int) -> None:
        """Keep what matters of a branch, a call, the memory's size, or what touches as much memory as it is told."""
        if opcode == CALL:
            self.body.calls.append((value, self.regions[-1]))
        elif opcode == CALL_INDIRECT:
            self.body.calls.append((-1, self.regions[-1]))
        elif opcode in (MEMORY_SIZE, MEMORY_GROW, MEMORY_COPY, MEMORY_FILL):
            if opcode in (MEMORY_SIZE, MEMORY_GROW):
                self.body.memory.append((place, opcode))
            if opcode != MEMORY_SIZE:
                self.body.bulk.append((place, opcode))
        elif opcode in (BRANCH, BRANCH_IF):
            if region := self.region_of(value):
                self.body.back.append((place, end, opcode, value, region))
        elif opcode == BRANCH_TABLE:  # charged once, for the first loop that it may go back to
            back = [region for depth in targets(self.data, value) if (region := self.region_of(depth))]
            if back:
                self.body.back.append((place, end, BRANCH_TABLE, 0, back[0]))

    def region_of(self, depth: int) -> int:
        """The region of the loop that a branch goes back to; 0 if it goes on."""
        return self.blocks[-1 - depth] if depth < len(self.blocks) else 0


#: An instruction: its opcode (0xFC.. and 0xFD... with their prefix), the number that follows it, where it starts and ends.
#: The number is an index, a depth, or a block's type; of a table of branches, a constant or a shuffle it is where that lies.
Instruction = tuple[int, int, int, int]


def decoded(data: bytes, at: int, end: int) -> Iterator[Instruction]:
    """The instructions of an expression that lies at `data[at:end]`."""
    follows = _FOLLOWS
    while at < end:
        opcode, place, value = data[at], at, 0
        at += 1
        kind = follows[opcode]
        if kind > 0:
            value, at = _number(data, at)
            if kind == 2:
                _, at = _number(data, at)
        elif kind < 0:
            opcode, value, at = _unusual(data, opcode, kind, at)
        yield opcode, value, place, at


def _unusual(data: bytes, opcode: int, kind: int, at: int) -> tuple[int, int, int]:
    """An instruction that isn't a byte and numbers: opcode, what follows it, and where it ends."""
    if kind == _BLOCK_TYPE:
        value, after = _number(data, at)
        return opcode, value - 0x80 if after == at + 1 and value & 0x40 else value, after
    if kind == _TABLE:
        count, after = _number(data, at)
        for _ in range(count + 1):
            _, after = _number(data, after)
        return opcode, at, after
    if kind in (_F32, _F64):
        return opcode, at, at + (4 if kind == _F32 else 8)
    if kind == _TYPES:
        count, after = _number(data, at)
        return opcode, at, after + count
    sub, at = _number(data, at)
    if opcode == _PREFIX_FD:
        return 0xFD000 | sub, at, _after_vector(data, sub, at)
    value = at
    for _ in range(_FC.get(sub, 0)):
        _, at = _number(data, at)
    return 0xFC00 | sub, value, at


def targets(data: bytes, at: int) -> list[int]:
    """The depths in a table of branches that lies at `at`, the usual one last."""
    count, at = _number(data, at)
    found = []
    for _ in range(count + 1):
        depth, at = _number(data, at)
        found.append(depth)
    return found


def _after_vector(data: bytes, sub: int, at: int) -> int:
    """Where a SIMD instruction ends whose opcode is `sub` and ends at `at`."""
    if sub <= 11 or sub in (92, 93) or 84 <= sub <= 91:  # loads and stores: alignment, offset, and a lane
        _, at = _number(data, at)
        _, at = _number(data, at)
        return at + (84 <= sub <= 91)
    if sub in (12, 13):  # v128.const, i8x16.shuffle
        return at + 16
    return at + (21 <= sub <= 34)  # a lane's number


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value, shift = value & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
