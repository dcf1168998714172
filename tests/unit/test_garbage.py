"""Garbage that has grown old is found, too."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest

from pangea.compute.node.service import garbage
from pangea.compute.node.service.garbage import Garbage


class Ring:
    """Something that holds itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(garbage, "_YOUNG_MAX", 500)
    monkeypatch.setattr(garbage, "_OLD_MIN", 2_000)
    gc.disable()
    yield
    gc.enable()


def grow(kept: list[list[int]], looking: Garbage, count: int) -> None:
    """Make things that stay, and look now and then."""
    for _ in range(count // 1_000):
        kept += [[] for _ in range(1_000)]
        looking.look()


def test_old_garbage_is_found_once_enough_has_become_old() -> None:
    ring = Ring()
    gone, kept = weakref.ref(ring), list[list[int]]()
    gc.collect()  # it is old now
    del ring
    looking = Garbage(is_resting=lambda: False)
    grow(kept, looking, 1_000)
    assert gone() is not None
    grow(kept, looking, 3_000)
    assert gone() is None


def test_a_node_at_work_looks_at_all_it_has_when_that_has_doubled_and_at_rest_when_it_has_grown_by_a_quarter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []

    def collect(generation: int = 2) -> int:
        if generation == 2:
            looks.append(len(kept))
        return 0

    kept: list[list[int]] = []
    monkeypatch.setattr(gc, "collect", collect)
    monkeypatch.setattr(gc, "get_objects", lambda: range(8_000))
    monkeypatch.setattr(gc, "get_count", lambda: (1_000, 0, 0))
    for is_resting, between in ((False, 9_000), (True, 3_000)):
        looks.clear()
        kept.clear()
        grow(kept, Garbage(partial(bool, is_resting)), 30_000)
        assert looks[0] == 3_000
        assert {later - earlier for earlier, later in pairwise(looks)} == {between}


def test_what_was_there_at_the_beginning_is_left_alone() -> None:
    before = gc.get_freeze_count()  # what tests are made of: thawed, it would be gone through by every test from here on
    garbage.begin()
    assert not gc.isenabled()
    assert gc.get_freeze_count() > before
