"""Rows 13 to 18 and 22 of the fault matrix (docs/faults.md) on simulated machines, each with the figure that the row demands."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random
from statistics import mean
from typing import Any

import pytest
from bench.policies import Liars, TrialResult, trial

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import JobSpec, TaskStatus
from pangea.compute.network.rpc import notes
from pangea.compute.orchestrator.core.commands import FinishJob, Send
from pangea.compute.orchestrator.core.events import Event, MessageReceived, PeerJoined, Relation
from pangea.compute.orchestrator.core.messages import Answers, Beat, Delegate
from pangea.compute.orchestrator.limits import DEPTH_MAX, LEASE_SECONDS
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Action, Vote
from pangea.compute.orchestrator.rules.trust import TrustBook, TrustRecord
from pangea.compute.orchestrator.scheduling import placement
from pangea.compute.simulation.checkers import CheckError
from pangea.compute.simulation.faults import Faults
from pangea.compute.simulation.figures import Outcome
from pangea.compute.simulation.run import recorded, run
from pangea.compute.simulation.scenario import Scenario
from tests.examples import long
from tests.fakes.tree import DELAY, OWNER, Member, Tree

RUNTIME = "runtime"
SPEC = JobSpec(job_id=JobId("job"), module="m", runtime=RUNTIME)
VETERAN = PeerId("veteran")
#: Names without a structure, for trees that have none.
NAMES = "abcdefghijkl"


def veterans() -> TrustBook:
    book = TrustBook()
    book.restore(VETERAN, RUNTIME, TrustRecord(passes=10**9))
    return book


def tasks_until_checked(seed: int, *, rate: float = 1.0) -> int:
    """How many tasks the most credible of workers has done when the first of its lies is checked."""
    random, book = Random(seed), veterans()
    vote = Vote(VETERAN, VETERAN, "", b"wrong", 1, (b"wrong",))
    for count in range(1, 100_000):
        is_lie = random.random() < rate
        if audit.check_is_due(SPEC, vote, book, random, is_first_of_worker=False) and is_lie:
            return count
    raise AssertionError("never checked")


# Row 13: wrong results, at random.


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_row_13_ten_thousand_tasks_and_none_wrong(rate: float) -> None:
    result = trial(Liars(rate=rate), workers=40, tasks=10_000, seed=13)
    assert (result.wrong, result.banned_honest, result.caught) == (0, 0, 8)


@pytest.mark.parametrize(("rate", "limit"), [(1.0, 90), (0.2, 459), (0.05, 1_840)])
def test_row_13_a_liar_is_caught_as_soon_as_the_audits_of_one_in_twenty_allow(rate: float, limit: int) -> None:
    counts = sorted(tasks_until_checked(seed, rate=rate) for seed in range(400))
    assert counts[int(0.99 * len(counts))] <= 1.2 * limit


@pytest.mark.long
def test_row_13_in_a_tree_none_is_wrong_and_all_liars_are_banned() -> None:
    outcome = run(tree_of_liars("random", lie_rate=0.05))
    assert (outcome.wrong_accepted, outcome.banned_innocent, outcome.banned_guilty) == (0, 0, outcome.guilty)


def tree_of_liars(*kinds: str, chunks: int = 2_000, **more: float) -> Scenario:
    """A fifth lies; each chunk is a task."""
    return Scenario(nodes=30, chunks=chunks, chunk_seconds=1.0, malicious=0.2, liars=kinds, seed=13, **more)  # type: ignore[arg-type]


# Row 14: lazy workers.


@pytest.mark.parametrize("kind", ["lazy", *long("constant", "copier", "underreporter")])
def test_row_14_whoever_skips_the_work_gains_nothing_and_is_banned(kind: str) -> None:
    outcome = run(tree_of_liars(kind))
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)
    assert outcome.banned_guilty >= outcome.guilty - 1  # one may have lied about too little to be met


def test_row_14_a_veteran_that_turns_lazy_is_caught_within_ninety_tasks_in_ninety_nine_of_a_hundred() -> None:
    counts = [tasks_until_checked(seed) for seed in range(2_000)]
    assert sum(count <= 90 for count in counts) / len(counts) >= 0.98  # 99 %, and its spread over 2,000 draws


# Row 15: sleepers.


def test_row_15_at_most_twenty_lies_of_a_sleeper_are_believed_on_average_and_none_in_the_end() -> None:
    assert mean(tasks_until_checked(seed) - 1 for seed in range(2_000)) <= 20
    result = trial(Liars(rate=1.0, honest_for=100), workers=20, tasks=6_000, passes=1_000_000, seed=15)
    assert (result.wrong, result.banned_honest) == (0, 0)


@pytest.mark.long
def test_row_15_sleepers_in_a_tree_leave_nothing_wrong() -> None:
    outcome = run(tree_of_liars("sleeper", sleep_tasks=20))
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)


def test_row_15_a_new_key_has_no_task_accepted_on_its_word() -> None:
    vote = Vote(PeerId("new"), PeerId("new"), "", b"right", 1, (b"right",))
    decision = audit.judge(SPEC, [vote], TrustBook(), needed=1, can_ask_more=True, is_final=True)
    assert decision.action is not Action.ACCEPT


# Row 16: collusion.


def test_row_16_a_clique_of_one_in_ten_stays_below_what_two_votes_promise() -> None:
    results = [clique(mode=VerificationMode.REDUNDANCY, seed=seed) for seed in range(2)]
    assert mean(result.wrong for result in results) / 10_000 <= 0.01


def test_row_16_where_disputes_are_executed_here_none_of_a_clique_s_lies_stays() -> None:
    assert [clique(mode=VerificationMode.ADAPTIVE, seed=seed).wrong for seed in range(2)] == [0] * 2


def clique(*, mode: VerificationMode, seed: int) -> TrialResult:
    return trial(Liars(share=0.1, rate=1.0, is_clique=True), workers=100, tasks=10_000, mode=mode, seed=seed)


@pytest.mark.long
def test_row_16_a_clique_in_a_tree_is_caught() -> None:
    outcome = run(tree_of_liars("clique"))
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)
    assert outcome.banned_guilty >= outcome.guilty - 1


# Row 17: sybils.


def sybils(share: float, *, seed: int, rate: float) -> Outcome:
    outcome, _ = recorded(
        Scenario(
            nodes=50, chunks=400, chunk_seconds=0.5, owner_cores=4, malicious=share, liars=("sybil",), lie_rate=rate, seed=seed
        )
    )
    assert not isinstance(outcome, CheckError), outcome
    return outcome


@pytest.mark.parametrize("seed", [0, *long(1, 2)])
def test_row_17_with_nine_keys_in_ten_false_a_job_ends_by_twice_the_time_that_it_takes_here(seed: int) -> None:
    outcome = sybils(0.9, seed=seed, rate=1.0)
    assert outcome.makespan_seconds <= 2 * 400 * 0.5 / 4
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)


@pytest.mark.parametrize("share", [0.3, *long(0.1, 0.2)])
def test_row_17_up_to_three_keys_in_ten_that_lie_now_and_then_get_nothing_through(share: float) -> None:
    outcome = sybils(share, seed=17, rate=0.3)
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)


@pytest.mark.parametrize("seed", [0, 1, *long(*range(2, 6))])
def test_row_17_with_every_other_key_false_nothing_gets_through(seed: int) -> None:
    outcome = sybils(0.5, seed=seed, rate=0.3)
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)


def accomplices(seed: int, *, chunks: int = 45) -> Outcome | CheckError:
    """Two of seven nodes tell the same lies about three tasks in ten; nobody knows anybody."""
    common = {"nodes": 7, "fan_out": 2, "chunks": chunks, "chunk_seconds": 1.0, "owner_cores": 1, "seed": seed}
    outcome, _ = recorded(Scenario(malicious=2 / 7, liars=("clique",), lie_rate=0.3, **common))  # type: ignore[arg-type]
    return outcome


@pytest.mark.parametrize(("chunks", "jobs"), [(45, 20), *long((45, 100), (80, 100))])
def test_row_17_two_of_seven_that_agree_get_nothing_through(chunks: int, jobs: int) -> None:
    outcomes = [accomplices(seed, chunks=chunks) for seed in range(jobs)]
    assert [str(outcome) for outcome in outcomes if isinstance(outcome, CheckError)] == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_17_two_of_seven_that_agree_get_at_most_one_lie_through_in_a_thousand_jobs() -> None:
    assert sum(isinstance(accomplices(seed), CheckError) for seed in range(2_000)) <= 2


def test_row_17_keys_on_one_network_are_one_vote_however_many() -> None:
    swarm = [Vote(PeerId(f"s{index}"), PeerId(f"b{index}"), "203.0.113.0/24", b"lie", 1, (b"lie",)) for index in range(1_000)]
    assert len(audit.independent(swarm)) == 1
    assert audit.agreed(swarm) == ()


# Row 18: loops.


class Tangle(Tree):
    """Nodes whose links are drawn, loops and all: nobody has looked at paths before they were made."""

    def __init__(self, seed: int) -> None:
        super().__init__(levels=0, chunk_seconds=0.3, seed=seed)
        random = Random(seed)
        names = [OWNER, *NAMES[: random.randint(3, len(NAMES))]]
        for name in names[1:]:
            self.members[name] = Member(Orchestrator(PeerId(name), cores=1, random=Random(f"{seed} {name}"), network=name))
        self.loops = self.refused = self.deepest = 0
        self.links: set[tuple[str, str]] = set()
        for at, name in enumerate(names[1:], 1):
            self.link(names[random.randrange(at)], name)
        for _ in range(random.randint(1, 2 * len(names))):
            above, below = random.sample(names, 2)
            if (above, below) not in self.links and (below, above) not in self.links:
                self.link(above, below)
        self.passes(2.0)

    def link(self, above: str, below: str) -> None:
        self.links.add((above, below))
        self.tell(above, PeerJoined(peer=PeerId(below), relation=Relation.CHILD, network=below, round_trip=2 * DELAY, cores=1))
        self.tell(below, PeerJoined(peer=PeerId(above), relation=Relation.PARENT))

    def tell(self, name: str, event: Event) -> None:
        if isinstance(event, MessageReceived) and isinstance(
            event.message, Beat
        ):  # as the wire has it, where a loop of beats ends
            event = replace(event, message=notes.message_of(notes.record_of(notes.note_of(event.message))))
        if not (isinstance(event, MessageReceived) and isinstance(event.message, Delegate)):
            super().tell(name, event)
            return
        budget, spec = event.message.budget, event.message.spec
        self.deepest = max(self.deepest, len(budget.ancestors))
        is_loop = PeerId(name) in budget.ancestors
        known = (event.peer, spec.job_id) in self.members[name].orchestrator.core.jobs
        super().tell(name, event)
        if is_loop:
            self.loops += len(event.message.tasks)
            assert known or (event.peer, spec.job_id) not in self.members[name].orchestrator.core.jobs

    def _do(self, name: str, member: Member, command: object) -> None:
        if isinstance(command, Send) and isinstance(command.message, Answers):
            self.refused += sum(result.status is TaskStatus.REFUSED for _, result in command.message.results)
        super()._do(name, member, command)  # type: ignore[arg-type]


def untangled(seed: int) -> int:
    """A job in a tangle: it ends right, deep enough and no deeper. How many tasks went in a loop, all of them refused."""
    tangle, seconds = Tangle(seed), 60.0
    tangle.submit(24, verification="none", timeout=seconds)
    ending = tangle.finish()
    assert isinstance(ending, FinishJob), f"seed {seed}: {ending}"
    assert tangle.refused >= tangle.loops, f"seed {seed}"
    assert tangle.deepest <= DEPTH_MAX
    tangle.passes(LEASE_SECONDS)
    left = [job for member in tangle.members.values() for job in member.orchestrator.core.jobs.values()]
    assert not any(job.tasks for job in left), f"seed {seed}"
    tangle.passes(seconds)  # nodes with several parents may keep the empty job for each other, until its time is over
    assert tangle.holding() == [], f"seed {seed}"
    return tangle.loops


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Managers that give work to whoever is there, their own ancestors, too: what is refused is all that ends a loop."""
    honest = placement.objection_to_job

    def objection(*about: Any) -> str:
        found = honest(*about)
        return "" if "a loop" in found else found

    monkeypatch.setattr(placement, "objection_to_job", objection)
    monkeypatch.setattr(Orchestrator, "check", lambda _self: None)  # it would notice


