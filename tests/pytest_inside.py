"""As much of pytest as tests need that run in the guest, where it stands under pytest's name (`tests.numpy_suite`).

Marks, parameters, fixtures with parameters of their own, and what is expected to raise or to warn. A fixture that only an outside
could give (`tmp_path`) skips the test.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import re
import traceback
import types
import unittest
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_TEXT_MAX = 1_500


class Skipped(BaseException):
    """A test that isn't run."""


class XFailed(BaseException):
    """A test that says itself that it fails."""


class PytestUnraisableExceptionWarning(Warning):
    """Is never given."""


class Mark:
    """`pytest.mark.NAME(…)`."""

    def __init__(self, name: str, args: tuple[Any, ...] = (), options: dict[str, Any] | None = None) -> None:
        self.name, self.args, self.options = name, args, options or {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Put itself on a function or class, or take arguments."""
        if len(args) == 1 and not options and callable(args[0]):
            args[0].pytestmark = [*getattr(args[0], "pytestmark", []), self]
            return args[0]
        return Mark(self.name, (*self.args, *args), {**self.options, **options})


class _Marks:
    def __getattr__(self, name: str) -> Mark:
        return Mark(name)


mark = _Marks()


class Param:
    """`pytest.param(…)`."""

    def __init__(self, *values: Any, marks: Any = (), id: object = None) -> None:  # noqa: A002  # pytest's
        self.values, self.marks, self.id = values, [marks] if isinstance(marks, Mark) else list(marks), id


param = Param


def fixture(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """`@pytest.fixture` and `@pytest.fixture(params=…, autouse=…)`."""

    def marked(made: Any) -> Any:
        made.fixture_options = options
        return made

    return marked(function) if function is not None else marked


class Raised:
    """What `raises` has caught."""

    def __init__(self, expected: Any, pattern: Any) -> None:
        self._expected, self._pattern = expected, pattern
        self.value: Any = None
        self.type: Any = None

    def __enter__(self) -> Raised:
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> bool:
        if kind is None:
            raise AssertionError(f"did not raise {self._expected}")
        if not issubclass(kind, self._expected):
            return False
        self.value, self.type = value, kind
        if self._pattern is not None:
            self.match(self._pattern)
        return True

    def match(self, pattern: Any) -> bool:
        """Whether the message matches; it must."""
        assert re.search(pattern, str(self.value)), f"{pattern!r} isn't in {str(self.value)!r}"
        return True


def raises(expected: Any, *args: Any, match: Any = None, **options: Any) -> Any:
    """As a context, or of a call."""
    caught = Raised(expected, match)
    if not args:
        return caught
    with caught:
        args[0](*args[1:], **options)
    return caught


@contextlib.contextmanager
def _warned(expected: Any, pattern: Any) -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen
    suits = (each for each in seen if issubclass(each.category, expected))
    assert any(pattern is None or re.search(pattern, str(each.message)) for each in suits), f"did not warn {expected}, {pattern}"


def warns(expected: Any = Warning, *args: Any, match: Any = None, **options: Any) -> Any:
    """As a context, or of a call."""
    if not args:
        return _warned(expected, match)
    with _warned(expected, match):
        return args[0](*args[1:], **options)


def deprecated_call(*args: Any, **options: Any) -> Any:
    """`warns` of what is deprecated."""
    return warns((DeprecationWarning, PendingDeprecationWarning, FutureWarning), *args, **options)


def skip(reason: str = "", **_: Any) -> None:
    """Leave the test."""
    raise Skipped(reason)


def xfail(reason: str = "", **_: Any) -> None:
    """Leave the test: it fails."""
    raise XFailed(reason)


def fail(reason: str = "", **_: Any) -> None:
    """Fail."""
    raise AssertionError(reason)


def importorskip(name: str, *_: Any, **__: Any) -> Any:
    """The module, or leave the test."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Skipped(str(error)) from None


class approx:  # pytest's name
    """A number, or numbers, near enough."""

    def __init__(self, value: Any, rel: float | None = None, abs: float | None = None) -> None:  # noqa: A002  # pytest's
        self._value, self._rel, self._abs = value, 1e-6 if rel is None else rel, 1e-12 if abs is None else abs

    def __eq__(self, other: object) -> bool:
        import numpy as np

        return bool(np.allclose(other, self._value, rtol=self._rel, atol=self._abs))  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment]


