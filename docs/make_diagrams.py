"""Makes docs/lifecycle.md from the code (`make docs`): the life of a task, and who says what to whom about it.

The state diagram is the table in `orchestrator/core/transitions.py`, meanings are the docstrings beside the names, and the
sequences are recorded: a few real orchestrators in memory play each scene, and what they say is written down. So nothing here can
go stale unnoticed: a test makes the page again and compares.
"""

from __future__ import annotations

import ast
import dataclasses
import heapq
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import get_args

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.core import messages, transitions
from pangea.compute.orchestrator.core.commands import (
    Command,
    DropPeer,
    FailJob,
    FinishJob,
    KeepTrust,
    MergeJob,
    Send,
    StartTask,
    StopTask,
)
from pangea.compute.orchestrator.core.events import (
    ChunksReady,
    Event,
    JobCancelled,
    JobMerged,
    JobSubmitted,
    MessageReceived,
    PeerJoined,
    Relation,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Exclude, Lease, Message, Recall, Reveal
from pangea.compute.orchestrator.core.records import Task
from pangea.compute.orchestrator.core.transitions import TRANSITIONS, Cause, TaskState
from pangea.compute.orchestrator.limits import LEASE_SECONDS
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.verification.merkle import root

PAGE = Path(__file__).with_name("lifecycle.md")
JOB = JobId("job")
DELAY = 0.02
#: A pause this long, in seconds, is worth a line.
PAUSE = 0.5
CLIENT, OWNER = PeerId("client"), PeerId("owner")


# The table.


def meanings(owner: type) -> dict[str, str]:
    """What the string below each name in a class's body says of it; names without one are left out."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, below in zip(body.body, body.body[1:], strict=False):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
        if isinstance(target, ast.Name) and is_text:
            found[target.id] = ast.literal_eval(ast.unparse(below)).strip()
    return found


def initial_state() -> TaskState:
    """In which a task begins."""
    [default] = [field.default for field in dataclasses.fields(Task) if field.name == "state"]
    assert isinstance(default, TaskState)
    return default


def state_diagram() -> Iterator[str]:
    """Mermaid of the table; what may happen in every live state is drawn once, from the box around them."""
    live = list(dict.fromkeys(state for state, _ in TRANSITIONS))
    ends = [state for state in TaskState if state not in live]
    anywhere = {
        (cause, TRANSITIONS[live[0], cause])
        for cause in Cause
        if len({TRANSITIONS.get((state, cause)) for state in live}) == 1 and (live[0], cause) in TRANSITIONS
    }
    arrows: dict[tuple[TaskState, TaskState], list[Cause]] = {}
    for (state, cause), after in TRANSITIONS.items():
        if (cause, after) not in anywhere:
            arrows.setdefault((state, after), []).append(cause)
    yield "stateDiagram-v2"
    yield "    state live {"
    yield f"        [*] --> {initial_state()}"
    yield from (f"        {state} --> {after}: {', '.join(causes)}" for (state, after), causes in arrows.items())
    yield "    }"
    yield from (f"    live --> {after}: {cause}" for cause, after in sorted(anywhere))
    yield from (f"    {state} --> [*]" for state in ends)


def rows() -> Iterator[str]:
    """Every row of the table, those with the same cause and end in one line."""
    said = meanings(Cause)
    lines: dict[tuple[Cause, TaskState], list[TaskState]] = {}
    for cause in Cause:
        for (state, why), after in TRANSITIONS.items():
            if why is cause:
                lines.setdefault((cause, after), []).append(state)
    yield "| in state | cause | then | which means |"
    yield "|---|---|---|---|"
    yield from (
        f"| {', '.join(states)} | {cause} | {after} | {said.get(cause.name, '')} |" for (cause, after), states in lines.items()
    )


def theory() -> str:
    """What the table's module says about it, without what it says of this page."""
    paragraphs = (transitions.__doc__ or "").split("\n\n")
    [text] = [paragraph for paragraph in paragraphs if paragraph.startswith("Theory. ")]
    sentences = " ".join(text.removeprefix("Theory. ").split())
    return textwrap.fill(sentences.partition(" The diagram in docs/")[0], 128)


def message_table() -> Iterator[str]:
    """What each message means and carries."""
    yield "| message | meaning | carries |"
    yield "|---|---|---|"
    for kind in get_args(Message):
        said = meanings(kind)
        names = [f"`{field.name}`{f': {said[field.name]}' if field.name in said else ''}" for field in dataclasses.fields(kind)]
        yield f"| `{kind.__name__}` | {in_one_line(kind)} | {'; '.join(names)} |"


def in_one_line(kind: type) -> str:
    """A class's docstring, ready for a table."""
    return " ".join((kind.__doc__ or "").split()).replace("|", "\\|")


# The scenes.


@dataclass(frozen=True, slots=True)
class Line:
    """One arrow; from a node to itself for what its engine does."""

    when: float
    source: PeerId
    target: PeerId
    text: str
    is_lost: bool = False


class Scene:
    """Some orchestrators, their links, and a record of what they say.

    Heartbeats that say nothing new are left out of the record.
    """

    def __init__(self, links: dict[str, str], *, seconds: dict[str, float] | None = None, liars: tuple[str, ...] = ()) -> None:
        """The owner and below it `links`: parent by child.

        Args:
            links: each child's parent; parents first.
            seconds: of an execution on each node; 1 where nothing is said.
            liars: whose answers are wrong.
        """
        self.now = 0.0
        self.lines: list[Line] = []
        self.gone: set[PeerId] = set()
        "nodes without power: nobody is told"
        self._seconds, self._liars = seconds or {}, liars
        self._queue: list[tuple[float, int, PeerId, Event]] = []
        self._count = 0
        self._stopped: set[tuple[PeerId, int]] = set()
        self._armed: dict[PeerId, float] = {}
        self._names: dict[tuple[PeerId, int], str] = {}
        self.last_beats: dict[tuple[PeerId, PeerId], str] = {}
        "by sender and receiver"
        self._minds: dict[PeerId, Orchestrator] = {}
        for name in (OWNER, *map(PeerId, links)):
            self._minds[name] = Orchestrator(name, cores=1, random=Random(name), network=name)
        for child, parent in links.items():
            joined = PeerJoined(peer=PeerId(child), relation=Relation.CHILD, network=child, round_trip=2 * DELAY, cores=1)
            self.tell(PeerId(parent), joined)
            self.tell(PeerId(child), PeerJoined(peer=PeerId(parent), relation=Relation.PARENT))
        self.passes(2.0)
        self.lines.clear()

    def submit(self, chunks: int, **fields: object) -> None:
        """A client's job, heavy enough for a tree."""
        given: dict[str, object] = {"verification": VerificationMode.NONE, "locality": Locality.ANY, **fields}
        spec = JobSpec(job_id=JOB, module="module", estimated_flops=1e15, timeout=1e4, **given)  # type: ignore[arg-type]
        self.client_says(JobSubmitted(spec=spec))
        self.client_says(ChunksReady(job_id=JOB, count=chunks, size_bytes=1_000 * chunks, is_last=True))

    def client_says(self, event: Event) -> None:
        """Something that comes from the owner's client."""
        self._note(CLIENT, OWNER, type(event).__name__)
        self.tell(OWNER, event)

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            self.now, _, node, event = heapq.heappop(self._queue)
            if not self._is_stale(node, event):
                self.tell(node, event)
        self.now = until

    def tell(self, node: PeerId, event: Event) -> None:
        """Have a node take in an event, and do what it says."""
        if isinstance(event, TaskExecuted):
            self._note(node, node, f"TaskExecuted: {self._names[node, event.attempt]}")
        elif isinstance(event, JobMerged):
            self._note(node, node, "JobMerged")
        mind = self._minds[node]
        for command in mind.handle(event, now=self.now):
            self._carry_out(node, command)
        mind.check()
        timer = mind.next_timer()
        if timer is not None and (timer != self._armed.get(node) or timer <= self.now):
            self._armed[node] = max(timer, self.now)
            self._later(self._armed[node], node, TimerFired())

    def _is_stale(self, node: PeerId, event: Event) -> bool:
        if node in self.gone:
            return True
        if isinstance(event, TimerFired):
            return self._armed.get(node) != self.now
        return isinstance(event, TaskExecuted) and (node, event.attempt) in self._stopped

    def _later(self, when: float, node: PeerId, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, node, event))

    def _carry_out(self, node: PeerId, command: Command) -> None:
        match command:
            case Send(peer=peer, message=message):
                self._send(node, peer, message)
            case StartTask(attempt=attempt, packet=packet):
                self._names[node, attempt] = task_name(packet.task_id)
                self._note(node, node, f"StartTask: {self._names[node, attempt]}")
                seconds = self._seconds.get(node, 1.0)
                result = answer(packet, node, seconds, is_lie=node in self._liars)
                self._later(self.now + seconds, node, TaskExecuted(attempt=attempt, result=result))
            case StopTask(attempt=attempt):
                self._stopped.add((node, attempt))
                self._note(node, node, f"StopTask: {self._names[node, attempt]}")
            case MergeJob(digests=digests):
                self._note(node, node, "MergeJob")
                self.tell(node, JobMerged(job_id=JOB, digest=sha256(b"".join(digests)).digest()))
            case FinishJob() | FailJob():
                what = f": {command.cause}" if isinstance(command, FailJob) else ""
                self._note(node, CLIENT, f"{type(command).__name__}{what}")
            case KeepTrust(worker=worker):
                self._note(node, node, f"KeepTrust: {worker}")
            case DropPeer(peer=peer):
                self._note(node, node, f"DropPeer: {peer}")

    def _send(self, node: PeerId, peer: PeerId, message: Message) -> None:
        if isinstance(message, Delegate):
            self._names.update({(node, number): task_name(packet.task_id) for number, packet in message.tasks})
        text = self._describe(node, message)
        is_heartbeat = isinstance(message, Beat | Lease)
        if not is_heartbeat or self.last_beats.get((node, peer)) != text:
            self._note(node, peer, text, is_lost=peer in self.gone)
        if is_heartbeat:
            self.last_beats[node, peer] = text
        self._later(self.now + DELAY, peer, MessageReceived(peer=node, message=message))

    def _describe(self, node: PeerId, message: Message) -> str:
        """A message's name, and what it says in this scene."""
        match message:
            case Delegate(tasks=tasks):
                said = ", ".join(task_name(packet.task_id) for _, packet in tasks)
            case Answers(results=results):
                said = ", ".join(f"{task_name(result.task_id)} {result.status}" for _, result in results)
            case Cancel(attempts=attempts) | Reveal(attempts=attempts):
                said = ", ".join(self._names[node, number] for number in attempts)
            case Recall(count=count):
                said = f"up to {count}"
            case Exclude(workers=workers):
                said = ", ".join(workers)
            case Beat(cores=cores, nodes=nodes):
                said = f"cores {cores}, nodes {nodes}"
            case Lease(jobs=jobs):
                said = ", ".join(jobs) or "no job"
        return f"{type(message).__name__}: {said}"

    def _note(self, source: PeerId, target: PeerId, text: str, *, is_lost: bool = False) -> None:
        self.lines.append(Line(self.now, source, target, text, is_lost))


