"""A job as the program holds it: its functions, what they take and return, its defaults."""

from __future__ import annotations

import copyreg
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NoReturn, Unpack

from pangea.compute.capture.functions import check_function, name_of
from pangea.compute.capture.sources import display_name
from pangea.compute.client.definition.kernels import Kernel
from pangea.compute.client.definition.native_draws import native_run, seeded_call
from pangea.compute.client.results.result import Value
from pangea.compute.model.errors import InputError, JobDefinitionError
from pangea.compute.model.frames import pack
from pangea.compute.model.gpu import GpuProgram
from pangea.compute.model.html import bundle, figures
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.kinds import BYTES, Declared, Kinds, ResultKind, complete, default_strategy
from pangea.compute.model.limits import nearest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.tolerance import check_mode
from pangea.compute.runtime.guest.returned import as_bytes, as_list

Function = Callable[[Any], Any]

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
        kinds: what each function takes and returns, by role; bytes where nothing is said.
        kernel: what `execute` is compiled to, if it is; None: it runs as Python.
        gpu: the shader that is run in place of `execute`, whose body is empty then.
        check: says of a chunk and its result whether that is right, cheaper than by executing it again; None: nothing does.
    """

    name: str
    execute: Function
    split: Function | None = None
    merge: Function | None = None
    associative: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    kinds: Mapping[str, Kinds] = field(default_factory=dict)
    kernel: Kernel | None = None
    gpu: GpuProgram | None = None
    check: Callable[[Any, Any], bool] | None = None

    def __post_init__(self) -> None:
        """Check the functions and the defaults.

        Raises:
            JobDefinitionError: a function can't be one of a job, an option or a kind is unknown, or kinds don't fit together.
            ManifestError: an option's value is out of range.
        """
        for role, function in self.functions.items():
            if role != "execute" or self.kernel is None:
                check_function(role, function)
        if self.check is not None:
            check_function("check", self.check)
        if self.kernel is not None:
            self.kernel.check_input(has_split=self.split is not None)
        declared = {role: Declared(*kinds) for role, kinds in self.kinds.items()}
        object.__setattr__(self, "kinds", MappingProxyType(complete(declared, self.functions, is_associative=self.associative)))
        for option in self.defaults:
            if option not in _OPTIONS:
                raise unknown_option(option, ("name", "associative", *_OPTIONS))
        JobOptions.of(self.defaults)
        if not isinstance(self.name, str) or not self.name:
            raise JobDefinitionError(f"a job's name must be a string that isn't empty, not {self.name!r}")
        object.__setattr__(self, "defaults", MappingProxyType(dict(self.defaults)))

    def __repr__(self) -> str:
        roles = ", ".join(f"{role}={name_of(function)}{_shown(self.kinds[role])}" for role, function in self.functions.items())
        options = "".join(f", {name}={value!r}" for name, value in self.defaults.items())
        associative = ", associative" if self.associative else ""
        return f"<job {self.name!r}: {roles}{associative}{options}; {display_name(self.file)}:{self.line}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """As a function is pickled and copied: by the name that an importable module has for it, else by its parts."""
        module = str(getattr(self.execute, "__module__", ""))
        found = vars(sys.modules.get(module)) if module in sys.modules and module != "__main__" else {}
        for name, value in found.items():
            if value is self:
                return _job_of, (module, name)
        return copyreg.__newobj__, (type(self),), {**vars(self), "kinds": dict(self.kinds), "defaults": dict(self.defaults)}  # type: ignore[attr-defined]

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Be of the parts that `__reduce__` gave."""
        for name, value in state.items():
            object.__setattr__(self, name, MappingProxyType(value) if name in ("kinds", "defaults") else value)

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

    @property
    def input_kind(self) -> str:
        """What a segment is to the function that it is given to first."""
        return self.kinds["split" if self.split is not None else "execute"][0]

    @property
    def output_kind(self) -> str:
        """What the function that runs last returns."""
        return self.kinds["merge" if self.merge is not None else "execute"][1]

    @property
    def result_kind(self) -> ResultKind:
        """How the result's bytes are to be read."""
        return ResultKind(self.output_kind, self.merge is None)

    def options(self, keywords: Mapping[str, Any]) -> JobOptions:
        """The options of a run: the keywords, then the job's own defaults, then what its input's kind suggests.

        Raises:
            ManifestError: an option is unknown or out of range, or can't be had with a shader's tolerance.
        """
        given = {name: value for name, value in keywords.items() if value is not None}
        suggested = default_strategy(self.input_kind) if self.split is None else {}
        options = JobOptions.of({**suggested, **self.defaults, **given})
        if self.gpu is not None and self.gpu.tolerance is not None:
            check_mode(options.verification_mode, has_check=self.check is not None)
        return options

    def run_local(
        self,
        input_data: Any = None,
        *,
        segments: Iterable[bytes] | None = None,
        index: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> Value:
        """Run the functions in this process: no sandbox, no limits, the same result as `submit_job`.

        What a function raises is raised as it is, so that a debugger reaches it: `job.run_local(data, index=error.chunk_index)`
        runs again what failed, and nothing else.

        Args:
            input_data: what `submit_job` takes.
            segments: or the input as it was cut.
            index: of one chunk, from 0: it alone is executed, and its result returned.
            options: keywords of `JobOptions`; they win over the job's defaults.

        Raises:
            InputError: the input can't be read or cut as asked, both kinds were given, or there is no such chunk.
            ManifestError: an option is unknown or out of range.
            TypeError: a function returned what the sandbox would refuse too.
            DataError: a chunk isn't of the kind that the function is declared to take.
            NoAdapterError: execute is a shader, which runs on this machine's adapter, or in software, and there is neither.
        """
        from pangea.compute.inputs.cutting import cut
        from pangea.compute.inputs.preprocessor import prepare_input

        if segments is not None:
            if input_data is not None:
                raise InputError("give either the input or its segments", hint="run_local(data) or run_local(segments=[...])")
            return self._run(segments, index)
        how = self.options(options)
        with prepare_input(input_data, self.input_kind, how) as inputs:
            return self._run(cut(inputs, how, custom_max=sys.maxsize), index)

    def _run(self, segments: Iterable[Any], index: int | None) -> Value:
        if index is None:
            return Value(self._run_over(segments), self.result_kind)
        return Value(self._run_one(segments, index), ResultKind(self.kinds["execute"][1]))

    def _run_one(self, segments: Iterable[Any], index: int) -> bytes:
        functions, count = self._functions_of_bytes(), 0
        with native_run(self.functions.values()):
            for segment in segments:
                chunks = _split(functions, bytes(segment))
                if 0 <= index - count < len(chunks):
                    with seeded_call("execute", chunk := chunks[index - count]):
                        return as_bytes(functions["execute"](chunk), "the result of execute")
                count += len(chunks)
        raise InputError(f"there is no chunk {index:,}: the job has {count:,}", hint="the first one is 0")

    def _run_over(self, segments: Iterable[Any]) -> bytes:
        functions = self._functions_of_bytes()
        results = []
        with native_run(self.functions.values()):
            for segment in segments:
                for chunk in _split(functions, bytes(segment)):
                    with seeded_call("execute", chunk):
                        results.append(as_bytes(functions["execute"](chunk), "the result of execute"))
            if "merge" not in functions:
                return b"".join(results)
            with seeded_call("merge", pack(results)):
                return as_bytes(functions["merge"](results), "the result of merge")

    def _functions_of_bytes(self) -> dict[str, Function]:
        if all(kinds == BYTES for kinds in self.kinds.values()):
            return self.functions
        from pangea.compute.runtime.guest.typed import typed

        if self.kernel is not None:
            around, kinds = self.kernel.around(self.functions, self.kinds)
            return {role: typed(role, each, kinds[role]) for role, each in around.items()} | {"execute": self.kernel.native}
        made = {role: typed(role, function, self.kinds[role]) for role, function in self.functions.items()}
        if self.gpu is not None:
            from pangea.compute.client.definition.shader import on_adapter

            made["execute"] = on_adapter(self.gpu, self.options({}).limits, self.name)
        return made

    def archive(self) -> bytes:
        """Build the archive that travels, from the functions and values as they are now.

        Raises:
            JobDefinitionError: something that the functions use can't travel; names it and the line that uses it. Or the
                kernel can't be built.
            UnavailableError: what builds kernels isn't installed.
        """
        try:
            return self._built()
        except JobDefinitionError as error:
            raise error.with_traceback(None)  # noqa: B904 (the same one: it says where in the user's code, not where in ours)

    def _built(self) -> bytes:
        from pangea.compute.capture.archive import build_archive

        checker = self._checker()
        if self.kernel is not None:
            return build_archive(*self.kernel.around(self.functions, self.kinds), kernel=self.kernel.module, checker=checker)
        if self.gpu is not None:
            around = {role: function for role, function in self.functions.items() if role != "execute"}
            return build_archive(around, self.kinds, shader=(self.gpu.to_json(), self.gpu.shader), checker=checker)
        return build_archive(self.functions, self.kinds, checker=checker)

    def _checker(self) -> bytes | None:
        """The archive of the job's own check."""
        if self.check is None:
            return None
        from pangea.compute.capture.archive import build_archive
        from pangea.compute.client.definition.checker import ARGUMENTS, checker

        chunk, result = self.kinds["execute"]
        if self.kernel is not None and len(self.kernel.signature.takes) > 1:
            chunk = ARGUMENTS
        return build_archive({"execute": checker(self.check, chunk, result)}, {"execute": BYTES})

    def _repr_html_(self) -> str:
        """What the job is made of: its functions, its options, where it is defined, in notebooks."""
        functions = [(role, _described(function)) for role, function in self.functions.items()]
        options = ", ".join(f"{name}={value!r}" for name, value in self.defaults.items())
        merging = "neighbours may be merged early" if self.associative else ""
        place = f"{display_name(self.file)}:{self.line}" if self.file else ""
        return figures(
            f"job {self.name}", [*functions, ("merge is associative", merging), ("options", options), ("defined in", place)]
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The same, and as text."""
        return bundle(repr(self), self._repr_html_())


def _split(functions: Mapping[str, Function], segment: bytes) -> list[bytes]:
    if "split" not in functions:
        return [segment]
    with seeded_call("split", segment):
        return as_list(functions["split"](segment))


def _described(function: Function) -> str:
    document = (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}: {document}" if document else name


def _shown(kinds: Kinds) -> str:
    return "" if kinds == BYTES else f" ({kinds[0]} -> {kinds[1]})"


def _job_of(module: str, name: str) -> Any:
    """The job that a module has under a name."""
    return getattr(importlib.import_module(module), name)


def unknown_option(option: str, known: tuple[str, ...]) -> JobDefinitionError:
    """The error for an option that there is none of; names the nearest."""
    near = nearest(option, list(known))
    hint = f"did you mean {near!r}?" if near else f"known options: {', '.join(sorted(known)) or 'none'}"
    return JobDefinitionError(f"unknown option {option!r}", hint=hint, option=option)
