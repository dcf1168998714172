"""How a node has its log witnessed by its neighbours, and what it finds out of them; and how it answers as a witness."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pangea.compute.model.errors import PangeaError, PeerError, QuotaError, UnavailableError, UnverifiedError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.identity import is_signed_by
from pangea.compute.node.storage import witnessed as witnessed_module
from pangea.compute.node.storage.cosigned import Cosigned
from pangea.compute.node.storage.witnessed import Witnessed
from pangea.compute.node.tree.cosigning import Cosigning
from pangea.compute.node.tree.witnessing import BURST, PACE_SECONDS, Witnessing
from pangea.compute.verification.log_proof import GROWTH_BYTES_MAX, Growth, Story
from tests.fakes import clock
from tests.signing import identity
from tests.unit.test_receipt_log import NOW, OWNER, checkpoint_of, entry, growth, log_in

Answer = Callable[[str], tuple[str, int]]


class Owner:
    """A node with a log, and neighbours that answer as they are told to."""

    def __init__(self, folder: Path, random: Random | None = None) -> None:
        self.folder = folder
        self.log = log_in(folder)
        self.answers: dict[int, Answer] = {}
        self.answers_in = 0.0
        self.asked: list[tuple[int, Growth]] = []
        self.cosigning = Cosigning(folder / "log", cast(Any, self), is_signed_by, random or Never())
        self.me = PeerId(OWNER.peer_id)

    def __iter__(self) -> Any:
        return iter([SimpleNamespace(peer=PeerId(identity(number).peer_id), link=self._link(number)) for number in self.answers])

    def find(self, peer: PeerId) -> Any:
        return next((each for each in self if each.peer == peer), None)

    def _link(self, number: int) -> Any:
        async def cosign(text: str) -> tuple[str, int]:
            self.asked.append((number, Growth.parse(text)))
            if self.answers_in:
                await clock.passes(self.answers_in)
            return self.answers[number](text)

        return SimpleNamespace(cosign=cosign)

    def honest(self, number: int) -> Answer:
        """A real witness's answers, from memory of its own."""
        who = identity(number)
        witnessing = Witnessed(self.folder / f"w{number}", who.peer_id, who.sign, is_signed_by)
        (self.folder / f"w{number}").mkdir()

        def answer(text: str) -> tuple[str, int]:
            shown = Growth.parse(text)
            if shown.old != (last := witnessing.last(OWNER.peer_id).size):
                return "", last
            return witnessing.cosign(shown, NOW).signatures[-1].line(), shown.checkpoint.size

        return answer

    def rounds(self, count: int = 1) -> None:
        async def work() -> None:
            for _ in range(count):
                await self.cosigning.ask_all()

        asyncio.run(work())

    def witnesses(self) -> set[str]:
        """Of the best checkpoint."""
        best = Cosigned(self.folder / "log").best()
        return set(best[0].witnesses(is_signed_by)) if best else set()

    def record(self, number: int) -> Any:
        return self.cosigning.record(PeerId(identity(number).peer_id))


class Never(Random):
    """Plants nothing."""

    def random(self) -> float:
        return 1.0


class Always(Random):
    """Plants wherever that can be."""

    def random(self) -> float:
        return 0.0


def test_each_neighbour_signs_what_the_log_has_grown_to_once(tmp_path: Path) -> None:
    on = Owner(tmp_path)
    on.answers = {1: on.honest(1), 2: on.honest(2)}
    on.rounds()
    assert on.asked == [], "there is nothing to witness yet"
    on.log.add([entry(0), entry(1)])
    on.rounds(3)
    assert [(number, shown.old) for number, shown in on.asked] == [(1, 0), (2, 0)]
    on.log.add([entry(2)])
    on.rounds(2)
    assert [(number, shown.old) for number, shown in on.asked[2:]] == [(1, 2), (2, 2)]
    assert on.witnesses() == {identity(1).peer_id, identity(2).peer_id}
    assert [path.name for path in (tmp_path / "log" / "cosigned").iterdir()] == ["3"], "the earlier one says no more"


def test_who_has_signed_before_is_asked_from_there_on(tmp_path: Path) -> None:
    on = Owner(tmp_path)
    on.log.add([entry(0), entry(1)])
    on.answers = {1: on.honest(1)}
    on.rounds()
    again = Owner(tmp_path)  # as after a restart
    again.log.add([entry(2)])
    again.answers = on.answers
    again.rounds(2)
    assert [shown.old for _, shown in again.asked] == [0, 2]
    assert again.record(1)["signed_entries"] == 3


