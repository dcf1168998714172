"""Take a job's functions out of the user's program, with everything that they use.

Starting from the functions, every global name and closure variable is looked up and turned into a piece of source text that
binds the same name in the sandbox: the user's own text for functions and classes of their module, an import statement for what
is imported, a literal for a value. What has no text is an error that names the variable and the line that uses it.

A definition's text is exact, line by line, so that a traceback in the sandbox shows the user's own lines. It stands alone:
closures become globals, therefore one name can have one value only.
"""

from __future__ import annotations

import ast
import builtins
import collections
import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

from pangea.compute.client import imports
from pangea.compute.client.names import Reach, bare_defaults, reached_names
from pangea.compute.client.packages import Home, Packages
from pangea.compute.client.sources import (
    FunctionNode,
    Node,
    Sources,
    SourceText,
    display_name,
    first_line,
    is_cell,
    methods_of,
)
from pangea.compute.client.values import UnwritableError, expression
from pangea.compute.model.errors import JobDefinitionError

#: What every module has; a job's module has its own.
_OF_EVERY_MODULE = {
    *("__name__", "__file__", "__doc__", "__builtins__", "__debug__", "__spec__", "__loader__", "__package__", "__class__")
}
_ROLES = {"define", "split", "execute", "merge"}
_ABSENT = object()
_HINT_VALUE = "pass it in the chunk, or make it inside the function"
_HINT_NATIVE = "the sandbox runs Python and its standard library only: use a pure-Python package"


@dataclass(frozen=True)
class Site:
    """Where a name is used: the function, its file and the line."""

    user: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.user} ({'<cell>' if is_cell(self.file) else display_name(self.file)}:{self.line})"


@dataclass(eq=False)
class Piece:
    """Text that binds one global name.

    Attributes:
        name: the name.
        value: what it is bound to in the user's program.
        site: its first use.
        text: source text, with a line end.
        is_import: whether it goes to the top.
        source: where the text is from; None for text that was made here.
        node: the definition in `source`.
        line: the text's first line in `source`.
        is_indented: whether the text is a block inside another.
        before: names that the text uses when it runs.
        after: names that it uses later.
    """

    name: str
    value: Any
    site: Site
    text: str = ""
    is_import: bool = False
    source: SourceText | None = None
    node: Node | None = None
    line: int = 0
    is_indented: bool = False
    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)


