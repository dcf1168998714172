"""How commands name jobs of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pangea.compute.model.errors import UnknownJobError

if TYPE_CHECKING:
    from pangea.compute.client.clients.client import Client
    from pangea.compute.client.submission.handle import JobHandle

Selector = Annotated[str, Parameter(help="A job's id, the beginning of one, or `last`.")]
Selectors = Annotated[list[str], Parameter(negative="", help="Jobs' ids, beginnings of them, or `last`.")]


def find(client: Client, selector: str) -> JobHandle:
    """The job that a selector means.

    Raises:
        UnknownJobError: none, or several.
    """
    prefix = "" if selector == "last" else selector
    found = client.list_jobs(prefix, 1 if selector == "last" else 10) if prefix.isascii() else []
    if not found:
        none = "you have no jobs on this node" if selector == "last" else f"no job of yours begins with {selector[:80]!r}"
        raise UnknownJobError(none, hint="pangea job list shows them")
    if len(found) > 1:
        names = ", ".join(status.job_id for status in found[:5])
        raise UnknownJobError(f"{selector!r} could be {names}{' …' if len(found) > 5 else ''}", hint="give more of the id")
    return client.job(found[0].job_id)
