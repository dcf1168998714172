"""The job DSL: three Python functions, `split`, `execute` and `merge`, become a `JobDefinition`.

    @Job.define
    def word_count():
        @Job.split
        def split(data: bytes) -> list[bytes]: ...
        @Job.execute
        def execute(chunk: bytes) -> bytes: ...
        @Job.merge(associative=True)
        def merge(results: list[bytes]) -> bytes: ...

What a job means: `result = merge([execute(c) for s in segments for c in split(s)])`. `JobDefinition.run_local` is that line,
run natively; `JobDefinition.archive` is what travels.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from types import FrameType, FunctionType, MappingProxyType
from typing import Any, NoReturn, TypeVar, overload

from pangea.compute.client.sources import display_name
from pangea.compute.model.errors import InputError, JobDefinitionError
from pangea.compute.model.frames import pack
from pangea.compute.model.limits import nearest
from pangea.compute.model.options import JobOptions
from pangea.compute.runtime.guest.returned import as_bytes, as_list
from pangea.compute.runtime.guest.seeding import seeded_call

Function = Callable[[Any], Any]
F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = tuple(option.name for option in fields(JobOptions))


@dataclass(frozen=True, eq=False)
class JobDefinition:
    """A job: what `submit_job` takes. Made by `Job.define`, `Job.from_functions` or `JobBuilder`.

    Attributes:
        name: the job's name.
        execute: turns a chunk into its result.
        split: cuts a segment into chunks; None leaves it whole.
        merge: joins the results, in order; None concatenates them.
        associative: whether merging some neighbours first gives the same result.
        defaults: keywords of `JobOptions` to run the job with, unless the submission says otherwise.
        file: where the job is defined.
        line: its line in `file`.
        scope: local names around the functions, to look up what only their decorators and defaults use.
    """

    name: str
    execute: Function
    split: Function | None = None
    merge: Function | None = None
    associative: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    scope: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the functions and the defaults.

        Raises:
            JobDefinitionError: a function can't be one of a job, or an option is unknown.
            ManifestError: an option's value is out of range.
        """
        for role, function in self.functions.items():
            _check_function(role, function)
        for option in self.defaults:
            if option not in _OPTIONS:
                raise _unknown_option(option, ("name", "associative", *_OPTIONS))
        JobOptions.of(self.defaults)
        if not isinstance(self.name, str) or not self.name:
            raise JobDefinitionError(f"a job's name must be a string that isn't empty, not {self.name!r}")
        object.__setattr__(self, "defaults", MappingProxyType(dict(self.defaults)))

    def __repr__(self) -> str:
        roles = ", ".join(f"{role}={_name_of(function)}" for role, function in self.functions.items())
        options = "".join(f", {name}={value!r}" for name, value in self.defaults.items())
        associative = ", associative" if self.associative else ""
        return f"<job {self.name!r}: {roles}{associative}{options}; {display_name(self.file)}:{self.line}>"

    def __call__(self, *_args: Any, **_options: Any) -> NoReturn:
        """Say how a job is run.

        Raises:
            JobDefinitionError: always.
        """
        raise JobDefinitionError(
            f"job {self.name!r} can't be called",
            hint=f"submit_job({self.name}, input_data=...) runs it; {self.name}.run_local(data) runs its functions here",
        )

    @property
    def functions(self) -> dict[str, Function]:
        """The job's functions by role, without those it leaves out."""
        present = {"split": self.split, "execute": self.execute, "merge": self.merge}
        return {role: function for role, function in present.items() if function is not None}

    def run_local(self, input_data: Any = None, *, segments: Iterable[bytes] | None = None, **options: Any) -> bytes:
        """Run the functions in this process: no sandbox, no limits, the same result as `submit_job`.

        Args:
            input_data: what `submit_job` takes: bytes, a path, a binary file, or a list of those.
            segments: or the input as it was cut.
            options: keywords of `JobOptions`; they win over the job's defaults.

        Raises:
            InputError: the input can't be read or cut as asked, or both kinds were given.
            ManifestError: an option is unknown or out of range.
            TypeError: a function returned what the sandbox would refuse too.
        """
        from pangea.compute.engine.cutting import cut, open_inputs

        if segments is not None:
            if input_data is not None:
                raise InputError("give either the input or its segments", hint="run_local(data) or run_local(segments=[...])")
            return self._run_over(segments)
        with open_inputs(input_data) as inputs:
            return self._run_over(cut(inputs, JobOptions.of({**self.defaults, **options}), custom_max=sys.maxsize))

    def _run_over(self, segments: Iterable[Any]) -> bytes:
        results = [self._call("execute", chunk) for segment in segments for chunk in self._split(bytes(segment))]
        if self.merge is None:
            return b"".join(results)
        with seeded_call("merge", pack(results)):
            return as_bytes(self.merge(results), "the result of merge")

    def archive(self) -> bytes:
        """Build the archive that travels, from the sources and values as they are now.

        Raises:
            JobDefinitionError: something that the functions use can't travel; names it and the line that uses it.
        """
        from pangea.compute.client.archive import build_archive

        return build_archive(self.functions, self.scope)

    def _split(self, segment: bytes) -> list[bytes]:
        if self.split is None:
            return [segment]
        with seeded_call("split", segment):
            return as_list(self.split(segment))

    def _call(self, role: str, chunk: bytes) -> bytes:
        with seeded_call(role, chunk):
            return as_bytes(self.execute(chunk), f"the result of {role}")


