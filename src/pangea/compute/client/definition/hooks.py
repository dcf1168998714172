"""What a job file may offer `pangea run` beside its jobs: an input made from options of its own, and a check of the result.

    @Job.inputs
    def inputs(size: int = 256, seed: int = 0) -> list[bytes]: ...     # pangea run job.py --size 512

    @Job.check
    def check(result: Result, size: int) -> str: ...                   # with --verify; says what it looked at

Parameters become options, by their names and annotations (int, float, str, bool, Path, or a Literal of texts; `| None` is
allowed), and what `inputs` returns is the job's input. `check` gets the result and, of the same options, those that it names. It
returns what it has looked at, in words, or nothing; False, or an AssertionError, says that the result is wrong.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pangea.compute.capture.sources import display_name
from pangea.compute.model.errors import JobDefinitionError, ManifestError, UnverifiedError
from pangea.compute.model.limits import nearest, shown

F = TypeVar("F", bound=Callable[..., Any])
_MARK: Final = "__pangea_hook__"
_RESULT: Final = "result"
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


def inputs(function: F) -> F:
    """Name the function of a job file that makes the input from options of the command line.

    Raises:
        JobDefinitionError: a parameter can't be an option.
    """
    options_of(function)
    return _marked(function, "inputs")


def check(function: F) -> F:
    """Name the function of a job file that checks the result; its first parameter is `result`.

    Raises:
        JobDefinitionError: it doesn't take a result.
    """
    if next(iter(inspect.signature(function).parameters), "") != _RESULT:
        raise JobDefinitionError(
            f"the check {function.__name__} ({_place(function)}) must take the result first",
            hint="def check(result, ...): ...; a check of each chunk, check(chunk, result), stands in the job that it is of",
        )
    return _marked(function, "check")


def refuse_whole(function: Callable[..., Any]) -> None:
    """Within a job there is no check of the whole result.

    Raises:
        JobDefinitionError: the function is one.
    """
    if inspect.isfunction(function) and next(iter(inspect.signature(function).parameters), "") == _RESULT:
        raise JobDefinitionError(
            f"the check {function.__name__} ({_place(function)}) is in a job and takes the result first",
            hint="in a job it is def check(chunk, result): ...; a check of the whole result stands beside the jobs of its file",
        )


def _marked(function: F, kind: str) -> F:
    setattr(function, _MARK, kind)
    return function


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one job file; None where it has none."""

    inputs: Callable[..., Any] | None = None
    check: Callable[..., Any] | None = None

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> Hooks:
        """Those among a module's variables.

        Raises:
            JobDefinitionError: there are two of a kind.
        """
        found: dict[str, Callable[..., Any]] = {}
        for value in variables.values():
            kind = getattr(value, _MARK, None) if inspect.isfunction(value) else None
            if kind is None or found.setdefault(kind, value) is value:
                continue
            places = f"{_place(found[kind])} and {_place(value)}"
            raise JobDefinitionError(f"the file has two functions with @Job.{kind}: {places}", hint="keep one")
        return cls(**found)

    @property
    def options(self) -> dict[str, Option]:
        """The options that `inputs` takes, by name."""
        return options_of(self.inputs) if self.inputs is not None else {}

    def values(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The options' values, from the texts that were given for them.

        Raises:
            ManifestError: one is missing, unknown, or not what it should be.
        """
        known = self.options
        for name in given:
            if name not in known:
                near = nearest(name, list(known))
                raise ManifestError(f"unknown option {_flag(name)}", hint=f"did you mean {_flag(near)}?" if near else "")
        missing = [name for name, option in known.items() if option.is_required and name not in given]
        if missing:
            raise ManifestError(f"this job needs {', '.join(map(_flag, missing))}", hint=f"such as {_flag(missing[0])} VALUE")
        defaults = {name: option.default for name, option in known.items() if not option.is_required}
        return defaults | {name: known[name].parse(text) for name, text in given.items()}

    def make_input(self, values: Mapping[str, Any]) -> Any:
        """The job's input. What the function prints goes to standard error.

        Raises:
            JobDefinitionError: the function raised.
        """
        assert self.inputs is not None, "asked of files that have it"
        return _called(self.inputs, **values)

    def check_result(self, result: Any, values: Mapping[str, Any]) -> str:
        """Have the file check a result; what it looked at, in words.

        Raises:
            UnverifiedError: the result is wrong.
            JobDefinitionError: the function raised something else than an AssertionError.
        """
        assert self.check is not None, "asked of files that have it"
        wanted = inspect.signature(self.check).parameters
        name, known = self.check.__name__, {name: value for name, value in values.items() if name in wanted}
        try:
            found = _called(self.check, result, **known)
        except AssertionError as error:
            reason = str(error).strip() or "an assertion failed"
            raise UnverifiedError(f"the job's own check says no: {reason}", hint=f"{name}, {_place(self.check)}") from error
        if found is False:
            raise UnverifiedError("the job's own check says no", hint=f"{name}, {_place(self.check)}")
        return str(found) if isinstance(found, str) and found else f"the job's own check, {name}, has nothing against it"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a job's own.

    Attributes:
        name: as the function has it.
        kind: int, float, str, bool, Path, or the texts that are allowed.
        default: its value if it isn't given.
        is_required: whether it has no default.
    """

    name: str
    kind: type | tuple[str, ...]
    default: Any = None
    is_required: bool = False

    def parse(self, text: str) -> Any:
        """The value that a text means.

        Raises:
            ManifestError: none.
        """
        if isinstance(self.kind, tuple):
            if text in self.kind:
                return text
            near = nearest(text, list(self.kind))
            hint = f"did you mean {near!r}?" if near else ""
            raise ManifestError(f"{_flag(self.name)} is {shown(text)}; it must be one of {', '.join(self.kind)}", hint=hint)
        if self.kind is bool:
            if text.lower() in (*_YES, *_NO):
                return text.lower() in _YES
            raise ManifestError(f"{_flag(self.name)} is {shown(text)}; it must be yes or no")
        try:
            return self.kind(text)
        except ValueError as error:
            what = "an integer" if self.kind is int else "a number"
            raise ManifestError(f"{_flag(self.name)} is {shown(text)}; it must be {what}") from error


def options_of(function: Callable[..., Any]) -> dict[str, Option]:
    """The options that a function's parameters become.

    Raises:
        JobDefinitionError: a parameter can't be one.
    """
    options = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise JobDefinitionError(f"{function.__name__} ({_place(function)}) takes {parameter}, which can't be an option")
        is_required = parameter.default is parameter.empty
        default = None if is_required else parameter.default
        kind = _annotated(function, name) or (str if default is None else type(default))
        options[name] = Option(name, _kind_of(kind, name, function), default, is_required)
    return options


def _annotated(function: Callable[..., Any], name: str) -> Any:
    """A parameter's annotation, evaluated if it is text: that of what is returned may be known to type checkers alone."""
    given = {each: note for each, note in function.__annotations__.items() if each == name}
    try:
        return typing.get_type_hints(types.SimpleNamespace(__annotations__=given), function.__globals__).get(name)
    except Exception as error:  # whatever somebody's annotations raise
        raise JobDefinitionError(f"the annotation of {name} in {function.__name__} can't be read: {error}") from error


def _kind_of(kind: Any, name: str, function: Callable[..., Any]) -> type | tuple[str, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        left = [each for each in typing.get_args(kind) if each is not type(None)]
        kind = left[0] if len(left) == 1 else kind
    if typing.get_origin(kind) is Literal and all(isinstance(each, str) for each in typing.get_args(kind)):
        return typing.get_args(kind)
    if kind in (int, float, str, bool, Path):
        return typing.cast("type", kind)
    raise JobDefinitionError(
        f"{name} of {function.__name__} ({_place(function)}) is a {kind}, which can't be an option",
        hint="int, float, str, bool, Path and Literal of texts can",
    )


def _called(function: Callable[..., Any], *arguments: Any, **values: Any) -> Any:
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return function(*arguments, **values)
    except AssertionError:
        raise
    except Exception as error:
        raise JobDefinitionError(
            f"{function.__name__} ({_place(function)}) raised {type(error).__name__}: {error}",
            traceback="".join(traceback.format_exception(error.with_traceback(_own(error.__traceback__)))),
        ) from error


def _own(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without this module's frames."""
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _place(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{display_name(code.co_filename)}:{code.co_firstlineno}"
