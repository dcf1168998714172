"""Find the text of a code object, and prove that it is the one.

A text proves a code object if the whole of it, compiled by this Python with the same future flags, contains a code object
that is equal (names, instructions, constants, positions; not the file's name) under the same qualified name and first line.
What travels is less: the top-level statement around it. From that alone some calls compile differently, though to the same
effect, which is why the proof takes the whole. Notebooks compile each statement of a cell by itself: there, that proves, too.

pytest rewrites the assertions of test modules before it compiles them. There the proof applies pytest's own rewriting to the
text; the plain text travels, which asserts the same with a shorter message.
"""

from __future__ import annotations
import __future__

import ast
import bisect
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any

from pangea.compute.capture.scan import nested, path_of
from pangea.compute.capture.sources import display_name, is_cell, texts

#: Names that the rewriting of pytest puts into code.
_REWRITTEN = "@pytest_ar"
#: Texts that stay parsed: their syntax trees take about fifty times their size.
_TEXTS_MAX = 32
_FUTURE_FLAGS = 0
for _name in __future__.all_feature_names:
    _FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag
_POSITIONS = 2
#: Who made code that has no text, by its file's name, and what to do.
_TIMED = ("timeit made it", "define it before, in a cell or a line of its own, and time its calls")
_MAKERS = {
    "<stdin>": ("Python keeps no text of what it reads through a pipe", "put it into a file, or behind python -c"),
    "<dynamic-code>": ("cloudpickle brought it without its text", "import it from a module there"),
    "<magic-timeit>": _TIMED,
    "<timeit-src>": _TIMED,
}
_MAKER = ("exec, a shell or another program made it", "put its text into a file or a notebook cell")


class UnprovedError(Exception):
    """No text proves a code object. The first argument says why, as the end of a sentence; the second what to do."""


@dataclass(frozen=True, eq=False)
class Statement:
    """Top-level statements of a text that share lines; mostly one.

    Attributes:
        file: the text's name in code objects.
        line: of the first line.
        text: whole lines.
        flags: future flags that the text was compiled with.
        optimize: level of optimisation.
    """

    file: str
    line: int
    text: str
    flags: int
    optimize: int


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the text of a code object is.

    Attributes:
        statement: around it.
        qualname: of the code object.
        line: its first line.
        column: of the lambda, where several of one qualified name begin on a line; None elsewhere.
    """

    statement: Statement
    qualname: str
    line: int
    column: int | None


@dataclass(frozen=True, eq=False)
class SourceText:
    """A text as it was compiled."""

    file: str
    text: str
    flags: int

    @cached_property
    def codes(self) -> dict[tuple[str, int], list[CodeType]]:
        """The code objects of the text, by qualified name and first line."""
        return self._indexed(self.text)

    @cached_property
    def apart(self) -> dict[tuple[str, int], list[CodeType]]:
        """The same of each top-level statement alone, as a notebook compiles them; none for files."""
        if not is_cell(self.file):
            return {}
        return self._indexed(*(ast.Module([node], []) for node in _parse(self.text).body))

    @cached_property
    def rewritten(self) -> dict[tuple[str, int], list[CodeType]]:
        """The same of the text as pytest rewrites it; none without pytest."""
        rewrite = sys.modules.get("_pytest.assertion.rewrite")
        if rewrite is None:
            return {}
        tree = _parse(self.text)
        rewrite.rewrite_asserts(tree, self.text.encode(), self.file)
        return self._indexed(tree)

    @cached_property
    def statements(self) -> list[Statement]:
        """The top-level statements, in the order of the text."""
        spans: list[list[int]] = []
        lines = self.text.split("\n")
        for node in _parse(self.text).body:
            start = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            end = node.end_lineno or node.lineno
            if spans and (start <= spans[-1][1] or _is_continued(lines, spans[-1][1], start)):
                spans[-1][1] = max(end, spans[-1][1])
            else:
                spans.append([start, end])
        optimize = sys.flags.optimize
        return [
            Statement(self.file, start, "\n".join(lines[start - 1 : end]) + "\n", self.flags, optimize) for start, end in spans
        ]

    def _indexed(self, *sources: str | ast.Module) -> dict[tuple[str, int], list[CodeType]]:
        with warnings.catch_warnings(action="ignore"):
            compiled = [compile(each, self.file, "exec", flags=self.flags, dont_inherit=True) for each in sources]
        index: dict[tuple[str, int], list[CodeType]] = {}
        for code in (inner for outer in compiled for inner in nested(outer)):
            index.setdefault((path_of(code.co_qualname), code.co_firstlineno), []).append(code)
        return index

    def proof_of(self, code: CodeType) -> Proof | None:
        """Where `code` is in this text; None if it isn't, or can't be told from its neighbours on the line."""
        place = (path_of(code.co_qualname), code.co_firstlineno)
        for codes in self._indices(code):
            candidates = codes.get(place, [])
            if any(same_code(code, each) for each in candidates):
                column = None if len(candidates) == 1 else self._column(code, candidates)
                statement = self._statement_at(code.co_firstlineno)
                if statement is not None and (len(candidates) == 1 or column is not None):
                    return Proof(statement, *place, column)
        return None

    def nearest(self, code: CodeType) -> list[CodeType]:
        """The code objects of the text that have the qualified name of `code`."""
        return [each for (qualname, _), found in self.codes.items() if qualname == path_of(code.co_qualname) for each in found]

    def _indices(self, code: CodeType) -> Iterator[dict[tuple[str, int], list[CodeType]]]:
        yield self.codes
        yield self.apart
        if any(_REWRITTEN in each.co_names for each in nested(code)):
            yield self.rewritten

    def _statement_at(self, line: int) -> Statement | None:
        index = bisect.bisect_right(self._starts, line)
        return self.statements[index - 1] if index else None

    @cached_property
    def _starts(self) -> list[int]:
        return [statement.line for statement in self.statements]

    def _column(self, code: CodeType, candidates: list[CodeType]) -> int | None:
        """The column of the innermost lambda around the instructions of `code`."""
        spots = [each for each in code.co_positions() if None not in each and each[_POSITIONS:] != (0, 0)]
        if not spots:  # an interpreter that keeps no columns (-X no_debug_ranges): they are in the order of the text
            columns = sorted(
                node.col_offset
                for node in ast.walk(_parse(self.text))
                if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno
            )
            index = next(index for index, each in enumerate(candidates) if same_code(code, each))
            return columns[index] if len(columns) == len(candidates) else None
        first, last = _extent(code)
        around = [
            node
            for node in ast.walk(_parse(self.text))
            if isinstance(node, ast.Lambda)
            and node.lineno == code.co_firstlineno
            and (node.lineno, node.col_offset) <= first
            and last <= (node.end_lineno or 0, node.end_col_offset or 0)
        ]
        return max((node.col_offset for node in around), default=None)


def _is_continued(lines: list[str], end: int, start: int) -> bool:
    """Whether a statement that ends on line `end` and the next, on line `start`, share a line that a backslash breaks.

    Behind the semicolon, such a line goes on: neither of the two statements has a text of whole lines.
    """
    return all(lines[number - 1].endswith("\\") for number in range(end, start)) and ";" in lines[end - 1]


def _extent(code: CodeType) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the first instruction of `code` begins, and the last one ends."""
    spots = [each for each in code.co_positions() if None not in each and each[_POSITIONS:] != (0, 0)]
    first = min((line or 0, column or 0) for line, _, column, _ in spots)
    return first, max((line or 0, column or 0) for _, line, _, column in spots)


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether both are equal in all but the file's name: `==` of code objects, and what that leaves out."""
    return one == other and all(
        first.co_exceptiontable == second.co_exceptiontable and first.co_flags == second.co_flags
        for first, second in zip(nested(one), nested(other), strict=True)
    )


