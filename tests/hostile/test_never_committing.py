"""Peers of a real node that take tasks under `redundancy`, say that they live, and never commit to an answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from pangea.compute import Client, Job
from pangea.compute.model.errors import PangeaError
from pangea.compute.network.rpc import rpc
from pangea.compute.orchestrator.core.messages import Beat
from pangea.compute.orchestrator.limits import LEASE_SECONDS
from tests.attackers import Attacker
from tests.trees import Tree, TreeNode, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
DATA = lines(400)
#: Of an attempt at a task. Waited for until it expired (30 s, a lease and more), the job would not end in this time.
WAIT = 30.0 + LEASE_SECONDS / 2


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 12, max_chunk_size=1 << 12, estimated_flops=1e13)
def tally() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d;" % sum(chunk)

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b"".join(results)


async def lives(one: Attacker, is_over: asyncio.Event) -> None:
    """Say so, now and then."""
    while not is_over.is_set():
        with suppress(PangeaError):
            await one.tells(Beat(cores=1, window=1, nodes=1, height=0))
        with suppress(TimeoutError):
            await asyncio.wait_for(is_over.wait(), 1.0)


def work(node: TreeNode) -> bytes:
    with Client(str(node.data_dir)) as client:
        handle = client.submit_job(tally, DATA, verification_mode="redundancy", redundancy=2, locality="spread")
        return bytes(handle.result(WAIT))


def test_a_job_whose_voters_all_stay_silent_is_done_by_its_owner_before_they_have_had_their_time(tmp_path: Path) -> None:
    async def scene(root: TreeNode) -> list[Attacker]:
        mute = [await Attacker().join(root.multiaddr) for _ in range(2)]
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for one in mute:
                tasks.create_task(lives(one, is_over))
            assert await asyncio.to_thread(work, root) == bytes(tally.run_local(DATA))
            is_over.set()
        for one in mute:
            one.leave()
        return mute

    async def all_of_it(root: TreeNode) -> list[Attacker]:
        async with rpc.event_loop():
            return await scene(root)

    with Tree(tmp_path) as tree:
        mute = asyncio.run(all_of_it(tree.add(None)))
    assert all(one.asked for one in mute)
