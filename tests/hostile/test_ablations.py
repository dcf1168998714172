"""One test for each safeguard of the orchestrator, that goes red when the safeguard is taken out.

An attack that a safeguard stops leaves a state that looks legal, so invariants don't notice; only these tests do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.orchestrator import intake, peers
from pangea.compute.orchestrator.audit import AUDIT_FLOOR
from pangea.compute.orchestrator.commands import DropPeer, FinishJob
from pangea.compute.orchestrator.limits import DEPTH_MAX, FAN_OUT_MAX, LEASE_SECONDS, SLOW_START
from pangea.compute.orchestrator.messages import Cancel, Delegate, Lease, Reveal, Shun
from pangea.compute.orchestrator.transitions import TaskState
from tests.fakes.node import JOB, ME, Ask, Node, budget_of, merge_of, packet_of, right, sealed, spec_of, wrong

NONE, HASH, REDUNDANCY, MERKLE, ADAPTIVE = VerificationMode
NEVER, ALWAYS = 0.999, 0.0
"what the dice show when no answer, or every one, is to be checked"


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def submit(node: Node, mode: VerificationMode, *children: str, chunks: int = 1, **fields: object) -> None:
    """A job whose tasks go to the children first."""
    for name in children:
        node.join_child(name, cores=4)
    node.submit(chunks, verification=mode, locality=Locality.ANY, **fields)


def one_asked(node: Node, *children: str) -> tuple[str, Ask]:
    ((name, ask),) = [(name, ask) for name in children for ask in node.asked(name)]
    return name, ask


def end_here(node: Node) -> None:
    """Let this node's engine do all it is given, and the merge."""
    while starts := node.started():
        node.executes(*starts)
    node.merge()


def is_right(node: Node, chunks: int) -> bool:
    end = node.ends[JOB]
    return isinstance(end, FinishJob) and end.digest == merge_of(tuple(right(packet_of(n), "x").digest for n in range(chunks)))


# Who may answer what.


def test_the_answer_to_an_attempt_that_is_over_is_not_taken_for_the_one_under_way(node: Node) -> None:
    node.keep_busy()
    submit(node, NONE, "a")
    (first,) = node.asked("a")
    node.loses("a")
    node.join_child("a")
    (second,) = node.asked("a")
    assert first.attempt != second.attempt
    assert node.answers("a", first, lie=b"from an earlier life") == []
    node.answers("a", second)
    node.merge()
    assert is_right(node, 1)


def test_a_child_can_not_answer_for_another(node: Node) -> None:
    submit(node, NONE, "honest", "forger", chunks=10)
    held = {name: node.asked(name) for name in ("honest", "forger")}
    node.answers("forger", *held["honest"], lie=b"lie")
    node.answers("honest", *held["honest"])
    node.answers("forger", *held["forger"])
    end_here(node)
    assert is_right(node, 10)


def test_an_answer_must_be_to_the_task_that_was_given(node: Node) -> None:
    submit(node, NONE, "a", chunks=2)
    first, second = node.asked("a")
    node.says("a", first, node.right(second.packet, "a"))
    assert node.task(first.packet.start).state is TaskState.ASSIGNED
    node.answers("a", first, second)
    node.merge()
    assert is_right(node, 2)


def test_nobody_votes_in_this_node_s_name(node: Node) -> None:
    node.core.trust.passed(ME, "", 0.0)
    submit(node, ADAPTIVE, "a")
    (ask,) = node.asked("a")
    node.answers("a", ask, worker=ME, lie=b"lie")
    assert node.task().case is not None
    assert node.task().case.votes == []  # type: ignore[union-attr]
    end_here(node)
    assert is_right(node, 1)


def test_a_banned_worker_s_answer_does_not_count_through_whomever_it_comes(node: Node) -> None:
    node.core.trust.ban(PeerId("banned"), "", 0.0)
    submit(node, NONE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="banned", lie=b"lie")
    end_here(node)
    assert is_right(node, 1)


def test_strangers_command_nothing(node: Node) -> None:
    node.hears("stranger", Delegate(spec=spec_of(), budget=budget_of("stranger"), tasks=((1, packet_of()),)))
    assert node.started() == []


def test_one_parent_can_not_cancel_what_another_wants(node: Node) -> None:
    for name in ("p", "q"):
        node.join_parent(name)
    (number,) = node.delegates("p")
    node.hears("q", Cancel(attempts=(number,)))
    assert len(node.started()) == 1


