"""Which global names a definition uses, once it stands alone: what an archive has to carry along.

The question is Python's own to answer, so the definition is printed without what stays behind (Job's decorators and the
annotations of functions, which the guest never evaluates) and given to `symtable`.
"""

from __future__ import annotations

import ast
import copy
import symtable
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pangea.compute.client.sources import FunctionNode, Node

_COMPREHENSIONS = {"listcomp", "setcomp", "dictcomp", "genexpr"}


@dataclass
class Reach:
    """The global names of one definition, each with the line that uses it first.

    Attributes:
        at_definition: used when the definition runs: by decorators, defaults, bases, class bodies.
        at_call: used when the function, or a method, runs.
        annotations: used by a class's annotations alone, which `dataclass` may look at.
        lines: first line of use.
    """

    at_definition: set[str] = field(default_factory=set)
    at_call: set[str] = field(default_factory=set)
    annotations: set[str] = field(default_factory=set)
    lines: dict[str, int] = field(default_factory=dict)


def reached_names(node: Node, *, is_dropped: Callable[[ast.expr], bool]) -> Reach:
    """The global names that `node` uses.

    Args:
        node: a definition.
        is_dropped: whether a decorator of `node` itself stays behind.

    Raises:
        SyntaxError: the definition can't stand alone; it has a `nonlocal`.
    """
    stripper = _Stripper()
    kept = stripper.visit(copy.deepcopy(node))
    if not isinstance(kept, ast.Lambda):
        kept.decorator_list = [decorator for decorator in kept.decorator_list if not is_dropped(decorator)]
    statement = ast.Expr(kept) if isinstance(kept, ast.Lambda) else kept
    text = ast.unparse(ast.fix_missing_locations(ast.Module([statement], [])))
    reach = Reach(annotations=stripper.annotations)
    table = symtable.symtable(text, "<definition>", "exec")
    reach.at_definition |= {name.get_name() for name in table.get_symbols() if name.is_referenced() and not name.is_assigned()}
    for child in table.get_children():
        _collect(child, reach, at_definition=child.get_type() == "class" or child.get_name() in _COMPREHENSIONS)
    for used in ast.walk(node):
        if isinstance(used, ast.Name):
            reach.lines[used.id] = min(used.lineno, reach.lines.get(used.id, used.lineno))
    return reach


def imports_inside(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements anywhere in `node`, in the order of the text."""
    found = [child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)]
    yield from sorted(found, key=lambda statement: (statement.lineno, statement.col_offset))


def bare_defaults(node: FunctionNode) -> tuple[list[str | None], dict[str, str]]:
    """The defaults that are just a name: by position from the right end, and by keyword.

    Returns:
        For each positional default its name or None, and keyword to name.
    """
    positional = [default.id if isinstance(default, ast.Name) else None for default in node.args.defaults]
    keywords = {
        argument.arg: default.id
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if isinstance(default, ast.Name)
    }
    return positional, keywords


def _collect(table: symtable.SymbolTable, reach: Reach, *, at_definition: bool) -> None:
    names = {name.get_name() for name in table.get_symbols() if name.is_global()}
    (reach.at_definition if at_definition else reach.at_call).update(names)
    for child in table.get_children():
        is_run = at_definition and (child.get_type() == "class" or child.get_name() in _COMPREHENSIONS)
        _collect(child, reach, at_definition=is_run)


class _Stripper(ast.NodeTransformer):
    """Remove what stays behind, and keep the names of class annotations apart."""

    def __init__(self) -> None:
        self.annotations: set[str] = set()
        self._in_class = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._inside(node, in_class=True)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if self._in_class:
            self.annotations |= _names_of_annotation(node.annotation)
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self._inside(node, in_class=False)

    def _inside(self, node: ast.AST, *, in_class: bool) -> ast.AST:
        around, self._in_class = self._in_class, in_class
        try:
            return self.generic_visit(node)
        finally:
            self._in_class = around


def _names_of_annotation(annotation: ast.expr) -> set[str]:
    names = set()
    for part in ast.walk(annotation):
        if isinstance(part, ast.Name):
            names.add(part.id)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            try:
                names |= _names_of_annotation(ast.parse(part.value, mode="eval").body)
            except SyntaxError:
                continue
    return names
