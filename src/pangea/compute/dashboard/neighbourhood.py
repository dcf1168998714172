"""Who works for whom, what is thought of workers, and who is shut out: a node's neighbours as pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pangea.compute.dashboard.jobs import Ban, bans, cut
from pangea.compute.dashboard.paging import Page, page_of
from pangea.compute.pictures.runs.scales import amount

_SITE_MAX = 60
#: Of the page's other two lists, so that all three together stay small.
_BANS_MAX, _WORKERS_MAX = 25, 50


@dataclass(frozen=True, slots=True)
class Place:
    """A node in the tree.

    Attributes:
        depth: hops from the highest that is known.
        role: what it is to the node whose page this is.
        above: who it works for; "" if nobody who is known.
        figures: what else is known of it.
    """

    peer: str
    depth: int
    role: str
    above: str
    site: str
    figures: str
    is_banned: bool = False


@dataclass(frozen=True, slots=True)
class Trust:
    """What is thought of a worker for one function; of each runtime apart."""

    worker: str
    function: str
    passes: int
    credibility: str
    reliability: str
    bans: int
    is_banned: bool


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The page of peers: places in the order of the tree, workers by their record, and bans."""

    places: tuple[Place, ...]
    places_page: Page
    trusted: tuple[Trust, ...]
    trusted_page: Page
    bans: tuple[Ban, ...]
    bans_page: Page


def neighbourhood(census: Mapping[str, Any], *, offset: int = 0, trusted_offset: int = 0, bans_offset: int = 0) -> Neighbourhood:
    """The page of peers, from what `Client.peers` tells; each of its lists from an offset of its own."""
    all_bans = bans(_records(census.get("banned")))
    shut_out = {ban.peer for ban in all_bans}
    banned, bans_page = page_of(all_bans, bans_offset, "bans", _BANS_MAX)
    places, places_page = page_of([replace(each, is_banned=each.peer in shut_out) for each in _places(census)], offset, "nodes")
    workers = [_trust(record) for record in _records(census.get("workers"))]
    trusted, trusted_page = page_of(workers, trusted_offset, "records of workers", _WORKERS_MAX)
    return Neighbourhood(tuple(places), places_page, tuple(trusted), trusted_page, tuple(banned), bans_page)


def _places(census: Mapping[str, Any]) -> list[Place]:
    """All nodes that are known: those above, this one, those below in the order of the tree."""
    me = str(census.get("peer_id", ""))
    peers = {str(each.get("peer", "")): each for each in _records(census.get("peers"))}
    above = [str(each) for each in census.get("path") or () if str(each) != me]
    found = [
        Place(
            peer, depth, "works for nobody" if not depth else "above", above[depth - 1] if depth else "", *_known(peers.get(peer))
        )
        for depth, peer in enumerate(above)
    ]
    own = cut(str(census.get("site", "")), _SITE_MAX)
    found.append(Place(me, len(above), "this node", above[-1] if above else "", own, ""))
    return found + _below(census, me, len(above), peers)


def _below(census: Mapping[str, Any], me: str, depth: int, peers: Mapping[str, Mapping[str, Any]]) -> list[Place]:
    children: dict[str, list[tuple[str, str]]] = {}
    for each in _records(census.get("below")):
        children.setdefault(str(each.get("parent", "")), []).append((str(each.get("peer", "")), str(each.get("site", ""))))
    found: list[Place] = []
    waiting = [(peer, me, depth + 1, site) for peer, site in reversed(children.pop(me, []))]
    while waiting:
        peer, parent, level, site = waiting.pop()
        known = _known(peers.get(peer))[1]
        role = "child" if parent == me else "below"
        found.append(Place(peer, level, role, parent, cut(site, _SITE_MAX), known))
        waiting += [(each, peer, level + 1, where) for each, where in reversed(children.pop(peer, []))]  # popped: no loop
    return found


def _known(record: Mapping[str, Any] | None) -> tuple[str, str]:
    """Site and figures of a direct neighbour; empty of others."""
    if record is None:
        return "", ""
    figures = [
        f"{record[name]:,} {unit}" for name, unit in (("cores", "cores"), ("tasks", "tasks")) if isinstance(record.get(name), int)
    ]
    if isinstance(reliability := record.get("reliability"), int | float):
        figures.append(f"reliable by {reliability:.0%}")
    if isinstance(trip := record.get("round_trip_ms"), int | float):
        figures.append(f"{trip:.3g} ms away")
    sent, received = record.get("sent_bytes"), record.get("received_bytes")
    if isinstance(sent, int) and isinstance(received, int):
        figures.append(f"{amount(sent, 'B')} to it, {amount(received, 'B')} from it")
    if record.get("is_silent"):
        figures.append("silent")
    return cut(str(record.get("site", "")), _SITE_MAX), ", ".join(figures)


def _trust(record: Mapping[str, Any]) -> Trust:
    return Trust(
        worker=str(record.get("worker", "")),
        function=str(record.get("function", "")),
        passes=int(record.get("passes", 0)),
        credibility=f"{float(record.get('credibility', 0.0)):.6f}",
        reliability=f"{float(record.get('reliability', 0.0)):.0%}",
        bans=int(record.get("bans", 0)),
        is_banned=bool(record.get("is_banned", False)),
    )


def _records(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
