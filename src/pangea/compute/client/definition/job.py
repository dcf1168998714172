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
more, for this function (`model.kinds`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from pangea.compute.capture.functions import check_function, described, name_of, place_of
from pangea.compute.capture.sources import display_name
from pangea.compute.client.definition.definition import Function, JobDefinition, unknown_option
from pangea.compute.client.definition.kernels import Kernel
from pangea.compute.client.definition.shader import OPTIONS, shader_of
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.gpu import GpuProgram
from pangea.compute.model.kinds import Declared, InputKind, OutputKind, check_declared, complete
from pangea.compute.model.limits import nearest

__all__ = ["Job", "JobBuilder", "JobDefinition"]

F = TypeVar("F", bound=Callable[..., Any])
Make = Callable[[Any], Kernel | GpuProgram | None]


class _Collector:
    """The functions that one body of `Job.define`, or one `JobBuilder`, has named so far."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.declared: dict[str, Declared] = {}
        self.kernel: Kernel | None = None
        self.gpu: GpuProgram | None = None
        self.associative = False
        self.check: Callable[..., Any] | None = None

    def add_check(self, function: Callable[..., Any]) -> None:
        check_function("check", function)
        if self.check is not None:
            places = f"{name_of(self.check)} ({place_of(self.check)}) and {name_of(function)} ({place_of(function)})"
            raise JobDefinitionError(f"the job has two check functions: {places}", hint="a job has one")
        self.check = function

    def add(self, role: str, function: Function, declared: Declared, made: Kernel | GpuProgram | None = None) -> None:
        if role in self.functions:
            first = place_of(self.functions[role])
            raise JobDefinitionError(
                f"the job has two {role} functions: {name_of(self.functions[role])} ({first}) and"
                f" {name_of(function)} ({place_of(function)})",
                hint="a job has one function for each role",
            )
        if isinstance(made, Kernel):
            declared, self.kernel = _arrays(declared), made
        elif made is not None:
            declared, self.gpu = Declared("array", "array"), made
        else:
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
            kinds=complete(self.declared, self.functions, is_associative=self.associative),
            kernel=self.kernel,
            gpu=self.gpu,
            check=self.check,
            **self.functions,
        )


def _arrays(declared: Declared) -> Declared:
    """What a kernel takes and returns: arrays.

    Raises:
        JobDefinitionError: something else was declared.
    """
    for word, kind in (("input", declared.input), ("output", declared.output)):
        if kind is not None:
            raise JobDefinitionError(
                f"execute is a kernel and declared {word}={kind!r}",
                hint=f"leave {word}= out: kernel= says what it is",
                option=word,
            )
    return Declared("array", "array")


#: One collector for each body of `Job.define` that is running in this context, innermost last.
_collectors: ContextVar[tuple[_Collector, ...]] = ContextVar("pangea_job_definitions", default=())


class _Named(type):
    if not TYPE_CHECKING:  # checkers of types are to see what isn't there

        def __getattr__(cls, name: str) -> NoReturn:
            known = sorted(each for each in vars(cls) if not each.startswith("_"))
            near = nearest(name, known)
            meant = f"did you mean {cls.__name__}.{near}?" if near else f"there are {', '.join(known)}"
            raise AttributeError(f"{cls.__name__} has no {name!r}; {meant}")  # without name=, or Python guesses, too


class Job(metaclass=_Named):
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
        """Name the function of a job file, outside of its jobs, that makes the input from options; see `client.definition.hooks`.

        Raises:
            JobDefinitionError: a parameter can't be an option.
        """
        from pangea.compute.client.definition import hooks

        return hooks.inputs(function)

    @staticmethod
    def check(function: F, /) -> F:
        """In a job: name the function that says whether a chunk's result is right, cheaper than by executing it again.

        `check(chunk, result) -> bool` is given both as execute takes and returns them, and runs in a sandbox of the job's owner.
        Random numbers that it draws can't be known to whoever made the result.

        Outside of the jobs of a job file: name the function that checks the whole result, `check(result, ...)`, under `pangea run
        --verify`; see `client.definition.hooks`.

        Raises:
            JobDefinitionError: it doesn't take what it is given there, or the job has a check already.
        """
        from pangea.compute.client.definition import hooks

        if not (stack := _collectors.get()):
            return hooks.check(function)
        hooks.refuse_whole(function)
        stack[-1].add_check(function)
        return function

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
        kernel: str | None = None,
        samples: Iterable[Any] = (),
        **options: Any,
    ) -> Callable[[F], F]: ...
    @overload
    @staticmethod
    def execute(
        *,
        gpu: str | Path,
        entry: str = "main",
        workgroup: tuple[int, int, int] = (64, 1, 1),
        turns: int = 8_000,
        tolerance: str | float = ...,
        input: str = "uint32[n]",
        output: str = "uint32[n]",
    ) -> Callable[[F], F]: ...
    @staticmethod
    def execute(
        function: Any = None,
        /,
        *,
        input: Any = None,  # noqa: A002
        output: Any = None,
        kernel: str | None = None,
        samples: Iterable[Any] = (),
        **options: Any,
    ) -> Any:
        """Name the function that works on one chunk.

        Args:
            function: the function.
            input: what it takes: "bytes" (the default), "text", "json", "jsonl", "array" or "table".
            output: what it returns: one of those, or "image"; "bytes" if None.
            kernel: compile it, for these types: "float64[:], int64 -> float64[:]" (docs/kernels.md). Needs the extra `kernels`.
            samples: arguments to check the kernel with, beside those drawn for its types: a tuple for each call.
            options: `gpu`, a file of WGSL (a path that ends in .wgsl, from the job's file on) or its text, which is run in place
                of the function; then also `entry`, its function that computes a row, `workgroup`, how many invocations an
                adapter starts together, in three dimensions, and `turns`, how many an invocation may take of its loops; input and
                output are arrays such as "uint32[n]" (docs/gpu.md). With `tolerance`, "4ulp" or 1e-5, a shader may use floats:
                results that differ by no more are the same answer.

        Raises:
            JobDefinitionError: a kind, an option or a type is unknown, there is an execute function already, or the shader isn't
                one that gives the same on every adapter, byte for byte or within its tolerance.
        """
        declared = Declared(input, output)
        others = {name: value for name, value in options.items() if name not in OPTIONS}
        return _decorate("execute", function, declared, others, make=_maker(declared, kernel, samples, options))

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
        execute: Callable[..., Any],
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
        kernel: str | None = None,
        samples: Iterable[Any] = (),
        check: Callable[[Any, Any], bool] | None = None,
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
            kernel: the types to compile `execute` for, as in `Job.execute`.
            samples: arguments to check the kernel with.
            check: says of a chunk and its result whether that is right, as in `Job.check`.
            **defaults: keywords of `JobOptions`.

        Raises:
            JobDefinitionError: a function can't be one of a job, or an option or a kind is unknown.
            ManifestError: an option's value is out of range.
        """
        builder = JobBuilder(name, **defaults).execute(execute, input=input, output=output, kernel=kernel, samples=samples)
        if split is not None:
            builder.split(split, input=split_input, output=split_output)
        if merge is not None:
            builder.merge(merge, associative=associative, output=merge_output)
        if check is not None:
            builder.check(check)
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
        function: Callable[..., Any],
        *,
        input: InputKind | str | None = None,  # noqa: A002
        output: OutputKind | str | None = None,
        kernel: str | None = None,
        samples: Iterable[Any] = (),
        **options: Any,
    ) -> JobBuilder:
        """Set the function that works on one chunk, and what it takes and returns, its types as a kernel, or its shader."""
        declared = Declared(input, output)
        for option in options:
            if option not in OPTIONS:
                raise unknown_option(option, _OPTIONS["execute"])
        self._collector.add("execute", function, declared, _maker(declared, kernel, samples, options)(function))
        return self

    def merge(self, function: Function, *, associative: bool = False, output: OutputKind | None = None) -> JobBuilder:
        """Set the function that joins the results, and what it returns."""
        self._collector.add("merge", function, Declared(None, output))
        self._collector.associative = associative
        return self

    def check(self, function: Callable[[Any, Any], bool]) -> JobBuilder:
        """Set the function that says of a chunk and its result whether that is right, cheaper than by executing it again."""
        self._collector.add_check(function)
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


def _decorate(
    role: str,
    function: Any,
    declared: Declared,
    options: Mapping[str, Any],
    *,
    associative: bool = False,
    make: Make | None = None,
) -> Any:
    for option in options:
        if (role, option) == ("merge", "input"):
            hint = 'it is given what execute returns: @Job.execute(output="...")'
            raise JobDefinitionError("merge can't be declared an input", hint=hint, option=option)
        raise unknown_option(option, _OPTIONS[role])
    if function is None:
        return lambda decorated: _collect(role, decorated, declared, associative, make)
    return _collect(role, function, declared, associative, make)


#: Of the decorators.
_OPTIONS = {
    "split": ("input", "output"),
    "execute": ("input", "output", "kernel", "samples", *OPTIONS),
    "merge": ("associative", "output"),
}


def _maker(declared: Declared, kernel: str | None, samples: Iterable[Any], options: Mapping[str, Any]) -> Make:
    """What makes a kernel or a shader of an execute function, if it is to be either."""
    shader = {name: value for name, value in options.items() if name in OPTIONS}
    if kernel is None:
        return lambda function: shader_of(function, declared, shader)
    if shader:
        raise JobDefinitionError("execute is declared a kernel and a shader", hint="leave kernel= or gpu= out", option="gpu")
    return lambda function: Kernel.of(function, kernel, samples)


def _collect(role: str, function: Any, declared: Declared, associative: bool, make: Make | None) -> Any:
    stack = _collectors.get()
    if not stack:
        raise JobDefinitionError(
            f"Job.{role} is used outside of a job, on {name_of(function)} ({place_of(function)})",
            hint="put the function into the body of a function that @Job.define decorates, or use Job.from_functions",
        )
    collector = stack[-1]
    collector.add(role, function, declared, make(function) if make is not None else None)
    collector.associative |= associative
    return function