def task_name(task_id: TaskId) -> str:
    """How the record calls a task."""
    return f"task {task_id.removeprefix(f'{JOB}:')}"


def answer(packet: TaskPacket, worker: PeerId, seconds: float, *, is_lie: bool) -> TaskResult:
    """What an engine finds, or what a liar says."""
    said = f"{worker} invents" if is_lie else "right"
    leaves = tuple(sha256(f"{said} {packet.start} {leaf}".encode()).digest() for leaf in range(packet.runs))
    return TaskResult(
        task_id=packet.task_id,
        worker=worker,
        network=worker,
        digest=root(leaves),
        leaves=leaves,
        fuel=10**9,
        seconds=seconds,
    )


def one_task() -> Scene:
    """One task, from the client to the worker and back.

    The manager in the middle passes it on, and gathers answers for a moment before they go up.
    """
    scene = Scene({"manager": OWNER, "worker": "manager"})
    scene.submit(1)
    scene.passes(5.0)
    return scene


def redundancy() -> Scene:
    """`redundancy` with two votes.

    Each worker first binds itself to its answer (*committed*) and shows it only when all have, so nobody can copy.
    """
    scene = Scene({"worker 1": OWNER, "worker 2": OWNER})
    scene.submit(1, verification=VerificationMode.REDUNDANCY, redundancy=2)
    scene.passes(5.0)
    return scene


