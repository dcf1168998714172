"""Modules, what is built in, and classes of the library."""

from __future__ import annotations

import abc
import collections
import logging
import math
import multiprocessing
import pickle
import types
import typing
import weakref
from typing import Any

from tests.capturing import Cases, Look
from tests.capturing.cloudpickle.shared import cell, dynamic


CASES = Cases()
GLOBAL = "default"


@CASES
def module() -> Look:
    return lambda: pickle.__name__


@CASES
def dynamic_module() -> Look:
    made = dynamic(package=True)
    return lambda: (made.x, made.f(5), made.Foo().method(5))


@CASES
def dynamic_module_no_package() -> Look:
    made = dynamic(package=False)
    return lambda: (made.x, made.f(5))


@CASES
def module_locals_behavior() -> Look:
    from tests.capturing import helper

    def local() -> Any:
        return sum(range(10)), helper.twice(2)

    return local


@CASES
def dynamic_module_with_unpicklable_builtin() -> Look:
    made = types.ModuleType("dynamic_two")
    exec("f = lambda x: abs(x)", vars(made))
    return lambda: made.f(-1)


@CASES
def correct_globals_import() -> Look:
    def nested(x: int) -> int:
        return x + 1

    def unwanted(x: float) -> float:
        return math.exp(x)

    def small(x: int, y: int) -> int:
        return nested(x) + y

    return lambda: (small(1, 2), "unwanted" in small.__globals__)


CASES["Ellipsis"] = lambda: lambda: ...
CASES["NotImplemented"] = lambda: lambda: NotImplemented
CASES["NoneType"] = lambda: (lambda kept: lambda: kept)(type(None))
CASES["EllipsisType"] = lambda: (lambda kept: lambda: kept)(type(...))
CASES["NotImplementedType"] = lambda: (lambda kept: lambda: kept)(type(NotImplemented))


@CASES
def builtin_function() -> Look:
    from os import fspath

    kept = [zip, fspath]
    return lambda: (list(kept[0]("a", "b")), kept[1]("x"))


@CASES
def builtin_type_constructor() -> Look:
    kept = [(kind, kind.__new__) for kind in (list, tuple, set, frozenset, dict, object)]
    return lambda: [type(new(kind)).__name__ for kind, new in kept]


def _of_c(owner: type, name: str, thing: Any) -> Look:
    bound, unbound, entry = getattr(thing, name), getattr(owner, name), vars(owner)[name]
    return lambda: (bound.__name__, unbound.__name__, type(entry).__name__, type(bound).__name__)


@CASES
def builtin_classicmethod() -> Look:
    look, hexed, plain = _of_c(float, "hex", 1.5), (1.5).hex, float.hex
    return lambda: (look(), hexed(), plain(1.5))


@CASES
def builtin_classmethod() -> Look:
    look, kept = _of_c(float, "fromhex", 1.5), float.fromhex
    return lambda: (look(), kept("0x1p-2"))


@CASES
def builtin_classmethod_descriptor() -> Look:
    entry = vars(dict)["fromkeys"]
    return lambda: entry.__get__(None, dict)("a")


@CASES
def builtin_slotmethod() -> Look:
    look, kept = _of_c(float, "__repr__", 1.5), (1.5).__repr__
    return lambda: (look(), kept(), float.__repr__(2.5))


@CASES
def builtin_staticmethod() -> Look:
    kept, entry = str.maketrans, vars(str)["maketrans"]
    return lambda: (kept("a", "b"), entry.__func__("a", "b"), type(entry).__name__)


@CASES
def extended_arg() -> Look:
    names = [f"g{index}" for index in range(300)]
    lines = [f"{name} = {index}" for index, name in enumerate(names)]
    text = "\n".join([*lines, "def f(): return zlib.crc32(repr((" + ", ".join(names) + ")).encode())", "import zlib"])
    space = cell(text, {"__name__": "extended_arg"}, "<extended arg>")
    return lambda: space["f"]() if GLOBAL == "never" else _call(space["f"])


def _call(f: Any) -> Any:
    return f()


@CASES
def submodule() -> Look:
    import concurrent.futures
    import xml.etree.ElementTree as tree

    return lambda: (tree.Element("x").tag, concurrent.futures.Future.__name__)


