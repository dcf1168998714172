"""Links that carry little: megabytes of inputs and results cross them, and nobody is taken for dead meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pangea.compute import Client, Job
from pangea.compute.jobs import JobDefinition
from pangea.compute.network.identity import Identity
from pangea.compute.network.rpc.service import INLINE_BYTES_MAX
from tests.nodes import NodeProcess
from tests.proxy import Proxy
from tests.trees import Tree, TreeNode, lines

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]
WAIT = 300
#: Bytes of a chunk: those inside messages are many, the others are fetched, one for each task.
INSIDE, FETCHED, LARGE = 1 << 15, 1 << 18, 1 << 22
#: How often the job goes over all its bytes: for twenty seconds of a core, or more, so that there is time for the line.
TURNS = {INSIDE: 50, FETCHED: 30, LARGE: 5}


def job_of(chunk_bytes: int) -> JobDefinition:
    """Results as large as inputs."""

    @Job.define(split_strategy="fixed_size", min_chunk_size=chunk_bytes, max_chunk_size=chunk_bytes, estimated_flops=1e13)
    def echo() -> None:
        @Job.execute
        def execute(chunk: bytes) -> bytes:
            value = 7
            for _ in range(TURNS[chunk_bytes]):
                for byte in chunk:
                    value = (value * 31 + byte) & 0xFFFFFFFF
            return b"%d;" % value + chunk

    return echo


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 20, max_chunk_size=1 << 20)
def thrice() -> None:
    """A result too large to come at once."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk * 3


@contextmanager
def far_child(folder: Path, bandwidth: float) -> Iterator[tuple[TreeNode, TreeNode]]:
    """A root, and a child behind a slow and long line."""
    with Tree(folder) as tree:
        root = tree.add(None)
        port = root.multiaddr.split("/tcp/")[1].split("/")[0]
        with Proxy(("127.0.0.1", int(port)), latency=0.05, jitter=0.02, bandwidth=bandwidth) as proxy:
            address = root.multiaddr.replace(f"/tcp/{port}/", f"/tcp/{proxy.port}/")
            child = TreeNode(folder / "child", "--workers", "1", "--join", address)
            tree.nodes.append(child)
            tree.grown(root, 1)
            yield root, child


@pytest.mark.parametrize(
    ("bandwidth", "chunk_bytes", "count"),
    [(50e3, INSIDE, 90), (50e3, FETCHED, 20), (300e3, LARGE, 8)],
    ids=["50 kB/s, inside messages", "50 kB/s, fetched", "300 kB/s, fetched"],
)
def test_a_slow_link_holds_up_no_sign_of_life(tmp_path: Path, bandwidth: float, chunk_bytes: int, count: int) -> None:
    job, data = job_of(chunk_bytes), lines(count * chunk_bytes // 61)
    with far_child(tmp_path, bandwidth) as (root, child):
        with Client(str(root.data_dir)) as client:
            result = client.submit_job(job, data, verification_mode="none", timeout=float(WAIT)).result(WAIT)
        assert bytes(result) == job.run_local(data)
        for node in (root, child):
            assert not node.events("lost") + node.events("link failed") + node.events("dropped")
        (there,) = root.children()
        assert there["sent_bytes"] + there["received_bytes"] > 600_000, "nothing much has crossed the link"


def test_a_client_far_away_sends_its_input_and_gets_its_result(tmp_path: Path) -> None:
    friend = Identity.load_or_create(tmp_path / "key").peer_id
    data = lines(2_000_000 // 61)
    with NodeProcess(tmp_path / "node", "--listen", "127.0.0.1:0", "--allow", friend, "--workers", "1") as node:
        address = next(json.loads(line)["address"] for line in node.log().splitlines() if '"address"' in line)
        port = address.rpartition("/")[0].rpartition(":")[2]
        with Proxy(("127.0.0.1", int(port)), latency=0.05, bandwidth=250e3) as proxy:
            through = address.replace(f":{port}/", f":{proxy.port}/")
            with Client(through, identity=tmp_path / "key", timeout=5.0, reconnect_timeout=0.0) as client:
                result = client.submit_job(thrice, data, verification_mode="none").result(WAIT)
    assert bytes(result) == thrice.run_local(data)
    assert len(bytes(result)) > INLINE_BYTES_MAX, "it comes in blocks"
