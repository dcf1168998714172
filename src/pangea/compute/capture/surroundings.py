"""What functions use that shows otherwise in a job than at home: told in a warning, for each function that uses it.

`docs/python_guest.md` has the table. What can be taken along is (`settings`, `zones`).
"""

from __future__ import annotations

import array
import datetime
import glob
import linecache
import locale
import os
import pathlib
import platform
import shutil
import sys
import time
import types
import zoneinfo
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.scan import nested
from pangea.compute.capture.walk import Walk
from pangea.compute.capture.zones import zones_among

_ENVIRONMENT = "a job's environment is empty: read it outside, into a variable"
_CLOCK = "a job's clock begins at 1970, and only waiting moves it: pass the time in the chunk, or in a variable"
_SYSTEM = "it tells of the sandbox, not of this machine: read it outside, into a variable"
_LOCAL_TIME = "a job's local time is UTC, this machine's isn't: give the time zone"
_LONG = "a C long has 32 bits in the sandbox, so its bytes differ: use the type 'q' or 'Q'"
_NUMBERS = "numbers and texts have other hashes in the sandbox, which has 32-bit words: use hashlib, or zlib.crc32"
_FILES = "a job has no files, so none is found: look outside, and pass what was found in a variable"
_ARGUMENTS = "a job has none: read them outside, into a variable"

#: By module and name.
_NAMES = {
    **{("os", name): _ENVIRONMENT for name in ("environ", "environb", "getenv", "getenvb")},
    **{("time", name): _CLOCK for name in ("time", "time_ns", "monotonic", "perf_counter", "process_time", "gmtime")},
    **{("sys", name): _SYSTEM for name in ("platform", "flags", "hash_info", "executable", "path", "prefix", "implementation")},
    **{("os", name): _SYSTEM for name in ("uname", "cpu_count", "getpid")},
    **{("platform", name): _SYSTEM for name in dir(platform) if isinstance(getattr(platform, name), types.FunctionType)},
    **{("locale", name): _SYSTEM for name in ("getlocale", "localeconv", "getpreferredencoding")},
    **{("os.path", name): _FILES for name in ("exists", "lexists", "isfile", "isdir", "islink", "ismount", "expanduser")},
    **{("glob", name): _FILES for name in ("glob", "iglob")},
    **{("linecache", name): _FILES for name in ("getline", "getlines")},
    ("shutil", "which"): _FILES,
    ("sys", "argv"): _ARGUMENTS,
}
#: Of a path: what answers as if there were nothing, where all else raises.
_LOOKS_FOR_FILES = {"exists", "is_file", "is_dir", "is_symlink", "is_mount", "glob", "rglob"}
#: Of the types of `datetime`: what reads the clock, and what reads the time zone of this machine.
_CLOCK_READERS = {"now", "utcnow", "today"}
_ZONE_READERS = {"fromtimestamp", "astimezone", "timestamp"}
_LOCAL_TIMES = ("localtime", "mktime", "ctime", "strftime", "tzname", "timezone", "altzone", "daylight")
_DATES = (datetime.datetime, datetime.date)
_GUEST = (3, 14)
_TRACEBACK_READERS = {"__traceback__", "extract_tb", "format_exception", "format_tb", "print_exception", "TracebackException"}


def look(walk: Walk, function: types.FunctionType, name: str, value: Any) -> None:
    """Warn if the global or closure variable called `name`, and what `function` reads of it, differ in a job."""
    scan = walk.scan(function)
    for chain in sorted(scan.chains.get(name, ())) or [()]:
        place = _place(value, chain)
        if place is not None and (why := _why(*place)) is not None:
            shown = ".".join((name, *chain[: 1 + (value is datetime or place[0] == "os.path" != name)]))
            walk.warn(f"{walk.site_of(function)} uses {shown}: {why}")
        if (found := _looked_for(value, chain, place, scan.attributes)) is not None:
            walk.warn(f"{walk.site_of(function)} uses {name} and {found}(): {_FILES}")
        if place == ("zoneinfo", "ZoneInfo"):
            take_zones(walk, function)
        if place == ("array", "array") and texts_in(function) & {"l", "L"}:
            walk.warn(f"{walk.site_of(function)} may make an array of type 'l' or 'L': {_LONG}")


