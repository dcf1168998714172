"""What `submit_job` returns."""

from __future__ import annotations

from typing import Self

from pangea.compute.model.report import Report


class Result(bytes):
    """The result's bytes, which also carry how they came about.

    Attributes:
        report: time, tasks, fuel, where it ran and how it was checked.
    """

    report: Report

    def __new__(cls, data: bytes, report: Report) -> Self:
        """Wrap `data`."""
        result = super().__new__(cls, data)
        result.report = report
        return result
