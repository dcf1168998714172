"""Where a module is inside a job: in the guest, in the archive as a package, or taken along by value."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.packages import Home, Packages

_ABSENT = object()
_STDLIB = tuple({os.path.dirname(os.__file__), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})  # noqa: PTH120
#: Where packages are installed, and what such folders are called elsewhere.
SITE = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
SITE_FOLDERS = ("site-packages", "dist-packages")
#: Begins the names of the modules, without files, of the types that Cython makes for all packages.
CYTHON = "_cython_"
#: Modules of this package that hold jobs' functions: theirs travel like a user's own.
_TEMPLATES = (
    "pangea.compute.capture.left_out",
    "pangea.compute.capture.putting",
    "pangea.compute.templates",
    "pangea.compute.client.templates",
    "pangea.compute.client.definition.checker",
    "pangea.compute.kernels.chunks",
)
_PANGEA = "pangea"
_DATA = "pangea.compute.data"
_HEAP_TYPE = 1 << 9
#: Types that are built in, but are found elsewhere.
_TYPES = "types"
#: What a package has of its own for older Pythons, and takes from the library on the guest's.
_MOVED = {("typing_extensions", name): ("typing", name) for name in ("_ProtocolMeta", "_TypedDictMeta")}


class Homes:
    """Where modules are, for one job."""

    def __init__(self, own: frozenset[str] = frozenset()) -> None:
        """Start without packages.

        Args:
            own: names of modules that hold the job's own functions.
        """
        self.packages: Packages = Packages(self.is_value)
        self._own = own
        #: By package and identity, the objects that a package has under names of its own, such as `mpmath.mp`.
        self._places: dict[str, dict[int, tuple[str, str]]] = {}

    def is_value(self, module: str) -> bool:
        """Whether the functions and classes of `module` travel by value: it is loaded, and the user's own."""
        if module == "__main__" or module in self._own:  # a tool of that name may be installed: `python -m pytest`
            return True
        top = module.partition(".")[0]
        if top == _PANGEA:
            return module.startswith(_TEMPLATES)
        loaded = sys.modules.get(module)
        return isinstance(loaded, ModuleType) and not (top.startswith(CYTHON) or _is_installed(loaded, module))

    def of(self, module: str) -> Home:
        """Where `module` is inside the job; packages are taken along."""
        return Home.VALUE if self.is_value(module) else self.packages.add(module)

    def is_found(self, module: str) -> bool:
        """Whether the guest can import `module`."""
        return not self.is_value(module) and self.packages.add(module) in (Home.GUEST, Home.SHIPPED)

    def of_globals(self, values: dict[str, Any]) -> tuple[str, bool, bool]:
        """Name of the module whose globals are `values`, whether the guest has it, and whether it can be imported here."""
        name = values.get("__name__")
        name = name if isinstance(name, str) else "__main__"
        is_registered = getattr(sys.modules.get(name), "__dict__", None) is values
        return name, is_registered and not self.is_value(name), is_registered

    def _was_replaced(self, value: Any, module: str, name: str) -> bool:
        """Whether the library's function or class was under that name until the program has put one of its own there."""
        found = lookup(module, name)
        if is_a(value, FunctionType) and value.__globals__ is getattr(sys.modules.get(module), "__dict__", None):
            is_bound = is_a(found, MethodType)  # as a class method is, which holds the function itself
            return value.__code__.co_qualname == name and found is not _ABSENT and not is_bound
        if is_a(value, type(len)) and found is not _ABSENT:
            return bool(getattr(value.__self__, "__name__", None) == module and value.__name__ == name)
        is_users = is_a(found, FunctionType, type) and self.is_value(defining_module(found))
        return is_users and is_a(value, FunctionType, type) and defining_module(value) == module

    def place_in_package(self, value: Any) -> tuple[str, str] | None:
        """Where a pure-Python package that comes along has an object of one of its own classes, by the shortest name."""
        top = defining_module(type(value)).partition(".")[0]
        if self.packages.add(top) is not Home.SHIPPED:
            return None
        if top not in self._places:
            self._places[top] = {}
            modules = [name for name in sys.modules if name.partition(".")[0] == top]
            for module in sorted(modules, key=lambda name: (name.count("."), name)):
                for name, each in vars(sys.modules[module]).items() if is_a(sys.modules[module], ModuleType) else ():
                    if type(each).__flags__ & _HEAP_TYPE and not is_a(each, type, ModuleType):
                        self._places[top].setdefault(id(each), (module, name))
        return self._places[top].get(id(value))

    def library_of(self, function: FunctionType) -> str | None:
        """The module of the standard library or of a package in which the function's code is found by its name."""
        name, is_library, _ = self.of_globals(function.__globals__)
        return name if is_library else None

    def reference(self, value: Any) -> tuple[str, str] | None:
        """Module and dotted name under which the guest finds `value`; None if it travels by value, or not at all."""
        if is_a(value, FunctionType) and (name := cythons(value)) is not None:
            return "inspect", name
        if is_a(value, FunctionType) and self.is_value(defining_module(value)):
            return None  # wherever the program has put it
        for module, name in _places(value):
            if not self.is_value(module) and (lookup(module, name) is value or self._was_replaced(value, module, name)):
                return _MOVED.get((module, name), (module, name))
        if is_a(value, FunctionType) and self.library_of(value) is not None:  # it has another name there than of its own
            names = (name for name, each in value.__globals__.items() if each is value)
            return next(((defining_module(value), name) for name in sorted(names)), None)
        return None


