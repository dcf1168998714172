"""Nobody is shut out without a proof that anybody can check, and nobody because a job isn't the same twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from pangea.compute.client.receipts.ban_check import execute_again, said_by
from pangea.compute.client.receipts.materials import CAPS
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.errors import InputError, PangeaError, UnavailableError, UnverifiedError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import FailureKind, Finished, Outcome
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.network.identity import is_signed_by
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.node.tree.peer_report import peer_report
from pangea.compute.orchestrator.core.messages import Delegate
from pangea.compute.orchestrator.rules.trust import Verdict
from pangea.compute.verification.ban_file import BanProof, dumps, loads
from tests.attackers import Asked, Attacker
from tests.deadlines import comes_true
from tests.hostile.test_peers import DATA, Play, given
from tests.nodes import pangea_in
from tests.victims import GatedCalls, Victim, play

Make = Callable[[Attacker, Asked], TaskResult]


@pytest.fixture(name="play")
def _play(tmp_path: Path, engine: Engine) -> Play:
    return partial(play, tmp_path, engine)


async def convicted(on: Victim, make: Make | None = None) -> tuple[Attacker, BanProof]:
    """A child that has answered wrongly and was found out; the proof of its ban."""
    child, job, asked = await given(on)
    results = [(each.attempt, child.result(each) if make is None else make(child, each)) for each in asked]
    await child.says(*results)
    assert await on.result(job) == DATA
    await comes_true(lambda: on.is_banned(child.peer))
    path = on.node.driver.proofs.path_of
    await comes_true(lambda: path(child.peer) is not None)
    (ban,) = peer_report(on.node.driver, on.node.trust, on.node.contributions, "", on.node.cosigning)["banned"]
    assert (ban["peer"], ban["proof"]) == (child.peer, str(path(child.peer)))
    return child, loads(Path(ban["proof"]).read_bytes())


def accused(child: Attacker, asked: Asked) -> TaskResult:
    return child.result(
        asked, status=TaskStatus.FAILED, failure=FailureKind.GUEST_ERROR, digest=b"", leaves=(), body=b"", body_bytes=0
    )


@pytest.mark.parametrize("make", [None, accused], ids=["a wrong result", "a false accusation"])
def test_a_ban_carries_a_proof_that_anybody_can_check(play: Play, engine: Engine, make: Make | None, tmp_path: Path) -> None:
    proofs: list[BanProof] = []

    async def scene(on: Victim) -> None:
        child, proof = await convicted(on, make)
        assert (proof.record.worker, proof.spec.owner) == (child.peer, on.node.peer)
        proofs.append(proof)

    play(scene)
    (proof,) = proofs
    assert proof.findings(is_signed_by) == []
    assert loads(dumps(proof)) == proof
    assert execute_again(proof, engine, CAPS, lambda _what: None) != said_by(proof.record)
    if make is None:
        (tmp_path / "ban.json").write_bytes(dumps(proof))
        done = pangea_in(tmp_path, "verify", "ban.json")
        assert done.returncode == 0, done.stderr
        assert f"the ban stands (its verdict, {proof.verdict}, is the word of whoever banned it)" in done.stdout.decode()


def test_a_proof_that_was_altered_proves_nothing(play: Play, engine: Engine) -> None:
    proofs: list[tuple[Attacker, BanProof]] = []

    async def scene(on: Victim) -> None:
        proofs.append(await convicted(on))

    play(scene)
    child, proof = proofs[0]
    record, spec = proof.record, proof.spec
    for other in (
        replace(proof, record=replace(record, fuel=record.fuel + 1)),
        replace(proof, record=replace(record, worker=PeerId(Attacker().peer))),
        replace(proof, record=replace(record, spec=bytes(32))),
        replace(proof, spec=replace(spec, options=replace(spec.options, limits=Limits(fuel=3)))),
        replace(proof, input=frames.pack([b"another"])),
        replace(proof, module=b"\0asm"),
    ):
        assert other.findings(is_signed_by) != []
    honest = execute_again(proof, engine, CAPS, lambda _what: None)
    right = replace(record, output=bytes.fromhex(honest.output), fuel=honest.fuel)
    stands = replace(proof, record=replace(right, signature=child.identity.sign(right.statement())))
    assert stands.findings(is_signed_by) == []
    assert execute_again(stands, engine, CAPS, lambda _what: None) == said_by(stands.record)  # so there was nothing to ban it for
    with pytest.raises(UnavailableError, match="allowed here"):
        execute_again(proof, engine, replace(CAPS, memory=1 << 20), lambda _what: None)
    with pytest.raises(InputError, match="--module FILE"):
        execute_again(replace(proof, module=None), engine, CAPS, lambda _what: None)
    for data in (
        b"{}",
        b"[",
        dumps(proof).replace(b'"why"', b'"way"'),
        dumps(proof).replace(b'"pangeaBan": 1', b'"pangeaBan": 2'),
    ):
        with pytest.raises(UnverifiedError):
            loads(data)


class Unsteady(GatedCalls):
    """An engine on which the job gives something else each time."""

    def __init__(self, honest: GatedCalls) -> None:
        vars(self).update(vars(honest))
        self._turn = count(1)

    async def execute(self, task: Task) -> Outcome:
        outcome = await super().execute(task)
        assert isinstance(outcome, Finished)
        last = next(self._turn) % 256
        return replace(outcome, results=outcome.results[:-1] + bytes([last]))


def test_a_job_that_is_not_the_same_twice_is_itself_to_blame(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on)
        on.node.driver.calls = Unsteady(on.own)
        await child.says(*((each.attempt, child.result(each)) for each in asked))
        on.own.gate.set()
        outcome = await on.me.outcome(job, 20)
        error = outcome.status.error
        assert error is not None
        assert "this job gives different bytes (chunk " in error["message"]
        assert "byte 15) on equal runs" in error["message"]
        assert not on.is_banned(child.peer)
        assert on.node.driver.proofs.path_of(child.peer) is None

    play(scene)


class Questioned(Attacker):
    """A child that stops the node's own engine as soon as it is asked once more: so the job is there still when it answers."""

    gate: asyncio.Event

    def told(self, envelope: Envelope) -> float:
        if isinstance(envelope.message, Delegate) and any(packet.only for _, packet in envelope.message.tasks):
            self.gate.clear()
        return super().told(envelope)


