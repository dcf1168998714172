"""A job of either kind: Python functions, or a WebAssembly module of any language."""

from __future__ import annotations

from typing import Any

from pangea.compute.client.definition.job import JobDefinition
from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.options import JobOptions, check_known

AnyJob = JobDefinition | ModuleJob


def options_for(job: AnyJob, keywords: dict[str, Any], beside: tuple[str, ...] = ()) -> JobOptions:
    """The options of a run: the keywords, then the job's own defaults, then what its input's kind suggests.

    `beside` are keywords that the caller takes besides: one of those may be what an unknown one means.

    Raises:
        JobDefinitionError: it isn't a job.
        ManifestError: an option is unknown or out of range.
    """
    if not isinstance(job, JobDefinition | ModuleJob):
        raise JobDefinitionError(
            f"job is a {type(job).__name__}, not a job", hint="decorate a function with @Job.define, or use ModuleJob.load"
        )
    check_known(keywords, beside)
    return job.options(keywords)
