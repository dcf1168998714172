"""Bring an imported name along: by the user's own import statement if there is one, else by where its value says it is from."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pangea.compute.client.packages import absolute_module
from pangea.compute.client.sources import Node, SourceText

_ABSENT = object()


def statements_for(name: str, value: Any, source: SourceText, node: ast.AST, package: str) -> list[tuple[str, str]]:
    """The import statements that bind `name` to `value`, in the module or in the functions around `node`.

    Returns:
        For each: its text, reduced to this name and with an absolute module, and the module that it loads.
    """
    found = []
    for statement in _visible(source, node):
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                entry = _plain_import(alias, name, value)
            else:
                entry = _from_import(absolute_module(statement, package), alias, name, value)
            if entry and entry not in found:
                found.append(entry)
    return found


def by_value(name: str, value: Any) -> tuple[str, str] | None:
    """An import statement that binds `name` to `value`, and the module that it loads; None if there is no such."""
    if isinstance(value, ModuleType):
        module = value.__name__
        if sys.modules.get(module) is not value:
            return None
        return (f"import {module}" if module == name else f"import {module} as {name}"), module
    for module, attribute in _homes(value):
        if "." not in attribute and _lookup(module, attribute) is not _ABSENT:
            suffix = "" if attribute == name else f" as {name}"
            return f"from {module} import {attribute}{suffix}", module
    return None


def dotted(value: Any) -> tuple[str, str] | None:
    """The module and the dotted name in it under which `value` is found, or None."""
    return next(_homes(value), None)


def _homes(value: Any) -> Iterator[tuple[str, str]]:
    owner = getattr(value, "__objclass__", None) or getattr(value, "__self__", None)
    modules = [getattr(value, "__module__", None), getattr(owner, "__module__", None), getattr(type(owner), "__module__", None)]
    for module in modules:
        for attribute in (getattr(value, "__qualname__", None), getattr(value, "__name__", None)):
            if isinstance(module, str) and isinstance(attribute, str):
                found = _lookup(module, attribute)
                if found is value or (found is not _ABSENT and owner is not None and found == value):
                    yield module, attribute


def _lookup(module: str, attribute: str) -> Any:
    found: Any = builtins if module == "builtins" else sys.modules.get(module)
    for part in attribute.split("."):
        found = getattr(found, part, _ABSENT) if found is not None else _ABSENT
    return found


def _visible(source: SourceText, node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements outside of any function, and those in the functions around `node`."""
    pending: list[ast.AST] = [source.tree, *source.scopes.get(node, ())]
    while pending:
        here = pending.pop(0)
        for child in ast.iter_child_nodes(here):
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child
            elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(child, Node):
                pending.append(child)


def _plain_import(alias: ast.alias, name: str, value: Any) -> tuple[str, str] | None:
    bound = alias.asname or alias.name.partition(".")[0]
    loaded = sys.modules.get(alias.name if alias.asname else bound)
    if bound != name or loaded is not value or alias.name not in sys.modules:
        return None
    return f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""), alias.name


def _from_import(module: str, alias: ast.alias, name: str, value: Any) -> tuple[str, str] | None:
    if not module or alias.name == "*" or (alias.asname or alias.name) != name:
        return None
    found = getattr(sys.modules.get(module), alias.name, _ABSENT)
    if found is not value and not _is_equal_method(found, value):
        return None
    loaded = f"{module}.{alias.name}" if isinstance(value, ModuleType) and f"{module}.{alias.name}" in sys.modules else module
    return f"from {module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else ""), loaded


def _is_equal_method(found: Any, value: Any) -> bool:
    """Whether both are the same method of the same object, as `random.randint` is."""
    return hasattr(found, "__self__") and hasattr(value, "__self__") and bool(found == value)
