"""One key behind two managers of an owner, which tells each something else, and shows other answers than it has sealed."""

from __future__ import annotations

from random import Random

import pytest

from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.orchestrator.core.commands import FinishJob
from pangea.compute.orchestrator.core.messages import Reveal
from tests.examples import first
from tests.fakes.node import Node
from tests.fakes.owner import finish_here, is_right, submit
from tests.fakes.packets import JOB, Ask, sealed, wrong

NAME, MANAGERS, HONEST, CHUNKS = "two-faced", ("m1", "m2"), "c", 8
_HASH, *_EXACT = list(VerificationMode)[1:]


class Scene:
    """An owner with two managers that pass on one worker's answers, and an honest child."""

    def __init__(self, node: Node, mode: VerificationMode, seed: int) -> None:
        """Submit a job."""
        self.node, self.random = node, Random(seed)
        self.sealed: dict[tuple[str, int], Ask] = {}
        self.told = 0
        submit(node, mode, *MANAGERS, HONEST, chunks=CHUNKS)

    def play(self) -> FinishJob:
        """Have all answer until the job ends."""
        for _ in range(600):
            for name in (*MANAGERS, HONEST):
                if PeerId(name) in self.node.core.children:
                    self._answer(name)
                    self._show(name)
            finish_here(self.node)
            self.node.passes(0.5)
            self.node.merge()
            if JOB in self.node.ends:
                break
        end = self.node.ends[JOB]
        assert isinstance(end, FinishJob)
        return end

    def _answer(self, name: str) -> None:
        for ask in self.node.asked(name):
            if ask.packet.commit_first:
                self.sealed[name, ask.attempt] = ask
                self.node.says(name, ask, sealed(self.node.right(ask.packet, self._who(name))))
            else:
                self._say(name, ask)

    def _show(self, name: str) -> None:
        for message in self.node.take(name):
            for attempt in message.attempts if isinstance(message, Reveal) else ():
                if (ask := self.sealed.pop((name, attempt), None)) is not None:
                    self._say(name, ask)

    def _say(self, name: str, ask: Ask) -> None:
        result = self.node.right(ask.packet, self._who(name))
        if name != HONEST:
            self.told += 1
            result = wrong(result, lie=name.encode()) if self.random.random() < 0.6 else result
        self.node.says(name, ask, result)

    @staticmethod
    def _who(name: str) -> str:
        return HONEST if name == HONEST else NAME


@pytest.mark.parametrize("mode", [_HASH, *_EXACT])
@pytest.mark.parametrize("seed", first(4, range(40)))
def test_who_tells_two_managers_two_things_gets_nothing_through_and_nobody_else_banned(mode: VerificationMode, seed: int) -> None:
    with Node() as node:
        scene = Scene(node, mode, seed)
        end = scene.play()
    assert scene.told
    assert set(end.report.bans) <= {NAME}
    if mode is _HASH:
        assert is_right(end, CHUNKS) or not end.report.confidence
    else:
        assert is_right(end, CHUNKS)