@pytest.mark.parametrize("seed", [0, *long(*range(1, 6))])
def test_row_18_no_loop_hangs_a_job_in_six_tangles(seed: int) -> None:
    assert untangled(seed) == 0, "work was given to an ancestor"


@pytest.mark.usefixtures("careless")
def test_row_18_where_managers_do_not_look_every_loop_is_refused() -> None:
    assert sum(map(untangled, range(6))) > 5


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(6, 1_006, 100))
def test_row_18_no_loop_hangs_a_job_in_a_thousand_tangles(first: int) -> None:
    assert sum(map(untangled, range(first, first + 100))) == 0


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("first", range(6, 1_006, 100))
def test_row_18_a_thousand_tangles_of_managers_that_do_not_look(first: int) -> None:
    assert sum(map(untangled, range(first, first + 100))) > 0


# Row 22: partitions.


SEEDS, SEEDS_LONG = 4, 1_000
OUTAGES, OUTAGE_SECONDS = 3, 4.0
ATTEMPT_SECONDS = 15.0


def partitioned(seed: int) -> str:
    """What a seed's run does worse than the row allows; "" if nothing."""
    # Here messages are lost without a trace, which real links don't do: then it is the attempt's time that runs out.
    common = {
        "nodes": 20,
        "chunks": 300,
        "chunk_seconds": 0.5,
        "owner_cores": 2,
        "attempt_timeout": ATTEMPT_SECONDS,
        "seed": seed,
    }
    calm = run(Scenario(**common, verification=VerificationMode.NONE))  # type: ignore[arg-type]
    faults = Faults(partitions=OUTAGES, partition_seconds=OUTAGE_SECONDS, clogged=0.2, loss=0.01, crash=0.1)
    scenario = Scenario(**common, verification=VerificationMode.NONE, faults=faults, fault_seconds=30.0)  # type: ignore[arg-type]
    outcome, _ = recorded(scenario)
    if isinstance(outcome, CheckError):
        return f"seed {seed}: {outcome}"
    longest = calm.makespan_seconds + OUTAGES * 1.5 * OUTAGE_SECONDS + 2 * LEASE_SECONDS
    if outcome.end != "finished" or outcome.makespan_seconds > longest:
        return f"seed {seed}: {outcome.end} after {outcome.makespan_seconds:.1f} s; {longest:.1f} s would do"
    if outcome.executions_per_chunk > 2 * max(1.0, calm.executions_per_chunk):
        return (
            f"seed {seed}: {outcome.executions_per_chunk:.2f} executions a chunk, {calm.executions_per_chunk:.2f} without faults"
        )
    return ""


def test_row_22_partitions_and_clogged_links_cost_no_more_than_they_last_and_two_leases() -> None:
    assert list(filter(None, map(partitioned, range(SEEDS)))) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(SEEDS, SEEDS_LONG, 98))
def test_row_22_a_thousand_seeds_of_partitions(first: int) -> None:
    assert list(filter(None, map(partitioned, range(first, min(first + 98, SEEDS_LONG))))) == []


def test_the_figures_are_those_of_the_floor() -> None:
    """Ninety tasks and twenty lies are what one audit in twenty comes to: the floor must not fall without a word here."""
    assert audit.AUDIT_FLOOR == 0.05
    assert math.ceil(math.log(0.01) / math.log(1 - audit.AUDIT_FLOOR)) == 90
