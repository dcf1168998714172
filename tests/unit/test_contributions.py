"""What a machine has done for whom: exact sums, over restarts, for any number of strangers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pangea.compute.cli import node as command
from pangea.compute.cli.shapes import SHAPES
from pangea.compute.dashboard.donating import donating
from pangea.compute.model.ids import PeerId
from pangea.compute.node.tree.contributions import NAMED_MAX, Contributions, Work
from tests.fakes.source import CENSUS, FakeSource
from tests.pages import Tags, get

ANNA, BEN, VIA = PeerId("12D3KooWAnna"), PeerId("12D3KooWBen"), PeerId("12D3KooWVia")


def account(file: Path, now: float = 1_000.0) -> Contributions:
    return Contributions(file, clock=lambda: now)


def test_work_is_added_up_for_whom_it_was_done(tmp_path: Path) -> None:
    on = account(tmp_path / "c")
    on.add(ANNA, VIA, "primes", Work(tasks=1, fuel=10, seconds=2.0, bytes_in=5, bytes_out=3))
    on.add(ANNA, ANNA, "words" * 99, Work(tasks=1, fuel=30, seconds=1.5, bytes_in=5, bytes_out=3))
    on.add(BEN, BEN, "sums", Work(failed=1, seconds=9.0))
    told = on.record()
    assert [(row["owner"], row["tasks"], row["failed"], row["fuel"], row["seconds"]) for row in told["worked_for"]] == [
        (BEN, 0, 1, 0, 9.0),
        (ANNA, 2, 0, 40, 3.5),
    ]
    anna = told["worked_for"][1]
    assert (anna["through"], len(anna["job"]), anna["since"], anna["last"]) == (ANNA, 80, 1_000.0, 1_000.0)
    assert told["total"] == {"tasks": 2, "failed": 1, "fuel": 40, "seconds": 12.5, "bytes_in": 10, "bytes_out": 6}
    assert SHAPES["node contributions"][0].faults(json.loads(json.dumps(told))) == []


def test_it_outlives_the_process(tmp_path: Path) -> None:
    first = account(tmp_path / "c")
    first.add(ANNA, VIA, "primes", Work(tasks=1, fuel=10))
    first.save()
    again = account(tmp_path / "c", now=2_000.0)
    assert again.restore()
    again.add(ANNA, VIA, "primes", Work(tasks=1, fuel=10))
    (row,) = again.record()["worked_for"]
    assert (row["tasks"], row["since"], row["last"]) == (2, 1_000.0, 2_000.0)


def test_strangers_without_number_take_little_room_and_nothing_of_the_sums(tmp_path: Path) -> None:
    on = account(tmp_path / "c")
    on.add(ANNA, ANNA, "long", Work(tasks=1, seconds=50.0))
    for number in range(3 * NAMED_MAX):
        on.add(PeerId(f"12D3KooW{number:044}"), VIA, "x" * 500, Work(tasks=1, seconds=1.0))
    told = on.record()
    assert (len(told["worked_for"]), told["others"]) == (NAMED_MAX, 2 * NAMED_MAX + 1)
    assert told["worked_for"][0]["owner"] == ANNA, "who was done most for isn't crowded out"
    assert told["total"]["tasks"] == 3 * NAMED_MAX + 1
    on.save()
    assert (tmp_path / "c").stat().st_size < 200_000
    again = account(tmp_path / "c")
    assert again.restore()
    assert again.record() == told


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-1], lambda text: text.replace("primes", "crimes"), lambda _: "", lambda _: "x"]
)
def test_a_damaged_file_is_put_aside(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "c"
    first = account(file)
    first.add(ANNA, VIA, "primes", Work(tasks=1))
    first.save()
    file.write_text(spoil(file.read_text()))
    again = account(file)
    assert not again.restore()
    assert again.record()["worked_for"] == []
    assert file.with_suffix(".damaged").exists()
    assert not file.exists()


def test_what_couldn_t_be_written_is_written_later(tmp_path: Path) -> None:
    on = account(tmp_path / "later" / "c")
    on.add(ANNA, VIA, "primes", Work(tasks=1))
    with pytest.raises(OSError, match="No such file"):
        on.save()
    (tmp_path / "later").mkdir()
    on.save()
    assert account(tmp_path / "later" / "c").restore()


def test_it_is_written_down_while_the_node_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pangea.compute.node.tree.contributions.SAVE_SECONDS", 0.0)
    on = account(tmp_path / "c")
    on.add(ANNA, VIA, "primes", Work(tasks=1))

    async def scene() -> None:
        keeping = asyncio.create_task(on.keep())
        async with asyncio.timeout(30):
            while not (tmp_path / "c").exists():
                await asyncio.sleep(0)
        keeping.cancel()

    asyncio.run(scene())
    assert account(tmp_path / "c").restore()


def test_the_donor_s_page_says_for_whom_and_how_to_pause() -> None:
    page = Tags(get(FakeSource(), "/others")[0].text).text
    for text in ("primes", "3 more, together", "12.5 s", "pangea node pause", "showing 1 to 1 of 1 nodes", "yes"):
        assert text in page
    assert donating({}, "paused", 0).rows == ()
    assert "Nothing has been done for others yet" in Tags(get(empty(), "/others")[0].text).text


def empty() -> FakeSource:
    source = FakeSource()
    source.census = {name: value for name, value in CENSUS.items() if name != "contributions"}
    return source


def test_a_line_of_the_command_has_all_figures() -> None:
    work = {"tasks": 1_234, "failed": 5, "seconds": 12.25, "fuel": 5_000_000, "bytes_in": 2_048, "bytes_out": 64}
    assert command._work(work).split() == ["1,234", "5", "12.2", "5", "M", "2.0", "KiB", "64", "bytes"]
