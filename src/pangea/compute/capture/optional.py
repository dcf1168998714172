"""Parts in C that a package can do without, as it says itself.

Such a part has a twin in Python beside it, or all that imports it handles that it can't be had. The sandbox has no such parts, so
there the package does what it does on a machine for which nobody has compiled it.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TypeGuard

from pangea.compute.capture.hindrances import imported_modules, imports_inside

#: A package with more parts in C isn't looked through.
NATIVES_MAX = 24
_ALONE_MAX = 4
_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
Name = tuple[str, ...]


def can_do_without(found: list[Name], folder: Path, package: str) -> bool:
    """Whether a package works without its parts in C.

    Args:
        found: the parts, below `folder`.
        folder: of the package.
        package: its full name.
    """
    stems = {(*name[:-1], name[-1].partition(".")[0]) for name in found}
    alone = {name for name in stems if not folder.joinpath(*name[:-1], f"{name[-1]}.py").is_file()}
    if len(alone) > _ALONE_MAX:
        return False
    modules = {".".join((package, *name)) for name in alone}
    word = re.compile("|".join(rf"\b{re.escape(name[-1])}\b" for name in sorted(alone))) if alone else None
    seen: set[str] = set()
    needing: set[str] = set()
    for path in sorted(folder.rglob("*.py")) if word is not None else ():
        text = path.read_text("utf-8", "replace")
        if word is not None and word.search(text):
            parts = path.relative_to(folder).parts
            named, needed = _imported(text, ".".join((package, *parts[:-1])), modules)
            seen |= named
            if needed:
                needing.add(".".join((package, *parts)).removesuffix(".py").removesuffix(".__init__"))
    return seen == modules and (not needing or (package not in needing and _only_expected(needing, folder, package)))


def _only_expected(modules: set[str], folder: Path, package: str) -> bool:
    """Whether all that import such modules of a package handle that they can't be had, as PyYAML does."""
    paths = [path for path in sorted(folder.rglob("*.py")) if not {"test", "tests"} & {*path.relative_to(folder).parts}]
    around = [(path.read_text("utf-8", "replace"), ".".join((package, *path.relative_to(folder).parts[:-1]))) for path in paths]
    found = [_imported(text, name, modules) for text, name in around]
    return not any(needed for _, needed in found) and set().union(*(named for named, _ in found)) == modules


def is_native(module: str) -> bool:
    """Whether a loaded module is in C, with no text beside it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not isinstance(file, str) or not file.endswith(tuple(EXTENSION_SUFFIXES)):
        return False
    return not Path(file).with_name(f"{Path(file).name.partition('.')[0]}.py").is_file()


def _imported(text: str, package: str, modules: set[str]) -> tuple[set[str], bool]:
    """Which of `modules` a text imports, and whether it does so where it doesn't handle that it fails."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set(), False
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try) and _expects_errors(node)]
    told = {name.id for node in tries for each in node.orelse for name in ast.walk(each) if _is_set(name)}
    asked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id in told
    ]
    parts = [part for node in tries for part in (*node.body, *node.handlers, *node.orelse)]
    parts += [part for node in asked for part in node.body]
    handled = {id(each) for part in parts for each in ast.walk(part)}
    found: set[str] = set()
    is_needed = False
    for statement in imports_inside(tree):
        named = modules & set(imported_modules(statement, package))
        found |= named
        is_needed |= bool(named) and id(statement) not in handled
    return found, is_needed


def _is_set(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _expects_errors(node: ast.Try) -> bool:
    """Whether a `try` statement handles that an import fails."""
    return any(kind is None or kind in _ERRORS for handler in node.handlers for kind in _kinds(handler.type))


def _kinds(written: ast.expr | None) -> list[str | None]:
    if isinstance(written, ast.Tuple):
        return [kind for each in written.elts for kind in _kinds(each)]
    return [written.id if isinstance(written, ast.Name) else None if written is None else ""]
