"""Each safeguard between nodes, taken out: a named test of the attack that it stops goes red.

The attacks are those of `test_peers`, `test_attaching` and `test_parents`, as they stand there; only their patience is shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PangeaError
from pangea.compute.network.peers import peering
from pangea.compute.network.rpc import rpc
from pangea.compute.node.storage import contents
from pangea.compute.node.tree import delegated as foreign
from pangea.compute.node.tree import peer_codec as codec
from pangea.compute.node.tree.membership import Membership
from pangea.compute.node.tree.neighbours import Neighbour, Neighbours
from pangea.compute.node.tree.peer_codec import PeerCodec
from pangea.compute.orchestrator.core.events import Relation
from pangea.compute.orchestrator.lifecycle import intake
from tests import deadlines, victims
from tests.hostile import test_attaching, test_parents, test_peers

Remove = Callable[[pytest.MonkeyPatch], None]
Attack = Callable[..., None]
PATIENCE = 2.0


class Whatever:
    """Equal to anything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


class NoHash:
    """A hash that fits whatever it is compared with."""

    def __init__(self, _data: Any) -> None:
        pass

    def digest(self) -> Any:
        return Whatever()


def setting(*patches: tuple[Any, str, Any]) -> Remove:
    def remove(patch: pytest.MonkeyPatch) -> None:
        for where, name, value in patches:
            patch.setattr(where, name, value)

    return remove


async def any_leaves(_body: Any, _packet: Any) -> Any:
    return Whatever()


def as_if(relation: Relation, method: str) -> Remove:
    """Whatever the neighbour is, it is taken for this."""
    original = getattr(Neighbour, method)

    def taken(self: Neighbour, said: Any) -> Any:
        self.relation = relation
        return original(self, said)

    return setting((Neighbour, method, taken))


def without_objection(word: str) -> Remove:
    """A family that doesn't mind one thing."""
    original = Membership._objection

    def objection(self: Membership, *about: Any) -> str:
        found = original(self, *about)
        return "" if word in found else found

    return setting((Membership, "_objection", objection))


def stays(self: Neighbours) -> None:
    self.on_moved()


def any_claim(self: PeerCodec, child: Any, number: int, result: Any) -> Any:
    attempt = self._core.core.attempts.get(number)
    return None if attempt is None else ORIGINAL_CLAIM(self, attempt.peer.id, number, result)


ORIGINAL_CLAIM = PeerCodec._claim
ORIGINAL_TAKE = PeerCodec._take
ORIGINAL_ANSWER = rpc.answer_of


async def take_anything(self: PeerCodec, child: Any, live: Any, packet: Any, result: Any, data: Any) -> None:
    live.spec = replace(live.spec, memory=1 << 50)
    await ORIGINAL_TAKE(self, child, live, packet, result, data)


async def no_deadline(promise: Any, _seconds: float) -> Any:
    return await ORIGINAL_ANSWER(promise, 1e6)


def whoever_has_it(self: PeerCodec, _peer: Any, name: bytes) -> Any:
    return next((owner for owner, known in self._contents._known if known == name), None)


def any_path(value: Any) -> Any:
    return tuple(value)


