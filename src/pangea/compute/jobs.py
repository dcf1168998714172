"""What jobs are made of, and what is told of them: for annotations, for building jobs step by step, for manifests."""

from __future__ import annotations

from pangea.compute.client.definition.definition import JobDefinition
from pangea.compute.client.definition.job import JobBuilder
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState, Progress
from pangea.compute.model.report import Report
from pangea.compute.model.status import JobStatus

__all__ = [
    "JobBuilder",
    "JobDefinition",
    "JobKeywords",
    "JobManifest",
    "JobOptions",
    "JobState",
    "JobStatus",
    "Progress",
    "Report",
]
