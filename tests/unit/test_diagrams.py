"""docs/lifecycle.md is what the code makes of itself now, and leaves nothing out."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import get_args

import pytest
from docs.make_diagrams import PAGE, SCENES, Scene, initial_state, meanings, names_in, page, sequence, state_diagram

from pangea.compute.model.ids import PeerId
from pangea.compute.orchestrator.core.messages import Message
from pangea.compute.orchestrator.core.transitions import TRANSITIONS, Cause, TaskState


def test_the_page_is_what_the_code_makes_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/lifecycle.md is out of date: run `make docs`"


def test_the_diagram_shows_every_row_of_the_table_and_no_other() -> None:
    drawn = set()
    live = {state for state, _ in TRANSITIONS}
    for source, target, causes in re.findall(r"(\w+) --> (\w+): (.+)", "\n".join(state_diagram())):
        states = live if source == "live" else {TaskState(source)}
        drawn |= {(state, Cause(cause), TaskState(target)) for state in states for cause in causes.split(", ")}
    assert drawn == {(state, cause, after) for (state, cause), after in TRANSITIONS.items()}
    assert f"[*] --> {initial_state()}" in "\n".join(state_diagram())


def test_every_message_is_said_in_some_scene() -> None:
    said = {name for play in SCENES.values() for name in names_in(play().lines)}
    assert said >= {kind.__name__ for kind in get_args(Message)}


@pytest.mark.parametrize("title", SCENES)
def test_scenes_play_the_same_each_time(title: str) -> None:
    assert list(sequence(SCENES[title]().lines)) == list(sequence(SCENES[title]().lines))


class Weather(StrEnum):
    SUN = "sun"
    RAIN = "rain"
    "it is wet"
    SNOW = "snow"


def test_meanings_are_the_strings_below_the_names() -> None:
    assert meanings(Weather) == {"RAIN": "it is wet"}
    assert meanings(Cause)


def test_what_is_sent_to_a_node_without_power_is_drawn_as_lost() -> None:
    scene = Scene({"worker": "owner"})
    scene.gone.add(PeerId("worker"))
    scene.submit(1)
    scene.passes(1.0)
    assert "    owner-xworker: Delegate: task 0" in list(sequence(scene.lines))
