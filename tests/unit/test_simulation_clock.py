from __future__ import annotations

from pangea.compute.simulation.clock import Clock, Kind


def test_things_happen_in_the_order_of_their_times() -> None:
    clock = Clock()
    for when in (3.0, 1.0, 2.0):
        clock.plan(when, Kind.CALL, when, None)
    seen = []
    while (entry := clock.advance(10.0)) is not None:
        seen.append((clock.now, entry[3]))
    assert seen == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]


def test_things_of_one_instant_happen_in_the_order_they_were_planned() -> None:
    clock = Clock()
    for subject in range(100):  # what isn't comparable is never compared
        clock.plan(1.0, Kind.CALL, object() if subject % 2 else subject, subject)
    assert [entry[4] for entry in iter(lambda: clock.advance(1.0), None)] == list(range(100))


def test_time_stops_where_it_was_told_to() -> None:
    clock = Clock()
    clock.plan(5.0, Kind.CALL, None, None)
    assert clock.advance(2.0) is None
    assert clock.now == 2.0
    assert clock.advance(5.0) is not None


def test_what_lies_in_the_past_happens_now() -> None:
    clock = Clock()
    clock.advance(3.0)
    clock.plan(1.0, Kind.CALL, None, None)
    entry = clock.advance(3.0)
    assert entry is not None
    assert entry[0] == 3.0