def cythons(function: FunctionType) -> str | None:
    """The name of the function of `inspect` that Cython has put this one in place of, once a package of its making is loaded.

    It tells Cython's own generators from others; a job has none.
    """
    around, _, name = function.__code__.co_qualname.rpartition("cy_wrap.<locals>.cy_")
    return name if not around and name and lookup("inspect", name) is function else None


def lookup(module: str, name: str) -> Any:
    """What `name`, which may have dots, is in a loaded module; a mark of its own if there is none."""
    found: Any = sys.modules.get(module, _ABSENT)
    for part in name.split("."):
        if found is _ABSENT:
            break
        found = vars(found).get(part, _ABSENT) if is_a(found, ModuleType) else getattr(found, part, _ABSENT)
    return found


def defining_module(value: Any) -> str:
    """The module whose text defines a function or class, whatever was made of its `__module__` since."""
    return str(value.__globals__.get("__name__") if is_a(value, FunctionType) else getattr(value, "__module__", ""))


def _places(value: Any) -> Iterator[tuple[str, str]]:
    module, qualname, name = (_text(value, each) for each in ("__module__", "__qualname__", "__name__"))
    owner = getattr(value, "__self__", None) if is_a(value, type(len)) else None
    if is_a(value, type(len)) and not module and owner is None:
        module = "builtins"  # a static method of a built-in type
    if isinstance(owner, ModuleType):
        module = owner.__name__
    elif owner is not None:
        return
    for each in dict.fromkeys((qualname, name)):
        if module and each and "<" not in each:
            if module.startswith("_"):  # a part in C, which the guest may have by its public name alone: it has no `_hashlib`
                yield module[1:], each.removeprefix("openssl_")
            yield module, each
    if is_a(value, FunctionType):
        yield defining_module(value), value.__code__.co_qualname
    if is_a(value, type) and module == "builtins":
        yield from ((_TYPES, each) for each in sorted(vars(sys.modules[_TYPES])) if vars(sys.modules[_TYPES])[each] is value)
    elif is_a(value, type) and module not in sys.modules:
        yield from ((each, qualname) for each in _around(value, module))


def _around(kind: type, module: str) -> Iterator[str]:
    """Where else a class may be found that says it is of a module which nobody has loaded, as NumPy's of `numpy.rec`."""
    while module := module.rpartition(".")[0]:
        yield module
    yield from sorted({str(each.__globals__.get("__name__")) for each in vars(kind).values() if is_a(each, FunctionType)})


def _text(value: Any, name: str) -> str:
    try:
        found = type.__getattribute__(value, name) if is_a(value, type) else getattr(value, name, "")
    except AttributeError:
        return ""
    return found if isinstance(found, str) else ""


def _is_installed(module: ModuleType, name: str) -> bool:
    """Whether a loaded module is of the standard library, or was installed."""
    spec = getattr(module, "__spec__", None)
    places: list[Any] = [getattr(module, "__file__", None) or getattr(spec, "origin", None)]
    if not isinstance(places[0], str):
        places = [each for each in getattr(module, "__path__", ()) if isinstance(each, str)][:1]
    if not places or places[0] in ("built-in", "frozen"):
        around = sys.modules.get(name.rpartition(".")[0])  # a package may make modules inside of it, as six does
        is_inside = isinstance(around, ModuleType) and _is_installed(around, name.rpartition(".")[0])
        return is_inside or (name.partition(".")[0] in sys.stdlib_module_names and name != "__main__")
    file = str(places[0])
    if any(folder in file for folder in SITE_FOLDERS) or file.startswith(SITE) or file.endswith(tuple(EXTENSION_SUFFIXES)):
        return True
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return file.startswith(_STDLIB)
    folders = [each for each in sys.path if each and file.startswith(os.path.join(each, top))]  # noqa: PTH118
    return any(top in _installed_into(folder) for folder in folders)


@lru_cache(maxsize=256)
def _installed_into(folder: str) -> frozenset[str]:
    """The modules that `pip install --target` has put into a folder, by the lists that it leaves beside them."""
    found: set[str] = set()
    for record in sorted(Path(folder).glob("*.dist-info/RECORD")):
        paths = (line.partition(",")[0] for line in record.read_text(encoding="utf-8", errors="replace").splitlines())
        found |= {path.partition("/")[0].removesuffix(".py") for path in paths if path.endswith(".py")}
    return frozenset(found)
