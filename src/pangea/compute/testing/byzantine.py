"""How a node cheats its parents when it is told to (`sabotage`). All that it signs is consistent: a lie like an honest answer.

Only work for parents is touched: jobs of the node's own clients, and what it says of itself, stay as they are. A lie about
a result is made where the engine's outcome comes back, so digest, leaves and signature follow from it by themselves.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, ClassVar

from pangea.compute.data.errors import DataError
from pangea.compute.data.npy import read_header
from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.network.identity import Identity
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.node import logs
from pangea.compute.node.jobs.calls import Calls
from pangea.compute.node.storage.contents import Contents, Whose
from pangea.compute.node.tree.neighbours import Neighbour, Neighbours
from pangea.compute.node.tree.peer_codec import PeerCodec
from pangea.compute.orchestrator.core.events import Relation
from pangea.compute.orchestrator.core.messages import Answers, Message
from pangea.compute.testing.sabotage import Sabotage
from pangea.compute.verification.log_proof import Growth

if TYPE_CHECKING:
    from pangea.compute.node.service.node import Node

_SLEEPER_TASKS = 8
_SYBIL_LIES = 5
_USUAL_FUEL = 1_000_000
Honest = Callable[[Task], Awaitable[Outcome]]


class Liar:
    """Base of all kinds, and an honest node by itself."""

    def __init__(self, number: float, random: Random) -> None:
        """Cheat in a share of tasks, or by a factor: `number`."""
        self.number = number
        self.random = random

    def is_time(self) -> bool:
        """Whether to lie this time."""
        return self.random.random() < self.number

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """How a task ends, as the parent is told."""
        return await honest(task)

    def relay(self, results: tuple[tuple[int, TaskResult], ...], me: PeerId) -> tuple[tuple[int, TaskResult], ...]:
        """Answers as the parent gets them: this node's own, unsigned yet, and its children's."""
        return results


class RandomLiar(Liar):
    """The rare, targeted lie."""

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Do the work, then change one result."""
        outcome = await honest(task)
        if not isinstance(outcome, Finished) or not self.is_time():
            return outcome
        return altered(outcome, self.random.randrange(1 << 30))


class Sleeper(RandomLiar):
    """Honest until it is trusted."""

    _done = 0

    def is_time(self) -> bool:
        """Count, then lie."""
        self._done += 1
        return self._done > _SLEEPER_TASKS and super().is_time()


class Lazy(Liar):
    """Skips the work."""

    def __init__(self, number: float, random: Random) -> None:
        """Nothing has been executed yet."""
        super().__init__(number, random)
        self._earlier: list[bytes] = [b""]
        self._fuel_per_chunk = _USUAL_FUEL

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Answer with what was right before."""
        if self.is_time():
            count = _results_of(task)
            results = [self._earlier[index % len(self._earlier)] for index in range(count)]
            return Finished(results=frames.pack(results), fuel=self._fuel_per_chunk * count, seconds=0.001)
        outcome = await honest(task)
        if isinstance(outcome, Finished):
            self._earlier = list(frames.unpack(outcome.results)) or [b""]
            self._fuel_per_chunk = outcome.fuel // max(1, len(self._earlier))
        return outcome


class Constant(Liar):
    """One answer to everything."""

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Say it."""
        if not self.is_time():
            return await honest(task)
        return Finished(results=frames.pack([b"42"] * _results_of(task)), fuel=_USUAL_FUEL, seconds=0.001)


class Clique(Liar):
    """One of many who agree on what they lie about, and what they say."""

    _salt = b"clique"

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Lie where all of us do."""
        outcome = await honest(task)
        drawn = int.from_bytes(sha256(b"".join([self._salt, *task.parts])).digest()[:8], "little")
        if not isinstance(outcome, Finished) or drawn >= self.number * 2**64:
            return outcome
        self.lied()
        return altered(outcome, drawn)

    def lied(self) -> None:
        """Another lie was told."""


class Sybil(Clique):
    """Keys cost nothing."""

    _lies = 0
    come_back: Callable[[], None] = staticmethod(lambda: None)

    def lied(self) -> None:
        """Leave before it is found out; the answer still goes."""
        self._lies += 1
        if self._lies == _SYBIL_LIES:
            self.come_back()


class Reporter(Liar):
    """Right results, wrong fuel."""

    _factor: ClassVar[float] = 1.0

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Do the work, change the bill."""
        outcome = await honest(task)
        if not isinstance(outcome, Finished) or not self.is_time():
            return outcome
        return replace(outcome, fuel=int(outcome.fuel * self._factor))


class UnderReporter(Reporter):
    """Looks cheap."""

    _factor = 0.5


class OverReporter(Reporter):
    """Wants more than it worked for."""

    _factor = 2.0


