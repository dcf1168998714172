"""The donor's page: whether this machine works for others now, and what it has done for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pangea.compute.dashboard.jobs import cut, moment
from pangea.compute.dashboard.paging import Page, page_of
from pangea.compute.pictures.runs.scales import amount, seconds

_NAME_MAX = 80


@dataclass(frozen=True, slots=True)
class Done:
    """What was done for one node's clients; `owner` is "" of those told together, `count` how many those are."""

    owner: str
    through: str
    job: str
    tasks: int
    failed: int
    seconds: str
    fuel: str
    sizes: str
    since: str
    last: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Donating:
    """The donor's page.

    Attributes:
        lends: whether it works for others now, in words.
        rows: for whom, the most seconds first, and
        page: which of those these are.
        rest: those that aren't told one by one; None: there are none.
        total: all together.
    """

    lends: str
    rows: tuple[Done, ...]
    page: Page
    rest: Done | None
    total: Done


def donating(census: Mapping[str, Any], lends: str, offset: int) -> Donating:
    """The page of a node, from what `Client.peers` tells."""
    told = census.get("contributions")
    account: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    listed = account.get("worked_for")
    records = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
    shown, page = page_of(records, offset, "nodes")
    others = _count(account, "others")
    return Donating(
        lends=lends,
        rows=tuple(map(_done, shown)),
        page=page,
        rest=_done(_record(account, "rest"), others) if others else None,
        total=_done(_record(account, "total"), len(records) + others),
    )


def _record(account: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = account.get(name)
    return found if isinstance(found, Mapping) else {}


def _done(record: Mapping[str, Any], count: int = 1) -> Done:
    return Done(
        owner=str(record.get("owner", "")),
        through=str(record.get("through", "")),
        job=cut(str(record.get("job", "")), _NAME_MAX),
        tasks=_count(record, "tasks"),
        failed=_count(record, "failed"),
        seconds=seconds(_figure(record, "seconds")),
        fuel=amount(_count(record, "fuel")),
        sizes=f"{amount(_count(record, 'bytes_in'), 'B')} in, {amount(_count(record, 'bytes_out'), 'B')} out",
        since=moment(_figure(record, "since"))[:10],  # the day
        last=moment(_figure(record, "last")),
        count=count,
    )


def _count(record: Mapping[str, Any], name: str) -> int:
    return int(_figure(record, name))


def _figure(record: Mapping[str, Any], name: str) -> float:
    value = record.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e300 else 0.0
