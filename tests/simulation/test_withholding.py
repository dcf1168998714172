"""Who takes tasks under `redundancy` and keeps answers back, at whatever point, holds a job up for a moment only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.core.messages import Answers, Message
from pangea.compute.simulation import liars
from pangea.compute.simulation.liars import Deceit, Forged, Liar
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario

#: All at the owner, and below two managers, where one branch of the two is all that a voter can be found in.
FLAT = Scenario(nodes=9, chunks=48, chunk_seconds=1.0, owner_cores=2, verification=VerificationMode.REDUNDANCY, redundancy=2)
TREE = replace(FLAT, nodes=7, fan_out=2)


class Slow(Liar):
    """Honest, and twenty times as slow as others."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Take long."""
        return Deceit(self.program.answer(packet), 20.0)


class Mute(Liar):
    """A manager that lives, takes tasks, and passes on no answer, nor any commitment."""

    is_middle = True

    def relay(self, message: Message) -> Message | Forged | None:
        """All but answers."""
        return None if isinstance(message, Answers) else message


class Silent(Liar):
    """Attaches, and says nothing more."""

    def relay(self, message: Message) -> Message | Forged | None:
        """Nothing."""
        return None


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in {"slow": Slow, "mute": Mute, "silent": Silent}.items():
        monkeypatch.setitem(liars.LIARS, name, kind)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("scenario", "kind"),
    [(FLAT, kind) for kind in ("secretive", "withholder", "slow", "silent")]
    + [(TREE, kind) for kind in ("secretive", "withholder", "slow", "silent", "mute", "dropper")],
    ids=lambda value: value if isinstance(value, str) else f"{value.nodes}",
)
def test_a_job_with_one_that_keeps_answers_back_takes_at_most_one_and_a_half_times_as_long(
    scenario: Scenario, kind: str, seed: int
) -> None:
    honest = replace(scenario, seed=seed)
    outcome = run(replace(honest, malicious=1 / scenario.nodes, liars=(kind,)))
    assert outcome.makespan_seconds <= 1.5 * run(honest).makespan_seconds
    assert (outcome.wrong_accepted, outcome.banned_innocent, outcome.banned_guilty) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["mute", "dropper"])
def test_nor_where_all_managers_do(kind: str) -> None:
    """The owner executes all of it itself then: it has two of the eight cores."""
    outcome = run(replace(TREE, malicious=2 / 7, liars=(kind,)))
    assert outcome.makespan_seconds <= 1.5 * TREE.chunks * TREE.chunk_seconds / TREE.owner_cores
    assert outcome.wrong_accepted == 0
