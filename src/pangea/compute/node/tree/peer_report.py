"""Whom a node knows, as people see it: neighbours, what stands behind them, what is thought of workers, who is banned."""

from __future__ import annotations

from typing import Any

from pangea.compute.model.ids import PeerId
from pangea.compute.node.tree.contributions import Contributions
from pangea.compute.node.tree.cosigning import Cosigning
from pangea.compute.node.tree.driver import Driver
from pangea.compute.node.tree.neighbours import Neighbour
from pangea.compute.orchestrator.core.events import Relation
from pangea.compute.orchestrator.core.records import Peer
from pangea.compute.orchestrator.rules.trust import TrustBook, parts_of

#: Workers named one by one.
_WORKERS_MAX = 1_000


def peer_report(
    driver: Driver, trust: TrustBook, contributions: Contributions, site: str, cosigning: Cosigning
) -> dict[str, Any]:
    """Everybody, as JSON types."""
    neighbours = driver.neighbours
    return {
        "peer_id": neighbours.me,
        "site": site,
        "path": list(neighbours.path),
        "peers": [_peer(driver, each) | _witness(cosigning, each) for each in neighbours],
        "below": [{"peer": peer, "parent": parent, "site": where} for peer, parent, where in neighbours.below()],
        "workers": _workers(driver, trust),
        "banned": _banned(driver, trust),
        "cross_site_bytes": neighbours.cross_site_bytes(),
        "contributions": contributions.record(),
    }


def _peer(driver: Driver, neighbour: Neighbour) -> dict[str, Any]:
    known = driver.core.core.children.get(neighbour.peer)
    record = {
        "peer": neighbour.peer,
        "relation": neighbour.relation.name.lower(),
        "site": neighbour.site,
        "address": neighbour.link.host,
        "network": neighbour.network,
        "round_trip_ms": round(neighbour.round_trip * 1000, 3),
        "sent_bytes": neighbour.traffic.sent,
        "received_bytes": neighbour.traffic.received,
    }
    return record if known is None or neighbour.relation is Relation.PARENT else record | _child(known)


def _witness(cosigning: Cosigning, neighbour: Neighbour) -> dict[str, Any]:
    known = cosigning.record(neighbour.peer)
    return {} if known is None else {"witness": known}


def _child(child: Peer) -> dict[str, Any]:
    return {
        "cores": child.cores,
        "adapters": child.adapters,
        "nodes": child.nodes,
        "height": child.height,
        "tasks": len(child.attempts),
        "window": child.window,
        "answered": child.answered,
        "turnaround_seconds": round(child.turnaround, 4),
        "reliability": round(child.reliability, 4),
        "is_silent": child.is_silent,
    }


def _workers(driver: Driver, trust: TrustBook) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for worker, work, record in trust.records():
        weight = trust.weight(worker, work)
        runtime, function = parts_of(work)
        rows.append(
            {
                "worker": worker,
                "runtime": runtime,
                "function": function,
                "passes": record.passes,
                "credibility": round(weight / (1 + weight), 6),
                "reliability": round(record.reliability, 4),
                "bans": record.bans,
                "is_banned": trust.is_banned(worker, driver.now()),
            }
        )
    return sorted(rows, key=lambda row: (-int(row["passes"]), row["worker"], row["function"]))[:_WORKERS_MAX]


def checked(driver: Driver, trust: TrustBook, worker: PeerId) -> str:
    """How far a worker has been checked by now, in words."""
    if worker == driver.neighbours.me:
        return "by this node itself"
    if trust.is_banned(worker, driver.now()):
        return f"banned ({trust.verdict(worker)}): {driver.causes.get(worker, '')}"
    known = [(record.passes, trust.weight(worker, runtime)) for who, runtime, record in trust.records() if who == worker]
    passes, weight = max(known, default=(0, 0.0))
    return f"{passes:,} checks passed, credible by {weight / (1 + weight):.6f}" if passes else "no check passed yet"


def _banned(driver: Driver, trust: TrustBook) -> list[dict[str, Any]]:
    return [_ban(driver, trust, worker) for worker in trust.banned(driver.now())]


def _ban(driver: Driver, trust: TrustBook, worker: PeerId) -> dict[str, Any]:
    record = trust.record(worker, "")
    return {
        "peer": worker,
        "verdict": record.verdict,
        "cause": driver.causes.get(worker, ""),
        "proof": str(driver.proofs.path_of(worker) or ""),
        "until": record.banned_until,
        "bans": record.bans,
    }
