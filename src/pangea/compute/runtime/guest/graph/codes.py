"""Code objects from the user's own text, lifted out of what it compiles to: no statement of it is executed.

What the standard library or a package made is lifted out of theirs.
"""

from __future__ import annotations

import ast
import importlib
import types
from collections.abc import Iterator
from typing import Any

from pangea.compute.runtime.guest.graph.remembering import remember
from pangea.compute.runtime.guest.library import MemoryFinder

Index = dict[tuple[str, int], list[types.CodeType]]
_COMPREHENSIONS = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}
_LOCALS = ".<locals>."


class Codes:
    """The code objects of one job, compiled as they are asked for."""

    def __init__(self, graph: dict[str, Any], text: str, packages: MemoryFinder) -> None:
        """Read what is where in `text`, the archive's `job.py`."""
        self._codes: list[list[Any]] = graph["codes"]
        self._statements: list[list[Any]] = graph["statements"]
        self._lines: list[str] = text.split("\n")
        self._packages = packages
        self._indices: dict[int, Index] = {}
        self._found: dict[int, types.CodeType] = {}

    def code(self, number: int) -> types.CodeType:
        """The code object of that number."""
        found = self._found.get(number)
        if found is None:
            written = self._codes[number]
            found = self._of_library(*written[1:]) if written[0] == "library" else self._of_text(*written)
            self._found[number] = found
        return found

    def _of_text(self, statement: int, qualname: str, line: int, column: int | None = None) -> types.CodeType:
        if statement not in self._indices:
            self._indices[statement] = _index(self._compiled(statement))
        found = self._indices[statement].get((qualname, line), [])
        if column is not None:
            found = _lambda_at(self._padded(statement), line, column, found)
        if not found:
            raise ValueError(f"{qualname}, line {line}, isn't in the text that came with the job")
        return found[0]

    def _compiled(self, statement: int) -> types.CodeType:
        start, count, file, origin, flags, optimize = self._statements[statement]
        remember(file, [f"{line}\n" for line in self._lines[start - 1 : start - 1 + count]], origin)
        code: types.CodeType = compile(self._padded(statement), file, "exec", flags=flags, dont_inherit=True, optimize=optimize)
        return code

    def _padded(self, statement: int) -> str:
        """The statement's text, behind so many empty lines that it is on its own lines of the user's file."""
        start, count, _, origin = self._statements[statement][:4]
        lines = ["" for _ in range(1, origin)]
        return "\n".join([*lines, *self._lines[start - 1 : start - 1 + count], ""])

    def _of_library(self, module: str, qualname: str, freevars: list[str], parameters: list[str], line: int) -> types.CodeType:
        """What this Python, or the package that came along, has under that name; of several, the one on that line."""
        found: dict[types.CodeType, None] = {}
        for code in self._library_codes(module, qualname.partition(_LOCALS)[0]):
            for each in nested(code):
                named = each.co_varnames[: each.co_argcount + each.co_kwonlyargcount]
                if each.co_qualname == qualname and sorted(each.co_freevars) == sorted(freevars) and list(named) == parameters:
                    found[each] = None
        several = [each for each in found if each.co_firstlineno == line] if len(found) > 1 else list(found)
        if len(several) != 1:
            raise ImportError(f"{qualname} of {module} is another one in this version of Python")
        return several[0]

    def _library_codes(self, module: str, outermost: str) -> Iterator[types.CodeType]:
        found: Any = importlib.import_module(module)
        for part in outermost.split("."):
            owner, found = found, getattr(found, part, None)
        while found is not None:
            plain = getattr(found, "__func__", found)
            if isinstance(plain, types.FunctionType):
                yield plain.__code__
            found = getattr(found, "__wrapped__", None)
        for each in vars(owner).values():
            if isinstance(each, types.FunctionType):
                yield each.__code__
        if module in self._packages.library:
            yield self._packages.code(module)


def nested(code: types.CodeType) -> Iterator[types.CodeType]:
    """`code` and all code objects inside it, outermost first."""
    pending = [code]
    while pending:
        one = pending.pop()
        yield one
        pending += [constant for constant in reversed(one.co_consts) if isinstance(constant, types.CodeType)]


def path_of(qualname: str) -> str:
    """A qualified name without comprehensions: whether those are scopes differs between versions of Python."""
    return ".".join(part for part in qualname.split(".") if part not in _COMPREHENSIONS)


def _index(code: types.CodeType) -> Index:
    index: Index = {}
    for each in nested(code):
        index.setdefault((path_of(each.co_qualname), each.co_firstlineno), []).append(each)
    return index


def _lambda_at(text: str, line: int, column: int, codes: list[types.CodeType]) -> list[types.CodeType]:
    """Of several lambdas that begin on a line, the one at `column`: the code whose innermost lambda it is."""
    lambdas = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda) and node.lineno == line]
    spans = [(node.col_offset, (node.end_lineno or 0, node.end_col_offset or 0)) for node in lambdas]
    return [code for code in codes if _column_of(code, line, spans) == column]


def _column_of(code: types.CodeType, line: int, spans: list[tuple[int, tuple[int, int]]]) -> int | None:
    """Where the innermost of the lambdas begins that is around all instructions of `code`."""
    spots = [each for each in code.co_positions() if None not in each and each[2:] != (0, 0)]
    first = min((start, left) for start, _, left, _ in spots)
    last = max((end, right) for _, end, _, right in spots)
    return max((column for column, end in spans if (line, column) <= first and last <= end), default=None)
