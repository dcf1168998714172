from __future__ import annotations

import pytest

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.core.messages import Answers, Beat, Delegate, Exclude, Message
from pangea.compute.simulation.faults import Faults
from pangea.compute.simulation.network import MESSAGE_BYTES, Network
from pangea.compute.simulation.node import Link, Node
from pangea.compute.simulation.scenario import Scenario

MANY = 4000


def node(number: int, region: int = 0, bandwidth: float = 1e9) -> Node:
    return Node(number, cores=1, speed=1.0, region=region, network="", bandwidth=bandwidth)


def link(network: Network, one: Node, other: Node) -> Link:
    down = Link(one, other, network.latency(one, other))
    down.back = Link(other, one, down.latency)
    down.back.back = down
    return down


def faulty(faults: Faults) -> tuple[Network, Link]:
    network = Network(Scenario(latency=0.1, jitter=0.0))
    network.set_faults(faults)
    return network, link(network, node(1), node(2, region=1))


def test_a_message_takes_its_latency_and_its_size_over_the_bandwidth() -> None:
    network = Network(Scenario(latency=0.02, jitter=0.0))
    way = link(network, node(1, bandwidth=1e6), node(2, region=1))
    assert network.arrival(way, 500_000, 10.0) == pytest.approx(10.5 + way.latency)


def test_the_slower_end_counts() -> None:
    network = Network(Scenario(latency=0.0, jitter=0.0))
    way = link(network, node(1), node(2, bandwidth=1e6))
    assert network.arrival(way, 500_000, 0.0) == pytest.approx(0.5)


def test_messages_queue_at_a_busy_uplink() -> None:
    network = Network(Scenario(latency=0.0, jitter=0.0))
    sender = node(1, bandwidth=1000.0)
    ways = [link(network, sender, node(number)) for number in (2, 3)]
    assert [network.arrival(way, 1000, 0.0) for way in ways] == pytest.approx([1.0, 2.0])


def test_a_region_is_nearer_to_itself_than_to_others() -> None:
    network = Network(Scenario(latency=0.1))
    assert network.latency(node(1), node(2)) == pytest.approx(0.01)
    assert 0.05 <= network.latency(node(1), node(2, region=1)) <= 0.15
    assert network.latency(node(1, region=2), node(2, region=3)) == network.latency(node(2, region=3), node(1, region=2))


def test_messages_of_a_link_keep_their_order_whatever_the_jitter() -> None:
    network = Network(Scenario(latency=0.1, jitter=5.0))
    way = link(network, node(1), node(2, region=1))
    arrivals = [network.arrival(way, 100, 0.001 * number) for number in range(500)]
    assert arrivals == sorted(arrivals)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_so_many_messages_are_lost(share: float) -> None:
    network, way = faulty(Faults(loss=share))
    lost = sum(not network.faulty_arrivals(way, 100, float(number)) for number in range(MANY))
    assert lost / MANY == pytest.approx(share, rel=0.2)


def test_so_many_messages_arrive_twice() -> None:
    network, way = faulty(Faults(duplicate=0.2))
    twice = sum(len(network.faulty_arrivals(way, 100, float(number))) == 2 for number in range(MANY))
    assert twice / MANY == pytest.approx(0.2, rel=0.2)


def test_some_messages_are_overtaken() -> None:
    network, way = faulty(Faults(reorder=0.2))
    arrivals = [network.faulty_arrivals(way, 100, 0.001 * number)[0] for number in range(MANY)]
    assert arrivals != sorted(arrivals)


def test_nothing_crosses_a_partition_until_it_is_healed() -> None:
    network, way = faulty(Faults(partitions=1))
    way.target.half = 1
    network.is_partitioned = True
    assert network.faulty_arrivals(way, 100, 0.0) == []
    network.heal()
    assert not network.is_faulty


def test_a_clogged_direction_loses_messages_and_the_other_does_not() -> None:
    network, way = faulty(Faults(clogged=0.1))
    way.loss = 0.7
    lost = [sum(not network.faulty_arrivals(one, 100, float(n)) for n in range(MANY)) for one in (way, way.back)]
    assert lost[0] / MANY == pytest.approx(0.7, rel=0.1)
    assert lost[1] == 0


def test_sizes_grow_with_what_is_carried() -> None:
    network = Network(Scenario(result_bytes=1000))
    packet = TaskPacket(task_id=TaskId("j:0"), start=0, count=1, size_bytes=5000)
    budget = Budget(depth=1, fan_out=1, seconds=1.0)
    delegate = Delegate(spec=JobSpec(job_id=JobId("j"), module=""), budget=budget, tasks=((1, packet),))
    result = TaskResult(task_id=TaskId("j:0"), worker=PeerId("n1"), leaves=(b"", b""))
    messages: list[Message] = [
        Beat(cores=1, window=1, nodes=1, height=0),
        Exclude(job_id=JobId("j"), workers=(PeerId("n1"),)),
        Answers(results=((1, result),)),
        delegate,
    ]
    sizes = [network.size(message) for message in messages]
    assert sizes[0] == MESSAGE_BYTES
    assert sizes == sorted(sizes)
    assert sizes[2] > 2000
    assert sizes[3] > 5000