class Extractor:
    """The pieces of one job. `add_function` for each role, then read `pieces` and `packages`."""

    def __init__(self, execute: Any, scope: Mapping[str, Any]) -> None:
        """Start with the module of `execute`; other modules' functions are imported from there.

        Args:
            execute: the job's execute function.
            scope: local names around the job's functions.
        """
        plain = inspect.unwrap(execute)
        self._globals: dict[str, Any] = plain.__globals__
        self._scope = scope
        self._scope_name = plain.__qualname__.rpartition(".")[0]
        self._sources = Sources(self._globals)
        self.module = str(self._globals.get("__name__", "__main__"))
        self.packages = Packages()
        self.pieces: dict[str, Piece] = {}

    def add_function(self, role: str, function: Any) -> str:
        """Take the function of `role` along; returns the global name that it will have.

        Raises:
            JobDefinitionError: it, or something that it uses, can't travel.
        """
        code = inspect.unwrap(function).__code__
        name = role if code.co_name == "<lambda>" else str(code.co_name)
        self._bind(name, function, Site(f"the job's {role}", code.co_filename, code.co_firstlineno))
        return name

    # Binding a name: the user's own definitions first, then imports, then values.

    def _bind(self, name: str, value: Any, site: Site, around: tuple[SourceText, Node] | None = None) -> None:
        known = self.pieces.get(name)
        if known is not None and known.value is value:
            return
        if found := self._function_behind(name, value, site):
            self._bind_function(name, value, *found, site)
        elif isinstance(value, type) and value.__module__ == self.module and (text := self._sources.class_(value)):
            self._bind_class(name, value, *text, site)
        else:
            self._bind_object(name, value, site, around)

    def _put(self, piece: Piece) -> Piece:
        """Keep `piece`, unless the name has one already; returns the one that is kept.

        Raises:
            JobDefinitionError: the name has another value already.
        """
        known = self.pieces.setdefault(piece.name, piece)
        same_text = known.source is None and piece.source is None and known.text == piece.text
        if known is not piece and not (same_text or (piece.node is not None and piece.node is known.node)):
            raise JobDefinitionError(
                f"the name {piece.name!r} has two values: one in {known.site}, another in {piece.site}",
                hint="functions travel as one module, where a name has one value: rename one of the two",
                variable=piece.name,
            )
        return known

    def _bind_function(self, name: str, value: Any, function: FunctionType, is_decorated: bool, site: Site) -> None:
        source, node = self._sources.function(function)
        if not isinstance(node, ast.Lambda) and node.name != name:
            self._bind(node.name, value, site)
            self._put(Piece(name, value, site, f"{name} = {node.name}\n", before={node.name}))
            return
        if isinstance(node, ast.AsyncFunctionDef):
            raise self._stuck(name, site, "is an async function", "a sandbox has nothing to wait for: use a plain function")
        if len(getattr(value, "registry", ())) > 1 and hasattr(value, "dispatch"):
            raise self._stuck(name, site, "is a singledispatch function", "test the type inside the function instead")

        def is_dropped(decorator: ast.expr) -> bool:
            return not is_decorated or self._is_jobs(decorator)

        piece = self._piece_of(name, value, site, source, node, is_dropped)
        closure = _closure_of(function)
        if "__class__" in closure:
            raise self._stuck(name, site, "is a method that uses super()", "use the class, or a function outside of it")
        defaults = _default_values(node, function)
        local = self._scope if function.__qualname__.rpartition(".")[0] == self._scope_name else {}
        self._bind_reached(piece, is_dropped, closure, {**self._globals, **local, **closure, **defaults})

    def _bind_class(self, name: str, cls: type, source: SourceText, node: ast.ClassDef, site: Site) -> None:
        if node.name != name:
            self._bind(node.name, cls, site)
            self._put(Piece(name, cls, site, f"{name} = {node.name}\n", before={node.name}))
            return
        piece = self._piece_of(name, cls, site, source, node, self._is_jobs)
        closure = {base.__name__: base for base in cls.__bases__ if base.__name__ not in self._globals}
        for method in methods_of(cls):
            closure |= _closure_of(method)
        local = self._scope if cls.__qualname__.rpartition(".")[0] == self._scope_name else {}
        self._bind_reached(piece, self._is_jobs, closure, {**self._globals, **local, **closure})

    def _piece_of(
        self, name: str, value: Any, site: Site, source: SourceText, node: Node, is_dropped: Callable[[ast.expr], bool]
    ) -> Piece:
        text, line = _text_of(name, source, node, is_dropped)
        is_indented = not isinstance(node, ast.Lambda) and node.col_offset > 0
        return self._put(Piece(name, value, site, text, False, source, node, line, is_indented))

    def _bind_reached(
        self, piece: Piece, is_dropped: Callable[[ast.expr], bool], closure: Mapping[str, Any], early: Mapping[str, Any]
    ) -> None:
        """Bind what a definition uses: `closure` and globals when it is called, `early` when it is defined."""
        assert piece.node is not None
        assert piece.source is not None
        try:
            reach = reached_names(piece.node, is_dropped=is_dropped)
        except SyntaxError as error:
            hint = "a function keeps no state between calls: return it, or pass it in the chunk"
            raise self._stuck(piece.name, piece.site, "can't stand alone: it has a nonlocal variable", hint) from error
        late = {**self._globals, **closure}
        piece.before |= self._bind_names(piece, reach, sorted(reach.at_definition), early, must_exist=True)
        piece.after |= self._bind_names(piece, reach, sorted(reach.at_call - reach.at_definition), late)
        for name in sorted(reach.annotations - piece.before - piece.after):
            kept = dict(self.pieces)
            try:
                piece.before |= self._bind_names(piece, reach, [name], early)
            except JobDefinitionError:  # annotations are lazy in the guest: only what can travel is needed
                self.pieces = kept
        self.packages.add_imports(piece.node, self._package)

    def _bind_names(
        self, piece: Piece, reach: Reach, names: list[str], values: Mapping[str, Any], *, must_exist: bool = False
    ) -> set[str]:
        assert piece.source is not None
        assert piece.node is not None
        bound = set()
        for name in names:
            site = Site(piece.name, piece.source.file, reach.lines.get(name, piece.line))
            value = values.get(name, _ABSENT)
            if name in _OF_EVERY_MODULE or (value is _ABSENT and (hasattr(builtins, name) or not must_exist)):
                continue
            if value is _ABSENT:
                raise self._stuck(name, site, "has no value any more: it was local where the function was defined", _HINT_VALUE)
            self._bind(name, value, site, (piece.source, piece.node))
            bound.add(name)
        return bound

    def _bind_object(self, name: str, value: Any, site: Site, around: tuple[SourceText, Node] | None) -> None:
        is_named = isinstance(value, ModuleType | type) or callable(value)
        statements = imports.statements_for(name, value, *around, self._package) if around else []
        if is_named and self._bind_import(name, value, site, statements or _as_list(imports.by_value(name, value))):
            return
        needs: set[str] = set()
        try:
            text = _namedtuple(value, self.module) or _cached_function(value)
            if text is None and isinstance(value, type) and value.__module__ == self.module:
                raise UnwritableError("is a class that no class statement made")
            code = text(lambda part: self._refer(part, site, needs)) if text else ""
            code = code or expression(value, lambda part: self._refer(part, site, needs))
        except UnwritableError as error:
            if self._bind_import(name, value, site, statements):
                return
            raise self._stuck(name, site, str(error), _hint_for(value)) from error
        self._put(Piece(name, value, site, f"{name} = {code}\n", before=needs))

    def _bind_import(self, name: str, value: Any, site: Site, statements: list[tuple[str, str]]) -> bool:
        statements = [(text, module) for text, module in statements if module not in (self.module, "__main__")]
        # `import pangea.compute` and `import pangea.compute.data` bind the same name: what is of use in the guest is enough.
        statements = [each for each in statements if self.packages.add(each[1]) is not Home.OWN] or statements
        for text, module in statements:
            self._require(name, value, module, site)
            if text.startswith("from "):
                self.packages.add(f"{module}.{text.split()[3]}")
        if statements:
            self._put(Piece(name, value, site, "".join(f"{text}\n" for text, _ in statements), is_import=True))
        return bool(statements)

    def _require(self, name: str, value: Any, module: str, site: Site) -> None:
        home = self.packages.add(module)
        if home in (Home.GUEST, Home.SHIPPED):
            return
        what = "is" if isinstance(value, ModuleType) else f"is a {type(value).__name__} from"
        hint = {
            Home.EXCLUDED: "a job has no files, network, processes or threads: do that part outside, and pass bytes",
            Home.OWN: "define jobs outside of the functions that run in them",
        }.get(home, _HINT_NATIVE)
        raise self._stuck(name, site, f"{what} the module {module} ({home.value})", hint)

    def _refer(self, value: Any, site: Site, needs: set[str]) -> str:
        """An expression for a function, class or module inside a value; binds the name that it starts with."""
        name, path, target = "", "", value
        qualname = str(getattr(value, "__qualname__", ""))
        if isinstance(value, ModuleType):
            name = f"_{value.__name__.replace('.', '_')}"
        elif (found := self._function_behind(qualname.rpartition(".")[2], value, site)) is not None:
            code = found[0].__code__
            name = code.co_name if code.co_name != "<lambda>" else f"_lambda_{code.co_firstlineno}_{_column(found[0])}"
        elif isinstance(value, type) and value.__module__ == self.module:
            name = qualname if "<locals>" not in qualname else value.__name__
            if "." in name:
                name, _, path = name.partition(".")
                target = self._globals.get(name, value)
        elif (place := imports.dotted(value)) and place[0] not in (self.module, "__main__"):
            target, path = sys.modules[place[0]], place[1]
            name = f"_{place[0].replace('.', '_')}"
        else:
            raise UnwritableError(f"holds {qualname or 'something'} of type {type(value).__module__}.{type(value).__qualname__}")
        self._bind(name, target, site)
        needs.add(name)
        return f"{name}.{path}" if path else name

    def _function_behind(self, name: str, value: Any, site: Site) -> tuple[FunctionType, bool] | None:
        """The user's own function that `value` is, or that decorators made it from.

        Returns:
            The function, and whether its decorators are what makes `value` from it; None if it isn't a function of the module.
        """
        chain = [value]
        while callable(value) and not isinstance(value, type) and hasattr(chain[-1], "__wrapped__") and len(chain) < 100:
            chain.append(chain[-1].__wrapped__)
        is_own = isinstance(value, FunctionType) and value.__globals__ is self._globals
        inner = chain[1:]
        if len(chain) == 1 and isinstance(value, FunctionType) and name != value.__code__.co_name:
            inner = list(_closure_of(value).values())
        for function in reversed(inner):
            if isinstance(function, FunctionType) and function.__globals__ is self._globals:
                _, node = self._sources.function(function)
                decorators = getattr(node, "decorator_list", [])
                if (len(chain) > 1 or function.__code__.co_name == name) and not all(map(self._is_jobs, decorators)):
                    return function, True
        return (value, False) if is_own else None

    def _is_jobs(self, decorator: ast.expr) -> bool:
        """Whether `decorator` is one of `Job`, which stays behind."""
        from pangea.compute.client.job import Job

        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not isinstance(target, ast.Attribute) or target.attr not in _ROLES:
            return False
        path = ast.unparse(target.value).split(".")
        found = self._scope.get(path[0], self._globals.get(path[0], _ABSENT))
        for part in path[1:]:
            found = getattr(found, part, _ABSENT)
        return found is Job or (found is _ABSENT and path[-1] == "Job")

    @property
    def _package(self) -> str:
        package = self._globals.get("__package__")
        return package if isinstance(package, str) else self.module.rpartition(".")[0]

    def _stuck(self, name: str, site: Site, why: str, hint: str) -> JobDefinitionError:
        return JobDefinitionError(
            f"{site} uses {name!r}, which {why}: it can't travel with the job",
            hint=hint,
            variable=name,
            function=site.user,
            file=display_name(site.file),
            line=site.line,
        )


