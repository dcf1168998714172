"""A tree whose machines don't give the same bits: who stays within the tolerance is no liar, who doesn't is found out."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from struct import pack

import pytest

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.orchestrator.core.commands import Command
from pangea.compute.orchestrator.core.events import Event, JobSubmitted, MessageReceived, TaskExecuted
from pangea.compute.orchestrator.core.messages import Answers
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.simulation.answers import Answer, Value
from pangea.compute.simulation.checkers import CheckError
from pangea.compute.simulation.figures import Outcome
from pangea.compute.simulation.node import Node
from pangea.compute.simulation.program import Synthetic
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.verification import merkle

#: Honest machines are up to this much above or below the true number, so any two within twice as much.
SPREAD = 2
TOLERANCE = 2 * SPREAD


class Floating(Synthetic):
    """Each execution is off by a few last bits; a lie by as many as it is told."""

    def __init__(self, scenario: Scenario, lies: tuple[int, ...]) -> None:
        super().__init__(scenario)
        self._random = scenario.stream("last bits")
        self._lies = lies
        #: Of each digest, the task that it is of and how far off it is.
        self.off: dict[bytes, tuple[int, int, int]] = {}

    def answer(self, packet: TaskPacket) -> Answer:
        if packet.function == "merge":
            return super().answer(packet)
        return self._off_by(packet, self._random.randint(-SPREAD, SPREAD))

    def lie(self, packet: TaskPacket, salt: bytes, leaf: int | None) -> Answer:
        if packet.function == "merge":
            return super().lie(packet, salt, leaf)
        return self._off_by(packet, self._lies[salt[0] % len(self._lies)])

    def apart(self, digest: bytes) -> tuple[tuple[bytes, int], ...]:
        """How far from an answer all others to its task are that were ever given."""
        start, count, off = self.off[digest]
        same_task = ((each, other) for each, (*task, other) in self.off.items() if task == [start, count])
        return tuple((each, int(abs(other - off) > TOLERANCE)) for each, other in same_task if each != digest)

    def _off_by(self, packet: TaskPacket, off: int) -> Answer:
        true = super().answer(packet)
        leaves = tuple(sha256(leaf + pack("<q", off)).digest() for leaf in true.leaves)
        digest = merkle.root(leaves)
        self.off[digest] = packet.start, packet.count, off
        self._values[digest] = Value(packet.start, packet.count, int(abs(off) > SPREAD + TOLERANCE))
        return Answer(digest, leaves, true.fuel)


class Comparing(Orchestrator):
    """A node whose driver compares answers, as that of a job with a tolerance does."""

    program: Floating

    def handle(self, event: Event, *, now: float) -> list[Command]:
        match event:
            case JobSubmitted(spec=spec):
                event = replace(event, spec=replace(spec, tolerance="4 ulp"))
            case TaskExecuted(result=result):
                event = replace(event, result=self._compared(result))
            case MessageReceived(message=Answers(results=results) as message):
                told = tuple((number, self._compared(result)) for number, result in results)
                event = replace(event, message=replace(message, results=told))
        return super().handle(event, now=now)

    def _compared(self, result: TaskResult) -> TaskResult:
        return replace(result, apart=self.program.apart(result.digest)) if result.digest in self.program.off else result


def simulated(mode: VerificationMode, *lies: int, seed: int = 1) -> Outcome:
    scenario = Scenario(
        nodes=16,
        chunks=200,
        chunk_seconds=1.0,
        malicious=0.2 if lies else 0.0,
        liars=("random",),
        verification=mode,
        redundancy=2,
        seed=seed,
        check_every=16,
    )
    program = Floating(scenario, lies)

    def make(node: Node) -> Orchestrator:
        random = scenario.stream(f"mind {node.number}.{node.life}")
        mind = Comparing(node.peer, cores=node.cores, random=random, network=node.network)
        mind.program = program
        return mind

    return run(scenario, program=program, make_mind=make)


MODES = [VerificationMode.ADAPTIVE, VerificationMode.REDUNDANCY, VerificationMode.HASH]


@pytest.mark.parametrize("mode", MODES)
def test_machines_whose_last_bits_differ_agree_and_nobody_is_a_liar(mode: VerificationMode) -> None:
    outcome = simulated(mode)
    assert (outcome.end, outcome.wrong_accepted, outcome.banned_innocent, outcome.disputes) == ("finished", 0, 0, 0)


@pytest.mark.parametrize("mode", MODES)
def test_who_changes_a_result_within_the_tolerance_is_no_liar(mode: VerificationMode) -> None:
    outcome = simulated(mode, SPREAD, -SPREAD)
    banned = outcome.banned_innocent + outcome.banned_guilty
    assert (outcome.end, outcome.wrong_accepted, banned, outcome.disputes) == ("finished", 0, 0, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_who_changes_it_beyond_the_tolerance_is_caught_and_nothing_of_it_stays(seed: int) -> None:
    far = SPREAD + TOLERANCE + 1
    outcome = simulated(VerificationMode.ADAPTIVE, far, -far, seed=seed)
    assert (outcome.end, outcome.wrong_accepted, outcome.banned_innocent) == ("finished", 0, 0)
    assert outcome.banned_guilty == outcome.guilty


def test_without_the_comparison_honest_machines_would_be_liars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Comparing, "_compared", lambda _self, result: result)
    with pytest.raises(CheckError, match="is honest, and its record says 1 bans"):
        simulated(VerificationMode.ADAPTIVE)
