"""The modules that a job imports: the guest's own, pure Python that travels along, and what can't travel.

A module that isn't in the standard library is shipped whole: the single file, or every `.py` file of its package but its tests;
then what it takes at once when it is imported, in turn; last, as far as there is room, what the rest of those files import.
What has parts in C can't run in the sandbox, unless it says itself how to do without (`optional`).
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from typing import Any

from pangea.compute.capture import optional
from pangea.compute.capture.hindrances import Hindrances, imports_of
from pangea.compute.capture.package_files import take_files, take_metadata
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.units import MIB, human_bytes
from pangea.compute.runtime.guest.library import EXCLUDED

#: Of an archive, the job's own text included.
ARCHIVE_BYTES_MAX = 8 * MIB
#: Of it, for what packages can be imported without: the sandbox reads all of it before the first chunk.
_OPTIONAL_BYTES_MAX = 2 * MIB
#: Parts of a package whose imports it doesn't need to work.
_ASIDE = {"test", "tests", "_test", "_tests", "testing", "conftest.py", "setup.py", "__main__.py"}
#: What packages import for their own tests, their documentation and their building: none of these comes with another.
_TOOLS = frozenset("IPython _pytest coverage hypothesis mypy nose pip pkg_resources pytest setuptools sphinx".split())
#: Folders of a package that travel only if a module in them is imported.
_TESTS = {"test", "tests"}
_INIT = "__init__.py"
#: The part of this package that is in the guest.
_DATA = "pangea.compute.data"
_AROUND_DATA = ("pangea", "pangea.compute")
#: What the guest has beside the standard library.
_BESIDE_LIBRARY = ("numpy", "__future__")
#: Python in front of parts that are none, which are a package of their own.
_FRONTS = frozenset({"polars"})
#: Of the standard libraries of Python 3.11 to 3.13, what 3.14 has no more.
_REMOVED = frozenset(
    """
    aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp mailcap msilib nis nntplib ossaudiodev pipes smtpd
    sndhdr spwd sunau telnetlib uu xdrlib
    """.split()
)
#: What it has on some machines, or for some, and parts in C of what the guest lacks; a test asks the guest.
_OF_MACHINES = frozenset(
    """
    grp mailbox msvcrt nt pwd readline syslog winreg winsound _bootsubprocess _compression _crypt _ctypes _curses _curses_panel
    _dbm _gdbm _hashlib _lsprof _msi _multiprocessing _overlapped _posixshmem _posixsubprocess _scproxy _sha256 _sha512 _ssl
    _tkinter _uuid _winapi
    """.split()
)


class Home(Enum):
    """Where a module comes from, inside a job."""

    GUEST = "it is in the guest"
    EXCLUDED = "it needs files, processes, sockets, threads or native libraries"
    REMOVED = "Python 3.14, which the guest is, has it no more"
    SHIPPED = "it is pure Python, and in the archive"
    VALUE = "it travels by value"
    NATIVE = "it has parts that aren't Python"
    HINDERED = "it imports what a job hasn't"
    OWN = "it is pangea itself"
    MISSING = "it can't be found"


class Packages:
    """The pure-Python modules that travel with one job."""

    def __init__(self, is_value: Callable[[str], bool] = lambda _module: False) -> None:
        """Start with none.

        Args:
            is_value: whether a module travels by value; such are collected in `by_value`.
        """
        #: Path below `lib/` to its text.
        self.files: dict[str, bytes] = {}
        #: Modules that travel by value, and are imported by text that travels.
        self.by_value: dict[str, None] = {}
        self._is_value = is_value
        self._homes: dict[str, Home] = {}
        self._total_bytes = 0
        self._hindrances = Hindrances(self._folder_of, self._is_lacking)
        #: The same for packages that others can do without: such do without them rather than have stand-ins.
        self._strict = Hindrances(self._folder_of, lambda module: self._is_lacking(module) or _is_excluded(module))
        #: Modules that packages import at once and the guest lacks, with the packages around them.
        self.stand_ins: dict[str, None] = {}
        #: Files and folders of packages that don't come along.
        self.left_out: list[str] = []
        self._folders: dict[str, Path] = {}
        self._asks_for_metadata = False
        #: By the first part of a name, the folder that has the module.
        self._places: dict[str, Path | None] = {}
        #: What the guest lacks and shipped files import: whether they do so at once, wherever they do.
        self._lacking: dict[str, bool] = {}
        self._bytes_max = ARCHIVE_BYTES_MAX
        #: The package that is being shipped, and those that it brings, innermost last.
        self._bringing: list[str] = []
        #: Modules whose imports were followed.
        self._followed: dict[str, None] = {}
        #: What shipped files import, until it is looked for.
        self._optional: dict[str, None] = {}
        #: By package, its folder and the files of its tests.
        self._tests: dict[str, tuple[Path, list[tuple[str, ...]]]] = {}

    def add(self, module: str) -> Home:
        """Take along `module` and what it imports, if that can be done and has to be.

        Raises:
            JobDefinitionError: the files are too large together.
        """
        top = module.partition(".")[0]
        self._asks_for_metadata |= module.startswith("importlib.metadata")
        if self._is_value(module):
            self.by_value.setdefault(module)
            return Home.VALUE
        parts = module.split(".")
        for end in range(len(parts) - 1, 0, -1):
            if self._is_value(".".join(parts[:end])):
                return self._add_below(parts[:end], parts[end])
        if (known := _without_files(module)) is not None:
            return known
        spec = _spec(top)
        key = module if spec and _is_namespace(spec) else top
        self._bringing.append(key)
        try:
            if key not in self._homes:
                self._homes[key] = Home.SHIPPED  # before its own imports are followed: they may come back here
                self._homes[key] = self._ship(module, spec)
            if self._homes[key] is Home.SHIPPED:
                return self._follow(module)
        finally:
            self._bringing.pop()
        return self._homes[key]

    def _follow(self, module: str) -> Home:
        """Take along what a module of a package that is shipped takes at once."""
        if self.hindrance(module) is not None:
            return Home.HINDERED
        if _TESTS & {*module.split(".")[1:]}:
            self._ship_tests(module)
        parts = module.split(".")
        for name in (".".join(parts[:end]) for end in range(1, len(parts) + 1)):
            if name not in self._followed:
                self._followed[name] = None
                for each in self._hindrances.at_once(name):
                    if _is_excluded(each):
                        self.stand_ins.update(dict.fromkeys(_with_excluded_around(each)))
                    else:
                        self.add(each)
        return Home.NATIVE if optional.is_native(module) else Home.SHIPPED

    def hindrance(self, module: str) -> str | None:
        """What a package, or one of its modules, imports at once, and a job hasn't; None if there is no such thing."""
        return None if _without_files(module) is not None else self._hindrances.of(module)

    def why(self, module: str, home: Home) -> str:
        """Why a job can't have `module`, whose home is `home`."""
        return f"it imports {self.hindrance(module)}, which a job hasn't" if home is Home.HINDERED else home.value

    def _folder_of(self, top: str) -> Path | None:
        if top not in self._places:
            self._places[top] = self._looked_for(top)
        return self._places[top]

    def _looked_for(self, top: str) -> Path | None:
        spec = None if self._is_value(top) or _without_files(top) is not None else _spec(top)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        return Path(spec.origin).parents[1 if spec.submodule_search_locations else 0]

    def _is_lacking(self, module: str) -> bool:
        if (known := _without_files(module)) is not None:
            return known in (Home.EXCLUDED, Home.REMOVED, Home.NATIVE) and not _is_excluded(module)
        top, _, below = module.partition(".")
        spec = None if self._is_value(top) else _spec(top)
        if spec is None:
            return False
        if below and (folder := self._folder_of(top)) is not None and _is_part_in_c(folder, module):
            return True
        places = spec.submodule_search_locations
        return _is_native(_folder(spec), top) if places and spec.origin else _is_extension(spec.origin or "")

    def modules(self) -> set[str]:
        """The full names of the modules that come along."""
        return {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in self.files}

    def state(self) -> tuple[Any, ...]:
        """What `restore` goes back to."""
        kept = (
            *(self.files, self.by_value, self._homes, self._followed, self._optional, self._tests),
            *(self.stand_ins, self._folders, self._lacking),
        )
        return (*(dict[Any, Any](each) for each in kept), self._total_bytes)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Forget what came since `state`."""
        kept: list[dict[Any, Any]] = [dict(each) for each in state[:-1]]
        self.files, self.by_value, self._homes, self._followed, self._optional, self._tests = kept[:6]
        self.stand_ins, self._folders, self._lacking = kept[6:]
        self._total_bytes = state[-1]

    def take_optional(self) -> bool:
        """Take along what shipped files import elsewhere, as far as there is room for it; whether that was new."""
        known, left, start = len(self.files), set[str](), self._total_bytes
        while self._optional:
            module = next(iter(self._optional))
            del self._optional[module]
            top = module.partition(".")[0]
            room = min(_OPTIONAL_BYTES_MAX - (self._total_bytes - start), ARCHIVE_BYTES_MAX - self._total_bytes)
            if self._strict.of(module) is not None:
                continue
            if top in left or (top not in self._homes and _without_files(top) is None and _size_of(top) > room):
                left.add(top)
                continue
            state, self._bytes_max = self.state(), self._total_bytes + room
            try:
                self.add(module)
            except JobDefinitionError:
                self.restore(state)
                left.add(top)
            finally:
                self._bytes_max = ARCHIVE_BYTES_MAX
        return len(self.files) > known

    def take_beside(self) -> None:
        """Take along, last of all, what the packages have beside their code."""
        for module in (each for each, is_always in self._lacking.items() if is_always):
            self.stand_ins.update(dict.fromkeys(_with_excluded_around(module)))
        tops = {name.partition("/")[0].removesuffix(".py") for name in self.files}
        installed = {top: folder for top in sorted(tops) if (folder := self._folder_of(top)) is not None}
        beside = take_metadata(installed, self.files, is_asked=self._asks_for_metadata)
        files, self.left_out = take_files(self._folders, self.files, ARCHIVE_BYTES_MAX - self._total_bytes)
        self.files |= beside | files

    def _add_below(self, package: list[str], name: str) -> Home:
        """Ship one module, not loaded yet, of a package that travels by value."""
        full = ".".join([*package, name])
        if full not in self._homes:
            self._homes[full] = Home.SHIPPED
            places = getattr(sys.modules[".".join(package)], "__path__", ())
            self._homes[full] = self._ship_part([name], [Path(place) for place in places], ".".join(package))
        return self._homes[full]

    def _ship(self, module: str, spec: ModuleSpec | None) -> Home:
        if spec is None:
            return Home.MISSING
        if _is_namespace(spec):
            return self._ship_part(module.split("."), [Path(place) for place in spec.submodule_search_locations or ()], "")
        path, is_package = Path(spec.origin or ""), bool(spec.submodule_search_locations)
        if _is_native(_folder(spec), spec.name) if is_package else _is_extension(path.name):
            return Home.NATIVE
        if self.hindrance(spec.name) is not None:
            return Home.HINDERED
        if is_package:
            return self._ship_folder(_folder(spec), spec.name)
        if path.suffix != ".py" or not path.is_file():
            return Home.MISSING
        self._ship_file(path, f"{spec.name}.py")
        return Home.SHIPPED

    def _ship_part(self, parts: list[str], places: list[Path], prefix: str) -> Home:
        """Ship one module out of a namespace package, which has no files of its own."""
        name, rest = parts[0], parts[1:]
        if prefix:
            places = [place / name for place in places]
        full = f"{prefix}.{name}" if prefix else name
        for place in places:
            if (place / _INIT).is_file():
                return self._ship_folder(place, full)
            if place.with_suffix(".py").is_file() and prefix:
                self._ship_file(place.with_suffix(".py"), f"{full.replace('.', '/')}.py")
                return Home.SHIPPED
        folders = [place for place in places if place.is_dir()]
        if not folders:
            return Home.MISSING
        self.files.setdefault(f"{full.replace('.', '/')}/{_INIT}", b"")
        return self._ship_part(rest, folders, full) if rest else Home.SHIPPED

    def _ship_folder(self, folder: Path, package: str) -> Home:
        if _is_native(folder, package):
            return Home.NATIVE
        names: list[tuple[str, ...]] = []
        for place, _, files in os.walk(folder):
            within = Path(place).relative_to(folder).parts
            names += [(*within, name) for name in files if name.endswith(".py")]
        tests = [name for name in names if _TESTS & {*name[:-1]}]
        if tests:
            self._tests[package] = folder, tests
        self._folders[package] = folder
        for name in sorted({*names}.difference(tests)):
            path = folder.joinpath(*name)
            if path.is_file():
                self._ship_file(path, "/".join((*package.split("."), *name)))
        return Home.SHIPPED

    def _ship_tests(self, module: str) -> None:
        for package in [each for each in self._tests if module.startswith(f"{each}.")]:
            folder, names = self._tests.pop(package)
            for name in sorted(names):
                self._ship_file(folder.joinpath(*name), "/".join((*package.split("."), *name)))

    def _ship_file(self, path: Path, name: str) -> None:
        text, imports = path.read_bytes(), imports_of(path, _package_of(name))
        if imports is None:
            return  # the guest couldn't load the archive with it
        self._total_bytes += len(text)
        if self._total_bytes > self._bytes_max:
            brought = f", which {self._bringing[0]} brings" if self._bringing[1:] else ""
            raise too_large(self._total_bytes, f"with {name}{brought}, on top")
        self.files[name] = text
        for module in filter(_is_excluded, imports.all):
            is_always = imports.all.count(module) == imports.at_once.count(module)
            self._lacking[module] = self._lacking.get(module, True) and is_always
        for module in () if _ASIDE & {*name.split("/")[1:]} else imports.all:
            top = module.partition(".")[0]
            if self._is_value(module):
                self.by_value.setdefault(module)
            elif top not in self._homes and _without_files(module) is None and top not in _TOOLS.difference(self._bringing[:1]):
                self._optional.setdefault(module)


def too_large(size: int, what: str) -> JobDefinitionError:
    """The error for an archive of `size` bytes."""
    return JobDefinitionError(
        f"the job and the packages that it imports have {human_bytes(size)} {what}; {human_bytes(ARCHIVE_BYTES_MAX)} is the most",
        hint="import less, or pass data in the chunks instead of in variables",
        bytes=size,
        bytes_max=ARCHIVE_BYTES_MAX,
    )


def _without_files(module: str) -> Home | None:
    """The home of what is no package of others, by its name."""
    top, parts = module.partition(".")[0], module.split(".")
    if module in _AROUND_DATA or module == _DATA or module.startswith(f"{_DATA}."):
        return Home.GUEST
    if top == "pangea":
        return Home.OWN
    if top in sys.stdlib_module_names and top in _REMOVED | _OF_MACHINES:
        return Home.REMOVED if top in _REMOVED else Home.EXCLUDED
    if {".".join(parts[:2]), ".".join(parts[:3])} & EXCLUDED or (top in EXCLUDED and top in sys.stdlib_module_names):
        return Home.EXCLUDED
    if top in sys.stdlib_module_names or top in _BESIDE_LIBRARY:
        return Home.GUEST
    return Home.NATIVE if top in _FRONTS else None


@lru_cache(maxsize=1 << 14)
def _is_excluded(module: str) -> bool:
    """Whether the guest lacks a module of the library that is told by name, so that it can have a stand-in."""
    return any(each in EXCLUDED for each in _around(module)) and module.partition(".")[0] in sys.stdlib_module_names


def _with_excluded_around(module: str) -> list[str]:
    names = _around(module)
    return names[next(index for index, each in enumerate(names) if each in EXCLUDED) :]


def _around(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _folder(spec: ModuleSpec) -> Path:
    return Path(next(iter(spec.submodule_search_locations or ())))


@lru_cache(maxsize=1 << 10)
def _is_native(folder: Path, package: str) -> bool:
    """Whether a package has parts in C that it can't do without."""
    found: list[tuple[str, ...]] = []
    for place, _, files in os.walk(folder):
        within = Path(place).relative_to(folder).parts
        found += [(*within, name) for name in files if _is_extension(name) and Path(place, name).is_file()]
        if len(found) > optional.NATIVES_MAX:
            return True
    return bool(found) and not optional.can_do_without(found, folder, package)


