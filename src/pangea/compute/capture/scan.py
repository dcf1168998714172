"""What a code object reaches by name: globals, attributes of them, imports. Read from the bytecode, which is what runs.

Only the names that instructions load are reached, so that an attribute called like a global takes nothing along.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

_OPCODES = dis.opmap
_NAMES = {number: name for name, number in _OPCODES.items()}
_EXTENDED_ARG = _OPCODES["EXTENDED_ARG"]
#: By how much an argument is shifted where it holds flags, too.
_SHIFTS = {"LOAD_GLOBAL": 1, "LOAD_SUPER_ATTR": 2}
if sys.version_info >= (3, 12):
    _SHIFTS["LOAD_ATTR"] = 1
_GLOBAL = {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR", "LOAD_SUPER_ATTR"}
_READ = {"LOAD_ATTR", "LOAD_METHOD"}
_NAMING = {*_GLOBAL, *_ATTRIBUTE, "STORE_NAME", "IMPORT_NAME", "IMPORT_FROM"}
#: Load a closure variable.
_CLOSURE = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_LOADS = {"LOAD_CONST", "LOAD_SMALL_INT"}
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_QUIET = {"CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement inside a function.

    Attributes:
        module: as written.
        level: leading dots.
        names: what a `from` import binds.
        is_guarded: whether the function handles exceptions there, as those do that can do without the module.
    """

    module: str
    level: int
    names: tuple[str, ...]
    is_guarded: bool


@dataclass(slots=True)
class Scan:
    """What one code object and those inside it name.

    Attributes:
        names: of globals, or built-ins.
        chains: for each of them, and each closure variable, the attributes that are read of it at once: of `os.path.join`
            they are ("path", "join").
        escaping: names whose object goes elsewhere: passed on, bound to a variable, stored into.
        attributes: every attribute name.
        imports: import statements.
    """

    names: set[str] = field(default_factory=set)
    chains: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    escaping: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    imports: set[Import] = field(default_factory=set)


def scan(code: CodeType) -> Scan:
    """What `code` reaches by name, the code objects inside it included."""
    found = Scan()
    for each in nested(code):
        _Reader(each, found).read()
    return found


def nested(code: CodeType) -> Iterator[CodeType]:
    """`code` and all code objects inside it, outermost first."""
    pending = [code]
    while pending:
        one = pending.pop()
        yield one
        pending += [constant for constant in reversed(one.co_consts) if isinstance(constant, CodeType)]


def path_of(qualname: str) -> str:
    """A qualified name without comprehensions: whether those are scopes differs between versions of Python."""
    parts = qualname.split(".")
    return ".".join(part for part in parts if part not in _COMPREHENSIONS)


def line_of(code: CodeType, name: str) -> int:
    """The first line on which `code` uses the global, or the closure variable, called `name`; its own first line if none."""
    for each in nested(code):
        for instruction in dis.get_instructions(each):
            if instruction.argval == name and instruction.positions and instruction.positions.lineno:
                return instruction.positions.lineno
    return code.co_firstlineno


class _Reader:
    """Reads the instructions of one code object."""

    def __init__(self, code: CodeType, found: Scan) -> None:
        self.code = code
        self.found = found
        self.bound: set[str] = set()
        self.current = ""
        self.chain: list[str] = []
        self.loaded: list[Any] = []
        self.offset = 0

    def read(self) -> None:
        for name, argument, offset in _instructions(self.code):
            self.offset = offset
            if name in _LOADS:
                self.close()
                self.loaded.append(argument if name == "LOAD_SMALL_INT" else self.code.co_consts[argument])
                continue
            if name in _NAMING:
                self.name(name, self.code.co_names[argument])
            elif name in _CLOSURE:
                self.close()
                self.current = self.code._varname_from_oparg(argument)  # type: ignore[attr-defined]  # as `dis` does
            else:
                self.close()
            self.loaded.clear()
        self.close()

    def name(self, instruction: str, symbol: str) -> None:
        """An instruction that names something."""
        if instruction in _READ and self.current:
            self.found.attributes.add(symbol)
            self.chain.append(symbol)
            return
        self.close()
        if instruction in _ATTRIBUTE or instruction == "IMPORT_FROM":
            self.found.attributes.add(symbol)
        elif instruction == "IMPORT_NAME":
            self.found.imports.add(_import(symbol, self.loaded, is_guarded=self.is_guarded()))
        elif instruction == "STORE_NAME":
            self.bound.add(symbol)
        elif not (instruction == "LOAD_NAME" and symbol in self.bound):
            self.found.names.add(symbol)
            self.current = "" if instruction == "STORE_GLOBAL" else symbol

    def is_guarded(self) -> bool:
        """Whether exceptions of the present instruction are handled in this code object."""
        entries = dis._parse_exception_table(self.code)  # type: ignore[attr-defined]  # as `dis` does
        return any(each.start <= self.offset < each.end for each in entries)

    def close(self) -> None:
        """What was loaded goes elsewhere now."""
        if self.current:
            self.found.chains.setdefault(self.current, set()).add(tuple(self.chain))
            if not self.chain:
                self.found.escaping.add(self.current)
        self.current, self.chain = "", []


def _instructions(code: CodeType) -> Iterator[tuple[str, int, int]]:
    """Name, argument and offset of each instruction, with the flag bits of the argument shifted out."""
    raw, extended = code.co_code, 0
    for index in range(0, len(raw), 2):
        opcode, argument = raw[index], raw[index + 1] | extended
        if opcode == _EXTENDED_ARG:
            extended = argument << 8
            continue
        extended = 0
        name = _NAMES.get(opcode, "")
        if name in _QUIET:
            continue
        yield name, argument >> _SHIFTS.get(name, 0), index


def _import(module: str, loaded: list[Any], *, is_guarded: bool) -> Import:
    """The import whose level and names were loaded just before it."""
    level, names = loaded[-2:] if len(loaded) > 1 else (0, None)
    bound = tuple(names) if isinstance(names, tuple) else ()
    return Import(module, level if isinstance(level, int) else 0, bound, is_guarded)
