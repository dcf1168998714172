"""Find the source text of functions and classes, and make sure that it is the text they were compiled from.

A function's text comes from `linecache` (notebook cells, newer interactive shells, `exec` with a cache entry), from its file,
from the command line (`python -c`), from standard input when that is a regular file, or from the history of an interactive
shell. Whatever it comes from, it is compiled again and compared with the function's own code: a text that has changed since
is never used.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import linecache
import os
import stat
import sys
import textwrap
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType, FunctionType
from typing import Any

from pangea.compute.model.errors import JobDefinitionError

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Node = FunctionNode | ast.ClassDef

#: Flags of `from __future__ import annotations`, which changes no code but the annotations': kept when a text is compiled again.
_FUTURE_FLAGS = __future__.annotations.compiler_flag
#: pytest compiles assertions its own way, so that the code of a function with one never matches its text.
_REWRITTEN = "@pytest_ar"
_HISTORY_LINES = 5000
#: Texts that stay parsed: their syntax trees take about fifty times their size.
_TEXTS_MAX = 32


def display_name(file: str) -> str:
    """The name of `file` without its folder, so that it is the same wherever the file lies."""
    return file if file.startswith("<") else os.path.basename(file)  # noqa: PTH119 (not always a path)


def is_cell(file: str) -> bool:
    """Whether `file` is a notebook cell or an interactive input: in no file, with a name that changes from run to run."""
    return file != "<string>" and (file.startswith("<") or not os.path.exists(file))  # noqa: PTH110


@dataclass(frozen=True, eq=False)
class SourceText:
    """A text that was compiled: a module's file, a cell, an interactive input.

    Attributes:
        file: the file name that its code objects carry.
        text: the text, with Unix line ends.
        flags: of the compiler.
    """

    file: str
    text: str
    flags: int = 0

    @cached_property
    def lines(self) -> list[str]:
        """The lines as Python's tokenizer counts them, without line ends."""
        return self.text.split("\n")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return parse(self.text)

    @cached_property
    def codes(self) -> list[CodeType]:
        """The code objects of the text, those inside others included."""
        with warnings.catch_warnings(action="ignore"):
            return list(_nested(compile(self.text, self.file, "exec", flags=self.flags, dont_inherit=True)))

    @cached_property
    def scopes(self) -> dict[ast.AST, tuple[ast.AST, ...]]:
        """For every definition: the functions and classes around it, outermost first."""
        found: dict[ast.AST, tuple[ast.AST, ...]] = {}
        pending: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(self.tree, ())]
        while pending:
            node, around = pending.pop()
            inside = around
            if isinstance(node, Node):
                found[node] = around
                inside = (*around, node)
            pending += [(child, inside) for child in ast.iter_child_nodes(node)]
        return found

    def definition(self, code: CodeType) -> FunctionNode | None:
        """The node that `code` was compiled from, or None if the text holds another one, or none."""
        if not self.has_code(code):
            return None
        nodes = [node for node in self.scopes if isinstance(node, FunctionNode) and _begins(node, code)]
        if code.co_name == "<lambda>" and len(nodes) > 1:
            nodes = _innermost_around(nodes, code)
        return nodes[0] if len({ast.dump(node) for node in nodes}) == 1 else None

    def classes(self, name: str) -> list[ast.ClassDef]:
        """The definitions of classes called `name`, last first."""
        found = [node for node in self.scopes if isinstance(node, ast.ClassDef) and node.name == name]
        return sorted(found, key=lambda node: -node.lineno)

    def has_code(self, code: CodeType) -> bool:
        """Whether `code` was compiled from this text."""
        if _REWRITTEN in _all_names(code):
            return True
        start = (code.co_name, code.co_firstlineno)
        return any(same_code(code, other) for other in self.codes if (other.co_name, other.co_firstlineno) == start)


def parse(text: str | bytes) -> ast.Module:
    """The syntax tree of `text`, without the warnings that its author has seen already."""
    with warnings.catch_warnings(action="ignore"):
        return ast.parse(text)


def first_line(node: Node) -> int:
    """The first line of a definition, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether both were compiled from the same text; line numbers don't count."""
    names = ("co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount", "co_kwonlyargcount")
    if any(getattr(one, name) != getattr(other, name) for name in names) or len(one.co_consts) != len(other.co_consts):
        return False
    return all(map(_same_constant, one.co_consts, other.co_consts))


@lru_cache(maxsize=_TEXTS_MAX)
def _compiled(file: str, text: str, flags: int) -> SourceText | None:
    """A text that compiles, or None. Whoever submits the same job again needn't have its file parsed again."""
    source = SourceText(file, text, flags)
    try:
        source.codes  # noqa: B018 (compiles)
    except (SyntaxError, ValueError):
        return None
    return source