class MonkeyPatch:
    """Sets, and puts back."""

    def __init__(self) -> None:
        self._undone = contextlib.ExitStack()

    def setattr(self, target: Any, name: Any, value: Any = None, **_: Any) -> None:
        """An attribute."""
        self._undone.callback(setattr, target, name, getattr(target, name))
        setattr(target, name, value)

    def setenv(self, name: str, value: str, **_: Any) -> None:
        """Of the environment: a job has one that is empty."""
        import os

        self._undone.callback(os.environ.pop, name, None)
        os.environ[name] = value

    def delenv(self, name: str, **_: Any) -> None:
        """Likewise."""
        import os

        os.environ.pop(name, None)

    def undo(self) -> None:
        """Put everything back."""
        self._undone.close()

    @classmethod
    @contextlib.contextmanager
    def context(cls) -> Iterator[MonkeyPatch]:
        """One for a while."""
        made = cls()
        try:
            yield made
        finally:
            made.undo()


@dataclass
class _Request:
    """What a fixture may ask of the test."""

    case: _Case
    param: Any = None

    @property
    def cls(self) -> Any:
        return self.case.owner

    def getfixturevalue(self, name: str) -> Any:
        return self.case.value(name)


@dataclass
class _Case:
    """One test with its parameters."""

    module: types.ModuleType
    owner: Any
    function: Any
    arguments: dict[str, Any]
    marks: list[Mark]
    params: dict[str, Any]
    instance: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def run(self) -> tuple[str, str]:
        """How it ended, and why."""
        if reason := _skipped(self.marks):
            return "skipped", reason
        if any(getattr(each, "is_outside", False) is True for each in (*self.arguments.values(), *self.params.values())):
            return "skipped", "is given what a job hasn't"
        try:
            with self.ends, warnings.catch_warnings():
                self._run()
        except (Skipped, unittest.SkipTest) as error:
            return "skipped", str(error)
        except XFailed as error:
            return "expected", str(error)
        except BaseException as error:
            if any(each.name == "xfail" and (not each.args or each.args[0]) for each in self.marks):
                return "expected", ""
            return "failed", "".join(traceback.format_exception(error))[-_TEXT_MAX:]
        return "passed", ""

    def _run(self) -> None:
        function = self.function
        if self.owner is not None:
            if hasattr(self.owner, "setup_class") and not vars(self.owner).get("is_set_up"):
                self.owner.is_set_up = True
                self.owner.setup_class()
            self.instance = self.owner()
            function = getattr(self.instance, self.function.__name__)
            for name in ("setup_method", "setUp"):
                getattr(self.instance, name, lambda *_: None)(*[function][: _takes(self.instance, name)])
        for name in _used(self.module, self.owner, self.marks):
            self.value(name)
        function(**self.arguments, **{name: self.value(name) for name in _asked(function) if name not in self.arguments})
        for name in ("teardown_method", "tearDown"):
            getattr(self.instance, name, lambda *_: None)(*[function][: _takes(self.instance, name)])

    def value(self, name: str) -> Any:
        """Of a fixture."""
        if name not in self.values:
            self.values[name] = self._made(name)
        return self.values[name]

    def _made(self, name: str) -> Any:
        if name == "request":
            return _Request(self)
        if name == "monkeypatch":
            return self.ends.enter_context(MonkeyPatch.context())
        function = _fixture(self.module, self.owner, name)
        if function is None:
            raise Skipped(f"no fixture {name}")
        request = _Request(self, self.params.get(name))
        given = {each: request if each == "request" else self.value(each) for each in _asked(function) if each != "self"}
        if "self" in inspect.signature(function).parameters:
            given["self"] = self.instance
        made = function(**given)
        if not isinstance(made, types.GeneratorType):
            return made
        self.ends.callback(next, made, None)
        return next(made)


def _takes(instance: Any, name: str) -> int:
    found = getattr(instance, name, None)
    return 0 if found is None else len(inspect.signature(found).parameters)


