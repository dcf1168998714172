"""The life of a task: the one table by which its state changes.

Rule 1: every legal change is a row of `TRANSITIONS`; nothing but `move` sets `Task.state`.
Rule 2: an unknown row is a bug of ours and raises; it changes nothing.

Theory. A task is *pending* until somebody has it: a child (*assigned*) or this node's engine (*computing*). An answer makes
it *verifying*: the owner judges it, and may want more answers while it stays so; a manager in the middle only passes it on.
*Complete* isn't the end for an owner: if a worker is caught lying, what only its word vouched for is withdrawn.
The diagram in docs/lifecycle.md is made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol


class TaskState(StrEnum):
    """Where a task is."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    COMPUTING = "computing"
    VERIFYING = "verifying"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """Why a task's state changes."""

    DELEGATED = "delegated"
    "given to a child"
    STARTED = "started"
    "given to this node's own engine"
    LOST = "lost"
    "its last attempt ended without an answer: refused, failed by a machine, timed out, link down"
    ANSWERED = "answered"
    "somebody has a result, or a failure of the job"
    ACCEPTED = "accepted"
    "the answer stands, or, on the way, was passed on"
    DOUBTED = "doubted"
    "accepted, but another answer is wanted after all"
    WITHDRAWN = "withdrawn"
    "no answer is left: those who gave them were caught lying"
    REJECTED = "rejected"
    "it fails for good"
    DROPPED = "dropped"
    "nobody wants it any more"


_P, _A, _C, _V = TaskState.PENDING, TaskState.ASSIGNED, TaskState.COMPUTING, TaskState.VERIFYING
_LIVE = (_P, _A, _C, _V, TaskState.COMPLETE)

TRANSITIONS: Final[Mapping[tuple[TaskState, Cause], TaskState]] = MappingProxyType(
    {
        (_P, Cause.DELEGATED): _A,
        (_P, Cause.STARTED): _C,
        (_A, Cause.DELEGATED): _A,
        (_A, Cause.STARTED): _C,
        (_C, Cause.DELEGATED): _C,
        (_C, Cause.STARTED): _C,
        (_A, Cause.LOST): _P,
        (_C, Cause.LOST): _P,
        (_A, Cause.ANSWERED): _V,
        (_C, Cause.ANSWERED): _V,
        (_V, Cause.DELEGATED): _V,
        (_V, Cause.STARTED): _V,
        (_V, Cause.ANSWERED): _V,
        (_V, Cause.LOST): _V,
        (_V, Cause.ACCEPTED): TaskState.COMPLETE,
        (_V, Cause.WITHDRAWN): _P,
        (TaskState.COMPLETE, Cause.DOUBTED): _V,
        (TaskState.COMPLETE, Cause.WITHDRAWN): _P,
        **{(state, Cause.REJECTED): TaskState.FAILED for state in _LIVE},
        **{(state, Cause.DROPPED): TaskState.CANCELLED for state in _LIVE},
    }
)


class HasState(Protocol):
    """What has a state that this table rules."""

    state: TaskState


class IllegalTransitionError(AssertionError):
    """A bug of ours: this may not happen in this state."""


def move(task: HasState, cause: Cause) -> None:
    """Change a task's state.

    Raises:
        IllegalTransitionError: the table has no such row.
    """
    try:
        task.state = TRANSITIONS[task.state, cause]
    except KeyError:
        raise IllegalTransitionError(f"{task!r}: {cause} is illegal in state {task.state}") from None