def caught() -> Scene:
    """`adaptive`, and worker 1 lies.

    A new worker's first answers are checked by the owner itself, as far as its machine has time, else by another worker. Whoever
    was wrong is shut out, its branch is told, its answers are withdrawn, and it is asked once more: by that it has lied, or may
    be a faulty machine. The job doesn't wait for it.
    """
    scene = Scene({"manager": OWNER, "worker 1": "manager", "worker 2": OWNER}, liars=("worker 1",))
    scene.submit(1, verification=VerificationMode.ADAPTIVE)
    scene.passes(8.0)
    return scene


def slow_worker() -> Scene:
    """The worker turns out to be slow, and the owner has nothing left to do.

    So it calls back what the worker hasn't begun, and then makes a backup copy of the rest. The first answer counts.
    """
    scene = Scene({"worker": OWNER}, seconds={"worker": 60.0})
    scene.submit(3)
    scene.passes(12.0)
    return scene


def cancel() -> Scene:
    """The client has changed its mind: every node below stops."""
    scene = Scene({"manager": OWNER, "worker": "manager"}, seconds={"worker": 60.0})
    scene.submit(1)
    scene.passes(0.4)
    scene.client_says(JobCancelled(job_id=JOB))
    scene.passes(1.0)
    return scene


def lease() -> Scene:
    """Each node says now and then that it lives and what stands behind it.

    The answer is a lease on the jobs that are still wanted. Here the owner loses power, and nobody is told: the manager, idle,
    still makes a backup copy, but one lease after the owner's last word nobody works for it any more.
    """
    scene = Scene({"manager": OWNER, "worker": "manager"}, seconds={"manager": 60.0, "worker": 60.0})
    scene.last_beats.clear()
    scene.submit(1)
    scene.passes(1.5)
    scene.gone.add(OWNER)
    scene.passes(LEASE_SECONDS + 2.0)
    return scene


