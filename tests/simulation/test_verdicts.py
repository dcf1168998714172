"""Machines that compute wrong now and then are found and quarantined, never called liars; those that merely differ never are."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

import pytest

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.trust import Verdict
from pangea.compute.simulation.figures import Outcome
from pangea.compute.simulation.liars import LIARS, Deceit, Liar, RandomLiar
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario
from tests.examples import long

ADAPTIVE, REDUNDANCY = VerificationMode.ADAPTIVE, VerificationMode.REDUNDANCY


class Flaky(RandomLiar):
    """One leaf of a pack comes out wrong now and then, each time otherwise."""

    executed: Counter[int]

    def plan(self, packet: TaskPacket) -> Deceit | None:
        self.executed[id(self)] += 1
        return super().plan(packet)


def fleet(monkeypatch: pytest.MonkeyPatch, seed: int, *, nodes: int = 21, rate: float = 0.1) -> tuple[Outcome, list[int]]:
    """A job of 200 packs for each machine, one of which is faulty; packs that it was given until it was out."""
    monkeypatch.setattr(Flaky, "executed", Counter(), raising=False)
    monkeypatch.setitem(LIARS, "random", Flaky)
    share = 1 / nodes
    fields: dict[str, Any] = {"owner_cores": 2, "chunk_seconds": 1.0, "liars": ("random",), "lie_rate": rate}
    outcome = run(Scenario(seed=seed, nodes=nodes, chunks=200 * (nodes - 1), malicious=share, **fields))
    return outcome, list(Flaky.executed.values())


def named(outcome: Outcome, verdict: Verdict) -> int:
    """How many were shut out with a verdict, as the report says."""
    return sum(note.count(f"({verdict})") for note in outcome.notes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *long(1, 2)])
def test_a_core_that_computes_wrong_is_found_within_two_hundred_packs_and_is_no_liar(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    outcome, packs = fleet(monkeypatch, seed, nodes=9)
    assert (outcome.wrong_accepted, outcome.banned_guilty, outcome.banned_innocent) == (0, 1, 0)
    assert (named(outcome, Verdict.FAULTY), named(outcome, Verdict.LIED)) == (1, 0)
    assert len(packs) == 1
    assert packs[0] <= 200


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_one_machine_in_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, packs = fleet(monkeypatch, 0, nodes=1_000)
    assert (outcome.wrong_accepted, outcome.banned_guilty, outcome.banned_innocent) == (0, 1, 0)
    assert (named(outcome, Verdict.FAULTY), named(outcome, Verdict.LIED)) == (1, 0)
    assert packs[0] <= 200


@pytest.mark.parametrize("kind", ["clique", "constant"])
def test_those_who_repeat_themselves_have_lied(kind: str) -> None:
    scenario = Scenario(seed=1, nodes=9, chunks=200, malicious=0.23, liars=(kind,), chunk_seconds=1.0, owner_cores=2)
    outcome = run(scenario)
    assert outcome.banned_guilty == 2
    assert named(outcome, Verdict.LIED) == 2


def test_if_a_wrong_answer_by_itself_were_a_lie_faulty_cores_would_be_liars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "verdict_after", lambda *_: Verdict.LIED)
    monkeypatch.setattr(audit, "verdict_on", lambda *_: Verdict.LIED)
    outcome, _ = fleet(monkeypatch, 0, nodes=6)
    assert named(outcome, Verdict.LIED) == 1


# Machines of other kinds.


class Unlike(Liar):
    """An honest machine that can't do some packs, for a reason of its own: the same ones each time, or some now and then."""

    ways = (
        (FailureKind.STACK_OVERFLOW, True),  # its CPU's code needs more stack
        (FailureKind.HOST_MEMORY, True),  # its pages are larger, so large packs don't fit
        (FailureKind.HOST_MEMORY, False),  # its memory is short at times
        (FailureKind.WORKER_LOST, False),
    )

    def plan(self, packet: TaskPacket) -> Deceit | None:
        kind, is_same = self.ways[self.gossip.plot % len(self.ways)]
        self.gossip.plot += 1
        drawn = sha256(f"{kind} {packet.start}".encode()).digest()[0] / 256 if is_same else self.random.random()
        return Deceit(self.program.answer(packet), 0.1, kind) if drawn < self.rate else None


@pytest.mark.parametrize("jobs", [25, pytest.param(1_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_machines_that_differ_are_never_shut_out(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setitem(LIARS, "random", Unlike)
    fields: dict[str, Any] = {"owner_cores": 2, "chunk_seconds": 1.0, "liars": ("random",), "lie_rate": 0.3, "speed_spread": 4.0}
    retries = 0
    for seed in range(jobs):
        mode = (ADAPTIVE, REDUNDANCY, VerificationMode.MERKLE, VerificationMode.HASH)[seed % 4]
        outcome = run(Scenario(seed=seed, nodes=9, fan_out=3, chunks=24, malicious=0.75, verification=mode, **fields))
        assert outcome.end == "finished", outcome.end
        assert (outcome.wrong_accepted, outcome.banned_guilty, outcome.banned_innocent) == (0, 0, 0)
        retries += outcome.retries
    assert retries > jobs / 2, "they did fail"
