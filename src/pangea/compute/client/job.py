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
run natively; `JobDefinition.archive` is what travels. Chunks are bytes; `@Job.execute(input="array", output="json")` makes them
more, for this function (`client.kinds`).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import FrameType, FunctionType
from typing import Any, TypeVar, overload

from pangea.compute.client.definition import Function, JobDefinition, unknown_option
from pangea.compute.client.functions import check_function, described, name_of, place_of
from pangea.compute.client.kinds import Declared, InputKind, OutputKind, check_declared, complete
from pangea.compute.client.sources import display_name
from pangea.compute.model.errors import JobDefinitionError

__all__ = ["Job", "JobBuilder", "JobDefinition"]

F = TypeVar("F", bound=Callable[..., Any])


class _Collector:
    """The functions that one body of `Job.define`, or one `JobBuilder`, has named so far."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.declared: dict[str, Declared] = {}
        self.associative = False
        self.scope: dict[str, Any] = {}

    def add(self, role: str, function: Function, declared: Declared) -> None:
        if role in self.functions:
            first = place_of(self.functions[role])
            raise JobDefinitionError(
                f"the job has two {role} functions: {name_of(self.functions[role])} ({first}) and"
                f" {name_of(function)} ({place_of(function)})",
                hint="a job has one function for each role",
            )
        check_function(role, function)
        check_declared(role, declared)
        self.functions[role] = function
        self.declared[role] = declared

    def build(self, name: str, defaults: Mapping[str, Any], file: str, line: int) -> JobDefinition:
        if "execute" not in self.functions:
            raise JobDefinitionError(
                f"job {name!r} ({display_name(file)}:{line}) has no execute function",
                hint="decorate the function that works on one chunk with @Job.execute",
            )
        return JobDefinition(
            name=name,
            associative=self.associative,
            defaults=defaults,
            file=file,
            line=line,
            scope=self.scope,
            kinds=complete(self.declared, self.functions, is_associative=self.associative),
            **self.functions,
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

    @staticmethod
    def inputs(function: F, /) -> F:
        """Name the function of a job file, outside of its jobs, that makes the input from options; see `client.hooks`.

        Raises:
            JobDefinitionError: a parameter can't be an option.
        """
        from pangea.compute.client import hooks

        return hooks.inputs(function)

    @staticmethod
    def check(function: F, /) -> F:
        """Name the function of a job file, outside of its jobs, that checks the result; see `client.hooks`.

        Raises:
            JobDefinitionError: it doesn't take a result.
        """
        from pangea.compute.client import hooks

        return hooks.check(function)

    @overload
    @staticmethod
    def split(function: F, /) -> F: ...
    @overload
    @staticmethod
    def split(
        *,
        input: InputKind | None = None,
        output: InputKind | None = None,
        **options: Any,
    ) -> Callable[[F], F]: ...
    @staticmethod
    def split(function: Any = None, /, *, input: Any = None, output: Any = None, **options: Any) -> Any:  # noqa: A002
        """Name the function that cuts a segment into chunks: it returns them as an iterable (it may be a generator).

        Args:
            function: the function.
            input: what it takes: "bytes" (the default), "text", "json", "jsonl", "array" or "table".
            output: what each chunk is that it makes; what execute takes, if None.
            options: none yet; an unknown one is an error.

        Raises:
            JobDefinitionError: a kind or an option is unknown, or there is a split function already.
        """
        return _decorate("split", function, Declared(input, output), options)

    @overload
    @staticmethod
    def execute(function: F, /) -> F: ...
    @overload
    @staticmethod
    def execute(
        *,
        input: InputKind | None = None,
        output: OutputKind | None = None,
        **options: Any,
    ) -> Callable[[F], F]: ...
    @staticmethod
    def execute(function: Any = None, /, *, input: Any = None, output: Any = None, **options: Any) -> Any:  # noqa: A002
        """Name the function that works on one chunk.

        Args:
            function: the function.
            input: what it takes: "bytes" (the default), "text", "json", "jsonl", "array" or "table".
            output: what it returns: one of those, or "image"; "bytes" if None.
            options: none yet; an unknown one is an error.

        Raises:
            JobDefinitionError: a kind or an option is unknown, or there is an execute function already.
        """
        return _decorate("execute", function, Declared(input, output), options)

    @overload
    @staticmethod
    def merge(function: F, /) -> F: ...
    @overload
    @staticmethod
    def merge(*, associative: bool = False, output: OutputKind | None = None, **options: Any) -> Callable[[F], F]: ...
    @staticmethod
    def merge(function: Any = None, /, *, associative: bool = False, output: Any = None, **options: Any) -> Any:
        """Name the function that joins the results, which it is given as a list in the chunks' order.

        Args:
            function: the function.
            associative: promise that `merge([merge(a), merge(b)]) == merge(a + b)`, so that neighbours can be merged early.
            output: what it returns; what execute returns, if None. An associative merge has to return that.
            options: none yet; an unknown one is an error.

        Raises:
            JobDefinitionError: a kind or an option is unknown, or there is a merge function already.
        """
        return _decorate("merge", function, Declared(None, output), options, associative=associative)

    @staticmethod
    def from_functions(
        execute: Function,
        split: Function | None = None,
        merge: Function | None = None,
        *,
        name: str | None = None,
        associative: bool = False,
        input: InputKind | None = None,  # noqa: A002
        output: OutputKind | None = None,
        split_input: InputKind | None = None,
        split_output: InputKind | None = None,
        merge_output: OutputKind | None = None,
        **defaults: Any,
    ) -> JobDefinition:
        """Make a job of functions that exist already.

        Args:
            execute: works on one chunk.
            split: cuts a segment into chunks; None leaves it whole.
            merge: joins the results; None concatenates them.
            name: the job's name; that of `execute` if None.
            associative: whether merging some neighbours first gives the same result.
            input: what `execute` takes.
            output: what it returns.
            split_input: what `split` takes.
            split_output: what its chunks are.
            merge_output: what `merge` returns.
            **defaults: keywords of `JobOptions`.

        Raises:
            JobDefinitionError: a function can't be one of a job, or an option or a kind is unknown.
            ManifestError: an option's value is out of range.
        """
        builder = JobBuilder(name, **defaults).execute(execute, input=input, output=output)
        if split is not None:
            builder.split(split, input=split_input, output=split_output)
        if merge is not None:
            builder.merge(merge, associative=associative, output=merge_output)
        return builder.build()


class JobBuilder:
    """Build a job step by step: `JobBuilder("name").split(f).execute(g).merge(h, associative=True).build()`."""

    def __init__(self, name: str | None = None, **defaults: Any) -> None:
        """Start a job; `defaults` are keywords of `JobOptions`."""
        self._name = name
        self._defaults = defaults
        self._collector = _Collector()

    def split(
        self,
        function: Function,
        *,
        input: InputKind | None = None,  # noqa: A002
        output: InputKind | None = None,
    ) -> JobBuilder:
        """Set the function that cuts a segment into chunks, and what it takes and makes."""
        self._collector.add("split", function, Declared(input, output))
        return self

    def execute(
        self,
        function: Function,
        *,
        input: InputKind | None = None,  # noqa: A002
        output: OutputKind | None = None,
    ) -> JobBuilder:
        """Set the function that works on one chunk, and what it takes and returns."""
        self._collector.add("execute", function, Declared(input, output))
        return self

    def merge(self, function: Function, *, associative: bool = False, output: OutputKind | None = None) -> JobBuilder:
        """Set the function that joins the results, and what it returns."""
        self._collector.add("merge", function, Declared(None, output))
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
        own_name = name_of(execute) if execute else "job"
        name = self._name or ("job" if own_name == "<lambda>" else own_name)
        return self._collector.build(name, self._defaults, file, line)


def _define(body: Callable[[], Any], name: str | None, defaults: Mapping[str, Any]) -> JobDefinition:
    if not isinstance(body, FunctionType):
        raise JobDefinitionError(f"Job.define decorates a function, not {described(body)}")
    if inspect.iscoroutinefunction(body) or inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise JobDefinitionError(f"{body.__name__} ({place_of(body)}) must be a plain function: no async, no yield")
    for parameter in inspect.signature(body).parameters:
        raise JobDefinitionError(
            f"{body.__name__} ({place_of(body)}) takes {parameter!r}; Job.define decorates a function without arguments",
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


def _decorate(role: str, function: Any, declared: Declared, options: Mapping[str, Any], *, associative: bool = False) -> Any:
    for option in options:
        if option == "kernel":
            raise JobDefinitionError("kernels are not built yet", hint="leave kernel= out: execute runs as Python", option=option)
        if (role, option) == ("merge", "input"):
            hint = 'it is given what execute returns: @Job.execute(output="...")'
            raise JobDefinitionError("merge can't be declared an input", hint=hint, option=option)
        raise unknown_option(option, ("associative", "output") if role == "merge" else ("input", "output"))
    if function is None:
        return lambda decorated: _collect(role, decorated, declared, associative)
    return _collect(role, function, declared, associative)


def _collect(role: str, function: Any, declared: Declared, associative: bool) -> Any:
    stack = _collectors.get()
    if not stack:
        raise JobDefinitionError(
            f"Job.{role} is used outside of a job, on {name_of(function)} ({place_of(function)})",
            hint="put the function into the body of a function that @Job.define decorates, or use Job.from_functions",
        )
    collector = stack[-1]
    collector.add(role, function, declared)
    collector.associative |= associative
    collector.scope.update(_locals_of_caller())
    return function


def _locals_of_caller() -> dict[str, Any]:
    """Local names at the decorator: what decorators and defaults use is in no closure."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals is globals():
        frame = frame.f_back
    return {} if frame is None or frame.f_locals is frame.f_globals else dict(frame.f_locals)
