"""Work stays at its owner's site as far as it can: others get what near ones can't do, or wouldn't be done with soon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.orchestrator.core.commands import FinishJob
from pangea.compute.orchestrator.core.messages import Recall
from pangea.compute.orchestrator.limits import CHECK_SECONDS, LEASE_SECONDS, SUSPECT_SECONDS, THRESHOLD_SECONDS
from pangea.compute.orchestrator.scheduling.placement import reluctance
from tests.fakes.node import Node, Puppet

NONE = VerificationMode.NONE
PREFER, ANY, SPREAD = Locality.PREFER_LOCAL, Locality.ANY, Locality.SPREAD


@pytest.fixture
def node() -> Iterator[Node]:
    """A node that knows what a chunk costs: 1.5 s of its one core."""
    with Node() as one:
        one.submit(1, job="before", verification=NONE)
        one.executes(*one.started())
        one.merge()
        one.ends.clear()
        yield one


def family(node: Node, *, near: int = 1, far: int = 1, cores: int = 1) -> None:
    for index in range(near):
        node.join_child(f"near{index}", cores=cores)
    for index in range(far):
        node.join_child(f"far{index}", cores=cores, is_near=False)


def given(node: Node, name: str) -> int:
    return len(node.asked(name))


def test_what_near_ones_have_room_for_stays(node: Node) -> None:
    family(node, cores=8)
    node.submit(8, verification=NONE, locality=PREFER)
    assert (len(node.started()), given(node, "near0"), given(node, "far0")) == (1, 7, 0)


def test_what_near_ones_are_done_with_soon_waits_for_them(node: Node) -> None:
    family(node, cores=8)
    node.submit(12, verification=NONE, locality=PREFER)  # nine cores are done with the two that wait in no time
    assert (len(node.started()), given(node, "near0"), given(node, "far0")) == (1, 9, 0)
    assert "near cores do what is left" in reluctance(node.core, node.job())


def test_a_job_that_would_keep_near_ones_busy_for_long_goes_far_as_well(node: Node) -> None:
    family(node)
    node.submit(100, verification=NONE, locality=PREFER)
    assert (len(node.started()), given(node, "near0"), given(node, "far0")) == (1, 2, 2)


def test_the_end_of_a_long_job_stays(node: Node) -> None:
    family(node, cores=2)
    node.submit(40, verification=NONE, locality=PREFER)
    last = {"near0": 0, "far0": 0}

    def puppet(name: str) -> Puppet:
        def answer(packet: TaskPacket) -> TaskResult:
            last[name] = packet.start
            return node.right(packet, name)

        return answer

    puppets = {name: puppet(name) for name in last}
    assert isinstance(node.play(puppets), FinishJob)
    left = 40 - 1 - last["far0"]
    assert last["near0"] > last["far0"] > 0
    assert left * node.chunk_seconds / 3 <= THRESHOLD_SECONDS + node.chunk_seconds


@pytest.mark.parametrize("locality", [ANY, SPREAD])
def test_any_other_job_makes_no_difference_between_sites(node: Node, locality: Locality) -> None:
    family(node, near=2, far=2, cores=8)
    node.submit(4, verification=NONE, locality=locality)
    got = {name: given(node, name) for name in ("near0", "near1", "far0", "far1")}
    node.started()
    assert sorted(got.values()) == ([0, 0, 0, 4] if locality is ANY else [1, 1, 1, 1])


def test_spread_fills_far_children_in_turn_without_waiting_for_a_check(node: Node) -> None:
    family(node, cores=2)
    node.submit(40, verification=NONE, locality=SPREAD)
    node.started()
    first = node.asked("far0")
    node.answers("near0", *node.asked("near0"))
    assert (len(first), given(node, "far0") >= 1) == (1, True)
    node.asked("near0")


def test_without_labels_everybody_is_near(node: Node) -> None:
    node.join_child("a", cores=8)
    assert node.core.children[PeerId("a")].is_near


def test_a_check_that_no_near_one_can_make_goes_far(node: Node) -> None:
    family(node)
    node.keep_busy()
    node.submit(1, verification=VerificationMode.REDUNDANCY, redundancy=2, locality=PREFER)
    assert given(node, "near0") == 1
    node.passes(CHECK_SECONDS)
    assert given(node, "far0") == 1, "a second vote of the same worker wouldn't count"


def test_when_near_ones_fall_silent_their_work_goes_far(node: Node) -> None:
    family(node, cores=8)
    node.keep_busy()
    node.submit(12, verification=NONE, locality=PREFER)
    held = node.asked("near0")
    assert (len(held), given(node, "far0")) == (9, 0)
    node.silent = {"near0"}
    node.passes(SUSPECT_SECONDS + 0.5)
    assert given(node, "far0") == 9, "room for all of it, but for the three that wait"
    node.passes(LEASE_SECONDS)


def test_an_idle_far_child_gets_no_short_work_that_a_near_one_has_already(node: Node) -> None:
    node.core.task_seconds = THRESHOLD_SECONDS / 2
    node.keep_busy()
    node.join_child("near0")
    node.beats("near0", cores=1, window=3)
    node.join_child("far0", is_near=False)
    node.submit(4, verification=NONE, locality=PREFER)
    assert (given(node, "near0"), given(node, "far0")) == (4, 0)
    node.passes(0.5)
    assert recalls(node) == []
    node.core.task_seconds = 2 * THRESHOLD_SECONDS
    node.passes(0.5)
    assert recalls(node) == [3], "long tasks are worth the way"


def recalls(node: Node) -> list[int]:
    return [message.count for message in node.take("near0") if isinstance(message, Recall)]


def test_explain_says_why_a_far_child_gets_nothing(node: Node) -> None:
    family(node, cores=8)
    node.keep_busy()
    node.join_parent("p")
    node.delegates("p", chunks=12)
    node.asked("near0")
    waiting = next(task for task in node.job(source="p").tasks.values() if task.is_queued)
    (explanation,) = node.orchestrator.explain(waiting.packet.task_id, now=node.now)
    far = next(candidate for candidate in explanation.candidates if candidate.peer == "far0")
    assert far.objection.startswith("it is at another site")