@pytest.mark.parametrize(("lies_again", "verdict"), [(True, Verdict.LIED), (False, Verdict.FAULTY)])
def test_who_was_wrong_is_asked_once_more_and_only_who_repeats_itself_has_lied(
    play: Play, lies_again: bool, verdict: Verdict
) -> None:
    async def scene(on: Victim) -> None:
        child = Questioned()
        child.gate = on.own.gate
        await child.join(on.address)
        await comes_true(lambda: child.peer in on.children)
        on.own.gate.clear()
        job = await on.submit(DATA * 8)
        asked = await child.gets()
        await child.says(*((each.attempt, child.result(each)) for each in asked))
        on.own.gate.set()
        await comes_true(lambda: any(each.packet.only == child.peer for each in child.asked))
        (question,) = [each for each in child.asked if each.packet.only]
        assert on.is_banned(child.peer)
        assert not child.is_lost
        again = child.result(question, None if lies_again else [b"once more"] * question.packet.count)
        with suppress(UnavailableError):  # it is shut out as soon as it is heard
            await child.says((question.attempt, again))
        await comes_true(lambda: child.is_lost)
        assert await on.result(job) == DATA * 8
        path = on.node.driver.proofs.path_of
        await comes_true(lambda: path(child.peer) is not None)
        await comes_true(lambda: loads((path(child.peer) or Path()).read_bytes()).verdict == verdict)
        assert on.node.trust.verdict(child.peer) == verdict

    play(scene)


def test_a_faulty_machine_comes_back_once_it_has_passed_its_own_test(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, asked = await given(on, data=DATA[:16])
        assert sum(each.packet.count for each in asked) == 1
        await child.says(*((each.attempt, child.result(each)) for each in asked))
        await comes_true(lambda: on.has_taken_in(child.peer))  # else this node may have done the one task itself by then
        assert await on.result(job) == DATA[:16]
        await comes_true(lambda: on.is_banned(child.peer) and child.is_lost)
        assert on.node.trust.verdict(child.peer) == Verdict.FAULTY
        for tested in (-1, 100_000):  # never, and before it was found out
            with pytest.raises(PangeaError):
                await child.join(on.address, tested=tested)
        await child.join(on.address, tested=0)
        assert not on.is_banned(child.peer)
        assert on.node.trust.passes(child.peer, "") == 0

    play(scene)
