"""Lies of real nodes: what each kind makes of an outcome or of its children's answers, and who may have them at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from pangea.compute.cli.config import settings
from pangea.compute.data.array import Array
from pangea.compute.engine.task import Guest, Task
from pangea.compute.model import frames
from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.model.ids import Function, PeerId, TaskId
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.node.storage.contents import Contents
from pangea.compute.testing import byzantine as liars
from pangea.compute.testing.byzantine import Liar, WithholdingContents, altered
from pangea.compute.testing.sabotage import KINDS, Sabotage, missing_of, setting

ME, OTHER = PeerId("me"), PeerId("other")
FUEL = 1_000


def task(*chunks: bytes, function: Function = "execute") -> Task:
    return Task(Guest("0" * 64, b"", Limits()), function, len(chunks), [frames.pack(chunks)])


async def honest(given: Task) -> Outcome:
    """Gives each chunk back; merge joins them."""
    chunks = list(frames.unpack(b"".join(given.parts)))
    results = chunks if given.function == "execute" else [b"".join(chunks)]
    return Finished(results=frames.pack(results), fuel=FUEL, seconds=0.001)


def liar(kind: str, number: float | None = None, seed: int = 7) -> Liar:
    return liars._LIARS[kind](KINDS[kind].number if number is None else number, Random(seed))


def says(one: Liar, given: Task) -> Outcome:
    return asyncio.run(one.execute(given, honest))


def results(outcome: Outcome) -> list[bytes]:
    assert isinstance(outcome, Finished)
    return list(frames.unpack(outcome.results))


def test_a_kind_is_written_with_its_number_or_without() -> None:
    assert Sabotage.parse("random") == Sabotage("random", 0.3)
    assert Sabotage.parse("random:0.5") == Sabotage("random", 0.5)
    assert Sabotage.parse("slow") == Sabotage("slow", 4.0)
    assert set(KINDS) == set(liars._LIARS)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("randm", "'randm' is no kind of sabotage", "did you mean 'random'?"),
        ("xyzzy", "is no kind", "there are random"),
        ("random:", "is no kind", ""),
        ("random:2", "share of tasks in 'random:2' is 2; it must be 0 to 1", ""),
        ("slow:0.5", "factor in 'slow:0.5' is 0.5; it must be 1 to 1000", ""),
    ],
)
def test_what_is_none_is_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as bad:
        settings({"sabotage": text}, None)
    assert hint in bad.value.hint


def test_where_nobody_develops_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting("random") == "random", "here somebody does"
    folder = tmp_path / "pangea_compute-9.dist-info"
    folder.mkdir()
    needs = "Requires-Dist: capable>=1; extra == 'node'\nRequires-Dist: never-heard-of-it[all]>=2; extra == 'dev'\n"
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pangea-compute\nVersion: 9\n{needs}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="never-heard-of-it of the extra `dev` is not installed") as refused:
        settings({"sabotage": "random"}, None)
    assert "pip install" in refused.value.hint
    assert settings({"sabotage": ""}, None)[0].sabotage == ""
    assert missing_of("dev", "no-such-distribution") == ["no-such-distribution"]
    assert missing_of("unheard-of") == ["pangea-compute[unheard-of]"]


def test_a_random_lie_is_one_result_changed() -> None:
    chunks = [b"%d" % number for number in range(5)]
    assert results(says(liar("random", 0.0), task(*chunks))) == chunks
    told = results(says(liar("random", 1.0), task(*chunks)))
    assert sum(ours != theirs for ours, theirs in zip(told, chunks, strict=True)) == 1
    assert all(each.isdigit() for each in told), "merge takes it"


def test_an_altered_result_is_another_one() -> None:
    for result in (b"", b"\x00", b"9", b"a1"):
        outcome = Finished(results=frames.pack([result]), fuel=1, seconds=1.0)
        (changed,) = results(altered(outcome, 3))
        assert changed != result
    nothing = Finished(results=frames.pack([]), fuel=1, seconds=1.0)
    assert altered(nothing, 3) == nothing


def test_who_is_lazy_gives_as_many_results_as_are_wanted_and_the_usual_fuel() -> None:
    lazy = liar("lazy", 0.0)
    says(lazy, task(b"1", b"2"))
    lazy.number = 1.0
    outcome = says(lazy, task(b"7", b"8", b"9"))
    assert results(outcome) == [b"1", b"2", b"1"]
    assert isinstance(outcome, Finished)
    assert outcome.fuel == 3 * FUEL // 2
    assert results(says(liar("lazy", 1.0), task(b"7"))) == [b""]
    assert len(results(says(lazy, task(b"7", b"8", function="merge")))) == 1


def test_the_constant_answer_is_the_same_for_all() -> None:
    assert results(says(liar("constant"), task(b"1", b"2"))) == results(says(liar("constant"), task(b"3", b"4")))


def test_a_sleeper_is_honest_for_eight_tasks() -> None:
    sleeper = liar("sleeper")
    told = [results(says(sleeper, task(b"1"))) for _ in range(10)]
    assert told[:8] == [[b"1"]] * 8
    assert all(each != [b"1"] for each in told[8:])


def test_a_clique_agrees_on_what_and_how_it_lies() -> None:
    tasks = [task(b"%d" % number, b"x") for number in range(200)]
    told = [[says(one, each) for each in tasks] for one in (liar("clique", seed=1), liar("clique", seed=2))]
    assert told[0] == told[1]
    lies = sum(results(ours) != [b"%d" % number, b"x"] for number, ours in enumerate(told[0]))
    assert 30 < lies < 90


def test_a_sybil_leaves_after_five_lies() -> None:
    gone: list[bool] = []
    sybil = liar("sybil", 1.0)
    assert isinstance(sybil, liars.Sybil)
    sybil.come_back = lambda: gone.append(True)
    for number in range(5):
        assert gone == []
        says(sybil, task(b"%d" % number))
    assert gone == [True]


@pytest.mark.parametrize(("kind", "fuel"), [("underreporter", FUEL // 2), ("overreporter", FUEL * 2)])
def test_a_wrong_bill_comes_with_the_right_results(kind: str, fuel: int) -> None:
    outcome = says(liar(kind, 1.0), task(b"1"))
    assert isinstance(outcome, Finished)
    assert (results(outcome), outcome.fuel) == ([b"1"], fuel)


def test_an_accuser_blames_the_job() -> None:
    outcome = says(liar("accuser", 1.0), task(b"1"))
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.GUEST_ERROR


def test_a_merger_lies_about_merges_only() -> None:
    assert results(says(liar("merger"), task(b"1", b"2"))) == [b"1", b"2"]
    assert results(says(liar("merger"), task(b"1", b"2", function="merge"))) == [b"13"]


def test_a_drifter_moves_floats_and_nothing_else() -> None:
    numbers = Array.of([1.0, -2.0], "float32")
    moved = results(says(liar("drifter", 3.0), task(numbers.to_npy(), b"1")))
    assert moved[1] == b"1"
    for found, true in zip(Array.from_npy(moved[0]).tolist(), (1.0, -2.0), strict=True):
        assert Tolerance(ulp=3).is_same(found, true)
        assert not Tolerance(ulp=2).is_same(found, true)


def test_slow_is_honest_and_says_how_long_it_took() -> None:
    outcome = says(liar("slow", 5.0), task(b"1"))
    assert outcome == Finished(results=frames.pack([b"1"]), fuel=FUEL, seconds=0.005)


def answer(worker: PeerId, status: TaskStatus = TaskStatus.DONE) -> tuple[int, TaskResult]:
    return 1, TaskResult(task_id=TaskId("job:0"), status=status, worker=worker, digest=b"d" * 32, signature=b"theirs")


def test_managers_drop_tamper_and_copy_what_is_not_theirs() -> None:
    own, others = answer(ME), answer(OTHER)
    assert liar("dropper", 1.0).relay((own, others), ME) == (own,)
    kept, forged = liar("tamperer", 1.0).relay((own, others), ME)
    assert kept == own
    assert (forged[1].digest != others[1].digest, forged[1].signature) == (True, b"theirs")
    for status in (TaskStatus.DONE, TaskStatus.COMMITTED):
        (copied,) = liar("copier").relay((answer(OTHER, status),), ME)
        assert (copied[1].worker, copied[1].digest, copied[1].signature) == (ME, others[1].digest, b"")
    refused = answer(OTHER, TaskStatus.REFUSED)
    assert liar("copier").relay((refused,), ME) == (refused,)
    for kind in ("dropper", "tamperer", "copier"):
        assert liar(kind, 0.0).relay((own, others), ME) == (own, others)


def test_withheld_bytes_are_refused_or_wrong_and_the_rest_is_given() -> None:
    async def never(*_: object) -> bytes:
        raise AssertionError("nothing is fetched")

    honestly = Contents(never)
    names = {number: bytes([number]) * 32 for number in range(3)}
    for name in names.values():
        honestly.put("job", name, b"content")
    contents = WithholdingContents(honestly, {names[0], names[1]})
    assert asyncio.run(contents.block("job", names[1], 0, 7)) == bytes(7)
    with pytest.raises(UnavailableError):
        asyncio.run(contents.block("job", names[0], 0, 7))
    assert asyncio.run(contents.block("job", names[2], 0, 7)) == b"content"