def _text_of(name: str, source: SourceText, node: Node, is_dropped: Callable[[ast.expr], bool]) -> tuple[str, int]:
    """The text of a definition, with blank lines for what stays behind, and its first line."""
    if isinstance(node, ast.Lambda):
        return f"{name} = ({ast.get_source_segment(source.text, node)})\n", node.lineno
    start = first_line(node)
    lines = source.lines[start - 1 : node.end_lineno]
    for decorator in filter(is_dropped, node.decorator_list):
        for number in range(decorator.lineno, (decorator.end_lineno or decorator.lineno) + 1):
            lines[number - start] = ""
    while not lines[0].strip():
        lines.pop(0)
        start += 1
    return "\n".join(lines) + "\n", start


def _default_values(node: FunctionNode, function: FunctionType) -> dict[str, Any]:
    """The values that defaults written as a bare name had when the function was defined."""
    positional, keywords = bare_defaults(node)
    found = {name: value for name, value in zip(positional, function.__defaults__ or (), strict=False) if name}
    given = function.__kwdefaults__ or {}
    return found | {name: given[argument] for argument, name in keywords.items() if argument in given}


def _namedtuple(value: Any, module: str) -> Callable[[Callable[[Any], str]], str] | None:
    """Write a class that `namedtuple` made."""
    if not (isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields") and value.__module__ == module):
        return None

    def write(refer: Callable[[Any], str]) -> str:
        defaults = expression(tuple(value._field_defaults.values()), refer)  # type: ignore[attr-defined]
        fields = expression(list(value._fields), refer)
        named = refer(collections.namedtuple)
        return f"{named}({value.__name__!r}, {fields}, defaults={defaults}, module=__name__)"

    return write


def _cached_function(value: Any) -> Callable[[Callable[[Any], str]], str] | None:
    """Write a function that was given to `lru_cache` by a call, not by a decorator."""
    parameters = getattr(value, "cache_parameters", None)
    if not isinstance(value, functools._lru_cache_wrapper) or parameters is None:
        return None
    options = parameters()
    return lambda refer: (
        f"{refer(functools.lru_cache)}(maxsize={options['maxsize']!r}, typed={options['typed']!r})({refer(value.__wrapped__)})"
    )


def _hint_for(value: Any) -> str:
    if isinstance(value, type):
        return "define the class with a class statement, in the same file as the job"
    return _HINT_NATIVE if type(value).__module__.partition(".")[0] in {"numpy", "pandas", "pyarrow", "torch"} else _HINT_VALUE


def _column(function: FunctionType) -> int:
    return min((start for _, _, start, _ in function.__code__.co_positions() if start is not None), default=0)


def _as_list(statement: tuple[str, str] | None) -> list[tuple[str, str]]:
    return [statement] if statement else []


def _closure_of(function: FunctionType) -> dict[str, Any]:
    """The closure variables of `function` that have a value."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            found[name] = cell.cell_contents
    return found
