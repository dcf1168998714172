"""What a program has told the library by calling it, as far as the job uses that part of it: it is told the same in a job."""

from __future__ import annotations

import codecs
import contextlib
import copy
import copyreg
import gc
import json
import locale
import logging
import numbers
import reprlib
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

from pangea.compute.capture import surroundings
from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.classes import registered_pairs
from pangea.compute.capture.homes import Homes
from pangea.compute.capture.patches import is_users
from pangea.compute.capture.walk import Step, Walk

#: Module, dotted name of the function, and its arguments.
Call = tuple[Any, ...]
#: Have registered classes of their own while they were loaded, here as there.
_REGISTERING = {"builtins", "collections", "array", "io", "_io", "numpy", "sqlite3", "_weakrefset"}
_CONVERTERS = {"DATE", "TIMESTAMP"}
_PREFIXES = {"xml", "html", "rdf", "wsdl", "xs", "xsi", "dc"}
_LEVELS = {getattr(logging, name): name for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")}
_SIGNIFICANT = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_CONTEXTS = {
    "DefaultContext": (28, "ROUND_HALF_EVEN", -999999, 999999, 1, 0),
    "BasicContext": (9, "ROUND_HALF_UP", -999999, 999999, 1, 0),
    "ExtendedContext": (9, "ROUND_HALF_EVEN", -999999, 999999, 1, 0),
}
#: Of Python's versions.
_THRESHOLDS = {(700, 10, 10), (2000, 10, 0), (2000, 10, 10)}
_NUMPY_BUFFER = 8192
_NUMPY_SHOWN_BEFORE = 7  # parameters of `numpy.set_printoptions` in front of `formatter`
_LOCALES = ("LC_COLLATE", "LC_MONETARY", "LC_NUMERIC", "LC_TIME")
_PLAIN_LOCALES = {"C", "POSIX", "C.UTF-8", "C.utf8"}


def take_registrations(walk: Walk) -> bool:
    """Take along what the program has told the library, as far as the job uses that part of it; whether that was new."""
    found = False
    for module, function, *arguments in _registrations(walk):
        plain = [str(each) for each in arguments if type(each) in (str, int, bool)]
        shown = [str(getattr(each, "__qualname__", getattr(each, "name", ""))) for each in arguments[:1]]
        key = (module, function, ", ".join(shown + plain))
        if key not in walk.calls and key not in walk.looked_at:
            walk.looked_at.add(key)
            found |= _take_call(walk, key, arguments)
    for place, value in _state(walk):
        if place not in walk.patches and place not in walk.looked_at:
            walk.looked_at.add(place)
            found |= _take_state(walk, place, value)
    _look_at_locale(walk)
    _look_at_what_stays(walk)
    return found | _take_warnings(walk) | _take_copiers(walk)


def _take_call(walk: Walk, key: tuple[str, str, str], arguments: list[Any]) -> bool:
    shown = f"{key[0]}.{key[1]}({key[2].strip(', ')}, ...)"

    def refer() -> None:
        walk.calls[key] = walk.refs(arguments, "argument")

    if walk.attempt(refer, lean=key[0] == "logging"):
        return True
    walk.calls.pop(key, None)
    walk.warn(f"the program has called {shown}, with something that can't travel: a job does without")
    return False


def _take_state(walk: Walk, place: tuple[str, str], value: Any) -> bool:
    def refer() -> None:
        walk.patches[place] = walk.enter(value, Step(-1, "patch", ".".join(place)))

    if walk.attempt(refer, lean=True):
        return True
    walk.patches.pop(place, None)
    walk.warn(f"the program has set {'.'.join(place)} to something that can't travel: a job has the library's own")
    return False


def _registrations(walk: Walk) -> Iterator[Call]:
    """What was registered."""
    for text in sorted({each for function in walk.functions() for each in surroundings.texts_in(function)}):
        with contextlib.suppress(LookupError, ValueError, UnicodeError):
            handler = codecs.lookup_error(text)
            if is_a(handler, types.FunctionType) and is_users(walk.homes, handler):
                yield "codecs", "register_error", text, handler
    if walk.libraries.keys() & {"copy", "copyreg", "pickle"}:
        for kind, function in copyreg.dispatch_table.items():
            if is_a(function, types.FunctionType) and is_users(walk.homes, function):
                yield "copyreg", "pickle", kind, function
    used = {name: sys.modules[name] for name in walk.libraries if name in sys.modules}  # who loads nothing has told it nothing
    if "calendar" in used and (first := used["calendar"].firstweekday()):
        yield "calendar", "setfirstweekday", first
    if "xml.etree.ElementTree" in used:
        known = vars(used["xml.etree.ElementTree"])["_namespace_map"]
        yield from (
            ("xml.etree.ElementTree", "register_namespace", known[each], each)
            for each in sorted(known)
            if known[each] not in _PREFIXES
        )
    yield from _of_numbers(walk)
    if "sqlite3" in used:
        yield from _of_databases(walk.homes, used["sqlite3"])
    if "logging" in used:
        yield from _of_logging(walk)
    if "mimetypes" in used:
        yield from _of_files(used["mimetypes"])
    if "numpy" in used and hasattr(used["numpy"], "geterrcall"):
        yield from _of_numpy(used["numpy"])
    yield from _of_collecting(walk)


def _of_databases(homes: Homes, sqlite: types.ModuleType) -> Iterator[Call]:
    for (kind, _), function in sqlite.adapters.items():
        if homes.is_value(str(kind.__module__)):
            yield "sqlite3", "register_adapter", kind, function
    for name, function in sorted(sqlite.converters.items()):
        if name not in _CONVERTERS:
            yield "sqlite3", "register_converter", name, function


def _of_logging(walk: Walk) -> Iterator[Call]:
    if logging.root.manager.disable:
        yield "logging", "disable", logging.root.manager.disable
    if logging.root.level != logging.WARNING:
        yield "logging", "root.setLevel", logging.root.level
    for level, name in sorted(vars(logging)["_levelToName"].items()):
        if _LEVELS.get(level) != name:
            yield "logging", "addLevelName", level, name
    texts = {text for function in walk.functions() for text in surroundings.texts_in(function)}
    asked = tuple(f"{each}." for each in sorted(texts | {space.name for space in walk.namespaces}))
    for name, log in sorted(logging.root.manager.loggerDict.items()):
        if (
            isinstance(log, logging.Logger)
            and (log.level or log.filters or log.disabled or not log.propagate)
            and any(each.startswith(f"{name}.") for each in asked)
        ):
            yield "logging", "Logger.setLevel", log, log.level  # which takes it along, with all that it says


def _of_numbers(walk: Walk) -> Iterator[Call]:
    """Classes of the library that the program has registered with abstract classes of it: again does no harm."""
    for owner, kind in registered_pairs() if walk.libraries.keys() & {"numbers", "collections.abc"} else ():
        is_known = kind.__module__ in _REGISTERING or (owner, kind.__name__) == (numbers.Number, "Decimal")
        is_library = kind.__module__.partition(".")[0] in sys.stdlib_module_names  # a package would travel whole for it
        if is_library and not is_known and walk.homes.is_found(kind.__module__):
            yield owner.__module__, f"{owner.__qualname__}.register", kind


def _of_files(mimetypes: types.ModuleType) -> Iterator[Call]:
    """The types of files that this machine knows, or the program has added: all but those that Python knows itself."""
    if not mimetypes.inited:
        mimetypes.init()
    own = (vars(mimetypes)["_common_types_default"], vars(mimetypes)["_types_map_default"])
    for is_strict, usual, known in zip((False, True), own, vars(mimetypes)["_db"].types_map, strict=True):
        for ending, kind in sorted(known.items()):
            if usual.get(ending) != kind:
                yield "mimetypes", "add_type", kind, ending, is_strict


def _of_numpy(numpy: types.ModuleType) -> Iterator[Call]:
    """What `settings` can't write down."""
    if (called := numpy.geterrcall()) is not None:
        yield "numpy", "seterrcall", called
    if (size := numpy.getbufsize()) != _NUMPY_BUFFER:
        yield "numpy", "setbufsize", size
    polynomials = sys.modules.get("numpy.polynomial")
    if polynomials is not None and not vars(vars(polynomials)["_polybase"].ABCPolyBase)["_use_unicode"]:
        yield "numpy.polynomial", "set_default_printstyle", "ascii"
    if formatter := numpy.get_printoptions().get("formatter"):
        yield ("numpy", "set_printoptions", *[None] * _NUMPY_SHOWN_BEFORE, formatter)


def _of_collecting(walk: Walk) -> Iterator[Call]:
    """When garbage is looked for: whether an object of a cycle is still there depends on it."""
    if not walk.libraries.keys() & {"gc", "weakref"}:
        return
    thresholds = gc.get_threshold()
    if thresholds not in _THRESHOLDS or any("get_threshold" in each.attributes for each in walk.scans()):
        yield "gc", "set_threshold", *thresholds
    if not gc.isenabled():
        yield ("gc", "disable")


def _take_copiers(walk: Walk) -> bool:
    """How classes are copied, as the program has told `copy` in its own tables."""
    found = False
    for name in ("_deepcopy_dispatch",) if "copy" in walk.libraries else ():  # of 3.14 too: it has no _copy_dispatch
        place = ("copy", name)
        own = [
            (kind, each)
            for kind, each in vars(copy).get(name, {}).items()
            if is_a(each, types.FunctionType) and is_users(walk.homes, each)
        ]
        if own and place not in walk.updates and place not in walk.looked_at:
            walk.looked_at.add(place)
            found |= _take_pairs(walk, place, own)
    return found


def _take_pairs(walk: Walk, place: tuple[str, str], pairs: list[tuple[Any, Any]]) -> bool:
    def refer() -> None:
        step = Step(-1, "patch", ".".join(place))
        walk.updates[place] = ["dict", [], [walk.enter(part, step) for pair in pairs for part in pair]]

    if walk.attempt(refer):
        return True
    walk.updates.pop(place, None)
    walk.warn(f"the program has put something into {'.'.join(place)} that can't travel: a job does without")
    return False


def _take_warnings(walk: Walk) -> bool:
    """The filters of warnings, where one makes an error of them and code may see it: else they change what is told alone."""
    place = ("warnings", "filters")
    if place in walk.updates or place in walk.looked_at or not walk.libraries.keys() & {"warnings", "numpy"}:
        return False
    walk.looked_at.add(place)
    if not any(each[0] == "error" for each in warnings.filters):
        return False

    def refer() -> None:
        kept = [each for each in warnings.filters if _is_of_job(walk, each[2])]
        walk.updates[place] = ["list", [True], walk.refs(kept)]

    if walk.attempt(refer, lean=True):
        return True
    walk.updates.pop(place, None)
    walk.warn("the program has set filters of warnings, with something that can't travel: a job has Python's own")
    return False


def _is_of_job(walk: Walk, category: Any) -> bool:
    """Whether a warning can be met in a job: one of a package that doesn't travel can't."""
    module = str(category.__module__)
    return module.partition(".")[0] in sys.stdlib_module_names | {"numpy"} or walk.homes.is_value(module)


def _state(walk: Walk) -> Iterator[tuple[tuple[str, str], Any]]:
    """By place, what the program has set of objects that the library's functions work by."""
    if "reprlib" in walk.libraries:
        usual = vars(reprlib.Repr())
        yield from ((("reprlib", f"aRepr.{key}"), each) for key, each in vars(reprlib.aRepr).items() if usual.get(key) != each)
    if "json" in walk.libraries and vars(json._default_encoder) != vars(json.JSONEncoder()):  # type: ignore[attr-defined]
        yield ("json", "_default_encoder"), json._default_encoder  # type: ignore[attr-defined]
    if "decimal" in walk.libraries and (decimal := sys.modules.get("decimal")) is not None:
        for name, usual_values in _CONTEXTS.items():
            context = getattr(decimal, name)
            for key, each in zip(_SIGNIFICANT, usual_values, strict=True):
                if getattr(context, key) != each:
                    yield ("decimal", f"{name}.{key}"), getattr(context, key)


def _look_at_locale(walk: Walk) -> None:
    """Warn if the program has set another locale, and its code writes, reads or sorts by it."""
    found = [name for name in _LOCALES if locale.setlocale(getattr(locale, name)) not in _PLAIN_LOCALES]
    if found and (
        "locale" in walk.libraries or any(each.attributes & {"strftime", "month_name", "day_name"} for each in walk.scans())
    ):
        walk.warn(f"the program has set the locale {locale.setlocale(getattr(locale, found[0]))!r} ({found[0]}): a job has C's")


def _look_at_what_stays(walk: Walk) -> None:
    """Warn of what has no way into a job."""
    if "logging" in walk.libraries:
        for name, each in sorted({"root": logging.root, **logging.root.manager.loggerDict}.items()):
            look_at_handlers(walk, name, each)
    numpy = sys.modules.get("numpy") if "numpy" in walk.libraries else None
    if numpy is not None and numpy.get_printoptions().get("override_repr"):
        walk.warn(
            "the program has given numpy.set_printoptions an override_repr, which stays behind: a job shows arrays as NumPy does"
        )


def look_at_handlers(walk: Walk, name: str, log: Any) -> None:
    """Warn if a logger has a handler of the program's own, which may do more than write."""
    if any(walk.homes.is_value(type(each).__module__) for each in getattr(log, "handlers", ())):
        walk.warn(f"the logger {name!r} has a handler of the program's own, which stays behind: a job's loggers have none")
