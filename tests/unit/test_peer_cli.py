"""What `pangea peer` and `pangea job tree` make of what a node says."""

from __future__ import annotations

from typing import Any

import pytest

from pangea.compute.cli.job_tree import lines
from pangea.compute.cli.peer import find
from pangea.compute.model.errors import PeerError
from pangea.compute.network.identity import Identity

STATUS = {"job_id": "1234", "name": "words", "state": "complete", "progress": 1.0}


def known(*peers: str, **more: Any) -> dict[str, Any]:
    return {"peer_id": "me", "peers": [{"peer": peer} for peer in peers], "below": [], "workers": [], "banned": [], **more}


def test_a_peer_is_found_by_the_beginning_of_its_id() -> None:
    assert find(known("abc", "abd", "x"), "abc") == "abc"
    assert find(known("abc", "x"), "ab") == "abc"
    assert find(known(banned=[{"peer": "gone"}]), "go") == "gone"
    assert find(known(below=[{"peer": "leaf"}]), "le") == "leaf"
    assert find(known(workers=[{"worker": "far"}]), "far") == "far"
    with pytest.raises(PeerError, match="'ab' could be abc, abd"):
        find(known("abc", "abd"), "ab")
    for text in ("zzz", ""):
        with pytest.raises(PeerError, match="knows no peer"):
            find(known("abc"), text)


def test_a_whole_id_needn_t_be_known() -> None:
    stranger = Identity.create().peer_id
    assert find(known("abc"), stranger) == stranger


def row(peer: str, branch: str, tasks: int = 2) -> dict[str, Any]:
    return {"peer": peer, "branch": branch, "tasks": tasks, "chunks": 30, "fuel": 1_000, "seconds": 0.5, "checked": "well"}


def test_the_tree_nests_workers_under_their_parents() -> None:
    drawn = list(
        lines(
            {
                "status": STATUS,
                "owner": "owner",
                "verification": "adaptive: twice",
                "workers": [row("leaf1", "left"), row("owner", ""), row("gone1", "right"), row("gone2", "lost")],
                "below": [["left", "owner", "lab"], ["leaf1", "left", ""], ["right", "owner", ""]],
            }
        )
    )
    assert drawn[:2] == ["1234 (words): complete, 100%", "checked by adaptive: twice"]
    shown = [line[:34].rstrip() for line in drawn[2:]]
    assert shown == [
        "owner (owner)",
        "├─ left (lab)",
        "│  └─ leaf1",
        "├─ right",
        "│  └─ gone1 (gone)",
        "└─ gone2 (gone)",
    ]
    assert drawn[4].endswith("2 tasks, 30 chunks, 1,000 fuel, 0.50 s; well")


def test_who_claims_a_loop_is_drawn_once() -> None:
    below = [["a", "owner", ""], ["b", "a", ""], ["a", "b", ""], ["owner", "b", ""]]
    drawn = list(lines({"status": STATUS, "owner": "owner", "workers": [], "below": below}))
    assert len(drawn) < 10