@CASES
def submodule_closure() -> Look:
    import xml.etree.ElementTree

    def inner() -> Any:
        return xml.etree.ElementTree.fromstring("<a/>").tag

    return inner


CASES["import"] = lambda: _importing()


def _importing() -> Look:
    def look() -> Any:
        import json as j
        from collections import Counter as C

        return j.dumps([1]), C("aa")

    return look


@CASES
def multiprocessing_lock_raises() -> Look:
    lock = multiprocessing.Lock()
    return lambda: lock


@CASES
def cell_manipulation() -> Look:
    value = 5

    def inner() -> Any:
        return value

    inner.__closure__[0].cell_contents = 6
    kept = inner.__closure__[0]
    return lambda: (inner(), kept.cell_contents)


@CASES
def logger() -> Look:
    named, root = logging.getLogger("cloudpickle.case"), logging.getLogger()
    return lambda: (named.name, root.name, named is logging.getLogger("cloudpickle.case"), root is logging.getLogger())


@CASES
def getset_descriptor() -> Look:
    kept = float.real
    return lambda: kept.__get__(1.5)


@CASES
def abc_cache_not_pickled() -> Look:
    class Base(abc.ABC):
        pass

    class Other:
        pass

    isinstance(Other(), Base)
    Base.register(Other)
    return lambda: isinstance(Other(), Base)


CASES["abc"] = lambda: _abstract()


def _abstract() -> Look:
    class AbstractBase(abc.ABC):
        @abc.abstractmethod
        def method(self) -> str: ...

    @AbstractBase.register
    class Foreign:
        pass

    class Concrete(AbstractBase):
        def method(self) -> str:
            return "ok"

    kept = Concrete()

    def look() -> Any:
        try:
            AbstractBase()
        except TypeError:
            refused = True
        return Concrete().method(), kept.method(), issubclass(Foreign, AbstractBase), isinstance(kept, AbstractBase), refused

    return look


@CASES
def abstracts() -> Look:
    class Base(abc.ABC):
        @abc.abstractmethod
        def a(self) -> None: ...

        @classmethod_
        @abc.abstractmethod
        def b(cls) -> None: ...

        @staticmethod
        @abc.abstractmethod
        def c() -> None: ...

        @property_
        @abc.abstractmethod
        def d(self) -> None: ...

    return lambda: sorted(Base.__abstractmethods__)


classmethod_: Any = __import__("builtins").classmethod
property_: Any = __import__("builtins").property


@CASES
def weakset_identity_preservation() -> Look:
    class Base:
        instances: weakref.WeakSet[Any] = weakref.WeakSet()

        def __init__(self, name: str) -> None:
            self.name = name
            self.instances.add(self)

    one, two = Base("one"), Base("two")
    return lambda: (one in Base.instances, sorted(each.name for each in two.instances), len(Base.instances))


@CASES
def non_module_object_passing_whichmodule_test() -> Look:
    class Odd(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise AttributeError(name)

    odd = Odd("odd")
    return lambda: odd


@CASES
def unrelated_faulty_module() -> Look:
    import threading

    lock = threading.RLock()
    return lambda: lock


@CASES
def function_module_name() -> Look:
    f = lambda x: x
    return lambda: f.__module__


@CASES
def function_qualname() -> Look:
    def f(x: int) -> int:
        return x

    f.__qualname__ = "<modifiedlambda>"
    return lambda: f.__qualname__


CASES["property"] = lambda: _property()


def _property() -> Look:
    class Mine:
        _write_count = 0

        @property_
        def read(self) -> str:
            """Read only."""
            return "read"

        @property_
        def both(self) -> int:
            return self._write_count

        @both.setter
        def both(self, value: int) -> None:
            self._write_count += value

    kept = Mine()

    def look() -> Any:
        kept.both = 3
        try:
            kept.read = "x"
        except AttributeError:
            refused = True
        return kept.read, kept.both, refused, Mine.read.__doc__

    return look


@CASES
def namedtuple() -> Look:
    Mine = collections.namedtuple("Mine", ["a", "b"])
    kept = Mine(1, 2)
    return lambda: (kept.a, kept, type(kept)(3, 4), Mine._fields)


@CASES
def NamedTuple() -> Look:
    class Mine(typing.NamedTuple):
        a: int
        b: str = "b"

    kept = Mine(1)
    return lambda: (kept.b, kept, Mine(2, "c"))
