"""What happened: a hash over every event, and one line per change for people.

The hash takes time, node, kind and a figure (a size, a number) of each event: two runs that differ anywhere soon differ there.
Lines are made when somebody reads them; until then the last few are kept as they came.
"""

from __future__ import annotations

import hashlib
from collections import deque
from struct import Struct
from typing import IO, Any

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.core.commands import DropPeer, FailJob, FinishJob, MergeJob
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Exclude, Lease, Recall, Reveal
from pangea.compute.simulation.node import Run

#: Lines kept for a failure's account.
TAIL_LINES = 60
_EVENT = Struct("<dIBq")
_NAMES_MAX = 4


class Trace:
    """The record of one run."""

    def __init__(self, file: IO[str] | None = None) -> None:
        """Keep the last lines; write all of them to `file`, if there is one."""
        self._hash = hashlib.sha256()
        self._update = self._hash.update
        self._pack = _EVENT.pack
        self._tail: deque[tuple[float, int, str | int, Any]] = deque(maxlen=TAIL_LINES)
        self._file = file
        self.events: int = 0

    def count(self, when: float, node: int, kind: int, figure: int) -> None:
        """Take an event into the hash."""
        self.events += 1
        self._update(self._pack(when, node, kind, figure))

    def note(self, when: float, node: int, what: str, subject: Any = None) -> None:
        """Keep a line; `subject` is put into words when the line is read."""
        self._tail.append((when, node, what, subject))
        if self._file is not None:
            self._file.write(_line(when, node, what, subject) + "\n")

    def heard(self, when: float, node: int, source: int, message: Any) -> None:
        """Keep a line about a message."""
        self._tail.append((when, node, source, message))
        if self._file is not None:
            self._file.write(_line(when, node, source, message) + "\n")

    def digest(self) -> str:
        """The hash so far, in hex."""
        return self._hash.hexdigest()

    def tail(self) -> list[str]:
        """The last lines."""
        return [_line(*entry) for entry in self._tail]


def _line(when: float, node: int, what: str | int, subject: Any) -> str:
    """A line; a number stands for who sent a message."""
    name = what if isinstance(what, str) else f"<- n{what}"
    return f"{when:12.6f}  n{node:<6} {name:<10} {describe(subject)}".rstrip()


def describe(subject: Any) -> str:
    """A message, a command or an execution in a few words."""
    match subject:
        case None:
            return ""
        case str():
            return subject
        case Run():
            packet = subject.packet
            share = "" if packet.function == "merge" else f" chunks {packet.start}-{packet.start + packet.count - 1}"
            return f"{packet.function} {packet.task_id[-12:]}{share} (attempt {subject.attempt})"
        case Delegate():
            return "delegate " + _some([f"{number}:{packet.task_id[-12:]}" for number, packet in subject.tasks])
        case Answers():
            return "answers " + _some([f"{number}:{result.status} by {result.worker}" for number, result in subject.results])
        case Cancel() | Reveal():
            return f"{type(subject).__name__.lower()} {_some([str(number) for number in subject.attempts])}"
        case Recall():
            return f"recall {subject.count}"
        case Exclude():
            return "shun " + _some(list(subject.workers))
        case Beat():
            return f"beat: {subject.cores} cores, {subject.nodes} nodes, height {subject.height}"
        case Lease():
            return f"lease of {len(subject.jobs)} jobs"
        case _:
            return _describe_command(subject)


def _describe_command(command: Any) -> str:
    match command:
        case DropPeer():
            return f"{command.peer}: {command.reason}"
        case MergeJob():
            return f"{len(command.digests)} results"
        case FinishJob():
            return command.digest.hex()[:16]
        case FailJob():
            return f"{command.cause}: {command.message}"
        case _:
            return type(command).__name__


def _some(names: list[str] | list[PeerId]) -> str:
    rest = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {rest} more" if rest > 0 else "")
