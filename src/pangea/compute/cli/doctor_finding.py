"""One line of what `pangea doctor` reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the report: `is_ok` None is a fact, not a check."""

    name: str
    text: str
    is_ok: bool | None = None
    remedy: str = ""
