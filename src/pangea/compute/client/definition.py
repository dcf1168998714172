"""A job as the program holds it: its functions, what they take and return, its defaults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, NoReturn

from pangea.compute.client.functions import check_function, name_of
from pangea.compute.client.kinds import BYTES, Declared, Kinds, ResultKind, complete, default_strategy
from pangea.compute.client.result import Value
from pangea.compute.client.sources import display_name
from pangea.compute.model.errors import InputError, JobDefinitionError
from pangea.compute.model.frames import pack
from pangea.compute.model.html import bundle
from pangea.compute.model.limits import nearest
from pangea.compute.model.options import JobOptions
from pangea.compute.runtime.guest.returned import as_bytes, as_list
from pangea.compute.runtime.guest.seeding import seeded_call

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
        scope: local names around the functions, to look up what only their decorators and defaults use.
        kinds: what each function takes and returns, by role; bytes where nothing is said.
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
    kinds: Mapping[str, Kinds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the functions and the defaults.

        Raises:
            JobDefinitionError: a function can't be one of a job, an option or a kind is unknown, or kinds don't fit together.
            ManifestError: an option's value is out of range.
        """
        for role, function in self.functions.items():
            check_function(role, function)
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
            ManifestError: an option is unknown or out of range.
        """
        given = {name: value for name, value in keywords.items() if value is not None}
        suggested = default_strategy(self.input_kind) if self.split is None else {}
        return JobOptions.of({**suggested, **self.defaults, **given})

    def run_local(self, input_data: Any = None, *, segments: Iterable[bytes] | None = None, **options: Any) -> Value:
        """Run the functions in this process: no sandbox, no limits, the same result as `submit_job`.

        Args:
            input_data: what `submit_job` takes.
            segments: or the input as it was cut.
            options: keywords of `JobOptions`; they win over the job's defaults.

        Raises:
            InputError: the input can't be read or cut as asked, or both kinds were given.
            ManifestError: an option is unknown or out of range.
            TypeError: a function returned what the sandbox would refuse too.
            DataError: a chunk isn't of the kind that the function is declared to take.
        """
        from pangea.compute.client.preprocessor import prepare_input
        from pangea.compute.engine.cutting import cut

        if segments is not None:
            if input_data is not None:
                raise InputError("give either the input or its segments", hint="run_local(data) or run_local(segments=[...])")
            return Value(self._run_over(segments), self.result_kind)
        how = self.options(options)
        with prepare_input(input_data, self.input_kind, how) as inputs:
            return Value(self._run_over(cut(inputs, how, custom_max=sys.maxsize)), self.result_kind)

    def _run_over(self, segments: Iterable[Any]) -> bytes:
        functions = self._functions_of_bytes()
        results = []
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

        return {role: typed(role, function, self.kinds[role]) for role, function in self.functions.items()}

    def archive(self) -> bytes:
        """Build the archive that travels, from the sources and values as they are now.

        Raises:
            JobDefinitionError: something that the functions use can't travel; names it and the line that uses it.
        """
        from pangea.compute.client.archive import build_archive

        return build_archive(self.functions, self.scope, self.kinds)

    def _repr_html_(self) -> str:
        """What the job is made of, in notebooks."""
        from pangea.compute.client.notebook import definition_html

        return definition_html(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The same, and as text."""
        return bundle(repr(self), self._repr_html_())


def _split(functions: Mapping[str, Function], segment: bytes) -> list[bytes]:
    if "split" not in functions:
        return [segment]
    with seeded_call("split", segment):
        return as_list(functions["split"](segment))


def _shown(kinds: Kinds) -> str:
    return "" if kinds == BYTES else f" ({kinds[0]} -> {kinds[1]})"


def unknown_option(option: str, known: tuple[str, ...]) -> JobDefinitionError:
    """The error for an option that there is none of; names the nearest."""
    near = nearest(option, list(known))
    hint = f"did you mean {near!r}?" if near else f"known options: {', '.join(sorted(known)) or 'none'}"
    return JobDefinitionError(f"unknown option {option!r}", hint=hint, option=option)