def look_at_hash(walk: Walk, function: types.FunctionType) -> None:
    """Warn if a function hashes, other than to be hashed itself."""
    if function.__name__ != "__hash__":
        walk.warn(f"{walk.site_of(function)} uses hash(): {_NUMBERS}")


def look_at_imports(walk: Walk, function: types.FunctionType) -> None:
    """The same for what a function imports itself."""
    for each in walk.scan(function).imports:
        for name in each.names or ("",):
            if (why := _why(each.module, name)) is not None:
                walk.warn(f"{walk.site_of(function)} uses {each.module}.{name}: {why}")
        if each.module == "zoneinfo":
            take_zones(walk, function)


def look_at_tracebacks(walk: Walk) -> None:
    """Warn if the job keeps an exception that was raised, and its code reads tracebacks."""
    if walk.has_tracebacks and any(found.attributes & _TRACEBACK_READERS for found in walk.scans()):
        walk.warn("the job keeps an exception, and reads tracebacks: its traceback stays behind, as frames hold what ran then")


def take_zones(walk: Walk, function: types.FunctionType) -> None:
    """Take along the time zones that a function names."""
    walk.zones.update(zones_among(texts_in(function)))


def _looked_for(value: Any, chain: tuple[str, ...], place: tuple[str, str] | None, attributes: set[str]) -> str | None:
    """The method that looks for a file, of a path that is a value or is made by the function."""
    asked = {chain[0]} if is_a(value, pathlib.Path) and chain else attributes if place == ("pathlib", "Path") else set()
    return min(asked & _LOOKS_FOR_FILES, default=None)


def _place(value: Any, chain: tuple[str, ...]) -> tuple[str, str] | None:
    """Module and name of what `value.chain…` is, as the tables have it."""
    if is_a(value, types.ModuleType) and chain:
        if value is datetime and len(chain) > 1:
            return _of_date(chain[0], chain[1])
        if value is os and chain[0] == "path" and len(chain) > 1:
            return "os.path", chain[1]
        return "os.path" if value is os.path else value.__name__, chain[0]
    if any(value is each for each in _DATES):
        return _of_date(value.__name__, chain[0]) if chain else None
    return _BY_IDENTITY.get(id(value))


def _of_date(kind: str, name: str) -> tuple[str, str] | None:
    return ("datetime", name) if kind in ("datetime", "date") else None


def _why(module: str, name: str) -> str | None:
    if module == "datetime" and name in _CLOCK_READERS:
        return _CLOCK
    is_local = (module == "datetime" and name in _ZONE_READERS) or (module == "time" and name in _LOCAL_TIMES)
    if is_local:
        return _LOCAL_TIME if time.timezone or time.daylight else None
    if (module, name) in (("sys", "version_info"), ("sys", "version")):
        return _SYSTEM if sys.version_info[:2] != _GUEST else None
    return _NAMES.get((module, name))


def texts_in(function: types.FunctionType) -> set[str]:
    """The texts in a function's code and among its defaults."""
    found = [each for code in nested(function.__code__) for each in code.co_consts]
    found += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return {each for each in found if isinstance(each, str)}


_MODULES: dict[str, Any] = {each.__name__: each for each in (os, time, platform, locale, glob, linecache, shutil)}
_MODULES["os.path"] = os.path
_BY_IDENTITY: dict[int, tuple[str, str]] = {
    id(vars(module)[name]): (place, name)
    for place, module in _MODULES.items()
    for name in dict.fromkeys([*(each for where, each in _NAMES if where == place), *_LOCAL_TIMES])
    if callable(vars(module).get(name)) or name.startswith("environ")
    if name in vars(module)
}
_BY_IDENTITY |= {
    id(zoneinfo.ZoneInfo): ("zoneinfo", "ZoneInfo"),
    id(array.array): ("array", "array"),
    id(pathlib.Path): ("pathlib", "Path"),
}
_BY_IDENTITY |= {id(sys.argv): ("sys", "argv"), id(sys.flags): ("sys", "flags")}