def test_who_signs_whatever_it_is_shown_is_found_and_its_signatures_go(tmp_path: Path) -> None:
    on = Owner(tmp_path, Always())
    blind = identity(2)

    def stamp(text: str) -> tuple[str, int]:
        shown = Growth.parse(text).checkpoint
        return shown.cosigned(blind.peer_id, NOW, blind.sign).signatures[-1].line(), shown.size

    on.answers = {1: on.honest(1), 2: stamp}
    on.log.add([entry(0), entry(1)])
    on.rounds()
    assert on.witnesses() == {identity(1).peer_id, blind.peer_id}, "from nothing on there is no proof to be wrong"
    on.log.add([entry(2)])
    on.rounds()
    assert on.witnesses() == {identity(1).peer_id}
    assert on.record(2) == {"signed_entries": 2, "planted": 1, "refused": 0, "looks": False}
    assert on.record(1) == {"signed_entries": 2, "planted": 1, "refused": 1, "looks": True}
    on.asked.clear()
    on.cosigning._random = Never()
    on.rounds(2)
    assert [number for number, _ in on.asked] == [1], "who looks gets the right proof next, who doesn't is asked no more"
    assert on.record(1)["signed_entries"] == 3
    assert Cosigned(tmp_path / "log").blind() == [blind.peer_id], "that outlives the node"


def test_a_share_of_the_proofs_is_wrong_and_finds_who_does_not_look_in_time(tmp_path: Path) -> None:
    """One in four: of a hundred who never look none is missed in 40 growths (0.75^40 is one in 100,000)."""
    growths: list[int] = []
    for seed in range(8):
        (tmp_path / f"{seed}").mkdir()
        on = Owner(tmp_path / f"{seed}", Random(seed))

        def stamp(text: str) -> tuple[str, int]:
            shown = Growth.parse(text).checkpoint
            return shown.cosigned(identity(2).peer_id, NOW, identity(2).sign).signatures[-1].line(), shown.size

        on.answers = {2: stamp}
        for number in range(41):
            on.log.add([entry(number)])
            on.rounds()
            if not on.record(2)["looks"]:
                growths.append(number)
                break
    assert len(growths) == 8
    assert sum(growths) / len(growths) < 8


def test_what_a_witness_says_of_this_log_is_checked(tmp_path: Path) -> None:
    on = Owner(tmp_path)
    on.log.add([entry(0), entry(1)])
    of_another = checkpoint_of(1).cosigned(identity(1).peer_id, NOW, identity(1).sign).signatures[-1].line()
    theirs = checkpoint_of(2).cosigned(identity(2).peer_id, NOW, identity(2).sign).signatures[-1].line()
    lies: list[Answer] = [
        lambda _text: (of_another, 2),
        lambda _text: (theirs, 2),
        lambda _text: ("nonsense", 2),
        lambda _text: ("", 9),
        lambda _text: ("", 0),
    ]
    for lie in lies:
        on.cosigning._witnesses.clear()
        on.answers = {1: lie}
        on.asked.clear()
        on.rounds(5)
        assert len(on.asked) == 1, "it isn't asked again at once"
        assert on.witnesses() == set()


def test_who_does_not_answer_keeps_nobody_waiting(tmp_path: Path) -> None:
    def gone(_text: str) -> tuple[str, int]:
        raise UnavailableError("it is gone", retry=True)

    def busy(_text: str) -> tuple[str, int]:
        raise QuotaError("not now", retry=True)

    on = Owner(tmp_path)
    on.answers = {1: gone, 2: busy, 3: on.honest(3)}
    on.log.add([entry(0)])
    on.rounds(3)
    assert [number for number, _ in on.asked] == [1, 2, 3, 2, 2]
    assert on.witnesses() == {identity(3).peer_id}


