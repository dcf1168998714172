"""Workers that don't execute what they are to check: what known answers find of them, and what a copy can and can't do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.judging import planting
from pangea.compute.simulation import liars
from pangea.compute.simulation.liars import Deceit, Liar
from pangea.compute.simulation.run import run
from pangea.compute.simulation.scenario import Scenario
from tests.examples import long

#: Jobs small enough to be many; the owner works, too, so that it knows answers.
SMALL = Scenario(nodes=9, chunks=120, chunk_seconds=0.5, owner_cores=2, regions=2)


class LazyAuditor(Liar):
    """Does fresh tasks well. What it takes for a check it doesn't execute: it says what it has heard, else a guess."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Say yes."""
        return Deceit(self.gossip.said(packet) or self.garbage(packet), 0.01) if packet.avoid else None


class YesMan(Liar):
    """Says what was said, whatever it is, if it has heard it; executes else."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Say yes, or do it."""
        said = self.gossip.said(packet)
        return None if said is None else Deceit(said, 0.01)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(liars.LIARS, "copier", LazyAuditor)


def test_known_answers_find_who_guesses_at_checks_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """With planting alone turned up, so that what it finds is its own."""
    monkeypatch.setattr(planting, "PLANTED_SHARE", 0.2)
    outcomes = [run(replace(SMALL, malicious=0.25, liars=("copier",), seed=seed)) for seed in range(10)]
    assert sum(each.planted for each in outcomes) > 0
    assert sum(each.planted_wrong for each in outcomes) > 0
    assert [each.banned_innocent for each in outcomes] == [0] * len(outcomes)
    assert [each.wrong_accepted for each in outcomes] == [0] * len(outcomes)


def test_a_copy_is_as_wrong_as_what_it_copies_and_falls_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone a yes-man does no harm and isn't found; beside liars it repeats their lies, and is out with them."""
    monkeypatch.setitem(liars.LIARS, "copier", YesMan)
    alone = [run(replace(SMALL, malicious=0.25, liars=("copier",), seed=seed)) for seed in range(5)]
    assert [(each.wrong_accepted, each.banned_guilty, each.banned_innocent) for each in alone] == [(0, 0, 0)] * 5
    beside = [run(replace(SMALL, malicious=0.5, liars=("copier", "random"), seed=seed)) for seed in range(5)]
    assert all(each.banned_innocent == each.wrong_accepted == 0 for each in beside)
    assert sum(each.banned_guilty for each in beside) >= 5


@pytest.mark.parametrize("runs", [5, *long(20)])
def test_no_honest_node_is_hit_by_what_is_planted(monkeypatch: pytest.MonkeyPatch, runs: int) -> None:
    monkeypatch.setattr(planting, "PLANTED_SHARE", 0.2)
    honest = [run(replace(SMALL, seed=seed)) for seed in range(runs)]
    assert sum(each.planted for each in honest) > runs
    assert sum(each.planted_wrong for each in honest) == 0
    assert sum(each.banned_innocent for each in honest) == 0