class Sources:
    """The texts of one extraction."""

    def __init__(self, module_globals: Mapping[str, Any]) -> None:
        """Look for the texts of the module whose globals are given."""
        self._globals = module_globals

    def function(self, function: FunctionType) -> tuple[SourceText, FunctionNode]:
        """The text of `function` and its node in it.

        Raises:
            JobDefinitionError: there is no text, or it has changed since the function was made from it.
        """
        code, seen = function.__code__, False
        for source in self._candidates(code.co_filename, code.co_flags & _FUTURE_FLAGS):
            seen = True
            if node := source.definition(code):
                return source, node
        where = f"{function.__name__} ({display_name(code.co_filename)}:{code.co_firstlineno})"
        if seen and not code.co_filename.startswith("<st"):  # <stdin>, <string>: names that any number of texts share
            raise JobDefinitionError(f"the source of {where} has changed since it was loaded", hint="load the file again")
        raise JobDefinitionError(f"the source of {where} can't be found", hint="put the job into a file or a notebook cell")

    def class_(self, cls: type) -> tuple[SourceText, ast.ClassDef] | None:
        """The text of `cls` and its node in it, or None if no `class` statement made it.

        Raises:
            JobDefinitionError: the text has changed since the class was made from it.
        """
        methods = [method.__code__ for method in methods_of(cls)]
        changed = False
        for source in self._class_candidates(methods):
            for node in source.classes(cls.__name__):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                # Not what decorators made: a wrapper from elsewhere, or the methods that dataclass writes.
                defined = {child.name for child in ast.walk(node) if isinstance(child, ast.FunctionDef)}
                own = [code for code in methods if code.co_filename == source.file and code.co_name in defined]
                if all(code.co_firstlineno in lines and source.has_code(code) for code in own):
                    return source, node
                changed = True
        if changed:
            what = f"the source of {cls.__qualname__}"
            raise JobDefinitionError(f"{what} has changed since it was loaded", hint="load the file again")
        return None

    def _class_candidates(self, methods: list[CodeType]) -> Iterator[SourceText]:
        files = [code.co_filename for code in methods]
        files += [str(self._globals["__file__"])] if "__file__" in self._globals else []
        files += ["<string>", "<stdin>"]
        files += [file for file in reversed(list(linecache.cache)) if is_cell(file)]
        for file in dict.fromkeys(files):
            with contextlib.suppress(SyntaxError, ValueError):
                yield from self._candidates(file, 0)

    def _candidates(self, file: str, flags: int) -> Iterator[SourceText]:
        seen: set[str] = set()
        for text in _texts(file, self._globals):  # one by one: most often the first is it, and costs no look at the disk
            if text not in seen and text.strip() and (source := _compiled(file, text, flags)) is not None:
                yield source
            seen.add(text)


def methods_of(cls: type) -> list[FunctionType]:
    """The functions in a class's own body: methods, and those behind properties, class methods and static methods."""
    found = []
    for value in vars(cls).values():
        parts = [value, *(getattr(value, name, None) for name in ("__func__", "fget", "fset", "fdel", "func", "__wrapped__"))]
        found += [part for part in parts if isinstance(part, FunctionType) and part.__module__ == cls.__module__]
    return found


def _texts(file: str, module_globals: Mapping[str, Any]) -> Iterator[str]:
    """The texts that `file` may stand for, likeliest first."""
    yield _normal("".join(linecache.getlines(file, dict(module_globals))))
    with contextlib.suppress(OSError, SyntaxError, UnicodeDecodeError), tokenize.open(file) as stream:
        yield _normal(stream.read())
    if file == "<string>" and (command := _command_line_text()) is not None:
        yield _normal(command)
        yield _normal(textwrap.dedent(command))
    if file == "<stdin>":
        whole = _standard_input_text()
        yield _normal(whole)
        yield from map(_normal, _inputs_of(whole.splitlines()))  # `python -i < file` compiles them one by one
        yield from map(_normal, _inputs_of(_history()))


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"


def _command_line_text() -> str | None:
    """The argument of `python -c`."""
    arguments = iter(sys.orig_argv[1:])
    for argument in arguments:
        if not argument.startswith("-") or argument.startswith("--"):
            continue
        for index, option in enumerate(argument[1:], 2):
            rest = argument[index:]
            if option == "c":
                return rest or next(arguments, None)
            if option in "WX":
                _ = rest or next(arguments, None)
                break
    return None


def _standard_input_text() -> str:
    try:
        about = os.fstat(0)
        return os.pread(0, about.st_size, 0).decode() if stat.S_ISREG(about.st_mode) else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _inputs_of(lines: list[str]) -> Iterator[str]:
    """Blocks typed into an interactive shell, latest first; a definition starts at its own line 1."""
    for start in reversed(range(len(lines))):
        if lines[start].startswith(("def ", "@", "class ", "async ")) or "lambda" in lines[start]:
            end = start + 1
            while end < len(lines) and (lines[end].startswith((" ", "\t", ")", "]", "}")) or lines[end - 1].startswith("@")):
                end += 1
            yield "\n".join(lines[start:end])


def _history() -> list[str]:
    readline = sys.modules.get("readline")
    if readline is None:
        return []
    count = readline.get_current_history_length()
    return [readline.get_history_item(index) or "" for index in range(max(1, count - _HISTORY_LINES), count + 1)]


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _all_names(code: CodeType) -> Iterable[str]:
    return (name for inner in _nested(code) for name in inner.co_names)


def _same_constant(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return same_code(one, other)
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def _begins(node: FunctionNode, code: CodeType) -> bool:
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    return name == code.co_name and first_line(node) == code.co_firstlineno


def _innermost_around(nodes: list[FunctionNode], code: CodeType) -> list[FunctionNode]:
    """Of several lambdas on one line, the smallest that holds every instruction of `code`."""
    starts, ends = [], []
    for line, end_line, column, end_column in code.co_positions():
        if line is not None and end_line is not None and column is not None and end_column:
            starts.append((line, column))
            ends.append((end_line, end_column))
    if not starts:  # an interpreter that keeps no columns (-X no_debug_ranges)
        return nodes
    around = []
    for node in nodes:
        assert isinstance(node, ast.Lambda)
        body = node.body
        start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
        if start <= min(starts) and max(ends) <= end:
            around.append((start, end, node))
    return [max(around, key=lambda found: found[0])[2]] if around else []
