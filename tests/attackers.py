"""Peers that do what a test wants, over the real wire: children that dial a node, and parents that nodes dial."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from pangea.compute.model import frames
from pangea.compute.model.errors import InputError, PeerError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.limits import Limits
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.dialling import dial
from pangea.compute.network.peers.hello import Hello, Place
from pangea.compute.network.peers.peering import PeerEnd, PeerLink
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.peer_messages import Envelope, JobHeader
from pangea.compute.network.rpc.service import Caller
from pangea.compute.network.serving.server import Server, serve_tcp
from pangea.compute.node.tree.attestation import signed
from pangea.compute.orchestrator.core.messages import Answers, Delegate, Message
from pangea.compute.verification.digests import leaves_of
from pangea.compute.verification.merkle import root
from pangea.compute.verification.receipts import Sign
from tests.deadlines import comes_true
from tests.specs import signed_spec


@dataclass(frozen=True, slots=True)
class Asked:
    """One task that an attacker was given."""

    attempt: int
    packet: TaskPacket
    spec: JobSpec
    budget: Budget

    @property
    def owner(self) -> PeerId:
        return self.budget.ancestors[0]


class Attacker:
    """One end of a link. Implements `network.peers.peering.PeerEnd`; honest towards its own link, unless told otherwise."""

    def __init__(self, identity: Identity | None = None) -> None:
        """With a key of its own, or another's."""
        self.identity = identity or Identity.create()
        self.peer = PeerId(self.identity.peer_id)
        self.link: PeerLink | None = None
        self.welcome = Hello()
        self.asked: list[Asked] = []
        self.jobs: dict[JobId, JobHeader] = {}
        self.inputs: dict[bytes, bytes] = {}
        self.notes: list[Message] = []
        self.answers: list[tuple[int, TaskResult]] = []
        self.has: dict[bytes, bytes] = {}
        "what can be fetched here"
        self.fetches: Counter[bytes] = Counter()
        self.fetching: Callable[[bytes, int, int], Any] | None = None
        "in place of `has`"
        self.growths: list[str] = []
        "what it was asked to sign as a witness"
        self.cosigning: Callable[[str], tuple[str, int]] | None = None
        self.paths: list[tuple[PeerId, ...]] = []
        self.is_lost = False
        self.stalls: asyncio.Event | None = None
        "while it isn't set, no call is answered"

    async def join(self, where: str, **hello: Any) -> Attacker:
        """Become a child of the node at `where`."""
        said = Hello(**{"cores": 1, **hello})
        await dial(NodeAddress.parse(where), self.identity, said, self.accept)
        return self

    def accept(self, link: PeerLink, hello: Hello) -> PeerEnd:
        """The link is up."""
        self.link, self.welcome, self.is_lost = link, hello, False
        return self

    # What the neighbour says

    def told(self, envelope: Envelope) -> float:
        message = envelope.message
        if isinstance(message, Delegate):
            assert envelope.job is not None, "as the wire has it"
            self.jobs[message.spec.job_id] = envelope.job
            self.inputs.update(envelope.contents)
            self.asked += [Asked(number, packet, message.spec, message.budget) for number, packet in message.tasks]
        else:
            self.notes.append(message)
        return 0.0

    async def answered(self, envelope: Envelope) -> None:
        assert isinstance(envelope.message, Answers), "as the wire has it"
        self.answers += envelope.message.results
        self.inputs.update(envelope.contents)

    def moved(self, path: tuple[PeerId, ...]) -> None:
        self.paths.append(path)

    def told_below(self, places: tuple[Place, ...]) -> None:
        pass

    async def fetch(self, sha256: bytes, offset: int, count: int) -> bytes | None:
        self.fetches[sha256] += 1
        if self.fetching is not None:
            given: bytes | None = await self.fetching(sha256, offset, count)
            return given
        if sha256 not in self.has:
            raise InputError("this attacker has nothing of the kind")
        return self.has[sha256][offset : offset + count]

    async def cosign(self, growth: str) -> tuple[str, int]:
        self.growths.append(growth)
        if self.cosigning is None:
            raise InputError("this attacker is no witness")
        return self.cosigning(growth)

    def lost(self) -> None:
        self.is_lost = True

    # What it says

    async def gets(self, count: int = 1, *, seconds: float = 20.0) -> list[Asked]:
        """Its tasks, once there are so many."""
        await comes_true(lambda: len(self.asked) >= count, seconds=seconds)
        return list(self.asked)

    def result(self, asked: Asked, results: list[bytes] | None = None, **fields: Any) -> TaskResult:
        """A signed answer: with made-up results by default, which can be fetched here."""
        packet = asked.packet
        count = 1 if packet.function == "merge" else packet.count
        body = frames.pack([b"lie"] * count if results is None else results)
        self.has[sha256(body).digest()] = body
        packs = packet.packs if results is None or len(results) == sum(packet.packs) else ()
        leaves = leaves_of(body, start=packet.start, packs=packs)
        made: dict[str, Any] = {
            "task_id": packet.task_id,
            "worker": self.peer,
            "digest": root(leaves),
            "leaves": leaves,
            "fuel": 1,
            "seconds": 0.01,
            "body": sha256(body).digest(),
            "body_bytes": len(body),
        }
        signature = fields.pop("signature", None)
        made |= fields
        result = signed(TaskResult(**made), packet, asked.spec, asked.owner, self.identity.sign)
        return result if signature is None else replace(result, signature=signature)

    async def says(self, *results: tuple[int, TaskResult], contents: dict[bytes, bytes] | None = None) -> None:
        """Answer.

        Raises:
            PangeaError: the neighbour doesn't take it, or is gone.
        """
        await self._link.tell(Envelope(message=Answers(results=results), contents=contents or {}))

    async def tells(self, message: Message) -> None:
        """Say anything else of the vocabulary."""
        await self._link.tell(Envelope(message=message))

    async def raw(self, method: str, *arguments: Any) -> Any:
        """Call any method of the neighbour's service, with anything.

        Raises:
            PangeaError: what it answers.
        """
        return await self._link._call(getattr(self._link._service, method)(*arguments))

    async def note(self, record: Any) -> None:
        """Send any JSON as a note."""
        await self.raw("tellPeer", record if isinstance(record, str) else json.dumps(record))

    async def block(self, name: bytes, offset: int = 0, count: int = 1 << 20) -> bytes:
        """Fetch from the neighbour."""
        whole = b""
        while len(whole) < count and (part := await self._link.fetch(name, offset + len(whole), count - len(whole))):
            whole += part
        return whole

    def leave(self) -> None:
        """Hang up."""
        if self.link is not None:
            self.link.close()

    @property
    def _link(self) -> PeerLink:
        assert self.link is not None, "not attached"
        return self.link


