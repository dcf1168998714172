"""Trees on hosts of their own, which are cut off, killed or far away: exact results, and a tree that finds itself again.

Rows 21 and 22 of the fault matrix: crashes of hosts, and partitions. Nobody is told of a cut; see `tests.hosts`.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from pangea.compute import Client, JobHandle
from pangea.compute.jobs import JobState
from pangea.compute.model.report import Report
from pangea.compute.network.peers.peering import CALL_SECONDS
from pangea.compute.orchestrator.limits import IDLE_BEAT_SECONDS, LEASE_SECONDS
from tests.deadlines import until
from tests.hosts import Host, Hosts
from tests.proxy import Proxy
from tests.trees import Tree, TreeNode, digest, lines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("need_hosts"),
]
WAIT = 150
PORT = 4040
#: A few seconds of work for five nodes on two cores.
WORK = lines(2_500)
#: A dead link is noticed after an unanswered call, which comes within a beat; then its end dials until somebody answers.
NOTICED_SECONDS = CALL_SECONDS + IDLE_BEAT_SECONDS + 3.0
BACK_SECONDS = 15.0
WHOLE_SECONDS = 60.0


class Grove(Tree):
    """A tree whose every node has a host of its own. Node names are host names."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hosts = Hosts()
        self.host_of: dict[TreeNode, Host] = {}

    def plant(self, name: str, parent: TreeNode | None, *options: str, join: str = "", behind_nat: bool = False) -> TreeNode:
        """Start a node with a worker under `parent`; `join` is another way there."""
        host = self.hosts.add(name, behind_nat=behind_nat)
        given = ["--workers", "1", "--listen", f"{host.address}:{PORT}", "--admit", "open", *options]
        if parent is not None:
            given += ["--join", join or parent.multiaddr]
        node = TreeNode(self.folder / name, *given, prefix=host.prefix)
        self.nodes.append(node)
        self.host_of[node] = host
        return node

    def die(self, node: TreeNode) -> None:
        """Have the machine under a node die."""
        self.host_of[node].kill()
        node.wait()

    def rise(self, node: TreeNode) -> None:
        """Have it start again, the node, too."""
        self.host_of[node].heal()
        node.start()

    def part(self, *groups: set[TreeNode]) -> None:
        self.hosts.partition(*({self.host_of[node] for node in group} for group in groups))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        self.hosts.__exit__(kind, error, trace)

    def __enter__(self) -> Grove:
        self.hosts.__enter__()
        return self


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grove]:
    """A root, two managers, and a leaf below each."""
    with Grove(tmp_path_factory.mktemp("grove")) as grove:
        root = grove.plant("root", None)
        for name in ("a", "b"):
            manager = grove.plant(name, root)
            grove.plant(f"{name}1", manager)
        yield grove


@pytest.fixture
def grove(planted: Grove) -> Grove:
    """It, whole."""
    planted.hosts.heal()
    whole(planted)
    return planted


def whole(grove: Grove, seconds: float = WHOLE_SECONDS) -> float:
    """Wait until the root sees all four below it, and speaks with them; how long that took."""
    began = time.monotonic()
    root = grove.nodes[0]

    def is_whole() -> bool:
        children = root.children()
        return sum(int(child.get("nodes", 0)) for child in children) == 4 and not any(child["is_silent"] for child in children)

    grove.wait(is_whole, seconds)
    return time.monotonic() - began


def family(grove: Grove) -> tuple[TreeNode, TreeNode, TreeNode]:
    """The root, a manager and its leaf."""
    return grove.nodes[0], grove.nodes[1], grove.nodes[2]


@functools.cache
def done_here(data: bytes) -> bytes:
    """What the job gives in plain Python, which takes a minute for the largest data, once a run."""
    return bytes(digest.run_local(data))


def run(
    grove: Grove, meanwhile: Callable[[JobHandle], Any] = lambda handle: None, data: bytes = WORK, *, begun: int = 3
) -> tuple[float, Report]:
    """Do the job at the root, and something else once a few chunks are done; seconds, and the account. The result is exact."""
    began = time.monotonic()
    with Client(str(grove.nodes[0].data_dir), reconnect_timeout=WAIT) as client:
        handle = client.submit_job(digest, data)
        grove.wait(lambda: handle.status().completed_chunks >= begun)
        meanwhile(handle)
        result = handle.result(WAIT)
        took = time.monotonic() - began
        assert bytes(result) == done_here(data)
        assert [status.state for status in client.list_jobs() if status.job_id == handle.job_id] == [JobState.COMPLETE]
    return took, result.report