#: What is taken out; the attack that then succeeds, and with what it is played.
ABLATIONS: dict[str, tuple[Remove, Attack, dict[str, Any]]] = {
    "signatures": (
        setting((codec, "is_authentic", lambda *_: True)),
        test_peers.test_row_20_a_forged_answer_costs_its_bearer_the_link,
        {"make": test_peers.FORGERIES["more fuel"]},
    ),
    "signatures, of others": (
        setting((codec, "is_authentic", lambda *_: True)),
        test_peers.test_row_20_a_forged_answer_costs_its_bearer_the_link,
        {"make": test_peers.FORGERIES["another's name"]},
    ),
    "hashes of inputs": (
        setting((foreign, "sha256", NoHash)),
        test_parents.test_row_18_an_absurd_delegation_is_refused_with_a_typed_error,
        {"how": test_parents.ABSURD["other bytes than the hash says"]},
    ),
    "leaves of results": (
        setting((codec, "leaves_in", any_leaves), (codec, "root", lambda _: Whatever())),
        test_peers.test_row_19_results_that_are_not_what_was_signed_are_no_answer,
        {},
    ),
    "the number of results": (
        setting(
            (codec, "count_of", lambda _: Whatever()), (codec, "leaves_in", any_leaves), (codec, "root", lambda _: Whatever())
        ),
        test_peers.test_row_8_another_number_of_results_than_chunks_is_no_answer,
        {"count": 500},
    ),
    "the size of results": (
        setting((PeerCodec, "_take", take_anything)),
        test_peers.test_row_8_results_larger_than_any_guest_could_make_are_not_fetched,
        {},
    ),
    "tasks come from parents": (
        as_if(Relation.PARENT, "told"),
        test_attaching.test_tasks_come_from_parents_and_answers_from_children_only,
        {},
    ),
    "answers come from children": (
        as_if(Relation.CHILD, "answered"),
        test_parents.test_what_only_children_say_means_nothing_from_a_parent,
        {},
    ),
    "what stands below is said by children": (
        as_if(Relation.CHILD, "told_below"),
        test_parents.test_what_only_children_say_means_nothing_from_a_parent,
        {},
    ),
    "admission, in the handshake": (
        setting((Membership, "welcomes", lambda *_: True)),
        test_attaching.test_a_stranger_that_is_not_admitted_is_refused_in_the_handshake,
        {},
    ),
    "admission, of children": (
        without_objection("may not work"),
        test_attaching.test_who_may_submit_may_not_therefore_work,
        {},
    ),
    "bans, in the handshake": (
        setting((Membership, "welcomes", Membership.admits)),
        test_attaching.test_who_is_banned_is_refused_in_the_handshake_and_a_pardon_lets_it_in,
        {},
    ),
    "bans, of children": (
        without_objection("banned"),
        test_attaching.test_who_was_banned_since_its_handshake_can_not_attach,
        {},
    ),
    "the most children": (
        setting((Membership, "_no_place", lambda _self, _peer: "")),
        test_attaching.test_a_node_takes_only_so_many_children,
        {},
    ),
    "places for those that work": (
        setting((Membership, "_no_place", lambda family, _peer: "full" * (len(family._driver.neighbours.children) >= 3))),
        test_attaching.test_who_has_done_nothing_gives_its_place_to_who_asks_for_it,
        {},
    ),
    "the deepest tree": (
        without_objection("deeper"),
        test_attaching.test_row_18_a_child_on_top_of_too_deep_a_tree_is_refused,
        {},
    ),
    "loops of links": (
        setting((Neighbours, "moved", stays)),
        test_parents.test_row_18_a_parent_that_turns_out_to_be_below_is_left,
        {"path": test_parents.PATHS[0]},
    ),
    "loops of work": (
        setting((intake, "_objection", lambda *_: "")),
        test_parents.test_row_18_a_loop_or_a_bomb_is_refused_task_by_task_and_leaves_nothing,
        {"budget": test_parents.LOOPS["the node is the owner"]},
    ),
    "paths of a size": (
        setting((peering, "path_of", any_path)),
        test_peers.test_row_9_notes_of_nonsense_are_refused_with_a_typed_error,
        {"text": test_peers.NONSENSE["a path of absurd size"]},
    ),
    "crowds of a size": (
        setting((peering, "places_of", any_path)),
        test_peers.test_row_9_notes_of_nonsense_are_refused_with_a_typed_error,
        {"text": test_peers.NONSENSE["a crowd of absurd size"]},
    ),
    "contents of a size": (
        setting((foreign, "CONTENT_BYTES_MAX", 1 << 50), (contents, "CONTENT_BYTES_MAX", 1 << 50)),
        test_parents.test_row_18_an_absurd_delegation_is_refused_with_a_typed_error,
        {"how": test_parents.ABSURD["an input larger than any"]},
    ),
    "blocks of a size": (
        setting((peering, "BLOCK_BYTES", 1 << 40)),
        test_peers.test_content_that_was_named_to_a_child_is_given_and_nothing_beyond_its_end,
        {},
    ),
    "room that is taken as bytes come": (
        setting((contents, "room_for", lambda size: memoryview(bytearray(min(size, 200 << 20))))),
        test_parents.test_row_8_inputs_of_gigabytes_that_are_only_said_take_no_memory,
        {},
    ),
    "whom content was named to": (
        setting((PeerCodec, "owner_for", whoever_has_it)),
        test_peers.test_row_12_content_that_was_never_named_to_a_child_is_not_given,
        {},
    ),
    "whose attempt it is": (
        setting((PeerCodec, "_claim", any_claim)),
        test_peers.test_row_20_an_answer_to_a_task_that_was_another_s_changes_nothing,
        {},
    ),
    "messages that wait": (
        setting((test_peers, "OUTBOX", 1 << 40)),
        test_peers.test_row_10_a_child_that_takes_nothing_has_only_so_much_kept_for_it,
        {},
    ),
    "time for calls": (
        setting((rpc, "answer_of", no_deadline)),
        test_peers.test_row_10_who_never_answers_is_hung_up_on,
        {},
    ),
    "a parent's time for calls": (
        setting((rpc, "answer_of", no_deadline)),
        test_parents.test_row_10_a_parent_that_never_answers_is_left,
        {},
    ),
}

#: Here the attack succeeds by something that doesn't happen, which takes seconds to see.
PATIENT = {
    *("room that is taken as bytes come", "time for calls", "a parent's time for calls", "loops of links"),
    *("whose attempt it is", "the number of results", "the size of results", "leaves of results"),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What doesn't happen is waited for less long than in the tests themselves."""
    shorter = partial(deadlines.comes_true, seconds=PATIENCE)
    for where in (test_peers, test_attaching, test_parents, victims):
        monkeypatch.setattr(where, "comes_true", shorter, raising=False)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("remove", "attack", "given"),
    [pytest.param(*each, marks=[pytest.mark.long] if name in PATIENT else [], id=name) for name, each in ABLATIONS.items()],
)
def test_without_it_the_attack_succeeds(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, remove: Remove, attack: Attack, given: dict[str, Any]
) -> None:
    module = test_parents if attack.__module__ == test_parents.__name__ else test_peers
    play = module.player(tmp_path, engine)
    if "monkeypatch" in attack.__code__.co_varnames[: attack.__code__.co_argcount]:
        given = {**given, "monkeypatch": monkeypatch}
    remove(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, PangeaError)):
        attack(play, **given)
