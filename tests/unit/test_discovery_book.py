"""Whom a node keeps in mind, and whom it forgets first."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from pangea.compute.network.discovery.book import Book, Nearness
from pangea.compute.network.discovery.records import Advertisement, Statement

STALE = 100.0


def said(peer: str, at: int = 1, site: str = "") -> Statement:
    return Statement(
        peer=peer, at=at, hosts=(), speaks_dht=False, advertisement=Advertisement(site=site), text=f"{peer} {at}", signature=""
    )


def book(*, entries: int = 8, per_source: int = 4, bootstrap: Iterable[str] = ()) -> Book:
    return Book("own", frozenset(bootstrap), entries_max=entries, per_source_max=per_source, stale_seconds=STALE)


def peers(kept: Book) -> list[str]:
    return [entry.statement.peer for entry in kept.entries()]


def test_peers_come_latest_heard_first_each_once() -> None:
    kept = book()
    assert kept.meet(said("a"), now=1.0, is_visit=True)
    assert kept.hear(said("b"), source="a", age=3.0, now=5.0)
    assert not kept.meet(said("a", at=2), now=4.0, is_visit=True)  # nothing new in it but the time
    assert peers(kept) == ["a", "b"]


def test_a_node_doesnt_keep_itself() -> None:
    kept = book()
    assert not kept.meet(said("own"), now=1.0, is_visit=False)
    assert not kept.hear(said("own"), source="a", age=0.0, now=1.0)
    assert len(kept) == 0


def test_the_later_statement_counts_whoever_tells_it() -> None:
    kept = book()
    kept.hear(said("b", at=5, site="new"), source="a", age=1.0, now=10.0)
    assert not kept.hear(said("b", at=4, site="old"), source="c", age=0.0, now=11.0)
    assert kept.get("b").statement.advertisement.site == "new"  # type: ignore[union-attr]
    assert kept.hear(said("b", at=6, site="newer"), source="c", age=9.0, now=12.0)
    assert kept.get("b").statement.advertisement.site == "newer"  # type: ignore[union-attr]


def test_what_a_peer_says_itself_beats_hearsay_even_if_its_clock_was_set_back() -> None:
    kept = book()
    kept.hear(said("b", at=5, site="hearsay"), source="a", age=1.0, now=10.0)
    assert kept.meet(said("b", at=2, site="itself"), now=11.0, is_visit=True)
    assert not kept.hear(said("b", at=5, site="hearsay"), source="a", age=3.0, now=12.0)
    assert kept.get("b").statement.advertisement.site == "itself"  # type: ignore[union-attr]
    assert kept.hear(said("b", at=6, site="moved"), source="a", age=0.5, now=13.0)  # said to another, after we met
    assert kept.get("b").statement.advertisement.site == "moved"  # type: ignore[union-attr]


def test_who_isnt_spoken_to_is_forgotten_in_time_and_not_revived_by_old_news() -> None:
    kept = book()
    kept.meet(said("a"), now=0.0, is_visit=True)
    kept.forget_stale(STALE - 1)
    assert peers(kept) == ["a"]
    kept.forget_stale(STALE)
    assert peers(kept) == []
    assert not kept.hear(said("a"), source="b", age=STALE, now=STALE)
    assert peers(kept) == []


def test_one_source_takes_only_its_share_and_displaces_only_what_it_told() -> None:
    kept = book(entries=100, per_source=4)
    kept.hear(said("other"), source="b", age=50.0, now=50.0)
    for number in range(50):
        kept.hear(said(f"fake {number}"), source="a", age=0.0, now=50.0 + number)
    assert set(peers(kept)) == {"other", *(f"fake {number}" for number in range(46, 50))}


def test_when_full_hearsay_goes_first_then_who_came_by_itself() -> None:
    kept = book(entries=3, per_source=100, bootstrap={"start"})
    kept.meet(said("start"), now=0.0, is_visit=False)
    kept.meet(said("visited"), now=1.0, is_visit=True)
    kept.hear(said("rumour"), source="visited", age=0.0, now=2.0)
    for number in range(50):  # a crowd of identities of one stranger
        kept.meet(said(f"came {number}"), now=3.0 + number, is_visit=False)
    assert set(peers(kept)) == {"start", "visited", "came 49"}
    assert kept.get("start").nearness == Nearness.BOOTSTRAP  # type: ignore[union-attr]


def test_who_was_visited_once_stays_so() -> None:
    kept = book()
    kept.meet(said("a"), now=0.0, is_visit=True)
    kept.meet(said("a", at=2), now=1.0, is_visit=False)
    assert kept.get("a").nearness == Nearness.VISITED  # type: ignore[union-attr]


def test_only_who_was_met_is_told_of_and_never_to_itself() -> None:
    kept = book(entries=100)
    kept.hear(said("rumour"), source="a", age=0.0, now=60.0)
    for number in range(40):
        kept.meet(said(f"met {number:02}"), now=float(number), is_visit=True)
    told = [entry.statement.peer for entry in kept.tell("met 39", 10, Random(1))]
    assert told[:5] == ["met 38", "met 37", "met 36", "met 35", "met 34"]
    assert len(set(told)) == 10
    assert not {"rumour", "met 39"} & set(told)