SCENES: dict[str, Callable[[], Scene]] = {
    "A task goes down, its answer comes up": one_task,
    "Votes are committed, then shown": redundancy,
    "A liar is caught": caught,
    "Work moves from the slow to the idle": slow_worker,
    "A job is cancelled": cancel,
    "An owner vanishes": lease,
}


def sequence(lines: list[Line]) -> Iterator[str]:
    """Mermaid of a record."""
    who = list(dict.fromkeys(name for line in lines for name in (line.source, line.target)))
    yield "sequenceDiagram"
    yield from (f"    participant {name}" for name in who)
    before = lines[0].when
    for line in lines:
        if line.when - before >= PAUSE:
            yield f"    Note over {who[0]},{who[-1]}: {line.when - before:.1f} s later"
        before = line.when
        yield f"    {line.source}{'-x' if line.is_lost else '->>'}{line.target}: {line.text}"


def fenced(lines: Iterator[str]) -> list[str]:
    """A Mermaid block."""
    return ["```mermaid", *lines, "```", ""]


def names_in(lines: list[Line]) -> set[str]:
    """Messages, events and commands of a record."""
    return {line.text.partition(":")[0] for line in lines}


def page() -> str:
    """All of docs/lifecycle.md."""
    text = [
        "<!-- Made by docs/make_diagrams.py: change the code it is made from, then `make docs`. -->",
        "# The life of a task",
        "",
        *fenced(state_diagram()),
        theory(),
        "",
        "What may happen in every live state is drawn from the box around them. All of the table:",
        "",
        *rows(),
        "",
        "# Who says what to whom",
        "",
        "Messages between nodes. What the scenes below show was said by real orchestrators in memory, 20 ms apart, with",
        "one second per execution where nothing else is said; heartbeats that say nothing new are left out.",
        "",
        *message_table(),
        "",
    ]
    shown: set[str] = set()
    for title, play in SCENES.items():
        lines = play().lines
        shown |= names_in(lines)
        text += [
            f"## {title}",
            "",
            textwrap.fill(" ".join((inspect.getdoc(play) or "").split()), 128),
            "",
            *fenced(sequence(lines)),
        ]
    text += ["## Events and commands in these scenes", "", "Between a node's orchestrator, its engine and its client:", ""]
    text += [
        f"* `{kind.__name__}`: {in_one_line(kind)}" for kind in (*get_args(Event), *get_args(Command)) if kind.__name__ in shown
    ]
    unseen = [kind.__name__ for kind in get_args(messages.Message) if kind.__name__ not in shown]
    assert not unseen, f"no scene shows {unseen}"
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} is made\n")
