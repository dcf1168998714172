"""Put the meter into the guest: a deterministic bill that any engine can read.

The module exports a mutable global `fuel` (i64). It is lowered on every branch back to a loop, at the entry of every function
that execution can come back to, and before memory is copied, filled or grown, by the length. Below zero the guest stops at an
`unreachable`, and the host sees from the global that it was the fuel. So every endless execution is stopped, at the same
instruction on every machine.

A charge answers for the instructions between it and the next one (at most `WEIGHT_MAX` of them: of much code between two
charges, most is for rare cases). A function that calls nothing, or only what can't come back to it, isn't charged at its entry:
its weight is its callers'. This is meant for the guest, which is ours: a chain of such functions, each calling the next twice,
would get much for little.

The bytecode loop is spared: CPython's source charges for it, where Python code jumps back or enters a frame (`changes.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from pangea.compute.model.leb128 import unsigned
from pangea.compute.runtime.build import binary
from pangea.compute.runtime.build.binary import Reader, signed
from pangea.compute.runtime.build.instructions import (
    BRANCH,
    BRANCH_IF,
    MEMORY_COPY,
    MEMORY_FILL,
    MEMORY_GROW,
    Body,
    scan,
)

FUEL = "fuel"
#: Instructions that one charge answers for at most.
WEIGHT_MAX = 60
#: Memory that is copied or filled: a unit for 64 bytes; grown: 64 units for a KiB... of each 64 KiB page, 1,024 units.
_COPY_SHIFT, _GROW_SHIFT = 6, 10

_LOCAL_GET, _LOCAL_SET, _GLOBAL_GET, _GLOBAL_SET = b"\x20", b"\x21", b"\x23", b"\x24"
_I64_SUB, _I64_SHL, _I64_SHR_U, _I64_LT_S, _I64_EXTEND_U = b"\x7d", b"\x86", b"\x88", b"\x53", b"\xad"
_IF, _UNREACHABLE = b"\x04\x40", b"\x00"
_I64_CONST = binary.I64_CONST


@dataclass
class _Module:
    """What charging needs to know of a module."""

    fuel: int
    first: int  # index of the first function that is defined
    parameters: list[int]  # of each defined function
    bodies: list[Body]
    entries: set[int] = field(default_factory=set)  # functions that are reached from outside or indirectly


def metered(module: bytes, *, spared: Collection[int] = ()) -> bytes:
    """Charge for what `module` does.

    Args:
        module: a core module that exports `fuel` and is known to be ours.
        spared: functions (by index) whose largest loop charges for itself.

    Raises:
        ValueError: it exports no global `fuel`.
    """
    known = _read(module)
    graph = {known.first + at: {callee for callee, _ in body.calls} for at, body in enumerate(known.bodies)}
    charged = on_cycles(graph) | {entry for entry in known.entries if graph.get(entry)}
    weights = _weights(known, graph, charged)
    code = []
    for at, body in enumerate(known.bodies):
        index = known.first + at
        for callee, region in body.calls:
            body.weights[region] += weights.get(callee, 0)
        skipped = max(range(1, len(body.weights)), key=body.weights.__getitem__) if index in spared else None
        code.append(_charged(module, known, body, known.parameters[at], is_entry=index in charged, skipped=skipped))
    return binary.rewritten(module, {binary.CODE: binary.vector(code)})


def _read(module: bytes) -> _Module:
    kind, fuel = binary.exports(module).get(FUEL, (None, 0))
    if kind != binary.GLOBAL_KIND:
        raise ValueError(f"the module exports no global {FUEL!r}")
    parts = {part.kind: part for part in binary.sections(module) if part.kind != binary.CUSTOM}
    arities = [len(each.parameters) for each in binary.function_types(module)]
    functions = Reader(module, parts[binary.FUNCTION].start)
    parameters = [arities[functions.unsigned()] for _ in range(functions.unsigned())]
    code = Reader(module, parts[binary.CODE].start)
    bodies = []
    for _ in range(code.unsigned()):
        size = code.unsigned()
        bodies.append(scan(module, code.position, code.position + size))
        code.position += size
    exported = {index for kind, index in binary.exports(module).values() if kind == binary.FUNCTION_KIND}
    taken = _taken(Reader(module, parts[binary.ELEMENT].start)) if binary.ELEMENT in parts else set()
    return _Module(fuel, len(binary.imported_functions(module)), parameters, bodies, exported | taken)


def _taken(elements: Reader) -> set[int]:
    """The functions in the table."""
    found: set[int] = set()
    for _ in range(elements.unsigned()):
        flags = elements.unsigned()
        if flags & ~2:
            raise ValueError(f"element segment of kind {flags}")
        if flags == 2:
            elements.unsigned()
        elements.byte()  # i32.const
        elements.unsigned()
        elements.byte()  # end
        if flags == 2:
            elements.byte()
        found.update(elements.unsigned() for _ in range(elements.unsigned()))
    return found


def on_cycles(graph: dict[int, set[int]]) -> set[int]:
    """The nodes on cycles. Source: Tarjan, 1972, "Depth-first search and linear graph algorithms", without recursion."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    waiting: set[int] = set()
    found: set[int] = set()

    def enter(node: int) -> tuple[int, Iterator[int]]:
        order[node] = low[node] = len(order)
        stack.append(node)
        waiting.add(node)
        return node, iter(sorted(graph[node]))

    for root in graph:
        path = [enter(root)] if root not in order else []
        while path:
            node, successors = path[-1]
            for successor in successors:
                if successor not in graph:
                    continue
                if successor not in order:
                    path.append(enter(successor))
                    break
                if successor in waiting:
                    low[node] = min(low[node], order[successor])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    at = stack.index(node)
                    group, stack[at:] = stack[at:], []
                    waiting.difference_update(group)
                    if len(group) > 1 or node in graph[node]:
                        found.update(group)
    return found