class _Collector:
    """The functions that one body of `Job.define`, or one `JobBuilder`, has named so far."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.associative = False
        self.scope: dict[str, Any] = {}

    def add(self, role: str, function: Function) -> None:
        if role in self.functions:
            first = _place(self.functions[role])
            raise JobDefinitionError(
                f"the job has two {role} functions: {_name_of(self.functions[role])} ({first}) and"
                f" {_name_of(function)} ({_place(function)})",
                hint="a job has one function for each role",
            )
        _check_function(role, function)
        self.functions[role] = function

    def build(self, name: str, defaults: Mapping[str, Any], file: str, line: int) -> JobDefinition:
        if "execute" not in self.functions:
            raise JobDefinitionError(
                f"job {name!r} ({display_name(file)}:{line}) has no execute function",
                hint="decorate the function that works on one chunk with @Job.execute",
            )
        return JobDefinition(
            name=name, associative=self.associative, defaults=defaults, file=file, line=line, scope=self.scope, **self.functions
        )


#: One collector for each body of `Job.define` that is running in this context, innermost last.
_collectors: ContextVar[tuple[_Collector, ...]] = ContextVar("pangea_job_definitions", default=())


class Job:
    """The decorators. Each can be used bare (`@Job.split`) or with options (`@Job.merge(associative=True)`)."""

    @overload
    @staticmethod
    def define(function: Callable[[], Any], /) -> JobDefinition: ...
    @overload
    @staticmethod
    def define(*, name: str | None = None, **defaults: Any) -> Callable[[Callable[[], Any]], JobDefinition]: ...
    @staticmethod
    def define(function: Callable[[], Any] | None = None, /, *, name: str | None = None, **defaults: Any) -> Any:
        """Run the function's body once and make a job of the functions it decorates.

        Args:
            function: takes no arguments.
            name: the job's name; the function's own if None.
            defaults: keywords of `JobOptions`.

        Raises:
            JobDefinitionError: there is no execute function, there are two of a kind, or an option is unknown.
            ManifestError: an option's value is out of range.
        """
        if function is None:
            return lambda body: _define(body, name, defaults)
        return _define(function, name, defaults)

    @overload
    @staticmethod
    def split(function: F, /) -> F: ...
    @overload
    @staticmethod
    def split(**options: Any) -> Callable[[F], F]: ...
    @staticmethod
    def split(function: Any = None, /, **options: Any) -> Any:
        """Name the function that cuts a segment into chunks: `bytes` to an iterable of `bytes` (it may be a generator)."""
        return _decorate("split", function, options)

    @overload
    @staticmethod
    def execute(function: F, /) -> F: ...
    @overload
    @staticmethod
    def execute(**options: Any) -> Callable[[F], F]: ...
    @staticmethod
    def execute(function: Any = None, /, **options: Any) -> Any:
        """Name the function that works on one chunk: `bytes` to `bytes`."""
        return _decorate("execute", function, options)

    @overload
    @staticmethod
    def merge(function: F, /) -> F: ...
    @overload
    @staticmethod
    def merge(*, associative: bool = False, **options: Any) -> Callable[[F], F]: ...
    @staticmethod
    def merge(function: Any = None, /, *, associative: bool = False, **options: Any) -> Any:
        """Name the function that joins the results, in the chunks' order: `list[bytes]` to `bytes`.

        Args:
            function: the function.
            associative: promise that `merge([merge(a), merge(b)]) == merge(a + b)`, so that neighbours can be merged early.
            options: none yet; an unknown one is an error.
        """
        return _decorate("merge", function, options, associative=associative)

    @staticmethod
    def from_functions(
        execute: Function,
        split: Function | None = None,
        merge: Function | None = None,
        *,
        name: str | None = None,
        associative: bool = False,
        **defaults: Any,
    ) -> JobDefinition:
        """Make a job of functions that exist already.

        Raises:
            JobDefinitionError: a function can't be one of a job, or an option is unknown.
            ManifestError: an option's value is out of range.
        """
        builder = JobBuilder(name, **defaults).execute(execute)
        if split is not None:
            builder.split(split)
        if merge is not None:
            builder.merge(merge, associative=associative)
        return builder.build()


class JobBuilder:
    """Build a job step by step: `JobBuilder("name").split(f).execute(g).merge(h, associative=True).build()`."""

    def __init__(self, name: str | None = None, **defaults: Any) -> None:
        """Start a job; `defaults` are keywords of `JobOptions`."""
        self._name = name
        self._defaults = defaults
        self._collector = _Collector()

    def split(self, function: Function) -> JobBuilder:
        """Set the function that cuts a segment into chunks."""
        self._collector.add("split", function)
        return self

    def execute(self, function: Function) -> JobBuilder:
        """Set the function that works on one chunk."""
        self._collector.add("execute", function)
        return self

    def merge(self, function: Function, *, associative: bool = False) -> JobBuilder:
        """Set the function that joins the results."""
        self._collector.add("merge", function)
        self._collector.associative = associative
        return self

    def build(self) -> JobDefinition:
        """Make the job; its name is the execute function's if none was given.

        Raises:
            JobDefinitionError: there is no execute function, or an option is unknown.
            ManifestError: an option's value is out of range.
        """
        execute = self._collector.functions.get("execute")
        code = getattr(inspect.unwrap(execute), "__code__", None) if execute else None
        file, line = (code.co_filename, code.co_firstlineno) if code else ("", 0)
        own_name = _name_of(execute) if execute else "job"
        name = self._name or ("job" if own_name == "<lambda>" else own_name)
        return self._collector.build(name, self._defaults, file, line)


def _define(body: Callable[[], Any], name: str | None, defaults: Mapping[str, Any]) -> JobDefinition:
    if not isinstance(body, FunctionType):
        raise JobDefinitionError(f"Job.define decorates a function, not {_kind(body)}")
    if inspect.iscoroutinefunction(body) or inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise JobDefinitionError(f"{body.__name__} ({_place(body)}) must be a plain function: no async, no yield")
    for parameter in inspect.signature(body).parameters:
        raise JobDefinitionError(
            f"{body.__name__} ({_place(body)}) takes {parameter!r}; Job.define decorates a function without arguments",
            hint="its body only defines split, execute and merge",
        )
    collector = _Collector()
    token = _collectors.set((*_collectors.get(), collector))
    try:
        body()
    finally:
        _collectors.reset(token)
    code = body.__code__
    return collector.build(name or body.__name__, defaults, code.co_filename, code.co_firstlineno)


def _decorate(role: str, function: Any, options: Mapping[str, Any], *, associative: bool = False) -> Any:
    for option in options:
        if option == "kernel":
            raise JobDefinitionError("kernels are not built yet", hint="leave kernel= out: execute runs as Python", option=option)
        raise _unknown_option(option, ("associative",) if role == "merge" else ())
    if function is None:
        return lambda decorated: _collect(role, decorated, associative)
    return _collect(role, function, associative)


def _collect(role: str, function: Any, associative: bool) -> Any:
    stack = _collectors.get()
    if not stack:
        raise JobDefinitionError(
            f"Job.{role} is used outside of a job, on {_name_of(function)} ({_place(function)})",
            hint="put the function into the body of a function that @Job.define decorates, or use Job.from_functions",
        )
    collector = stack[-1]
    collector.add(role, function)
    collector.associative |= associative
    collector.scope.update(_locals_of_caller())
    return function


def _locals_of_caller() -> dict[str, Any]:
    """Local names at the decorator: what decorators and defaults use is in no closure."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back
    return {} if frame is None or frame.f_locals is frame.f_globals else dict(frame.f_locals)


