"""Describe modules and names: what the guest finds by name, and what travels as the names that are used of it."""

from __future__ import annotations

import builtins
import re
import sys
import types
from collections.abc import Iterable
from typing import Any

from pangea.compute.capture import changes, surroundings
from pangea.compute.capture.atoms import NONE, is_a
from pangea.compute.capture.homes import lookup
from pangea.compute.capture.packages import Home
from pangea.compute.capture.scan import Import, Scan, nested
from pangea.compute.capture.walk import HINT_VALUE, Namespace, Record, Walk

_HINT_NATIVE = "the sandbox runs Python, its standard library and NumPy only: use a pure-Python package"
_HINT_TABLE = 'declare input="table" for chunks that are Tables of pangea.compute.data, or use pangea.compute.templates'
#: Packages of data frames: what they are for, a job has by another name.
_FRAMES = ("pandas", "polars", "pyarrow", "dask", "duckdb")
_HINTS = {
    Home.EXCLUDED: "a job has no files, network, processes or threads: do that part outside, and pass bytes",
    Home.HINDERED: "a job has no files, network, processes or parts in C: do that part outside, and pass bytes",
    Home.REMOVED: "take what you need of it along, as a module of your own",
    Home.OWN: "define jobs outside of the functions that run in them",
}
#: Reach names that the code doesn't show.
_DYNAMIC = {"eval", "exec", "globals", "__import__"}
#: Read attributes by names that are made at run time.
_BY_NAME = {"getattr", "vars", "dir"}
_ABSENT = object()
#: Of this package, the guest has the data types alone.
_WAY_TO_DATA = (("pangea", "compute"), ("pangea.compute", "data"))


