"""Who cheats, and how. A liar's orchestrator is the real one; what its driver executes or passes on is not.

`plan` is asked when an execution begins: None means an honest one. `relay` is asked for each message that a liar with a
subtree sends: it may change it, or swallow it. A changed result no longer bears its worker's signature, and who receives it
sees that: so it is marked as forged here, and the world tells the receiver that its sender misbehaved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random
from struct import pack
from typing import Final, NamedTuple

from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket, TaskStatus
from pangea.compute.orchestrator.core.messages import Answers, Message
from pangea.compute.simulation.answers import Answer, Program


class Deceit(NamedTuple):
    """What a liar does in place of an execution."""

    answer: Answer | None = None
    "None: nothing, ever"
    effort: float = 1.0
    "share of the honest time that it takes"
    failure: FailureKind | None = None
    "what it says went wrong with the job's code"


@dataclass(frozen=True, slots=True)
class Forged:
    """A message of which parts were changed by who passes it on; any receiver notices."""

    message: Message


class Gossip:
    """What has been answered in the open: those who copy read it. Kept only if there is somebody who does."""

    __slots__ = ("_said", "is_wanted", "plot")

    def __init__(self, plot: int = 0) -> None:
        """Nothing has been said yet; `plot` is what accomplices have agreed on."""
        self.is_wanted: bool = False
        self.plot: int = plot
        self._said: dict[str, Answer] = {}

    def hear(self, answers: Answers) -> None:
        """Note what was revealed."""
        for _, result in answers.results:
            if result.digest:
                self._said[result.task_id] = Answer(result.digest, result.leaves, result.fuel)

    def said(self, packet: TaskPacket) -> Answer | None:
        """What somebody answered to this task."""
        return self._said.get(packet.task_id)


class Liar:
    """Base of all strategies, and an honest node by itself.

    Attributes:
        kind: name of the strategy.
        rate: how often it lies, if it doesn't always.
    """

    #: Whether the strategy needs a subtree whose messages it passes on.
    is_middle = False
    #: Whether its operator has many keys on one network, and makes new ones.
    is_swarm = False
    #: Whether several of a kind agree on their lies: voting alone doesn't find them out.
    is_colluding = False

    def __init__(self, program: Program, random: Random, gossip: Gossip, *, rate: float, sleep_tasks: int) -> None:
        """Cheat at the job of this program."""
        self.program = program
        self.random = random
        self.gossip = gossip
        self.rate = rate
        self.sleep_tasks = sleep_tasks
        self.answered = 0

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """What to do in place of executing a task; None: execute it."""
        return None

    def relay(self, message: Message) -> Message | Forged | None:
        """What to send in place of a message; None: nothing."""
        return message

    def garbage(self, packet: TaskPacket) -> Answer:
        """A lie that nobody else tells."""
        return self.program.lie(packet, self.random.randbytes(8), None)


class RandomLiar(Liar):
    """Does the work, then changes one part of it at random: the rare, targeted lie."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Lie now and then."""
        if self.random.random() >= self.rate:
            return None
        return Deceit(self.program.lie(packet, self.random.randbytes(8), self.random.randrange(packet.runs)))


class Lazy(Liar):
    """Now and then skips the work and answers at once."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Skip it now and then."""
        return Deceit(self.garbage(packet), 0.01) if self.random.random() < self.rate else None


class Constant(Liar):
    """Answers the same to everything."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Say what was always said, in as many leaves as there should be."""
        leaf = sha256(b"constant").digest()
        return Deceit(self.program.lie(packet, b"constant", None)._replace(digest=leaf, leaves=(leaf,) * packet.runs), 0.01)


class Copier(Liar):
    """Answers what another has answered to the same task, in no time; if nothing is known, garbage."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Copy, or make something up."""
        return Deceit(self.gossip.said(packet) or self.garbage(packet), 0.01)


class Sleeper(Liar):
    """Is honest until it is trusted, then always lies."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Count, then lie."""
        self.answered += 1
        return None if self.answered <= self.sleep_tasks else Deceit(self.garbage(packet))