class Accuser(Liar):
    """Blames the job."""

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Say that it fails."""
        if not self.is_time():
            return await honest(task)
        return Failure(kind=FailureKind.GUEST_ERROR, message="ValueError: something is wrong with this chunk", fuel=_USUAL_FUEL)


class Merger(RandomLiar):
    """Lies where few look."""

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Lie about merges."""
        return await (super().execute(task, honest) if task.function == "merge" else honest(task))


class Drifter(Liar):
    """Another adapter, as it were, or a liar under a tolerance that is too wide."""

    _direction = 1

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Move numbers by so many steps, up at first, then down."""
        outcome = await honest(task)
        if not isinstance(outcome, Finished) or task.function != "execute":
            return outcome
        steps, self._direction = self._direction * round(self.number), -self._direction
        return replace(outcome, results=frames.pack([_moved(each, steps) for each in frames.unpack(outcome.results)]))


class Slow(Liar):
    """An honest, slow machine."""

    async def execute(self, task: Task, honest: Honest) -> Outcome:
        """Take so many times as long; the engine's other workers aren't held up."""
        outcome = await honest(task)
        if isinstance(outcome, Finished):
            await asyncio.sleep(outcome.seconds * (self.number - 1.0))
            return replace(outcome, seconds=outcome.seconds * self.number)
        return outcome


class Dropper(Liar):
    """Swallows what others did."""

    def relay(self, results: tuple[tuple[int, TaskResult], ...], me: PeerId) -> tuple[tuple[int, TaskResult], ...]:
        """Keep some back."""
        return tuple((number, result) for number, result in results if result.worker == me or not self.is_time())


class Tamperer(Liar):
    """Changes what others signed."""

    def relay(self, results: tuple[tuple[int, TaskResult], ...], me: PeerId) -> tuple[tuple[int, TaskResult], ...]:
        """Give another digest; the signature no longer fits."""
        return tuple((number, self._forged(result) if result.worker != me else result) for number, result in results)

    def _forged(self, result: TaskResult) -> TaskResult:
        return replace(result, digest=sha256(result.digest).digest()) if result.digest and self.is_time() else result


class Copier(Liar):
    """Takes the credit."""

    def relay(self, results: tuple[tuple[int, TaskResult], ...], me: PeerId) -> tuple[tuple[int, TaskResult], ...]:
        """Sign others' answers as one's own."""
        return tuple((number, self._copied(result, me)) for number, result in results)

    def _copied(self, result: TaskResult, me: PeerId) -> TaskResult:
        is_answer = result.status in (TaskStatus.DONE, TaskStatus.COMMITTED) and result.worker != me
        return replace(result, worker=me, signature=b"") if is_answer and self.is_time() else result


class Withholder(Liar):
    """Keeps the results to itself; see `WithholdingContents`."""


class Secretive(Liar):
    """Commits to answers under `redundancy`, and shows none."""

    def __init__(self, number: float, random: Random) -> None:
        """Has committed to nothing yet."""
        super().__init__(number, random)
        self._sealed: set[str] = set()

    def relay(self, results: tuple[tuple[int, TaskResult], ...], me: PeerId) -> tuple[tuple[int, TaskResult], ...]:
        """Keep back what was committed to."""
        self._sealed |= {result.task_id for _, result in results if result.status is TaskStatus.COMMITTED and self.is_time()}
        return tuple(pair for pair in results if pair[1].status is not TaskStatus.DONE or pair[1].task_id not in self._sealed)


class RubberStamp(Liar):
    """A witness that doesn't look: its signature is right, and says nothing."""

    identity: Identity

    async def cosign(self, _peer: PeerId, growth: str) -> tuple[str, int]:
        """Sign it."""
        checkpoint = Growth.parse(growth).checkpoint
        signed = checkpoint.cosigned(self.identity.peer_id, int(time.time()), self.identity.sign)
        return signed.signatures[-1].line(), signed.size


_LIARS: dict[str, type[Liar]] = {
    "random": RandomLiar,
    "lazy": Lazy,
    "constant": Constant,
    "sleeper": Sleeper,
    "clique": Clique,
    "sybil": Sybil,
    "underreporter": UnderReporter,
    "overreporter": OverReporter,
    "accuser": Accuser,
    "merger": Merger,
    "withholder": Withholder,
    "secretive": Secretive,
    "rubberstamp": RubberStamp,
    "dropper": Dropper,
    "tamperer": Tamperer,
    "copier": Copier,
    "drifter": Drifter,
    "slow": Slow,
}


class LyingCalls(Calls):
    """The engine, with a liar before it."""

    def __init__(self, honest: Calls, liar: Liar) -> None:
        """Lie about what `honest` gives."""
        vars(self).update(vars(honest))
        self._liar = liar

    async def execute(self, task: Task) -> Outcome:
        """What the liar makes of it."""
        return await self._liar.execute(task, super().execute)