# Time.


def test_a_child_that_is_silent_for_a_lease_has_its_work_taken_away(node: Node) -> None:
    node.keep_busy()
    submit(node, NONE, "silent", attempt_timeout=1_000.0)
    (ask,) = node.asked("silent")
    node.silent = {"silent"}
    node.passes(LEASE_SECONDS + 0.5)
    node.join_child("b")
    node.answers("silent", ask, lie=b"too late")
    (again,) = node.asked("b")
    node.answers("b", again)
    node.merge()
    assert is_right(node, 1)


def test_the_work_of_a_parent_that_is_silent_for_a_lease_stops(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", attempt_timeout=1_000.0)
    (start,) = node.started()
    node.silent = {"p"}
    node.passes(LEASE_SECONDS + 1.0)
    assert node.stopped == [start.attempt]


def test_a_lease_that_does_not_name_a_job_stops_it_for_its_cancel_was_lost(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p")
    (start,) = node.started()
    node.passes(3.0)
    node.hears("p", Lease(jobs=()))
    assert node.stopped == [start.attempt]


def test_an_attempt_that_takes_too_long_is_over(node: Node) -> None:
    node.submit(1, attempt_timeout=5.0)
    (start,) = node.started()
    node.passes(5.5)
    assert node.stopped == [start.attempt]
    node.passes(1.0)
    node.started()


def test_a_job_ends_at_its_deadline(node: Node) -> None:
    node.submit(1, timeout=5.0)
    node.started()
    node.passes(5.5)
    assert JOB in node.ends


def test_no_child_that_sits_on_a_task_holds_up_a_job(node: Node) -> None:
    submit(node, NONE, "sits")
    (ask,) = node.asked("sits")
    node.passes(5.0)
    end_here(node)
    assert is_right(node, 1)
    assert Cancel(attempts=(ask.attempt,)) in node.take("sits")


# Trees and their limits.


def test_work_that_comes_back_to_a_node_among_its_ancestors_is_refused(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("owner", ME, "p"))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_work_is_not_given_to_a_child_that_is_among_its_ancestors(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("owner")
    node.delegates("p", chunks=3, budget=budget_of("owner", "p"))
    assert node.asked("owner") == []


def test_work_that_has_come_too_deep_is_refused(node: Node) -> None:
    node.join_parent("p")
    ancestors = [f"n{index}" for index in range(DEPTH_MAX + 1)]
    node.delegates("p", budget=budget_of(*ancestors, depth=0))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_parent_can_not_give_more_depth_than_is_left(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("owner", "p", depth=DEPTH_MAX))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_node_at_the_lowest_depth_delegates_no_further(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", chunks=3, budget=budget_of("p", depth=0))
    assert node.asked("a") == []


def test_each_hop_costs_depth(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.join_child("a")
    node.delegates("p", budget=budget_of("p", depth=3))
    (ask,) = node.asked("a")
    assert ask.budget.depth == 2


def test_a_job_uses_no_more_children_than_its_budget_allows(node: Node) -> None:
    names = [f"c{index}" for index in range(FAN_OUT_MAX + 3)]
    for name in names:
        node.join_child(name)
    node.submit(1_000)
    assert sum(bool(node.asked(name)) for name in names) == FAN_OUT_MAX
    node.started()


def test_a_parent_can_not_allow_more_children_than_the_maximum(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("p", fan_out=FAN_OUT_MAX + 1))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_work_without_time_left_is_refused(node: Node) -> None:
    node.join_parent("p")
    node.delegates("p", budget=budget_of("p", seconds=float("nan")))
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_full_node_refuses_more(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "DELEGATED_TASKS_MAX", 3)
    node.join_parent("p")
    node.delegates("p", chunks=5)
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED] * 2
    node.started()


def test_a_node_with_as_many_jobs_as_it_may_have_refuses_more(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "JOBS_MAX", 2)
    node.join_parent("p")
    for job in ("one", "two", "three"):
        node.delegates("p", job=job)
    for job in ("four", "five"):
        node.submit(1, job=job)
    assert len(node.core.jobs) == 2
    node.told("p")
    node.started()


def test_a_swarm_of_children_is_turned_away(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CHILDREN_MAX", 5)
    for index in range(20):
        node.join_child(f"c{index}")
    assert len(node.core.children) == 5


def test_a_child_that_claims_to_want_everything_does_not_get_it(node: Node) -> None:
    node.join_child("hoarder", cores=2)
    node.submit(10_000, verification=NONE)
    node.beats("hoarder", cores=2, window=10**9)
    assert len(node.core.children[PeerId("hoarder")].attempts) <= 3 * 2 + 2
    node.asked("hoarder")
    node.started()


def test_a_child_that_claims_to_have_a_million_cores_does_not_get_work_for_them(node: Node) -> None:
    node.join_child("hoarder", cores=10**6)
    node.submit(2_000, verification=NONE)
    assert len(node.asked("hoarder")) == SLOW_START
    node.started()


def test_a_duplicate_of_a_delegation_is_not_done_twice() -> None:
    with Node(cores=2) as node:
        node.join_parent("p")
        (number,) = node.delegates("p")
        (start,) = node.started()
        node.hears("p", Delegate(spec=spec_of(), budget=budget_of("p"), tasks=((number, start.packet),)))
        assert node.started() == []
        assert node.core.delegated == 1


def test_the_same_task_under_a_new_number_is_not_done_twice() -> None:
    with Node(cores=2) as node:
        node.join_parent("p")
        node.delegates("p")
        (start,) = node.started()
        node.delegate_packets("p", [start.packet])
        assert node.started() == []
        assert node.core.delegated == 1


# Tries.


def test_what_a_machine_failed_goes_to_another(node: Node) -> None:
    node.keep_busy()
    submit(node, NONE, "a")
    (ask,) = node.asked("a")
    node.join_child("b")
    node.fails("a", ask)
    node.passes(1.0)
    name, _ = one_asked(node, "a", "b")
    assert name == "b"


def test_what_was_handed_back_goes_to_another(node: Node) -> None:
    node.keep_busy()
    node.join_child("slow")
    node.beats("slow", cores=1, window=3)
    node.submit(3, verification=NONE)
    asks = node.asked("slow")
    node.join_child("b")
    node.hands_back("slow", *asks[1:], status=TaskStatus.RETURNED)
    assert len(node.asked("b")) == 2


def test_a_child_whose_answers_never_count_does_not_get_the_same_task_again_and_again(node: Node) -> None:
    node.keep_busy()
    submit(node, MERKLE, "garbler")
    (ask,) = node.asked("garbler")
    node.join_child("b")
    node.answers("garbler", ask, leaves=())
    name, _ = one_asked(node, "garbler", "b")
    assert name == "b"


def test_a_job_whose_machines_keep_failing_ends(node: Node) -> None:
    node.submit(1, retry_count=2)
    for _ in range(5):
        node.executes(*node.started(), kind=FailureKind.WORKER_LOST)
        node.passes(12.0)
    assert JOB in node.ends


# Checks.


def test_one_answer_in_twenty_of_the_most_credible_worker_is_checked(node: Node) -> None:
    node.trusts(a=10**9)
    submit(node, ADAPTIVE, "a", chunks=4)
    asks = node.asked("a")
    node.dice.loaded = AUDIT_FLOOR - 0.001
    node.answers("a", asks[0])
    assert node.task(asks[0].packet.start).state is TaskState.VERIFYING
    end_here(node)


def test_whether_an_answer_is_checked_is_open_until_it_is_in_hand(node: Node) -> None:
    node.trusts(a=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "a", chunks=4)
    asks = node.asked("a")
    node.passes(0.5)
    assert node.dice.draws == 0
    node.dice.loaded = ALWAYS
    node.answers("a", asks[0])
    assert node.task(asks[0].packet.start).state is TaskState.VERIFYING
    end_here(node)


def test_the_leaves_to_execute_are_drawn_when_the_root_is_in_hand(node: Node) -> None:
    node.chunk_seconds = 0.01
    node.trusts(a=10**9)
    node.submit(3_000, verification=MERKLE)
    node.executes(*node.started())
    node.join_child("a")
    ask = max(node.asked("a"), key=lambda ask: ask.packet.count)
    assert node.dice.draws == 0
    node.says("a", ask, node.right(ask.packet, "a"))
    assert node.dice.draws > 0
    node.started()
    node.asked("a")


def test_a_merkle_root_must_be_over_the_leaves_that_came_with_it(node: Node) -> None:
    submit(node, MERKLE, "a")
    (ask,) = node.asked("a")
    lie = wrong(node.right(ask.packet, "a"))
    node.says("a", ask, replace(lie, leaves=node.right(ask.packet, "a").leaves))
    end_here(node)
    assert is_right(node, 1)


def test_a_caught_liar_s_other_answers_are_withdrawn(node: Node) -> None:
    node.trusts(liar=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "liar", chunks=4)
    asks = node.asked("liar")
    node.answers("liar", *asks[:3], lie=b"lie")
    node.dice.loaded = ALWAYS
    node.answers("liar", asks[3], lie=b"lie")
    end_here(node)
    assert node.dropped == ["liar"]
    assert is_right(node, 4)


def test_the_last_answer_of_each_worker_is_checked_before_the_end(node: Node) -> None:
    node.trusts(late=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "late", chunks=4)
    *early, last = node.asked("late")
    node.answers("late", *early)
    node.answers("late", last, lie=b"lie")
    end_here(node)
    assert is_right(node, 4)


def vote(node: Node, held: dict[str, Ask], **lies: bytes) -> None:
    """All commit, then those reveal that are asked to."""
    results = {name: node.right(ask.packet, name) for name, ask in held.items()}
    for name, lie in lies.items():
        results[name] = wrong(results[name], lie=lie)
    for name, ask in held.items():
        node.says(name, ask, sealed(results[name]))
    for name, ask in held.items():
        if any(isinstance(message, Reveal) for message in node.take(name)):
            node.says(name, ask, results[name])


def test_a_majority_of_liars_decides_nothing(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    vote(node, {name: node.asked(name)[0] for name in ("a", "b", "c")}, a=b"clique", b=b"clique")
    end_here(node)
    assert set(node.dropped) == {"a", "b"}
    assert is_right(node, 1)


def test_a_copier_can_not_reveal_another_answer_than_it_committed_to(node: Node) -> None:
    submit(node, REDUNDANCY, "copier", "honest", redundancy=2)
    held = {name: node.asked(name)[0] for name in ("copier", "honest")}
    node.says("copier", held["copier"], sealed(wrong(node.right(held["copier"].packet, "copier"))))
    honest = node.right(held["honest"].packet, "honest")
    node.says("honest", held["honest"], sealed(honest))
    node.says("honest", held["honest"], honest)
    node.says("copier", held["copier"], node.right(held["copier"].packet, "copier"))
    assert node.task().case is not None
    assert [v.worker for v in node.task().case.votes] == ["honest"]  # type: ignore[union-attr]
    end_here(node)


def test_nothing_is_revealed_to_the_owner_s_branches_before_all_have_committed(node: Node) -> None:
    submit(node, REDUNDANCY, "a", "b", "c", redundancy=3)
    held = {name: node.asked(name)[0] for name in ("a", "b", "c")}
    for name in ("a", "b"):
        node.says(name, held[name], sealed(node.right(held[name].packet, name)))
    assert [node.take(name) for name in ("a", "b")] == [[], []]


def test_a_worker_holds_its_answer_back_until_it_is_asked_to_reveal_it(node: Node) -> None:
    node.join_parent("p")
    node.delegate_packets("p", [packet_of(0, commit_first=True)])
    node.executes(*node.started())
    ((_, result),) = node.told("p")
    assert (result.status, result.digest, result.leaves, result.fuel) == (TaskStatus.COMMITTED, b"", (), 0)


def test_a_worker_that_comes_in_through_two_branches_has_one_vote(node: Node) -> None:
    submit(node, ADAPTIVE, "x", "y")
    for _ in range(2):
        name, ask = one_asked(node, "x", "y")
        node.answers(name, ask, worker="sybil", network="", lie=b"lie")
    end_here(node)
    assert is_right(node, 1)


def test_a_branch_has_one_vote_however_many_workers_speak_through_it(node: Node) -> None:
    submit(node, ADAPTIVE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="sybil-1", network="", lie=b"lie")
    for again in node.asked("branch"):
        node.answers("branch", again, worker="sybil-2", network="", lie=b"lie")
    end_here(node)
    assert is_right(node, 1)


def test_a_network_has_one_vote_however_many_children_it_has(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, ADAPTIVE)
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask, network="203.0.113.0/24", lie=b"lie")
    for other in ("a", "b"):
        for again in node.asked(other):
            node.answers(other, again, network="203.0.113.0/24", lie=b"lie")
    end_here(node)
    assert is_right(node, 1)


def test_under_redundancy_a_network_is_asked_for_one_vote(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, REDUNDANCY, "c", redundancy=2)
    asked = {name for name in ("a", "b", "c") if node.asked(name)}
    assert len(asked & {"a", "b"}) == 1
    assert "c" in asked


def test_a_child_can_not_claim_to_be_in_another_network_than_it_connects_from(node: Node) -> None:
    for name in ("a", "b"):
        node.join_child(name, network="203.0.113.0/24")
    submit(node, ADAPTIVE)
    name, ask = one_asked(node, "a", "b")
    node.answers(name, ask, network="elsewhere", lie=b"lie")
    assert not node.asked("a")
    assert not node.asked("b")
    end_here(node)
    assert is_right(node, 1)


def test_a_false_claim_that_the_job_fails_ends_no_job(node: Node) -> None:
    node.trusts(saboteur=10**9)
    node.dice.loaded = NEVER
    submit(node, ADAPTIVE, "saboteur")
    (ask,) = node.asked("saboteur")
    node.fails("saboteur", ask, FailureKind.GUEST_ERROR)
    end_here(node)
    assert is_right(node, 1)


def test_a_padded_bill_is_a_lie(node: Node) -> None:
    submit(node, ADAPTIVE, "a", "padder")
    for _ in range(2):
        name, ask = one_asked(node, "a", "padder")
        node.answers(name, ask, fuel=10**12 if name == "padder" else 1) if name == "padder" else node.answers(name, ask)
    end_here(node)
    assert node.dropped == ["padder"]


def ban(node: Node) -> None:
    """Catch `liar` lying to a job's first task."""
    node.trusts(liar=10**9)
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "liar")
    (ask,) = node.asked("liar")
    node.answers("liar", ask, lie=b"lie")
    end_here(node)
    assert node.dropped == ["liar"]


def test_a_banned_key_is_turned_away_when_it_comes_back(node: Node) -> None:
    ban(node)
    assert node.join_child("liar") == [DropPeer(peer=PeerId("liar"), reason="banned: it was caught in a lie")]
    assert PeerId("liar") not in node.core.children


def test_a_liar_loses_all_credit(node: Node) -> None:
    ban(node)
    assert node.core.trust.passes(PeerId("liar"), "") == 0
    assert node.kept[0].record.bans == 1


def test_a_branch_learns_whom_of_its_workers_to_leave_out(node: Node) -> None:
    node.dice.loaded = ALWAYS
    submit(node, ADAPTIVE, "branch")
    (ask,) = node.asked("branch")
    node.answers("branch", ask, worker="far", lie=b"lie")
    end_here(node)
    assert Shun(job_id=JOB, workers=(PeerId("far"),)) in node.take("branch")


def test_a_shunned_worker_is_given_none_of_the_job(node: Node) -> None:
    node.keep_busy()
    node.join_parent("p")
    node.delegates("p")
    node.hears("p", Shun(job_id=JOB, workers=(PeerId("a"),)))
    node.join_child("a")
    assert node.asked("a") == []


def test_whose_answer_would_not_count_does_not_give_it(node: Node) -> None:
    node.join_parent("p")
    node.delegate_packets("p", [packet_of(0, avoid=frozenset({ME}))])
    assert node.started() == []
    assert [result.status for _, result in node.told("p")] == [TaskStatus.REFUSED]


def test_a_result_that_is_not_the_expected_one_is_not_delivered(node: Node) -> None:
    submit(node, HASH, "liar", chunks=2, expected=merge_of(tuple(right(packet_of(n), "x").digest for n in range(2))))
    node.answers("liar", *node.asked("liar"), lie=b"lie")
    node.merge()
    end_here(node)
    assert is_right(node, 2)


def test_the_first_answer_of_each_worker_is_executed_again_under_hash(node: Node) -> None:
    node.dice.loaded = NEVER
    submit(node, HASH, "liar", chunks=3)
    node.answers("liar", *node.asked("liar"), lie=b"lie")
    end_here(node)
    assert is_right(node, 3)


def test_an_answer_to_an_unknown_task_changes_nothing(node: Node) -> None:
    submit(node, NONE, "a")
    (ask,) = node.asked("a")
    assert node.says("a", ask, replace(node.right(ask.packet, "a"), task_id=TaskId("another:0"))) == []
