"""The life of a task: every row of the table, and nothing beside it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from pangea.compute.orchestrator.core.transitions import TRANSITIONS, Cause, IllegalTransitionError, TaskState, move

LIVE = [state for state in TaskState if state not in (TaskState.FAILED, TaskState.CANCELLED)]


@dataclass
class Thing:
    state: TaskState


@pytest.mark.parametrize(
    ("row", "after"), TRANSITIONS.items(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_row_of_the_table_is_what_happens(row: tuple[TaskState, Cause], after: TaskState) -> None:
    thing = Thing(row[0])
    move(thing, row[1])
    assert thing.state is after


def test_what_is_not_in_the_table_is_an_error_and_changes_nothing() -> None:
    for state, cause in itertools.product(TaskState, Cause):
        if (state, cause) not in TRANSITIONS:
            thing = Thing(state)
            with pytest.raises(IllegalTransitionError, match=f"{cause} is illegal in state {state}"):
                move(thing, cause)
            assert thing.state is state


def test_the_happy_path_is_the_one_that_the_mission_names() -> None:
    thing = Thing(TaskState.PENDING)
    for cause, state in (
        (Cause.DELEGATED, TaskState.ASSIGNED),
        (Cause.STARTED, TaskState.COMPUTING),
        (Cause.ANSWERED, TaskState.VERIFYING),
        (Cause.ACCEPTED, TaskState.COMPLETE),
    ):
        move(thing, cause)
        assert thing.state is state


def test_any_task_can_fail_or_be_dropped_and_nothing_follows() -> None:
    for state in LIVE:
        assert TRANSITIONS[state, Cause.REJECTED] is TaskState.FAILED
        assert TRANSITIONS[state, Cause.DROPPED] is TaskState.CANCELLED
    assert not [row for row in TRANSITIONS if row[0] not in LIVE]


def test_every_state_can_be_reached_from_pending_and_every_live_one_can_end() -> None:
    reached, new = {TaskState.PENDING}, {TaskState.PENDING}
    while new:
        new = {after for (before, _), after in TRANSITIONS.items() if before in new} - reached
        reached |= new
    assert reached == set(TaskState)


def test_nothing_is_complete_that_was_not_judged() -> None:
    assert {before for (before, _), after in TRANSITIONS.items() if after is TaskState.COMPLETE} == {TaskState.VERIFYING}


def test_only_the_owner_takes_back_what_is_complete() -> None:
    leaving = {cause: after for (before, cause), after in TRANSITIONS.items() if before is TaskState.COMPLETE}
    assert leaving == {
        Cause.DOUBTED: TaskState.VERIFYING,
        Cause.WITHDRAWN: TaskState.PENDING,
        Cause.REJECTED: TaskState.FAILED,
        Cause.DROPPED: TaskState.CANCELLED,
    }


def test_the_table_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[TaskState.FAILED, Cause.ACCEPTED] = TaskState.COMPLETE  # type: ignore[index]