@dataclass
class Prover:
    """The proofs of one capture."""

    found: dict[int, tuple[CodeType, Proof]] = field(default_factory=dict)
    #: The texts of a file that were looked at so far, and where more come from.
    texts: dict[tuple[str, int], tuple[list[SourceText], Iterator[SourceText]]] = field(default_factory=dict)

    def prove(self, code: CodeType, module_globals: Mapping[str, Any]) -> Proof:
        """The text of `code`.

        Raises:
            UnprovedError: there is none, or none that is equal.
        """
        known = self.found.get(id(code))
        if known is None:
            known = self.found[id(code)] = (code, self._prove(code, module_globals))
        return known[1]

    def _prove(self, code: CodeType, module_globals: Mapping[str, Any]) -> Proof:
        file, flags = code.co_filename, code.co_flags & _FUTURE_FLAGS
        if (file, flags) not in self.texts:
            self.texts[file, flags] = ([], _sources(file, flags, module_globals))
        seen, more = self.texts[file, flags]
        for source in seen:
            if proof := source.proof_of(code):
                return proof
        for source in more:
            seen.append(source)
            if proof := source.proof_of(code):
                return proof
        raise _unproved(code, seen)


def _sources(file: str, flags: int, module_globals: Mapping[str, Any]) -> Iterator[SourceText]:
    for text in texts(file, module_globals):
        source = _compiled(file, text, flags)
        if source is None and "await" in text:  # a cell may await without a function
            source = _compiled(file, text, flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if source is not None:
            yield source


@lru_cache(maxsize=_TEXTS_MAX)
def _compiled(file: str, text: str, flags: int) -> SourceText | None:
    """A text that compiles, or None. Whoever submits the same job again needn't have its file parsed again."""
    source = SourceText(file, text, flags)
    try:
        source.codes  # noqa: B018 (compiles)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return source


def _parse(text: str) -> ast.Module:
    """The syntax tree of `text`, without the warnings that its author has seen already."""
    with warnings.catch_warnings(action="ignore"):
        return ast.parse(text)


def _unproved(code: CodeType, seen: list[SourceText]) -> UnprovedError:
    where = f"{display_name(code.co_filename)}:{code.co_firstlineno}"
    if not seen or code.co_filename.startswith("<st"):  # <stdin>, <string>: names that any number of texts share
        maker, hint = _MAKERS.get(code.co_filename, _MAKER)
        return UnprovedError(f"has no source text ({where}): {maker}", hint)
    if any(_REWRITTEN in each.co_names for each in nested(code)):
        return UnprovedError(
            f"was compiled by pytest from another text than {where} has now",
            "load the file again, or keep the job outside of tests",
        )
    found = [each for source in seen for each in source.nearest(code)]
    if not found:
        return UnprovedError(
            f"isn't in the source text any more ({where}): it was edited since it was loaded", "load the file again"
        )
    other = min(found, key=lambda each: abs(each.co_firstlineno - code.co_firstlineno))
    what = _difference(code, other)
    hint = "load the file again"
    if what == "flags":
        hint = "leave out the decorator that changes the code itself, such as types.coroutine"
    return UnprovedError(f"isn't what its source text says now ({where}): its {what} differ", hint)


def _difference(code: CodeType, other: CodeType) -> str:
    """What differs first, in words."""
    parts = {
        "co_flags": "flags",
        "co_varnames": "parameters or variables",
        "co_freevars": "closure variables",
        "co_names": "names",
        "co_consts": "constants",
        "co_code": "instructions",
        "co_firstlineno": "line numbers",
    }
    for name, words in parts.items():
        if getattr(code, name) != getattr(other, name):
            return words
    return "positions"