def _weights(known: _Module, graph: dict[int, set[int]], charged: set[int]) -> dict[int, int]:
    """What callers pay for each function that isn't charged itself: of its code outside loops, with its own callees'."""
    found: dict[int, int] = {}
    for root in graph:
        path = [root]
        while path:
            index = path[-1]
            if index in found or index in charged or index not in graph:
                path.pop()
            elif todo := [callee for callee in graph[index] if callee in graph and callee not in charged and callee not in found]:
                path += todo
            else:
                body = known.bodies[index - known.first]
                own = body.weights[0] + sum(found.get(callee, 0) for callee, region in body.calls if region == 0)
                found[index] = min(WEIGHT_MAX, own)
    return found


def _charged(module: bytes, known: _Module, body: Body, parameters: int, *, is_entry: bool, skipped: int | None) -> bytes:
    """One function's body with its charges."""
    fuel = unsigned(known.fuel)
    count, groups = body.locals
    room = unsigned(parameters + count)  # one more local, for lengths
    edits: list[tuple[int, int, bytes]] = []
    for at, end, opcode, depth, region in body.back:
        if region == skipped:
            continue
        charge = _charge(fuel, body.weights[region])
        if opcode == BRANCH_IF:
            edits.append((at, end, _IF + charge + bytes([BRANCH]) + unsigned(depth + 1) + binary.END))
        else:
            edits.append((at, at, charge))
    edits += [(at, at, _charge_length(fuel, room, opcode)) for at, opcode in body.bulk]
    edits.sort()
    out = bytearray(unsigned(groups + bool(body.bulk)) + module[body.declared : body.start])
    if body.bulk:
        out += b"\x01" + bytes([binary.I32])
    if is_entry:
        out += _charge(fuel, body.weights[0])
    last = body.start
    for at, end, text in edits:
        out += module[last:at] + text
        last = end
    out += module[last : body.end]
    return unsigned(len(out)) + bytes(out)


def _charge(fuel: bytes, weight: int) -> bytes:
    units = max(1, min(WEIGHT_MAX, weight))
    return _GLOBAL_GET + fuel + _I64_CONST + signed(units) + _lowered(fuel)


def _lowered(fuel: bytes) -> bytes:
    """Lower the fuel by what is on the stack, and stop below zero."""
    check = _GLOBAL_GET + fuel + _I64_CONST + signed(0) + _I64_LT_S + _IF + _UNREACHABLE + binary.END
    return _I64_SUB + _GLOBAL_SET + fuel + check


def _charge_length(fuel: bytes, room: bytes, opcode: int) -> bytes:
    """Charge for the length on the stack, and leave it there."""
    assert opcode in (MEMORY_COPY, MEMORY_FILL, MEMORY_GROW)
    shift = _I64_SHL if opcode == MEMORY_GROW else _I64_SHR_U
    by = _GROW_SHIFT if opcode == MEMORY_GROW else _COPY_SHIFT
    units = _LOCAL_GET + room + _I64_EXTEND_U + _I64_CONST + signed(by) + shift
    return _LOCAL_SET + room + _GLOBAL_GET + fuel + units + _lowered(fuel) + _LOCAL_GET + room


def charges(bodies: Iterable[Body]) -> int:
    """How many branches back there are: for the build's report."""
    return sum(len(body.back) for body in bodies)
