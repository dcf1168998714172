"""A manager that changes a job on its way down convicts itself, and nobody below it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import JobSpec, TaskStatus
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.node.tree.attestation import is_authentic
from tests.attackers import FalseParent
from tests.deadlines import comes_true
from tests.hostile.test_parents import CHUNKS, Play, answer, player
from tests.specs import meter, signed_spec
from tests.victims import ECHO, Victim


@pytest.fixture(name="play")
def _play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


#: What a parent may say otherwise than the owner signed.
ALTERED: dict[str, dict[str, Any]] = {
    "the rule for merging": {"said": {"associative": True}},
    "the memory of a guest": {"said": {"memory": 1 << 20}},
    "the runtime": {"said": {"runtime": "another"}},
    "the spec, by its hash": {"said": {"signed": bytes(32)}},
    "a signature that is none of its owner's": {"sign": Identity.create().sign},
}


@pytest.mark.parametrize("how", ALTERED.values(), ids=ALTERED)
def test_who_passes_on_something_else_than_was_signed_is_left_and_remembered(play: Play, how: dict[str, Any]) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        with pytest.raises(PangeaError):
            await parent.gives(CHUNKS, ECHO, **how)
        await comes_true(lambda: parent.is_lost)
        assert on.node.trust.is_banned(parent.peer, on.node.driver.now())
        assert len(on.node.driver.delegated) == 0
        assert parent.answers == []

    play(scene)


def test_a_spec_goes_down_once_per_link_and_holds_for_what_follows(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        (first,) = await parent.gives(CHUNKS, ECHO)
        (second,) = await parent.gives(CHUNKS, ECHO, envelope={"signed": None})
        for asked in (first, second):
            result = await answer(parent, asked)
            assert result.status is TaskStatus.DONE
            assert is_authentic(result, asked.packet, asked.spec, parent.peer, is_signed_by)

    play(scene)


def test_the_limits_are_those_that_were_signed(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        (asked,) = await parent.gives(CHUNKS, ECHO, limits=Limits(fuel=3))
        result = await answer(parent, asked)
        assert (result.status, result.failure) == (TaskStatus.FAILED, FailureKind.OUT_OF_FUEL)
        assert is_authentic(result, asked.packet, asked.spec, parent.peer, is_signed_by)
        other = replace(asked.spec, signed=bytes(32))
        assert not is_authentic(result, asked.packet, other, parent.peer, is_signed_by)

    play(scene)


def test_a_node_that_counts_fuel_otherwise_than_the_owner_says_so_and_answers_nothing(play: Play) -> None:
    async def scene(on: Victim, parent: FalseParent) -> None:
        plain = said()
        signed = signed_spec(plain, parent.peer, parent.identity.sign, by="another meter")
        (asked,) = await parent.gives(CHUNKS, ECHO, said={"signed": signed.hash()}, envelope={"signed": signed})
        result = await answer(parent, asked)
        assert (result.status, result.failure) == (TaskStatus.FAILED, FailureKind.WORKER_LOST)
        assert "another meter" in result.message
        assert meter() in result.message
        assert not on.node.trust.is_banned(parent.peer, on.node.driver.now())

    play(scene)


def said() -> JobSpec:
    """The job that `gives` gives, as it says it."""
    return JobSpec(job_id=JobId("0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"), module=sha256(ECHO).hexdigest(), estimated_flops=0.0)
