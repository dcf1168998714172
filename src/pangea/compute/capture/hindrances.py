"""Whether a pure-Python module can be imported in a job at all, by what its text imports at once.

Statements inside functions, conditions and `try` may never run, or have another way: they don't count. So what a package can do
without is absent in a job where it couldn't be imported, as where it isn't installed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_INIT = "__init__.py"


class Imports(NamedTuple):
    """Full names of the modules that a file imports.

    Attributes:
        all: anywhere (`from a import b` may load `a.b`).
        at_once: whenever it is imported itself; of `from a import b`, `a` alone.
        parts: what it takes at once out of packages, each of which is a module only where there is one of that name.
    """

    all: tuple[str, ...]
    at_once: tuple[str, ...]
    parts: tuple[str, ...]


def imports_of(path: Path, package: str) -> Imports | None:
    """What a file imports; None if it is no Python.

    Args:
        path: the file.
        package: full name of the package that its relative imports start from.
    """
    known = path.stat()
    return _imports_of(path, package, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=1 << 14)
def _imports_of(path: Path, package: str, _modified_ns: int, _size: int) -> Imports | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None  # a template, or a test of a parser
    at_once = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    loaded = [name for each in at_once for name in _loaded(each, package)]
    everything = (name for each in imports_inside(tree) for name in imported_modules(each, package))
    named = [name for each in at_once for name in imported_modules(each, package)]
    return Imports(tuple(everything), tuple(loaded), tuple(name for name in named if name not in loaded))


def _loaded(statement: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    return [name.name for name in statement.names] if isinstance(statement, ast.Import) else [absolute_module(statement, package)]


def imports_inside(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements anywhere in `node`, in the order of the text."""
    found = [child for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom)]
    yield from sorted(found, key=lambda statement: (statement.lineno, statement.col_offset))


def imported_modules(statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Full names of the modules that `statement` may load (`from a import b` may load `a.b`)."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    module = absolute_module(statement, package)
    if module:
        yield module
        yield from (f"{module}.{alias.name}" for alias in statement.names if alias.name != "*")


def absolute_module(statement: ast.ImportFrom, package: str) -> str:
    """The module of a `from` import, with leading dots resolved; "" if there is no package to start from."""
    if not statement.level:
        return statement.module or ""
    parts = package.split(".") if package else []
    if statement.level > len(parts):
        return ""
    around = parts[: len(parts) - statement.level + 1]
    return ".".join([*around, *([statement.module] if statement.module else [])])


class Hindrances:
    """What keeps pure-Python modules from being imported in a job."""

    def __init__(self, folder_of: Callable[[str], Path | None], is_lacking: Callable[[str], bool]) -> None:
        """Know nothing yet.

        Args:
            folder_of: the folder that holds a package's or module's file, by the first part of its name; None if it has no file
                of Python, or travels by value.
            is_lacking: whether a job can't have a module, whatever imports it.
        """
        self._folder_of = folder_of
        self._is_lacking = is_lacking
        self._found: dict[str, str | None] = {}

    def of(self, module: str) -> str | None:
        """The first module that importing `module` takes and a job hasn't; None if there is none."""
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            if (found := self._of_one(".".join(parts[:end]))) is not None:
                return found
        return None

    def _of_one(self, module: str) -> str | None:
        if module not in self._found:
            self._found[module] = None  # while its own imports are followed: they may come back here
            self._found[module] = self._looked_for(module)
        return self._found[module]

    def _looked_for(self, module: str) -> str | None:
        for name in self.at_once(module):
            if self._is_lacking(name):
                return name
            if (found := self.of(name)) is not None:
                return found
        return None

    def at_once(self, module: str) -> list[str]:
        """The modules that a module takes whenever it is imported itself."""
        path = self._file_of(module)
        package = module if path is not None and path.name == _INIT else module.rpartition(".")[0]
        imports = imports_of(path, package) if path is not None else None
        if imports is None:
            return []
        named = (*imports.at_once, *(each for each in imports.parts if self._file_of(each) is not None))
        return [name for name in named if name]

    def _file_of(self, module: str) -> Path | None:
        top, _, rest = module.partition(".")
        folder = self._folder_of(top)
        if folder is None:
            return None
        within = folder.joinpath(top, *rest.split(".")) if rest else folder / top
        found = (path for path in (within / _INIT, within.with_name(f"{within.name}.py")) if path.is_file())
        return next(found, None)