def _asked(function: Any) -> list[str]:
    """Names of what a test or a fixture takes."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind in kinds and each.default is each.empty]


def _fixture(module: types.ModuleType, owner: Any, name: str) -> Any:
    for place in (owner, module):
        found = inspect.getattr_static(place, name, None) if place is not None else None
        if _options(found) is not None:
            return found
    return next((each for each in vars(module).values() if (_options(each) or {}).get("name") == name), None)


def _options(found: Any) -> dict[str, Any] | None:
    """Of a fixture; None: it is none, though it may have any attribute that is asked for."""
    options = getattr(found, "fixture_options", None)
    return options if isinstance(options, dict) else None


def _used(module: types.ModuleType, owner: Any, marks: list[Mark]) -> list[str]:
    """Fixtures that a test gets without asking."""
    names = [name for each in marks if each.name == "usefixtures" for name in each.args]
    for place in (module, owner):
        for name in dir(place) if place is not None else ():
            found = inspect.getattr_static(place, name, None)
            if (_options(found) or {}).get("autouse"):
                names.append(name)
    return names


def _skipped(marks: list[Mark]) -> str:
    """Why a test isn't run; empty if it is."""
    for each in marks:
        if each.name == "skip" or (each.name == "skipif" and each.args and each.args[0]):
            return str(each.options.get("reason", each.name))
        if each.name in ("slow_pypy", "parallel_threads", "parallel_threads_limit"):
            return each.name
    return ""


def _choices(marks: list[Mark], params: dict[str, list[Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[Mark]]]:
    """Each combination of parameters of the test and of its fixtures, with marks of these."""
    axes: list[list[tuple[dict[str, Any], bool, list[Mark]]]] = []
    for each in marks:
        if each.name == "parametrize":
            given = dict(zip(("argnames", "argvalues"), each.args, strict=False)) | each.options
            axes.append([(row, bool(given.get("indirect")), more) for row, more in _rows(**given)])
    for name, listed in params.items():
        axes.append([({name: values[0]}, True, more) for values, more in map(_unpacked, listed)])
    for chosen in itertools.product(*axes):
        arguments, indirect, extra = dict[str, Any](), dict[str, Any](), list[Mark]()
        for row, is_indirect, more in chosen:
            (indirect if is_indirect else arguments).update(row)
            extra += more
        yield arguments, indirect, extra


def _rows(argnames: Any, argvalues: Iterable[Any], **_: Any) -> Iterator[tuple[dict[str, Any], list[Mark]]]:
    names = [name.strip() for name in argnames.split(",") if name.strip()] if isinstance(argnames, str) else list(argnames)
    is_one = isinstance(argnames, str) and len(names) == 1
    for each in argvalues:
        values, more = _unpacked(each) if isinstance(each, Param) else ((each,) if is_one else tuple(each), [])
        yield dict(zip(names, values, strict=True)), more


def _unpacked(value: Any) -> tuple[tuple[Any, ...], list[Mark]]:
    return (value.values, value.marks) if isinstance(value, Param) else ((value,), [])


def _params(module: types.ModuleType, owner: Any, function: Any, marks: list[Mark]) -> dict[str, list[Any]]:
    """Fixtures with parameters that a test uses, directly or by another fixture."""
    found: dict[str, list[Any]] = {}
    ahead = [*_asked(function), *_used(module, owner, marks)]
    while ahead:
        name = ahead.pop()
        made = _fixture(module, owner, name)
        if made is not None and name not in found:
            if made.fixture_options.get("params") is not None:
                found[name] = list(made.fixture_options["params"])
            ahead += [each for each in _asked(made) if each not in ("self", name)]
    return found


def collect(module: types.ModuleType) -> dict[str, _Case]:
    """All tests of a module, by name."""
    general = getattr(module, "pytestmark", [])
    general = general if isinstance(general, list) else [general]
    found: dict[str, _Case] = {}
    for name, value in list(vars(module).items()):
        if name.startswith("test") and callable(value) and not isinstance(value, type):
            found |= _cases(module, None, name, value, [*general, *getattr(value, "pytestmark", [])])
        elif name.startswith("Test") and isinstance(value, type):
            for method in dir(value):
                function = getattr(value, method)
                if method.startswith("test") and callable(function):
                    marks = [*general, *getattr(value, "pytestmark", []), *getattr(function, "pytestmark", [])]
                    found |= _cases(module, value, f"{name}.{method}", function, marks)
    return found


def _cases(module: types.ModuleType, owner: Any, name: str, function: Any, marks: list[Mark]) -> dict[str, _Case]:
    params = _params(module, owner, function, marks)
    choices = enumerate(_choices(marks, params))
    return {
        f"{name}[{number}]": _Case(module, owner, function, arguments, [*marks, *extra], indirect)
        for number, (arguments, indirect, extra) in choices
    }
