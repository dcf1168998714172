"""What speaks for an accepted answer, in the words of the trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.trace import Check, Provenance
from pangea.compute.orchestrator.core.records import Case, Task
from pangea.compute.orchestrator.judging.provenance import provenance_of
from pangea.compute.orchestrator.rules.audit import Vote


def vote(worker: str, *, digest: bytes = b"right", branch: str = "", is_trusted: bool = False) -> Vote:
    return Vote(PeerId(worker), PeerId(branch or worker), "", digest, 7, (), is_trusted)


def task(*votes: Vote, tries: int = 0, is_sampled: bool = False) -> Task:
    return cast(Task, SimpleNamespace(case=Case(votes=[*votes], is_sampled=is_sampled), tries=tries))


ME = vote("me", is_trusted=True)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ([ME], Provenance(PeerId("me"), Check.HERE, 1, 1)),
        ([vote("a")], Provenance(PeerId("a"), Check.WORD, 1, 1)),
        ([vote("a"), vote("b")], Provenance(PeerId("a"), Check.VOTES, 2, 2)),
        ([vote("a"), vote("b", branch="a")], Provenance(PeerId("a"), Check.WORD, 1, 2)),
        ([vote("a"), ME], Provenance(PeerId("a"), Check.AGAIN, 2, 2)),
        ([vote("liar", digest=b"wrong"), vote("a"), ME], Provenance(PeerId("a"), Check.AGAIN, 2, 3)),
        ([vote("liar", digest=b"wrong"), ME], Provenance(PeerId("me"), Check.HERE, 1, 2)),
    ],
)
def test_an_answer_has_a_worker_and_a_way_of_checking(votes: list[Vote], expected: Provenance) -> None:
    assert provenance_of(task(*votes), next((each for each in votes if each.is_trusted), votes[0])) == expected


def test_leaves_that_were_executed_again_are_a_part() -> None:
    assert provenance_of(task(vote("a"), is_sampled=True), vote("a")).check is Check.PARTLY


def test_tries_that_machines_lost_are_counted() -> None:
    assert provenance_of(task(vote("a"), tries=3), vote("a")).attempts == 4


def test_a_parent_s_task_has_no_provenance() -> None:
    with pytest.raises(AssertionError, match="has no case"):
        provenance_of(cast(Task, SimpleNamespace(case=None, tries=0)), ME)