def passes(seconds: float) -> None:
    """Leave a fault in force for so long."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, seconds=seconds + 5.0)


def answered(root: TreeNode, child: TreeNode) -> int:
    """How many attempts a child has answered; of one that has just come back nothing is said yet."""
    return sum(int(each.get("answered", 0)) for each in root.children() if each["peer"] == child.peer)


@pytest.mark.long
def test_a_short_partition_costs_nothing_but_time(grove: Grove) -> None:
    root, manager, _ = family(grove)

    def cut(_: JobHandle) -> None:
        grove.part({root}, {manager})
        passes(2.0)
        grove.hosts.heal()

    run(grove, cut)
    assert whole(grove) < NOTICED_SECONDS + BACK_SECONDS


@pytest.mark.long
def test_flapping(grove: Grove) -> None:
    root, manager, leaf = family(grove)

    def flap(_: JobHandle) -> None:
        for below, above in itertools.islice(itertools.cycle([(manager, root), (leaf, manager)]), 4):
            grove.part({above}, {below})
            passes(0.7)
            grove.hosts.heal()
            passes(0.7)

    run(grove, flap)
    assert whole(grove) <= WHOLE_SECONDS


@pytest.mark.long
@pytest.mark.parametrize("is_up", [True, False], ids=["nothing-goes-up", "nothing-comes-down"])
def test_a_cut_of_one_direction_is_noticed_at_both_ends(grove: Grove, is_up: bool) -> None:
    root, manager, _ = family(grove)
    hears, speaks = (root, manager) if is_up else (manager, root)
    lost = {node: len(node.events("lost")) for node in (root, manager)}

    def cut(_: JobHandle) -> None:
        grove.host_of[hears].cut_inbound_from(grove.host_of[speaks])
        for node, before in lost.items():
            grove.wait(lambda node=node, before=before: len(node.events("lost")) > before, NOTICED_SECONDS)  # type: ignore[misc]
        grove.hosts.heal()

    run(grove, cut)
    assert whole(grove) < BACK_SECONDS


@pytest.mark.long
def test_both_ends_of_an_idle_link_notice_that_it_is_dead(grove: Grove) -> None:
    root, manager, _ = family(grove)
    lost = {node: len(node.events("lost")) for node in (root, manager)}
    grove.part({root}, {manager})
    for node, before in lost.items():
        grove.wait(lambda node=node, before=before: len(node.events("lost")) > before, NOTICED_SECONDS)  # type: ignore[misc]
    assert manager.peer not in {child["peer"] for child in root.children()}
    grove.hosts.heal()
    assert whole(grove) < BACK_SECONDS


@pytest.mark.long
def test_half_the_tree_is_away_for_twenty_seconds(grove: Grove, record_property: Callable[[str, object], None]) -> None:
    outage, data = 20.0, lines(28_000)  # the job outlasts it
    half = set(grove.nodes[1:3])
    _, calm = run(grove, data=data)

    def cut(_: JobHandle) -> None:
        grove.part(half, set(grove.nodes) - half)
        passes(outage)
        grove.hosts.heal()

    _, report = run(grove, cut, data)
    back = whole(grove)
    fault_free, makespan = calm.seconds, report.seconds
    record_property("seconds without faults", round(fault_free, 1))
    record_property("seconds with half the tree away for 20 s", round(makespan, 1))
    print(f"\nfault-free {fault_free:.1f} s, partitioned for {outage:g} s {makespan:.1f} s, whole {back:.1f} s later; {report}")
    assert makespan <= 2 * fault_free + outage + 2 * LEASE_SECONDS  # the machine's other work makes times differ by as much


@pytest.mark.long
def test_the_root_s_host_dies_and_the_job_ends_once(grove: Grove) -> None:
    root = grove.nodes[0]

    def kill(handle: JobHandle) -> None:
        grove.die(root)
        grove.rise(root)
        assert handle.status().restarts == 1

    run(grove, kill)
    whole(grove)


@pytest.mark.long
@pytest.mark.parametrize("which", [1, 2], ids=["manager", "leaf"])
def test_a_host_below_dies(grove: Grove, which: int) -> None:
    node = grove.nodes[which]
    run(grove, lambda _: grove.die(node))
    grove.rise(node)
    assert whole(grove) < NOTICED_SECONDS + BACK_SECONDS


@pytest.mark.long
def test_a_leaf_that_nobody_can_dial_works(tmp_path: Path) -> None:
    with Grove(tmp_path) as grove:
        root = grove.plant("root", None)
        leaf = grove.plant("leaf", root, behind_nat=True)
        grove.grown(root, 1)
        knock = grove.host_of[root].run(
            ["timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{grove.host_of[leaf].address}/{PORT}"], stderr=-3
        )
        run(grove)
        assert knock.wait(20) == 124, "the leaf can be dialled: it isn't behind a NAT"
        assert answered(root, leaf) > 0


@pytest.mark.long
def test_a_slow_lossy_link_still_helps(tmp_path: Path) -> None:
    """Its first answer comes after some seconds, so the job lasts longer than that on two quick cores."""
    with Grove(tmp_path) as grove:
        root = grove.plant("root", None)
        with proxy_to(grove, root, latency=0.05, jitter=0.01, loss=0.02) as proxy:
            far = grove.plant("far", root, join=through(proxy, root))
            grove.wait(lambda: [child["round_trip_ms"] >= 100 for child in root.children()] == [True])
            run(grove, data=WORK * 8)
            assert answered(root, far) > 0


@pytest.mark.long
def test_a_link_that_stalls_is_given_up_and_found_again(tmp_path: Path) -> None:
    with Grove(tmp_path) as grove:
        root = grove.plant("root", None)
        with proxy_to(grove, root) as proxy:
            far = grove.plant("far", root, join=through(proxy, root))
            grove.grown(root, 1)

            def stall(_: JobHandle) -> None:
                proxy.hold()
                grove.wait(lambda: bool(root.events("lost") and far.events("lost")), NOTICED_SECONDS)
                proxy.heal()

            run(grove, stall)
            grove.wait(lambda: bool(root.children()), BACK_SECONDS)
            before = answered(root, far)
            run(grove, data=WORK * 4)  # it is known to be cheap by now, and a little of it would stay at home
            assert answered(root, far) > before


def proxy_to(grove: Grove, node: TreeNode, **faults: float) -> Proxy:
    """A proxy beside a node, on its host."""
    host = grove.host_of[node]
    proxy = Proxy((host.address, PORT), at=host.address, port=PORT + 1, prefix=host.prefix)
    proxy.set(**faults)
    return proxy


def through(proxy: Proxy, node: TreeNode) -> str:
    """A node's address behind a proxy."""
    return node.multiaddr.replace(f"/tcp/{PORT}/", f"/tcp/{proxy.port}/")
