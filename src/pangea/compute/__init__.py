"""Verified compute for Python: `split`, `execute`, `merge` as WebAssembly, in sandboxes nobody has to trust.

    from pangea.compute import Job, submit_job

What most programs need is here. `pangea.compute.errors` has all errors, `pangea.compute.jobs` what jobs are made of and told as,
`pangea.compute.pictures` draws values and runs, `pangea.compute.data` is what chunks hold. Names are loaded when they are first
used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "AsyncClient": "client.clients.async_client",
    "AsyncJobHandle": "client.submission.async_handle",
    "Client": "client.clients.client",
    "Job": "client.definition.job",
    "JobFailedError": "model.errors",
    "JobHandle": "client.submission.handle",
    "Limits": "model.limits",
    "ModuleJob": "client.definition.module",
    "PangeaError": "model.errors",
    "PangeaExecutor": "client.calls.executor",
    "Result": "client.results.result",
    "asubmit_job": "client.submission.asubmit",
    "dask_scheduler": "client.calls.dask_scheduler",
    "map": "client.calls.functions",
    "map_unordered": "client.calls.functions",
    "starmap": "client.calls.functions",
    "submit": "client.calls.functions",
    "submit_job": "client.submission.submit",
    "templates": "templates",
    "visualize": "pictures.values.kinds",
}
#: Names that were here: they are for one version more, each with a warning that says where it is.
_MOVED = {
    "BadModuleError": "errors",
    "ConfigError": "errors",
    "InputError": "errors",
    "JobBuilder": "jobs",
    "JobCancelledError": "errors",
    "JobDefinition": "jobs",
    "JobDefinitionError": "errors",
    "JobManifest": "jobs",
    "JobOptions": "jobs",
    "JobState": "jobs",
    "JobStatus": "jobs",
    "LimitExceededError": "errors",
    "ManifestError": "errors",
    "NotDoneError": "errors",
    "OutputError": "errors",
    "Picture": "pictures",
    "PictureError": "errors",
    "Progress": "jobs",
    "QuotaError": "errors",
    "Report": "jobs",
    "ResultError": "errors",
    "UnavailableError": "errors",
    "UnknownJobError": "errors",
    "UnverifiedError": "errors",
    "run_picture": "pictures",
    "run_report": "pictures",
}

if TYPE_CHECKING:
    from pangea.compute import templates
    from pangea.compute.client.calls.dask_scheduler import dask_scheduler
    from pangea.compute.client.calls.executor import PangeaExecutor
    from pangea.compute.client.calls.functions import map, map_unordered, starmap, submit  # noqa: A004 (there is no better name)
    from pangea.compute.client.clients.async_client import AsyncClient
    from pangea.compute.client.clients.client import Client
    from pangea.compute.client.definition.job import Job
    from pangea.compute.client.definition.module import ModuleJob
    from pangea.compute.client.results.result import Result
    from pangea.compute.client.submission.asubmit import asubmit_job
    from pangea.compute.client.submission.async_handle import AsyncJobHandle
    from pangea.compute.client.submission.handle import JobHandle
    from pangea.compute.client.submission.submit import submit_job
    from pangea.compute.errors import (
        BadModuleError as BadModuleError,
    )
    from pangea.compute.errors import (
        ConfigError as ConfigError,
    )
    from pangea.compute.errors import (
        InputError as InputError,
    )
    from pangea.compute.errors import (
        JobCancelledError as JobCancelledError,
    )
    from pangea.compute.errors import (
        JobDefinitionError as JobDefinitionError,
    )
    from pangea.compute.errors import (
        LimitExceededError as LimitExceededError,
    )
    from pangea.compute.errors import (
        ManifestError as ManifestError,
    )
    from pangea.compute.errors import (
        NotDoneError as NotDoneError,
    )
    from pangea.compute.errors import (
        OutputError as OutputError,
    )
    from pangea.compute.errors import (
        PictureError as PictureError,
    )
    from pangea.compute.errors import (
        QuotaError as QuotaError,
    )
    from pangea.compute.errors import (
        ResultError as ResultError,
    )
    from pangea.compute.errors import (
        UnavailableError as UnavailableError,
    )
    from pangea.compute.errors import (
        UnknownJobError as UnknownJobError,
    )
    from pangea.compute.errors import (
        UnverifiedError as UnverifiedError,
    )
    from pangea.compute.jobs import (
        JobBuilder as JobBuilder,
    )
    from pangea.compute.jobs import (
        JobDefinition as JobDefinition,
    )
    from pangea.compute.jobs import (
        JobManifest as JobManifest,
    )
    from pangea.compute.jobs import (
        JobOptions as JobOptions,
    )
    from pangea.compute.jobs import (
        JobState as JobState,
    )
    from pangea.compute.jobs import (
        JobStatus as JobStatus,
    )
    from pangea.compute.jobs import (
        Progress as Progress,
    )
    from pangea.compute.jobs import (
        Report as Report,
    )
    from pangea.compute.model.errors import JobFailedError, PangeaError
    from pangea.compute.model.limits import Limits
    from pangea.compute.pictures import Picture as Picture
    from pangea.compute.pictures import run_picture as run_picture
    from pangea.compute.pictures import run_report as run_report
    from pangea.compute.pictures import visualize

__all__ = [
    "AsyncClient",
    "AsyncJobHandle",
    "Client",
    "Job",
    "JobFailedError",
    "JobHandle",
    "Limits",
    "ModuleJob",
    "PangeaError",
    "PangeaExecutor",
    "Result",
    "asubmit_job",
    "dask_scheduler",
    "map",
    "map_unordered",
    "starmap",
    "submit",
    "submit_job",
    "templates",
    "visualize",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home; one that has moved with a warning.

    Raises:
        AttributeError: there is none of that name.
    """
    if name in _MOVED:
        place = f"{__name__}.{_MOVED[name]}"
        what = f"{__name__}.{name} will be in {place} only: from {place} import {name}"
        warnings.warn(what, DeprecationWarning, stacklevel=2)
        return getattr(import_module(place), name)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    value = home if name == "templates" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
