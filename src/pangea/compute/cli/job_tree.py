"""`pangea job tree`: who did what of a job, drawn as the tree of nodes that it went through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pangea.compute.cli.node_options import short

_NAME_WIDTH = 34


def lines(record: dict[str, Any]) -> Iterator[str]:
    """The drawing, line by line, of what a node says about a job's workers."""
    status, rows = record["status"], {row["peer"]: row for row in record["workers"]}
    yield f"{status['job_id']} ({status['name']}): {status['state']}, {status['progress']:.0%}"
    if record.get("verification"):
        yield f"checked by {record['verification']}"
    owner = record["owner"]
    yield _line("", owner, "owner", rows)
    yield from _below(owner, _children(record, rows), rows, "")


def _children(record: dict[str, Any], rows: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Of each node those below it, with their sites; workers that have left are where their answers came from."""
    children: dict[str, dict[str, str]] = {}
    placed = {record["owner"]}
    for peer, parent, site in record["below"]:
        children.setdefault(parent, {})[peer] = site
        placed.add(peer)
    for peer, row in rows.items():
        if peer not in placed:
            branch = row["branch"] if row["branch"] in placed and row["branch"] != peer else record["owner"]
            children.setdefault(branch, {})[peer] = "gone"
    return children


def _below(parent: str, children: dict[str, dict[str, str]], rows: dict[str, Any], indent: str) -> Iterator[str]:
    below = children.pop(parent, {})  # popped, so that no claim of a loop is followed twice
    for place, (peer, site) in enumerate(below.items(), 1):
        is_last = place == len(below)
        yield _line(indent + ("└─ " if is_last else "├─ "), peer, site, rows)
        yield from _below(peer, children, rows, indent + ("   " if is_last else "│  "))


def _line(indent: str, peer: str, note: str, rows: dict[str, Any]) -> str:
    name = f"{indent}{short(peer)}{f' ({note})' if note else ''}"
    row = rows.get(peer)
    if row is None:
        return name
    figures = f"{row['tasks']:,} tasks, {row['chunks']:,} chunks, {row['fuel']:,} fuel, {row['seconds']:.2f} s"
    checked = f"; {row['checked']}" if row.get("checked") else ""
    return f"{name:<{_NAME_WIDTH}} {figures}{checked}"
