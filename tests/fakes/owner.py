"""The owner of a job on the bench: its children get the tasks first, so that its own engine is free to be the referee."""

from __future__ import annotations

from typing import Any

from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.orchestrator.core.commands import FinishJob
from pangea.compute.orchestrator.core.messages import Reveal
from tests.fakes.node import Node
from tests.fakes.packets import JOB, Ask, merge_of, packet_of, right, sealed, wrong

NEVER, ALWAYS = 0.999, 0.0
"what the dice show when no answer, or every one, is to be checked"


def submit(node: Node, mode: VerificationMode, *children: str, chunks: int = 1, **fields: Any) -> None:
    """A job whose tasks go to the children first."""
    for name in children:
        node.join_child(name, cores=4)
    node.submit(chunks, verification=mode, locality=Locality.ANY, **fields)


def asked(node: Node, *children: str) -> dict[str, list[Ask]]:
    """What those children were asked that were asked anything."""
    return {name: asks for name in children if (asks := node.asked(name))}


def one_asked(node: Node, *children: str) -> tuple[str, Ask]:
    """The one child that was asked, and what."""
    ((name, (ask,)),) = asked(node, *children).items()
    return name, ask


def vote(node: Node, held: dict[str, Ask], **lies: bytes) -> None:
    """All commit, then those reveal that are asked to; some lie."""
    results = {name: node.right(ask.packet, name) for name, ask in held.items()}
    for name, lie in lies.items():
        results[name] = wrong(results[name], lie=lie)
    for name, ask in held.items():
        node.says(name, ask, sealed(results[name]))
    for name, ask in held.items():
        if any(isinstance(message, Reveal) for message in node.take(name)):
            node.says(name, ask, results[name])


def finish_here(node: Node) -> int:
    """Let this node's engine do all it is given; how many tasks that were."""
    count = 0
    while starts := node.started():
        node.executes(*starts)
        count += len(starts)
    return count


def finish(node: Node) -> FinishJob:
    """All tasks are complete: merge, and look at the report."""
    node.merge()
    end = node.ends[JOB]
    assert isinstance(end, FinishJob)
    return end


def finish_everything(node: Node, *honest: str) -> FinishJob:
    """Let all that is left be done, rightly."""
    end = node.play(node.honest(*honest))
    assert isinstance(end, FinishJob)
    return end


def expected(chunks: int) -> bytes:
    """The serial result; one chunk a task."""
    return merge_of(tuple(right(packet_of(start), "x").digest for start in range(chunks)))


def is_right(end: FinishJob, chunks: int) -> bool:
    """Whether the result is the serial one."""
    return end.digest == expected(chunks)
