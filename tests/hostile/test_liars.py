"""Trees of real nodes of which some lie: results are exact, nobody honest is banned, and whoever can be proven a liar is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench.liars import expected, job_of

from pangea.compute import Client
from pangea.compute.cli.devnet_nodes import Devnet
from pangea.compute.cli.devnet_plan import plan
from pangea.compute.testing.sabotage import KINDS
from tests.deadlines import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
#: Of the job: bytes of a chunk, and how many remainders are summed.
SIZE, NUMBERS = 4_096, 60
ROWS = b"".join(b"%d\n" % (row * 7919 % 10**9) for row in range(9_000))
#: Enough tasks that they are merged in steps.
MANY_ROWS = ROWS * 4
WAIT = 60
#: Kinds whose lie shows in what the owner or a parent can prove, and in whose nature it is to tell one in every job.
PROVEN = ("random", "lazy", "constant", "sleeper", "clique", "underreporter", "overreporter", "accuser", "tamperer")
#: Where other modes promise an exact result, too: a vote of two finds who lies alone, a sample finds who lies always.
MODES = {
    "random": ("redundancy",),
    "underreporter": ("redundancy",),
    "constant": ("redundancy", "merkle", "hash"),
    "tamperer": ("redundancy", "merkle", "hash"),
}
_runs = itertools.count(1)


class Den:
    """A devnet with liars, and a client of its node 0."""

    def __init__(self, net: Devnet, client: Client, folder: Path) -> None:
        """Look at `net`."""
        self._folder = folder
        self.net = net
        self.client = client
        self.liars = {node.peer for node in net.nodes if node.place.sabotage}
        self.honest = {node.peer for node in net.nodes if not node.place.sabotage}

    def check(self, rows: bytes = ROWS, **options: Any) -> set[str]:
        """Run a job that no node knows yet; its result must be exact. Whom it got banned."""
        run = next(_runs)
        job = job_of(run, self._folder, size=SIZE, numbers=NUMBERS)
        result = self.client.submit_job(job, rows, **options).result(WAIT)
        assert bytes(result) == expected(run, rows, NUMBERS)
        banned = self.banned()
        assert not banned & self.honest, "somebody honest was banned"
        return banned

    def banned(self) -> set[str]:
        """Who is."""
        return {each["peer"] for each in self.client.peers()["banned"]}

    def forgive(self) -> None:
        """Let everybody come back, as strangers."""
        for peer in self.banned():
            self.client.unban(peer)
        until(lambda: self.below() == len(self.net.nodes) - 1, what="everybody's return")

    def below(self) -> int:
        """Nodes below node 0."""
        return sum(each.get("nodes", 0) for each in self.client.peers()["peers"])


@contextmanager
def den(folder: Path, nodes: int, depth: int, *liars: str) -> Iterator[Den]:
    with Devnet(plan(nodes, depth, liars=liars), folder) as net:
        net.start()
        with Client(net.address) as client:
            found = Den(net, client, folder)
            until(lambda: found.below() == nodes - 1, what="all nodes at node 0")
            yield found


@pytest.mark.long
def test_two_liars_of_four_workers_are_caught_by_votes_and_by_samples(tmp_path: Path) -> None:
    with den(tmp_path, 5, 1, "constant:1", "accuser:1:1") as tree:
        for mode in ("redundancy", "merkle"):
            banned = tree.check(verification_mode=mode, redundancy=2)
            assert banned, f"nobody was caught under {mode}"
            tree.forgive()


@pytest.mark.long
def test_a_manager_that_changes_what_others_signed_is_shut_out_at_once(tmp_path: Path) -> None:
    with den(tmp_path, 5, 2, "tamperer:1:1") as tree:
        assert tree.check() == tree.liars
        (ban,) = tree.client.peers()["banned"]
        assert "hasn't signed" in ban["cause"]
        tree.check()


@pytest.mark.long
def test_a_sybil_comes_back_as_somebody_else_and_is_caught_again(tmp_path: Path) -> None:
    with den(tmp_path, 4, 1, "sybil:1:1") as tree:
        first = tree.check()
        assert first == tree.liars
        until(lambda: tree.below() == 3, what="its return")
        second = tree.check()
        assert second > first, "its second key was believed"


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("slow", "drifter")])
def test_two_of_seven_lie(tmp_path: Path, kind: str) -> None:
    rows = MANY_ROWS if kind == "merger" else ROWS
    with den(tmp_path, 7, 2, f"{kind}:2") as tree:
        for _ in range(3):
            banned = tree.check(rows, locality="spread" if kind == "merger" else None)
            assert banned or kind not in PROVEN, "the job got nobody banned"
            tree.forgive()
        for mode in MODES.get(kind, ()):
            tree.check(rows, verification_mode=mode, redundancy=2)
            tree.forgive()