def type_name(value: Any) -> str:
    """Where a value's type is from, as messages have it."""
    kind = value if is_a(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def reference(walk: Walk, value: Any) -> Record | None:
    """The record of what the guest finds by name; None if `value` has no such name.

    Raises:
        JobDefinitionError: it has, but not in the guest.
    """
    place = walk.homes.reference(value)
    if place is None:
        return None
    require(walk, place[0], value)
    if is_a(value, types.FunctionType):
        changes.look_at_defaults(walk, value)
    return ["name", *place]


def require(walk: Walk, module: str, value: Any) -> None:
    """See to it that the guest can import `module`.

    Raises:
        JobDefinitionError: it can't.
    """
    home = walk.homes.of(module)
    if home not in (Home.GUEST, Home.SHIPPED):
        what = "is" if is_a(value, types.ModuleType) else f"is a {type(value).__name__} from"
        walk.refuse(f"{what} the module {module} ({walk.homes.packages.why(module, home)})", _hint_for(module, home))
    walk.libraries.setdefault(module)


def _hint_for(module: str, home: Home) -> str:
    is_frames = module.partition(".")[0] in _FRAMES and home is Home.NATIVE
    return _HINT_TABLE if is_frames else _HINTS.get(home, _HINT_NATIVE)


def named(walk: Walk, value: Any) -> Record:
    """What is found by name, or nowhere.

    Raises:
        JobDefinitionError: it has no name in the guest.
    """
    found = reference(walk, value)
    if found is None:
        walk.refuse(f"is a {type(value).__name__} that isn't found by its name", _HINT_NATIVE)
    return found


def module(walk: Walk, value: types.ModuleType) -> Record:
    """A module: by name, or as the namespace of the names that are used of it."""
    name = value.__name__
    is_loaded = sys.modules.get(name) is value
    if is_loaded and not walk.homes.is_value(name):
        require(walk, name, value)
        return ["module", name]
    if type(value) is not types.ModuleType:
        walk.refuse(f"is a module of type {type_name(value)}", HINT_VALUE)
    space = walk.space(vars(value))
    if isinstance(value.__doc__, str):
        walk.name(space, "__doc__", value.__doc__)
    if walk.kind() not in ("global", "closure"):
        escape(walk, value)
    return ["own", space.number]


def use_names(walk: Walk, function: types.FunctionType, space: Namespace) -> None:
    """Take along the globals that a function names, and the modules that it imports."""
    found, values = walk.scan(function), function.__globals__
    for name in sorted(found.names):
        value = values.get(name, _ABSENT)
        if value is _ABSENT:
            value = _foreign_builtin(name)
            if name in _DYNAMIC and lookup("builtins", name) is not _ABSENT:
                walk.warn(f"{walk.site_of(function)} calls {name}(): what it reaches only that way isn't taken along")
                soft_texts(walk, values, constants(function))
        if value is not _ABSENT and name != "__name__" and not name.startswith("@py"):  # pytest's, in what it rewrites
            walk.name(space, name, value)
            surroundings.look(walk, function, name, value)
            if is_a(value, types.ModuleType):
                _use_module(walk, value, found, name)
    if "hash" in found.names and "hash" not in values:
        surroundings.look_at_hash(walk, function)
    surroundings.look_at_imports(walk, function)
    package = values.get("__package__")
    package = package if isinstance(package, str) else space.name.rpartition(".")[0]
    asked = _asked_for(function) if _asks_by_text(found, values) else set()
    for each in sorted(found.imports | asked, key=lambda one: (one.module, one.level, one.names)):
        _use_import(walk, each, package)


def _asks_by_text(found: Scan, values: dict[str, Any]) -> bool:
    """Whether code imports modules whose names are texts."""
    return "import_module" in found.attributes | found.names or ("__import__" in found.names and "__import__" not in values)


def _asked_for(function: types.FunctionType) -> set[Import]:
    """What the texts of such code say to import: modules that are loaded, or, where one ends with a dot, all loaded inside it."""
    package = str(function.__globals__.get("__package__") or "")
    asked = set()
    for text in filter(_MODULE.fullmatch, surroundings.texts_in(function)):
        inner = text.lstrip(".")
        name = _absolute(Import(inner.removesuffix("."), len(text) - len(inner), (), is_guarded=True), package)
        around = f"{name}." if text.endswith(".") else None
        inside = [each for each in sys.modules if each == name or (around and each.startswith(around))]
        asked |= {Import(each, 0, (), is_guarded=True) for each in inside}
    return asked


def constants(function: types.FunctionType) -> list[Any]:
    """The constants of a function's code, and of the code inside it."""
    return [each for code in nested(function.__code__) for each in code.co_consts]


def use_closure(walk: Walk, function: types.FunctionType) -> None:
    """Take along what a function reads of modules that are in its closure."""
    found = walk.scan(function)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        surroundings.look(walk, function, name, value)
        if is_a(value, types.ModuleType):
            _use_module(walk, value, found, name)


def _use_module(walk: Walk, value: types.ModuleType, found: Scan, name: str) -> None:
    for chain in sorted(found.chains.get(name, ())):
        use_chain(walk, value, chain)
    if name in found.escaping:
        escape(walk, value)


def use_chain(walk: Walk, value: types.ModuleType, chain: Iterable[str]) -> None:
    """Take along what `module.name.name…` reads."""
    for name in chain:
        if (value.__name__, name) not in _WAY_TO_DATA and value.__name__ in ("pangea", "pangea.compute"):
            walk.refuse(f"uses {value.__name__}.{name} ({Home.OWN.value})", _HINTS[Home.OWN])
        inner = vars(value).get(name, _ABSENT)
        if inner is _ABSENT:
            if "__getattr__" in vars(value) and walk.homes.is_value(value.__name__):
                walk.name(walk.space(vars(value)), "__getattr__", vars(value)["__getattr__"])
            return
        is_own = sys.modules.get(value.__name__) is not value or walk.homes.is_value(value.__name__)
        if value is builtins:
            if _foreign_builtin(name) is not _ABSENT:
                walk.patches["builtins", name] = walk.ref(inner, "patch", f"builtins.{name}")
        elif is_own:
            walk.name(walk.space(vars(value)), name, inner)
        else:
            changes.look_at_name(walk, value, name, inner)
        if not is_a(inner, types.ModuleType):
            return
        if not is_own:
            walk.imports.setdefault(inner.__name__)
            walk.libraries.setdefault(inner.__name__)
        value = inner


def escape(walk: Walk, value: types.ModuleType) -> None:
    """Note a module that goes where its names can't be followed."""
    if sys.modules.get(value.__name__) is not value or walk.homes.is_value(value.__name__):
        walk.escaped.setdefault(id(value), value)


def _use_import(walk: Walk, statement: Import, package: str) -> None:
    name = _absolute(statement, package)
    if not name:
        return
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        loaded = sys.modules.get(part)
        if isinstance(loaded, types.ModuleType) and walk.homes.is_value(part):
            walk.name(walk.space(vars(loaded)), "__doc__", loaded.__doc__)
            if not statement.names:
                escape(walk, loaded)
    home = walk.homes.packages.add(name)
    if home in (Home.EXCLUDED, Home.REMOVED, Home.NATIVE, Home.HINDERED) and not statement.is_guarded:
        walk.refuse(f"imports {name} ({walk.homes.packages.why(name, home)})", _hint_for(name, home))
    if home in (Home.GUEST, Home.SHIPPED):
        walk.libraries.setdefault(name)
    own = sys.modules.get(name) if walk.homes.is_value(name) else None
    for each in statement.names:
        if own is not None and each in vars(own):
            use_chain(walk, own, (each,))
            if is_a(vars(own)[each], types.ModuleType):
                escape(walk, vars(own)[each])
        elif own is None or f"{name}.{each}" in sys.modules or hasattr(own, "__path__"):
            walk.homes.packages.add(f"{name}.{each}")


def _absolute(statement: Import, package: str) -> str:
    if not statement.level:
        return statement.module
    parts = package.split(".") if package else []
    around = parts[: len(parts) - statement.level + 1]
    return ".".join([*around, *([statement.module] if statement.module else [])]) if statement.level <= len(parts) else ""


def is_namespace(walk: Walk, value: dict[str, Any]) -> bool:
    """Whether a dict is the globals of functions, or a module's: then there is one of it in a job, too."""
    name = value.get("__name__")
    loaded = sys.modules.get(name) if isinstance(name, str) else None
    return "__builtins__" in value or walk.is_space(value) or getattr(loaded, "__dict__", None) is value


def namespace(walk: Walk, value: dict[str, Any]) -> Record:
    """The globals of functions as a dict: with all names, as any may be read; of a module, those that can travel."""
    space = walk.space(value)
    for name in [] if space.is_library else list(value):
        if not isinstance(name, str):
            walk.refuse("is the globals of functions, with a key that is no text", HINT_VALUE)
        if name.startswith("__") and name.endswith("__"):
            continue
        if space.is_registered:
            soft_name(walk, space, name)
        else:
            walk.name(space, name, value[name])
    return ["globals", space.number]


def soft_texts(walk: Walk, values: dict[str, Any], texts: Iterable[Any], *, lean: bool = False) -> None:
    """Take along the globals that texts name, if they can travel: annotations, and what is evaluated or looked up.

    Args:
        walk: the graph.
        values: the globals.
        texts: what isn't a text is skipped.
        lean: whether what needs packages stays behind.
    """
    words = {word for text in texts if type(text) is str for word in _WORD.findall(text)}
    if not words.isdisjoint(values) and not (space := walk.space(values)).is_library:
        for name in sorted(words & values.keys()):
            if name not in space.names:
                soft_name(walk, space, name, lean=lean)
                if is_a(values[name], types.ModuleType):
                    escape(walk, values[name])


_WORD = re.compile(r"[^\W\d]\w*")
_MODULE = re.compile(r"\.*[^\W\d]\w*(\.[^\W\d]\w*)*\.?")


def soft_name(walk: Walk, space: Namespace, name: str, *, lean: bool = False) -> None:
    """Take one name along, if it can travel; if `lean`, without packages."""
    if name in space.names:
        return
    walk.added(space, name)
    space.names[name] = None
    space.pending.add(name)

    def put(written: Any) -> None:
        if name not in space.pending:
            return  # code needs it, and has it
        space.pending.discard(name)
        if written is NONE:
            space.names.pop(name, None)
        else:
            space.names[name] = written

    walk.soft(space.values[name], "global", name, put, lean=lean)


#: What the import system, or Python itself, puts into a module.
_MACHINERY = {
    "__name__",
    "__qualname__",
    "__doc__",
    "__loader__",
    "__spec__",
    "__path__",
    "__file__",
    "__package__",
    "__cached__",
}
_MACHINERY |= {"__builtins__", "__annotations__", "__annotate__", "__annotate_func__", "__conditional_annotations__"}


def take_escaped(walk: Walk) -> bool:
    """Of modules that went elsewhere, take along what is called like any attribute that is read; whether that was new."""
    attributes = {name for found in walk.scans() for name in found.attributes}
    is_dynamic = any(found.names & _BY_NAME for found in walk.scans())
    found = False
    whole = [sys.modules[name] for name in walk.homes.packages.by_value if name in sys.modules]
    for loaded in sorted({id(each): each for each in [*walk.escaped.values(), *whole]}.values(), key=lambda each: each.__name__):
        space = walk.space(vars(loaded))
        wanted = attributes if id(loaded) in walk.escaped and not is_dynamic else set(vars(loaded))
        for each in sorted(wanted & set(vars(loaded)) - set(space.names) - walk.refused_names(space)):
            if each not in _MACHINERY:
                walk.try_once(space, each)
                soft_name(walk, space, each)
                found = True
    return found


#: Built-in names that aren't what these call themselves, or call themselves nothing.
_BUILTIN = {"EnvironmentError", "IOError", "WindowsError", "Ellipsis", "NotImplemented", "True", "False", "None"}


def _foreign_builtin(name: str) -> Any:
    """A built-in that a program has added or replaced; the mark of absence for those of Python."""
    value = vars(builtins).get(name, _ABSENT)
    if name in _BUILTIN or name.startswith("__") or type(value).__module__ == "_sitebuiltins":
        return _ABSENT
    is_own = getattr(value, "__module__", None) in ("builtins", "_io", "io") and getattr(value, "__qualname__", None) == name
    return _ABSENT if is_own else value
