"""Verified compute for Python: `split`, `execute`, `merge` as WebAssembly, in sandboxes nobody has to trust.

    from pangea.compute import Job, submit_job

Names are loaded when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Job": "client.job",
    "JobBuilder": "client.job",
    "JobDefinition": "client.definition",
    "ModuleJob": "client.module",
    "Progress": "client.run",
    "Result": "client.result",
    "asubmit_job": "client.asubmit",
    "AsyncClient": "client.client",
    "Client": "client.client",
    "JobHandle": "client.handle",
    "PangeaExecutor": "client.executor",
    "JobManifest": "model.manifest",
    "JobState": "model.status",
    "JobStatus": "model.status",
    "ConfigError": "model.errors",
    "NotDoneError": "model.errors",
    "QuotaError": "model.errors",
    "UnknownJobError": "model.errors",
    "submit_job": "client.submit",
    "templates": "client.templates",
    "JobOptions": "model.options",
    "Limits": "model.limits",
    "Report": "model.report",
    "Picture": "client.visualizer.picture",
    "run_picture": "client.run_pictures.pictures",
    "run_report": "client.run_pictures.report",
    "visualize": "client.visualizer.kinds",
    "BadModuleError": "model.errors",
    "InputError": "model.errors",
    "JobCancelledError": "model.errors",
    "JobDefinitionError": "model.errors",
    "JobFailedError": "model.errors",
    "LimitExceededError": "model.errors",
    "ManifestError": "model.errors",
    "OutputError": "model.errors",
    "PictureError": "model.errors",
    "ResultError": "model.errors",
    "PangeaError": "model.errors",
    "UnavailableError": "model.errors",
    "UnverifiedError": "model.errors",
}

if TYPE_CHECKING:
    from pangea.compute.client import templates
    from pangea.compute.client.asubmit import asubmit_job
    from pangea.compute.client.client import AsyncClient, Client
    from pangea.compute.client.definition import JobDefinition
    from pangea.compute.client.executor import PangeaExecutor
    from pangea.compute.client.handle import JobHandle
    from pangea.compute.client.job import Job, JobBuilder
    from pangea.compute.client.module import ModuleJob
    from pangea.compute.client.result import Result
    from pangea.compute.client.run import Progress
    from pangea.compute.client.run_pictures.pictures import run_picture
    from pangea.compute.client.run_pictures.report import run_report
    from pangea.compute.client.submit import submit_job
    from pangea.compute.client.visualizer.kinds import visualize
    from pangea.compute.client.visualizer.picture import Picture
    from pangea.compute.model.errors import (
        BadModuleError,
        ConfigError,
        InputError,
        JobCancelledError,
        JobDefinitionError,
        JobFailedError,
        LimitExceededError,
        ManifestError,
        NotDoneError,
        OutputError,
        PangeaError,
        PictureError,
        QuotaError,
        ResultError,
        UnavailableError,
        UnknownJobError,
        UnverifiedError,
    )
    from pangea.compute.model.limits import Limits
    from pangea.compute.model.manifest import JobManifest
    from pangea.compute.model.options import JobOptions
    from pangea.compute.model.report import Report
    from pangea.compute.model.status import JobState, JobStatus

__all__ = [
    "AsyncClient",
    "BadModuleError",
    "Client",
    "ConfigError",
    "InputError",
    "Job",
    "JobBuilder",
    "JobCancelledError",
    "JobDefinition",
    "JobDefinitionError",
    "JobFailedError",
    "JobHandle",
    "JobManifest",
    "JobOptions",
    "JobState",
    "JobStatus",
    "LimitExceededError",
    "Limits",
    "ManifestError",
    "ModuleJob",
    "NotDoneError",
    "OutputError",
    "PangeaError",
    "PangeaExecutor",
    "Picture",
    "PictureError",
    "Progress",
    "QuotaError",
    "Report",
    "Result",
    "ResultError",
    "UnavailableError",
    "UnknownJobError",
    "UnverifiedError",
    "asubmit_job",
    "run_picture",
    "run_report",
    "submit_job",
    "templates",
    "visualize",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    value = home if name == "templates" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