def test_a_slow_witness_has_nobody_asked_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    on = Owner(tmp_path)
    on.answers, on.answers_in = {1: on.honest(1)}, 3.0

    async def scene() -> None:
        asking = asyncio.create_task(on.cosigning.run())
        for number in range(3):
            on.log.add([entry(number)])
            await clock.passes(10.0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    clock.run(scene())
    assert [shown.checkpoint.size for _, shown in on.asked] == [1, 2, 3], "only what proofs cost makes looks rarer"


def test_the_best_checkpoint_has_most_witnesses(tmp_path: Path) -> None:
    kept = Cosigned(tmp_path)

    def signed(count: int, *by: int) -> None:
        for number in by:
            kept.keep(checkpoint_of(count).cosigned(identity(number).peer_id, NOW, identity(number).sign))

    signed(2, 1, 2)
    signed(5, 1)
    assert [(each.size, len(each.witnesses(is_signed_by))) for each in kept.best()] == [(2, 2), (5, 1)]
    assert [each.size for each in kept.best(3)] == [5]
    signed(5, 3)
    assert [each.size for each in kept.best()] == [5, 2], "1 and 2 speak for another than 1 and 3"
    signed(7, 1, 2)
    assert [each.size for each in kept.all()] == [5, 7]
    kept.drop(identity(1).peer_id)
    assert [(each.size, [*each.witnesses(is_signed_by)]) for each in kept.all()] == [
        (5, [identity(3).peer_id]),
        (7, [identity(2).peer_id]),
    ]


# As a witness


def witnessing(folder: Path, clock: Callable[[], float] = lambda: 0.0) -> Witnessing:
    who = identity(1)
    return Witnessing(Witnessed(folder, who.peer_id, who.sign, is_signed_by), monotonic=clock)


def ask(by: Witnessing, text: str, peer: str = OWNER.peer_id) -> tuple[str, int]:
    return asyncio.run(by.cosign(PeerId(peer), text))


def test_a_witness_answers_its_neighbour_about_its_own_log(tmp_path: Path) -> None:
    by = witnessing(tmp_path)
    line, size = ask(by, growth(0, 3).text())
    assert (line.startswith("\u2014 pangea-compute/witness/"), size) == (True, 3)
    assert ask(by, growth(0, 5).text()) == ("", 3)
    with pytest.raises(PeerError, match="its own log"):
        ask(by, growth(3, 5).text(), identity(2).peer_id)
    with pytest.raises(UnverifiedError, match="can't be read"):
        ask(by, "old 3")
    with pytest.raises(UnverifiedError, match="at most"):
        ask(by, "old " + "3" * GROWTH_BYTES_MAX)


def test_a_log_that_forks_or_goes_back_is_named_with_its_two_checkpoints(tmp_path: Path) -> None:
    by, kept = witnessing(tmp_path), Witnessed(tmp_path, "", lambda _: b"", is_signed_by)
    ask(by, growth(0, 5).text())
    with pytest.raises(UnverifiedError, match="went back"):
        ask(by, growth(0, 3).text())
    (account,) = kept.accounts()
    assert (account.story, account.signed.size, account.shown) == (Story.BACK, 5, checkpoint_of(3))
    assert ask(by, growth(5, 6).text())[1] == 6, "it has shown what was signed, and more"
    assert kept.accounts()[0].story is None
    forged = Growth(old=6, proof=growth(6, 8).proof[::-1], checkpoint=checkpoint_of(8))
    with pytest.raises(UnverifiedError, match="two stories"):
        ask(by, forged.text())
    assert kept.accounts()[0].story is Story.OPEN, "the proof may have been wrong, and not the log"
    other = checkpoint_of(6, peer=0).__class__(peer=OWNER.peer_id, size=6, root=bytes(32)).signed(OWNER.sign)
    with pytest.raises(UnverifiedError, match="two stories"):
        ask(by, Growth(old=6, proof=(), checkpoint=other).text())
    assert kept.accounts()[0].story is Story.TWO
    with pytest.raises(UnverifiedError, match="signs nothing of it any more"):
        ask(by, growth(6, 9).text())
    signed, shown = kept.paths(OWNER.peer_id)
    assert signed.is_file()
    assert shown.is_file()


def test_nobody_else_can_speak_against_a_log(tmp_path: Path) -> None:
    """What the log hasn't signed is nothing of its."""
    by, kept = witnessing(tmp_path), Witnessed(tmp_path, "", lambda _: b"", is_signed_by)
    ask(by, growth(0, 5).text())
    forged = checkpoint_of(5).__class__(peer=OWNER.peer_id, size=5, root=bytes(32)).signed(identity(3).sign)
    with pytest.raises(UnverifiedError, match="didn't sign"):
        ask(by, Growth(old=5, proof=(), checkpoint=forged).text())
    assert kept.accounts()[0].shown is None


def test_a_neighbour_asks_so_often_and_no_more(tmp_path: Path) -> None:
    now = [0.0]
    by = witnessing(tmp_path, lambda: now[0])

    def is_heard(peer: int = 0) -> bool:
        try:
            ask(by, "old 0", identity(peer).peer_id)
        except QuotaError:
            return False
        except PangeaError:
            return True
        raise AssertionError("it isn't a proof")

    assert [is_heard() for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert is_heard(2), "another isn't held up"
    now[0] = PACE_SECONDS
    assert [is_heard() for _ in range(2)] == [True, False]


def test_a_witness_keeps_an_eye_on_so_many_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnessed_module, "LOGS_MAX", 1)
    by = witnessing(tmp_path)
    ask(by, growth(0, 2).text())
    theirs = Growth(old=0, proof=(), checkpoint=checkpoint_of(2, peer=2))
    with pytest.raises(QuotaError, match="of no more"):
        ask(by, theirs.text(), identity(2).peer_id)
    assert ask(by, growth(2, 3).text())[1] == 3
