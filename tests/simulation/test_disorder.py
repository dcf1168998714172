"""Managers that pass on answers unchanged, and in disorder: twice, late, under each other's numbers, or all but merges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskResult
from pangea.compute.orchestrator.core.messages import Answers, Message
from pangea.compute.simulation import liars
from pangea.compute.simulation.liars import Forged, Liar
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

#: So many chunks that merge steps are given away.
TREE = Scenario(nodes=7, fan_out=2, chunks=300, chunk_seconds=0.3, owner_cores=2, redundancy=2, associative=True)
_KEPT = 50


class Disorderly(Liar):
    """A manager that signs nothing of others, and alters none of what they have signed."""

    is_middle = True
    earlier: tuple[tuple[int, TaskResult], ...] = ()

    def relay(self, message: Message) -> Message | Forged | None:
        """Other answers in place of those in hand."""
        if not isinstance(message, Answers):
            return message
        told = self.disorder(message.results)
        self.earlier = (*self.earlier, *message.results)[-_KEPT:]
        return replace(message, results=told) if told else None

    def disorder(self, results: tuple[tuple[int, TaskResult], ...]) -> tuple[tuple[int, TaskResult], ...]:
        """Turned around, and each twice."""
        return results[::-1] * 2


class Repeating(Disorderly):
    """Tells all that it has told before once more, first."""

    def disorder(self, results: tuple[tuple[int, TaskResult], ...]) -> tuple[tuple[int, TaskResult], ...]:
        """The earlier, then these."""
        return (*self.earlier, *results)


class Swapping(Disorderly):
    """Tells each answer as that to another task."""

    def disorder(self, results: tuple[tuple[int, TaskResult], ...]) -> tuple[tuple[int, TaskResult], ...]:
        """Under each other's numbers, and those of earlier ones."""
        told = (*self.earlier[-8:], *results)
        numbers = [number for number, _ in told]
        return tuple((number, result) for number, (_, result) in zip(numbers[1:] + numbers[:1], told, strict=True))


class Withholding(Disorderly):
    """Passes on all answers but those of merges."""

    def disorder(self, results: tuple[tuple[int, TaskResult], ...]) -> tuple[tuple[int, TaskResult], ...]:
        """Without merges."""
        return tuple((number, result) for number, result in results if not result.task_id.partition(":")[2].startswith("m"))


KINDS = {"disorderly": Disorderly, "repeating": Repeating, "swapping": Swapping, "withholding merges": Withholding}


@pytest.mark.parametrize("mode", [VerificationMode.REDUNDANCY, VerificationMode.ADAPTIVE])
@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_exact_and_nobody_honest_is_shut_out(
    monkeypatch: pytest.MonkeyPatch, kind: str, mode: VerificationMode
) -> None:
    monkeypatch.setitem(liars.LIARS, kind, KINDS[kind])
    outcome = run(replace(TREE, verification=mode, malicious=2 / 7, liars=(kind,)))
    assert (outcome.wrong_accepted, outcome.banned_innocent) == (0, 0)