class Clique(Liar):
    """One of many who tell the same lies about the same tasks."""

    is_colluding = True

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Lie where all of us do; and all in the same leaf."""
        about = pack("<QQQ", self.gossip.plot, packet.start, packet.count)
        drawn = int.from_bytes(sha256(b"clique" + about).digest()[:8], "little")
        if drawn >= self.rate * 2**64:
            return None
        return Deceit(self.program.lie(packet, b"clique", drawn % packet.runs))


class Sybil(Clique):
    """One of many keys of one operator, on one network, behind a manager of the same operator."""

    is_swarm = True


class UnderReporter(Liar):
    """The right result, with too little fuel: it would be paid for what it didn't use, or win work by looking cheap."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Halve the fuel now and then."""
        if self.random.random() >= self.rate:
            return None
        honest = self.program.answer(packet)
        return Deceit(honest._replace(fuel=honest.fuel // 2))


class Accuser(Liar):
    """Now and then says that the job's code fails."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Blame the job."""
        if self.random.random() >= self.rate:
            return None
        return Deceit(self.program.answer(packet), 0.01, FailureKind.GUEST_ERROR)


class Withholder(Liar):
    """Takes work, and never answers."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Nothing, ever."""
        return Deceit(None)


class Secretive(Liar):
    """Commits at once where answers are sealed, and shows none; elsewhere it answers honestly."""

    def __init__(self, program: Program, random: Random, gossip: Gossip, *, rate: float, sleep_tasks: int) -> None:
        """Has committed to nothing yet."""
        super().__init__(program, random, gossip, rate=rate, sleep_tasks=sleep_tasks)
        self._sealed: set[str] = set()

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Commit to anything: nobody will see it."""
        return Deceit(self.garbage(packet), 0.01) if packet.commit_first else None

    def relay(self, message: Message) -> Message | Forged | None:
        """Keep back what was committed to."""
        if not isinstance(message, Answers):
            return message
        self._sealed |= {result.task_id for _, result in message.results if result.status is TaskStatus.COMMITTED}
        shown = tuple(
            (number, result)
            for number, result in message.results
            if result.status is TaskStatus.COMMITTED or result.task_id not in self._sealed
        )
        return replace(message, results=shown) if shown else None


class WrongMerger(Liar):
    """Executes well, and merges wrongly."""

    def plan(self, packet: TaskPacket) -> Deceit | None:
        """Lie about merges."""
        return Deceit(self.garbage(packet)) if packet.function == "merge" else None


class Tamperer(Liar):
    """Changes the results of others that it passes on."""

    is_middle = True

    def relay(self, message: Message) -> Message | Forged | None:
        """Change all results of a message now and then; their signatures no longer fit."""
        if not isinstance(message, Answers) or self.random.random() >= self.rate:
            return message
        forged = sha256(b"forged").digest()
        return Forged(Answers(results=tuple((number, replace(result, digest=forged)) for number, result in message.results)))


class Dropper(Liar):
    """Swallows some of the results of others, and passes on the rest."""

    is_middle = True

    def relay(self, message: Message) -> Message | Forged | None:
        """Swallow each result now and then."""
        if not isinstance(message, Answers):
            return message
        kept = tuple(pair for pair in message.results if self.random.random() >= self.rate)
        return replace(message, results=kept) if kept else None


#: Every kind of liar, by the name that `--liars` knows.
LIARS: Final[dict[str, type[Liar]]] = {
    "random": RandomLiar,
    "lazy": Lazy,
    "constant": Constant,
    "copier": Copier,
    "sleeper": Sleeper,
    "clique": Clique,
    "underreporter": UnderReporter,
    "accuser": Accuser,
    "tamperer": Tamperer,
    "dropper": Dropper,
    "merger": WrongMerger,
    "withholder": Withholder,
    "secretive": Secretive,
    "sybil": Sybil,
}