class _Desk:
    """What a false parent is for one caller."""

    def __init__(self, parent: FalseParent, caller: Caller) -> None:
        self._parent, self._caller = parent, caller

    def may_submit(self) -> None:
        """Whoever comes may try: it is a parent for all."""

    def attach(self, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[PeerEnd, Hello]:
        parent = self._parent
        parent.hellos.append(hello)
        if parent.refuses:
            raise PeerError(parent.refuses)
        parent.accept(link(PeerId(self._caller.owner), self._caller.host), hello)
        return parent, Hello(path=parent.path, cores=1)


class FalseParent(Attacker):
    """Takes whoever dials as its child."""

    def __init__(self, identity: Identity | None = None) -> None:
        """It stands at the top, as far as it says."""
        super().__init__(identity)
        self.path: tuple[PeerId, ...] = (self.peer,)
        self.refuses = ""
        self.hellos: list[Hello] = []
        self.server: Server | None = None
        self._number = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FalseParent]:
        """Listen on loopback."""

        def desk(caller: Caller) -> Any:
            return _Desk(self, caller)

        async with serve_tcp("127.0.0.1", 0, self.identity, lambda _: True, desk, WireLimits(), lambda _: None) as server:
            self.server = server
            yield self

    @property
    def multiaddr(self) -> str:
        """Where it is dialled."""
        assert self.server is not None, "not serving"
        return f"/ip4/127.0.0.1/tcp/{self.server.port}/p2p/{self.peer}"

    async def gives(
        self,
        chunks: list[bytes],
        module: bytes,
        *,
        job: str = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11",
        contents: dict[bytes, bytes] | None = None,
        budget: Budget | None = None,
        spec: dict[str, Any] | None = None,
        packet: dict[str, Any] | None = None,
        envelope: dict[str, Any] | None = None,
        sign: Sign | None = None,
        limits: Limits | None = None,
        said: dict[str, Any] | None = None,
    ) -> list[Asked]:
        """Delegate one task with these chunks; what is said of it can be changed.

        The job's spec is signed by this key (or by `sign`) with `limits`; `said` is what is said otherwise than signed.

        Raises:
            PangeaError: the neighbour doesn't take it, or is gone.
        """
        self._number += 1
        body = frames.pack(chunks)
        name = sha256(body).digest()
        self.has |= {name: body, sha256(module).digest(): module}
        of_job = {"job_id": JobId(job), "module": sha256(module).hexdigest(), "estimated_flops": 0.0, **(spec or {})}
        of_task = {
            "task_id": TaskId(f"{job}:{self._number}"),
            "start": 0,
            "count": len(chunks),
            "size_bytes": len(body),
            "packs": (1,) * len(chunks) if len(chunks) <= 64 else (len(chunks),),
            "input": name,
            "input_bytes": len(body),
            **(packet or {}),
        }
        budget = budget or Budget(depth=4, fan_out=4, seconds=60.0, ancestors=(self.peer,))
        plain = JobSpec(**of_job)
        owner = budget.ancestors[0] if budget.ancestors else self.peer
        signed = signed_spec(plain, owner, sign or self.identity.sign, limits=limits)
        message = Delegate(
            spec=replace(plain, **{"signed": signed.hash(), **(said or {})}),
            budget=budget,
            tasks=((self._number, TaskPacket(**of_task)),),
        )
        about = JobHeader(**{"name": "job", "signed": signed, "module_bytes": len(module), **(envelope or {})})
        await self._link.tell(Envelope(message=message, job=about, contents={name: body} if contents is None else contents))
        return [Asked(self._number, message.tasks[0][1], message.spec, message.budget)]
