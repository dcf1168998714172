"""Where too many lie, odds are none: strangers don't vouch for each other, and beyond a quarter nobody is believed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from tests.fakes.node import Node
from tests.fakes.owner import NEVER, asked, finish_everything, finish_here, is_right, submit, vote

CHUNKS = 16


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def job_with(node: Node, *liars: str) -> list[str]:
    """Under `hash` each worker's first answer is executed here, and nothing else; what the report says."""
    node.dice.loaded = NEVER
    names = ("a", "b", "c", "d")
    submit(node, VerificationMode.HASH, *names, chunks=CHUNKS)
    held = asked(node, *names)
    for name, asks in held.items():
        node.answers(name, *asks, lie=b"lie" if name in liars else b"")
    finish_here(node)
    end = finish_everything(node, *(name for name in names if PeerId(name) in node.core.children))
    assert is_right(end, CHUNKS)
    return [str(end.report.audits), *end.report.notes]


def test_beyond_a_quarter_of_liars_this_node_executes_all_of_it(node: Node) -> None:
    audits, *notes = job_with(node, "a", "b", "c")
    assert any("nobody's word counted any more" in note for note in notes)
    assert int(audits) > 4


def test_what_only_others_vouch_for_is_in_doubt_once_too_many_have_lied(node: Node) -> None:
    node.dice.loaded = NEVER
    names = ("a", "b", "c", "d")
    submit(node, VerificationMode.HASH, *names, chunks=40)
    held = asked(node, *names)
    for name, asks in held.items():
        node.answers(name, *asks, lie=b"" if name == "d" else b"lie")
    vouched = {ask.task_id for ask in held["d"][1:]}
    assert vouched
    assert vouched <= {*node.results_kept}, "only a worker's first answer is executed here"
    while not node.own().is_hostile:
        node.executes(*node.started())
    assert node.dropped == ["a", "b", "c"]
    assert vouched.isdisjoint(node.results_kept)
    end = finish_everything(node, "d")
    assert is_right(end, 40)
    assert end.report.audits >= len(vouched)


def test_one_liar_makes_nobody_else_one(node: Node) -> None:
    _, *notes = job_with(node, "a")
    assert not any("nobody's word" in note for note in notes)


def test_strangers_pass_nothing_by_each_other_s_word(node: Node) -> None:
    node.keep_busy()
    for name in ("a", "b"):
        node.join_child(name)
    node.submit(1, verification=VerificationMode.REDUNDANCY, redundancy=2)
    held = {name: ask for name in ("a", "b") for ask in node.asked(name)}
    vote(node, held)
    assert [node.core.trust.passes(PeerId(name), "") for name in ("a", "b")] == [0, 0]