def _check_function(role: str, function: Any) -> None:
    plain = inspect.unwrap(function) if callable(function) else function
    if not isinstance(plain, FunctionType):
        raise JobDefinitionError(
            f"{role} must be a Python function, not {_kind(function)}", hint=f"wrap it: def {role}(data): return ...", role=role
        )
    where = f"{role} function {_name_of(plain)} ({_place(plain)})"
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        raise JobDefinitionError(f"{where} is async", hint="a sandbox has nothing to wait for: use a plain function", role=role)
    if role != "split" and inspect.isgeneratorfunction(plain):
        raise JobDefinitionError(f"{where} is a generator", hint="return bytes instead; only split may yield", role=role)
    try:
        inspect.signature(function).bind(b"")
    except TypeError as error:
        what = {"split": "a segment", "execute": "a chunk", "merge": "the list of results"}[role]
        raise JobDefinitionError(
            f"{where} must take one argument, {what}; its signature is {inspect.signature(function)}",
            hint=f"def {_name_of(plain)}({what.rpartition(' ')[2]}): ...",
            role=role,
        ) from error


def _unknown_option(option: str, known: tuple[str, ...]) -> JobDefinitionError:
    near = nearest(option, list(known))
    hint = f"did you mean {near!r}?" if near else f"known options: {', '.join(sorted(known)) or 'none'}"
    return JobDefinitionError(f"unknown option {option!r}", hint=hint, option=option)


def _name_of(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _kind(value: object) -> str:
    return f"a {type(value).__name__}: {value!r:.80}"


def _place(function: Any) -> str:
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    return f"{display_name(code.co_filename)}:{code.co_firstlineno}" if code else "no source"
