"""A job file on the command line: which job, and its input: files, or what the job makes from options of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pangea.compute.cli.dashes import readable
from pangea.compute.cli.own_options import values_of
from pangea.compute.cli.usage import UsageError, flag_of
from pangea.compute.model.errors import JobDefinitionError

if TYPE_CHECKING:
    from pangea.compute.client.definition.hooks import Hooks

Inputs = Annotated[
    list[str] | None,
    Parameter(
        name=["--input", "-i"],
        consume_multiple=(1, None),
        negative="",
        help="Input files, each a segment of its own, in order; `-` is stdin, a pattern that the shell leaves ('**/*.csv')"
        " is all that match it. Without it the input is empty, or what the job's own options make.",
    ),
]
#: Options that the job's file declares.
Own = Annotated[
    str, Parameter(help="Options of the job's own, if its file has an @Job.inputs function: --size 512, --flag, --no-flag.")
]


@dataclass(frozen=True, slots=True)
class JobFile:
    """A job, as the command line names it.

    Attributes:
        job: what `submit_job` takes.
        input_data: likewise.
        hooks: what its file offers besides.
        values: of its own options.
    """

    job: Any
    input_data: Any
    hooks: Hooks
    values: Mapping[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """Its own options, for reports."""
        return {name: value if isinstance(value, bool | int | float) else str(value) for name, value in self.values.items()}


def open_job(target: str, paths: Sequence[str] | None, own: Mapping[str, str], known: frozenset[str]) -> JobFile:
    """The job that TARGET names, with its input.

    Args:
        target: a job file, one job of it, or a module.
        paths: of `--input`.
        own: options that the command doesn't know.
        known: those that it does.

    Raises:
        InputError: there is no such file.
        JobDefinitionError: the file has no job, or not the one named, or takes an option that is the command's.
        UsageError: an option is unknown, or given beside an input.
        ManifestError: an option's value isn't one.
    """
    job, hooks = load_job(target)
    options = hooks.options
    if clash := sorted(known & set(options)):
        raise JobDefinitionError(
            f"{target} takes {flag_of(clash[0])}, which is an option of pangea's", hint="name it differently"
        )
    given = values_of(own, options, known)
    if paths:
        if given:
            raise UsageError(
                f"{flag_of(next(iter(given)))} is for the input that the job makes, and --input is given", hint="use one"
            )
        from pangea.compute.inputs.formats.addresses import is_address
        from pangea.compute.inputs.formats.files import is_pattern

        files = [path if is_address(path) or is_pattern(path) else Path(readable(path)) for path in paths]
        return JobFile(job, files, hooks, {})
    if hooks.inputs is None:
        return JobFile(job, None, hooks, {})
    values = hooks.values(given)
    return JobFile(job, hooks.make_input(values), hooks, values)


def load_job(target: str) -> tuple[Any, Hooks]:
    """The job that TARGET names, and what its file offers besides.

    Raises:
        InputError: there is no such file.
        JobDefinitionError: the file has no job, or not the one named.
    """
    from pangea.compute.client.definition.hooks import Hooks
    from pangea.compute.client.definition.module import ModuleJob
    from pangea.compute.client.submission.target import is_python_text, load_job_file

    target = readable(target)
    path, colon, name = target.rpartition(":")
    if not colon or Path(target).exists() or os.sep in name:
        path, name = target, ""
    if path.endswith(".py"):
        return load_job_file(path, name or None)
    module = ModuleJob.load(path)
    if is_python_text(path, module.wasm):
        return load_job_file(path, name or None, module.wasm)
    return module, Hooks()
