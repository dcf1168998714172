"""Known answers, planted among the tasks of others: who doesn't execute is found, and nobody is convicted by them alone."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.orchestrator.core.commands import FinishJob
from pangea.compute.orchestrator.judging.planting import PLANTED_SHARE
from pangea.compute.orchestrator.rules.trust import Verdict
from tests.fakes.node import Node
from tests.fakes.owner import ALWAYS, NEVER, finish_everything, is_right
from tests.fakes.packets import JOB, Ask

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode
CHUNKS = 12


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def planted(node: Node, *children: str, mode: VerificationMode = ADAPTIVE) -> dict[str, list[Ask]]:
    """This node has executed a first task itself, and then children come; what each is asked, the dice being for planting."""
    node.dice.loaded = NEVER
    node.submit(CHUNKS, verification=mode, locality=Locality.ANY)
    starts = node.started()
    node.executes(*starts)
    node.dice.loaded = ALWAYS
    for name in children:
        node.join_child(name, cores=4)
    asked = {name: node.asked(name) for name in children}
    node.dice.loaded = NEVER
    return asked


def known_to(node: Node, asks: list[Ask]) -> list[Ask]:
    """Those of what a child is asked that this node has executed already."""
    attempts = node.core.attempts
    return [ask for ask in asks if attempts[ask.attempt].task.is_planted]


@pytest.mark.parametrize("mode", [ADAPTIVE, HASH])
def test_a_child_is_given_a_task_whose_answer_is_known_and_can_t_tell(node: Node, mode: VerificationMode) -> None:
    asks = planted(node, "a", mode=mode)["a"]
    (known, *_) = known_to(node, asks)
    other = next(ask for ask in asks if ask not in known_to(node, asks))
    assert known.packet.task_id == f"{JOB}:0", "it has the name of the task that it is"
    assert {name: type(getattr(known.packet, name)) for name in known.packet.__slots__} == {
        name: type(getattr(other.packet, name)) for name in other.packet.__slots__
    }
    assert (known.packet.count, known.packet.size_bytes, known.packet.packs) == (
        other.packet.count,
        other.packet.size_bytes,
        other.packet.packs,
    )
    assert not known.packet.only
    node.loses("a")
    finish_everything(node)


@pytest.mark.parametrize("mode", [NONE, REDUNDANCY, MERKLE])
def test_elsewhere_none_is_planted(node: Node, mode: VerificationMode) -> None:
    assert known_to(node, planted(node, "a", mode=mode)["a"]) == []
    node.loses("a")
    finish_everything(node)


def test_a_right_answer_earns_nothing_as_accomplices_may_know_what_is_planted(node: Node) -> None:
    asks = planted(node, "a")["a"]
    (known, *_) = known_to(node, asks)
    node.answers("a", known)
    assert node.core.trust.passes("a", "") == 0  # type: ignore[arg-type]
    assert node.core.trust.anchors("a", "") == 0  # type: ignore[arg-type]
    end = finish_everything(node, "a")
    assert is_right(end, CHUNKS)
    assert (end.report.planted >= 1, end.report.planted_wrong) == (True, 0)
    assert any("as no worker could know" in note for note in end.report.notes)


def test_a_wrong_answer_is_looked_into_by_the_referee_and_its_worker_is_out(node: Node) -> None:
    asks = planted(node, "a")["a"]
    (known, *_) = known_to(node, asks)
    node.answers("a", known, lie=b"guess")
    assert not node.core.trust.is_banned("a", node.now), "what was known convicts nobody: this node executes it anew"  # type: ignore[arg-type]
    end = finish_everything(node, "b")
    assert node.core.trust.is_banned("a", node.now)  # type: ignore[arg-type]
    assert node.core.trust.verdict(PeerId("a")) in {Verdict.FAULTY, Verdict.LIED}
    assert is_right(end, CHUNKS)
    assert end.report.planted_wrong == 1
    assert end.report.bans == ("a",)
    assert any("1 were wrong" in note for note in end.report.notes)


def test_who_does_not_answer_one_is_blamed_for_nothing_and_nobody_waits(node: Node) -> None:
    asks = planted(node, "a")["a"]
    assert known_to(node, asks)
    node.loses("a")
    end = finish_everything(node)
    assert isinstance(end, FinishJob)
    assert is_right(end, CHUNKS)
    assert (end.report.planted, end.report.bans) == (0, ())


def test_so_small_a_share_is_planted() -> None:
    """A worker that guesses at checks is found by these alone after 50 tasks on average, with 99 % within 228."""
    found = []
    for seed in range(2_000):
        random, count = Random(seed), 1
        while random.random() >= PLANTED_SHARE:
            count += 1
        found.append(count)
    assert 45 < sum(found) / len(found) < 55
    assert sum(count <= 228 for count in found) / len(found) > 0.98
