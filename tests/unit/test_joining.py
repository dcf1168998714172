"""A node's way into a tree, and out of it."""

from __future__ import annotations

import asyncio
from random import Random
from typing import cast

from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.hello import Hello
from pangea.compute.node.tree.joining import Joining
from pangea.compute.node.tree.neighbours import Neighbours
from tests.deadlines import comes_true


class Membership:
    """Neighbours of a node that has a parent."""

    asked = 0

    @property
    def parent(self) -> object:
        """It."""
        self.asked += 1
        return self

    def on_parent_lost(self) -> None:
        """Whoever joins puts its own here."""


def test_a_node_that_stops_as_its_parent_is_lost_looks_for_no_other() -> None:
    async def work() -> bool:
        family = Membership()
        joining = Joining(Identity.create(), cast(Neighbours, family), fixed=(), found=tuple, hello=Hello, random=Random(1))
        task = asyncio.create_task(joining.run())
        await comes_true(lambda: family.asked > 1)  # now it waits
        family.on_parent_lost()
        task.cancel()
        await asyncio.wait({task}, timeout=20)
        return task.done()

    assert asyncio.run(work()), "the cancellation was lost"