@lru_cache(maxsize=1 << 10)
def _size_of(top: str) -> int:
    """Of the texts of a package, tests included; more than there is room for if it needs parts in C."""
    spec = _spec(top)
    folders = (spec.submodule_search_locations or []) if spec is not None and spec.origin else []
    names = [Path(place, name) for folder in folders for place, _, files in os.walk(folder) for name in files]
    if spec is not None and any(_is_extension(path.name) for path in names) and _is_native(_folder(spec), top):
        return ARCHIVE_BYTES_MAX + 1
    return sum(path.stat().st_size for path in names if path.suffix == ".py" and path.is_file())


def _is_extension(name: str) -> bool:
    return name.endswith((*EXTENSION_SUFFIXES, ".pyd"))


@lru_cache(maxsize=1 << 14)
def _is_part_in_c(folder: Path, module: str) -> bool:
    """Whether a module is in C alone: a package may do without it, and a module of the package that needs it may not."""
    place = folder.joinpath(*module.split("."))
    found = any(place.with_name(f"{place.name}{suffix}").is_file() for suffix in EXTENSION_SUFFIXES)
    return found and not place.with_name(f"{place.name}.py").is_file()


def _package_of(name: str) -> str:
    return name.rpartition("/")[0].replace("/", ".")


def _spec(top: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):  # a module without a spec, or a package that fails
        file = getattr(sys.modules.get(top), "__file__", None)
        return importlib.util.spec_from_file_location(top, file) if file else None


def _is_namespace(spec: ModuleSpec) -> bool:
    return spec.origin is None and spec.submodule_search_locations is not None
