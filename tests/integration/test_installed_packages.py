"""Pure-Python packages that are installed: what a program has set in them and made of them is in a job what it is here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pangea.compute import Job, submit_job

_PACKAGE = {
    "__init__.py": """
        from .context import Context
        from . import fields
        context = Context()
        rounded = context.rounded
        WIDTH = 10
        TABLE = {"a": 1}
        _strict = True
        _is_loaded = False
        def set_strict(value):
            global _strict
            _strict = value
        def strict():
            return _strict
        """,
    "context.py": """
        import sys, types
        class Context:
            def __init__(self):
                self._digits = [3]
                self.twin = types.SimpleNamespace(digits=self._digits)
                self.loaded = False
            def progress(self):
                return self.loaded
            def rounded(self, value):
                return round(value, self._digits[0])
        class Ratio:
            __slots__ = ("p", "q")
            def __new__(cls, p, q=1):
                self = object.__new__(cls)
                self.p, self.q = p, q
                return self
        class Proxy:
            def __init__(self):
                self.tables = {"a": 1}
            def __getattr__(self, name):
                return self.tables[name]
        class Named:
            def __init__(self, function):
                self.function = function
            def __reduce__(self):
                return self.function.__qualname__
            def __call__(self, value):
                return self.function(value) + 1
        def wrapped(function):
            def inner(value):
                return function(value)
            inner.__module__ = function.__module__
            inner.__qualname__ = inner.__name__ = function.__name__
            return inner
        made = types.ModuleType("knobs_made.context.made")
        made.system = sys
        sys.modules[made.__name__] = made
        """,
    "fields.py": """
        class Field:
            separator = "/"
            kinds = {int: "int"}
        REGISTRY = {}
        """,
}


@pytest.fixture
def knobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    folder = tmp_path / "site-packages" / "knobs_made"
    folder.mkdir(parents=True)
    for name, text in _PACKAGE.items():
        (folder / name).write_text(dedent(text))
    monkeypatch.syspath_prepend(str(folder.parent))
    yield importlib.import_module("knobs_made")
    for name in [name for name in sys.modules if name.partition(".")[0] == "knobs_made"]:
        del sys.modules[name]


def is_same(execute: Callable[[bytes], bytes]) -> bool:
    """Whether a function gives in a job what it gives here."""
    return bytes(submit_job(Job.from_functions(execute), b"x")) == execute(b"")


def test_settings_are_those_of_the_program(knobs: Any) -> None:
    knobs.WIDTH, knobs.TABLE["b"], knobs.fields.Field.separator = 20, 2, ">"
    knobs.context._digits[0] = 1
    knobs.context.unit = "m"
    knobs.set_strict(False)

    def execute(_chunk: bytes) -> bytes:
        twin = knobs.context.twin.digits is knobs.context._digits
        found = (knobs.WIDTH, knobs.TABLE, knobs.fields.Field.separator, knobs.rounded(1.25), twin)
        return repr((*found, knobs.context.unit, knobs.strict())).encode()

    assert is_same(execute)


def test_how_far_a_package_has_come_is_its_own_business(knobs: Any) -> None:
    knobs.context.loaded = knobs._is_loaded = True
    context = knobs.context

    def whole(_chunk: bytes) -> bytes:
        return repr((context.progress(), context is knobs.context)).encode()

    def read(_chunk: bytes) -> bytes:
        return repr((knobs._is_loaded, context.loaded)).encode()

    assert bytes(submit_job(Job.from_functions(whole), b"x")) == b"(False, True)"
    assert is_same(read)


def test_what_is_registered_is_registered_there(knobs: Any) -> None:
    class Cents:
        pass

    def double(value: int) -> int:
        return value * 2

    knobs.fields.Field.kinds[float] = Cents
    knobs.fields.REGISTRY["double"] = double

    def execute(_chunk: bytes) -> bytes:
        kinds = [getattr(each, "__name__", each) for each in knobs.fields.Field.kinds.values()]
        return repr((kinds, knobs.fields.REGISTRY["double"](4))).encode()

    assert is_same(execute)


def test_objects_that_python_takes_apart_are_made_without_their_class_s_methods(knobs: Any) -> None:
    assert knobs.context is not None
    module = sys.modules["knobs_made.context"]
    ratio, proxy = vars(module)["Ratio"](1, 3), vars(module)["Proxy"]()

    def execute(_chunk: bytes) -> bytes:
        return repr((ratio.p, ratio.q, proxy.a)).encode()

    assert is_same(execute)


def test_what_a_package_makes_of_functions_travels(knobs: Any) -> None:
    module = sys.modules["knobs_made.context"]

    @vars(module)["wrapped"]  # type: ignore[untyped-decorator]
    def plain(value: int) -> int:
        return value + 5

    named = vars(module)["Named"](plain)

    def execute(_chunk: bytes) -> bytes:
        return repr((plain(1), named(1))).encode()

    assert is_same(execute)


def test_modules_that_a_package_makes_are_the_package_s(knobs: Any) -> None:
    def execute(_chunk: bytes) -> bytes:
        from knobs_made.context.made import system  # type: ignore[import-not-found]

        return repr(system.byteorder).encode()

    assert knobs.context is not None
    assert is_same(execute)


def test_a_module_that_comes_along_has_a_file_s_name(knobs: Any) -> None:
    def execute(_chunk: bytes) -> bytes:
        return f"{knobs.__file__} {knobs.fields.__file__} {knobs.__spec__.has_location}".encode()

    answer = bytes(submit_job(Job.from_functions(execute), b"x"))
    assert answer == b"/job/lib/knobs_made/__init__.py /job/lib/knobs_made/fields.py True"