class LyingCodec(PeerCodec):
    """Messages, as a liar sends them."""

    def __init__(self, honest: PeerCodec, liar: Liar, withheld: set[bytes]) -> None:
        """Send what `honest` would, changed. `withheld` is told the names of results whose bytes aren't given away."""
        vars(self).update(vars(honest))
        self._liar = liar
        self._withheld = withheld

    async def pack(self, peer: PeerId, message: Message) -> Envelope | None:
        """A message with what travels beside it."""
        if not isinstance(message, Answers):
            return await super().pack(peer, message)
        results = self._liar.relay(message.results, self._me)
        if not results:
            return None
        envelope = await super().pack(peer, Answers(results=results))
        if envelope is None or not isinstance(self._liar, Withholder):
            return envelope
        kept = {result.body for _, result in results if result.body and self._liar.is_time()}
        self._withheld |= kept
        return replace(envelope, contents={name: data for name, data in envelope.contents.items() if name not in kept})


class WithholdingContents(Contents):
    """Content, but not what was promised."""

    def __init__(self, honest: Contents, withheld: set[bytes]) -> None:
        """Give what `honest` does, but for the `withheld`. Answers neighbours' requests only."""
        self._honest = honest
        self._withheld = withheld

    def lose(self, peer: PeerId) -> None:
        """A neighbour is gone."""
        self._honest.lose(peer)

    async def block(self, owner: Whose, name: bytes, offset: int, count: int) -> Buffer:
        """A block: refused or wrong, if it is withheld; by its name, so that asking again changes nothing."""
        if name not in self._withheld:
            return await self._honest.block(owner, name, offset, count)
        if name[0] % 2:
            return bytes(count)
        raise UnavailableError("not now", retry=True)


class ComingBack(Neighbours):
    """Neighbours of one that comes back as somebody else when its parent will have no more of it."""

    def __init__(self, honest: Neighbours, come_back: Callable[[], None]) -> None:
        """As `honest`, which has no links yet."""
        vars(self).update(vars(honest))
        self._come_back = come_back
        self._is_over = False

    def lost(self, neighbour: Neighbour) -> None:
        """A link is down."""
        is_parent = neighbour.relation is Relation.PARENT and neighbour is self.find(neighbour.peer)
        super().lost(neighbour)
        if is_parent and not self._is_over:
            self._come_back()

    async def close(self) -> None:
        """Hang up, and mean it."""
        self._is_over = True
        await super().close()


def install(text: str, key: Path, node: Node) -> None:
    """Have `node`, which has no links yet, cheat its parents.

    Args:
        text: how, as the setting says; empty: not at all.
        key: the node's key file.
        node: who.
    """
    if not text:
        return
    sabotage = Sabotage.parse(text)
    driver, withheld = node.driver, set[bytes]()
    liar = _LIARS[sabotage.kind](sabotage.number, Random())  # noqa: S311  # lies needn't be secret
    driver.delegated.calls = LyingCalls(driver.calls, liar)
    driver.neighbours.codec = LyingCodec(driver.codec, liar, withheld)
    if isinstance(liar, Withholder):
        driver.neighbours.contents = WithholdingContents(driver.contents, withheld)
    if isinstance(liar, RubberStamp):
        liar.identity = node.identity
        driver.neighbours.witness = liar.cosign
    if isinstance(liar, Sybil):
        liar.come_back = _Rebirth(key)
        driver.neighbours = ComingBack(driver.neighbours, liar.come_back)
    logs.get("node").warning("sabotage", kind=sabotage.kind, number=sabotage.number)


class _Rebirth:
    """Ends this process in good order, and starts it again without its key."""

    def __init__(self, key: Path) -> None:
        """The file `key` goes."""
        self._key = key
        self._is_due = False

    def __call__(self) -> None:
        """Once."""
        if not self._is_due:
            self._is_due = True
            atexit.register(self._start_again)
            os.kill(os.getpid(), signal.SIGTERM)

    def _start_again(self) -> None:
        self._key.unlink(missing_ok=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # ourselves


def _results_of(task: Task) -> int:
    return 1 if task.function == "merge" else task.count


def altered(outcome: Finished, drawn: int) -> Finished:
    """The outcome with another result in one place: plausible, so that merge takes it."""
    results = list(frames.unpack(outcome.results))
    if not results:
        return outcome
    place = drawn % len(results)
    results[place] = _another(results[place])
    return replace(outcome, results=frames.pack(results))


def _moved(result: bytes, steps: int) -> bytes:
    """An array of float32 with each number so many further from 0; anything else as it is."""
    try:
        header = read_header(memoryview(result))
    except DataError:
        return result
    if header.dtype.descr != "<f4":
        return result
    bits = struct.unpack(f"<{(header.stop - header.start) // 4}I", result[header.start :])
    return result[: header.start] + struct.pack(f"<{len(bits)}I", *(each + steps for each in bits))


def _another(result: bytes) -> bytes:
    """As long, and different in its last byte; a digit stays a digit."""
    if not result:
        return b"0"
    last = result[-1]
    digits = b"0123456789"
    changed = digits[(digits.index(last) + 1) % 10] if last in digits else last ^ 1
    return result[:-1] + bytes([changed])
