"""Pictures of runs: what is drawn is what was done, few or many; and whatever somebody is called, it stays text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import PictureError
from pangea.compute.model.trace import SPANS_MAX, Check, Span, Trace
from pangea.compute.pictures.runs import scales, sheet
from pangea.compute.pictures.runs.facts import HERE, RunFacts, Worker
from pangea.compute.pictures.runs.fuel import fuel
from pangea.compute.pictures.runs.pictures import RUN_PICTURES, run_picture, run_sheet
from pangea.compute.pictures.runs.sheet import Sheet
from pangea.compute.pictures.runs.throughput import rates, throughput
from pangea.compute.pictures.runs.timeline import busy_shares, parts, timeline
from pangea.compute.pictures.runs.tree import tree
from tests.deadlines import Cost
from tests.examples import first
from tests.unit.runs_drawn import OWNER, run_here, run_on_nodes, spans

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "<script>alert(1)</script> & \"'\x07\ud800"


def drawn(sheet: Sheet) -> ET.Element:
    """The drawing, which must be well-formed."""
    return ET.fromstring(sheet.svg())  # our own


def texts(sheet: Sheet) -> str:
    return " | ".join(element.text or "" for element in drawn(sheet).iter(f"{SVG}text"))


def shapes(sheet: Sheet, kind: str) -> list[ET.Element]:
    return [element for element in drawn(sheet).iter() if element.get("class") == kind]


# The sheet


@pytest.mark.parametrize("what", RUN_PICTURES)
def test_names_of_strangers_stay_text(what: str) -> None:
    facts = run_on_nodes(workers=3)
    facts = replace(
        facts,
        name=EVIL,
        workers=tuple(replace(worker, checked=EVIL, branch=EVIL) for worker in facts.workers),
        below=((EVIL, facts.owner, EVIL),),
        trace=Trace(tuple(replace(span, worker=EVIL) for span in facts.trace.spans)),
    )
    svg = run_sheet(facts, what)[0].svg()
    assert "<script" not in svg
    assert "&lt;scr" in svg
    drawn_texts = texts(run_sheet(facts, what)[0])
    assert "\x07" not in drawn_texts
    assert "<scr" in drawn_texts, "shown as it is written"


@pytest.mark.parametrize("what", RUN_PICTURES)
def test_a_drawing_refers_to_nothing_outside(what: str) -> None:
    svg = run_sheet(run_on_nodes(workers=3), what)[0].svg()
    assert re.findall(r"https?://[^\"' ]+", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href|url\(|@import|<image|<script|<foreignObject|on\w+=", svg)


def test_a_drawing_is_light_or_dark_as_its_reader_likes() -> None:
    svg = run_sheet(run_here(), "timeline")[0]
    assert "prefers-color-scheme:dark" in svg.svg()
    assert "prefers-color-scheme" not in svg.svg(dark=False)
    assert "<style" not in svg.svg(is_alone=False), "a page has one for all"
    kinds = {element.get("class") for element in drawn(svg).iter() if element.get("class")}
    for kind in kinds:
        assert f".{kind}{{" in sheet.style(), f"{kind} has no colour"


@given(st.text(max_size=60), st.floats(5, 400))
def test_letters_are_cut_to_the_room_there_is(text: str, room: float) -> None:
    cut = sheet.fit(text, room)
    assert sheet.width(cut) <= room or cut == "…"
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


@given(st.floats(1e-9, 1e18), st.integers(2, 10))
def test_marks_are_round_and_reach_beyond_all_values(most: float, about: int) -> None:
    marks = scales.ticks(most, about)
    assert marks[0] == 0
    assert marks[-1] >= most * 0.999
    assert len(marks) <= 3 * about + 2
    assert float(f"{marks[1]:.0e}") == pytest.approx(marks[1]), "one digit"


@given(st.floats(0.001, 1e7))
def test_moments_that_are_marked_are_within_the_time(until: float) -> None:
    marks = scales.time_ticks(until)
    assert marks[0] == 0
    assert all(mark <= until * 1.001 for mark in marks)
    assert len(marks) <= 20


@pytest.mark.parametrize(
    ("value", "words"), [(0.4211, "0.421 s"), (59.0, "59 s"), (200.0, "3 min 20 s"), (60.0, "1 min"), (7500.0, "2 h 5 min")]
)
def test_times_are_told_as_people_do(value: float, words: str) -> None:
    assert scales.seconds(value) == words


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (999, "999"), (1234, "1.23 k"), (2.5e9, "2.5 G"), (7e16, "70 P")])
def test_amounts_are_told_in_short(value: float, words: str) -> None:
    assert scales.amount(value) == words


# Tree


def test_the_tree_of_a_run_here_is_this_machine_and_its_processes() -> None:
    found, notes = tree(run_here(workers=2, tasks=11))
    assert notes == ()
    assert "this machine | owner | 12 tasks, " in texts(found)
    assert "worker process 1 | " in texts(found)
    assert "worker process 2 | " in texts(found)
    assert len(shapes(found, "box")) == 3
    assert len(shapes(found, "wire")) == 2


def test_the_tree_tells_all_of_how_it_was_checked() -> None:
    facts = run_here(workers=2, tasks=11)
    assert facts.report is not None
    said = (
        "computed by this machine alone, and executed again in 22 fresh sandboxes: 1 segment, 16 chunks; all equal, byte for byte"
    )
    facts = replace(facts, report=replace(facts.report, verification=said))
    found, _ = tree(facts)
    assert said in texts(found).replace(" | ", " ")


def test_the_tree_of_nodes_shows_branches_liars_and_those_who_left() -> None:
    facts = run_on_nodes(workers=4)
    liar, gone = Worker(name="liar", checked="banned: lied", is_banned=True, tasks=1), Worker(name="gone", branch="w1", tasks=2)
    facts = replace(facts, workers=(*facts.workers, liar, gone), checks={"bans": ["other liar", "liar"]})
    found, _ = tree(facts)
    said = texts(found)
    assert "BANNED liar" in said
    assert "BANNED other liar" in said
    assert len(shapes(found, "badbox")) == 2
    assert "gone | gone | 2 tasks" in said
    assert said.index("BANNED") < said.index("w1 |"), "who lied comes first"


def test_a_node_that_only_passed_on_has_a_box_too() -> None:
    facts = replace(run_on_nodes(workers=0), below=(("m", OWNER, ""), ("leaf", "m", "")))
    facts = replace(facts, workers=(Worker(name="leaf", branch="m", tasks=3),))
    found, _ = tree(facts)
    assert "passed tasks and answers on" in texts(found)
    assert len(shapes(found, "track")) == 2, "the owner and the manager have done nothing themselves"


def test_nobody_is_in_two_places() -> None:
    facts = run_on_nodes(workers=2)
    found, _ = tree(replace(facts, below=(*facts.below, ("w2", "w1", "again"))))
    assert texts(found).count("w2 |") == 1


def test_claims_of_a_loop_are_not_followed() -> None:
    facts = replace(run_on_nodes(workers=0), below=(("a", "b", ""), ("b", "a", ""), (OWNER, "a", ""), ("a", OWNER, "")))
    found, _ = tree(facts)
    assert found.high < 1_000


@pytest.mark.parametrize(("workers", "boxes_max"), first(3, [(1, 2), (32, 33), (41, 121), (1_000, 121)]))
def test_a_tree_is_bounded_and_nobody_s_tasks_are_lost(workers: int, boxes_max: int) -> None:
    facts = run_on_nodes(workers=workers, tasks=2 * workers)
    found, notes = tree(facts)
    boxes = len(shapes(found, "box")) + len(shapes(found, "track"))
    assert 2 <= boxes <= boxes_max
    assert bool(notes) == (workers > 40)
    if workers > 40:
        rest = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) more", texts(found))]
        assert sum(rest) + boxes - len(rest) == workers + 1


# Timeline


def test_each_task_is_a_bar_that_says_what_it_is() -> None:
    facts = run_here(workers=2, tasks=10)
    found, _ = timeline(facts)
    assert len(shapes(found, "execute")) == 10 + 1, "and one in the legend"
    assert len(shapes(found, "merge")) == 1 + 1
    tips = [element.text or "" for element in drawn(found).iter(f"{SVG}title")]
    assert len(tips) == 11
    assert any(tip.startswith("execute, chunk 0 to 4: ") for tip in tips)
    assert "process 1" in texts(found)


def test_bars_of_one_time_are_drawn_below_each_other() -> None:
    both = [replace(spans(1, 1)[0], began=0.0, ended=1.0, start=start) for start in (0, 5)]
    found, _ = timeline(RunFacts(job_id="j", name="n", state="complete", owner=HERE, trace=Trace(tuple(both))))
    tops = {element.get("y") for element in shapes(found, "execute")[1:]}
    assert len(tops) == 2


@pytest.mark.parametrize(("workers", "tasks"), first(1, [(1, 5_000), (200, 3_000)]))
def test_many_tasks_stay_a_small_drawing(workers: int, tasks: int) -> None:
    facts = run_here(workers=workers, tasks=tasks)
    assert len(facts.trace.spans) <= SPANS_MAX
    for what in RUN_PICTURES:
        with Cost() as cost:
            svg = run_picture(facts, what).svg()
        assert cost.seconds < 2, f"{what} takes too long"
        assert len(svg) < 500_000, f"{what} is {len(svg):,} bytes"
    found, notes = timeline(facts)
    assert facts.trace.is_thinned == any("told together" in note for note in notes) == (tasks > SPANS_MAX)
    assert len(re.findall(r"process|others", texts(found))) <= 36


def test_more_workers_than_rows_share_the_last() -> None:
    found, _ = timeline(run_here(workers=100, tasks=400))
    assert "65 others" in texts(found)


def test_tasks_from_before_a_restart_have_no_moment() -> None:
    facts = run_on_nodes(workers=2, tasks=4)
    old = [
        replace(span, began=0.0, ended=0.0, seconds=0.5, start=1_000 + n)
        for n, span in enumerate(spans(2, 3, names=["w1", "w2"]))
    ]
    found, notes = timeline(replace(facts, trace=Trace((*old, *facts.trace.spans))))
    assert "4 tasks from before a restart of the node are not shown." in notes
    assert len(list(drawn(found).iter(f"{SVG}title"))) == len(facts.trace.spans)


@given(st.floats(0, 99), st.floats(0, 99), st.integers(1, 50))
def test_a_task_s_time_is_shared_among_the_cells_that_it_touches(one: float, other: float, cells: int) -> None:
    began, ended = min(one, other), max(one, other)
    found = parts(began, ended, 100.0, cells)
    assert sum(share for _, share in found) == pytest.approx(1)
    assert all(share >= 0 for _, share in found)
    for cell, share in found:
        within = min(ended, (cell + 1) * 100 / cells) - max(began, cell * 100 / cells)
        assert share == pytest.approx(within / (ended - began) if ended > began else 1.0, abs=1e-6)


def test_shares_of_busy_time_are_all_the_work_there_was() -> None:
    found = spans(3, 50)
    shares = busy_shares(found, max(span.ended for span in found), 17)
    for function in ("execute", "merge"):
        total = sum(cell.get(function, 0.0) for cell in shares)
        assert total == pytest.approx(sum(span.seconds for span in found if span.function == function))


# Throughput and fuel


def test_throughput_adds_up_to_what_was_done() -> None:
    found = [span for span in spans(2, 30) if span.function == "execute"]
    until = max(span.ended for span in found)
    values = rates([(span, float(span.count)) for span in found], until)
    assert sum(values) * until / len(values) == pytest.approx(sum(span.count for span in found))


def test_throughput_has_bytes_only_if_there_are_any() -> None:
    facts = run_here()
    said = texts(throughput(facts)[0])
    assert "input a second" in said
    assert "chunks a second" in said
    dry = replace(facts, trace=Trace(tuple(replace(span, size_bytes=0) for span in facts.trace.spans)))
    assert "input a second" not in texts(throughput(dry)[0])


def test_fuel_is_told_for_each_part() -> None:
    facts = run_here(workers=1, tasks=3)
    found, _ = fuel(facts)
    total = sum(span.fuel for span in facts.trace.spans)
    of_execute = sum(span.fuel for span in facts.trace.spans if span.function == "execute")
    assert f"{of_execute / total:.1%}" in texts(found)
    assert "3 tasks" in texts(found)
    assert "split" not in texts(found)


# By name


def test_a_picture_of_a_run_is_a_picture(tmp_path: Path) -> None:
    picture = run_picture(run_here(), "tree")
    assert picture.kind == "tree"
    assert "delegation tree of job demo" in picture.alt
    for ending in ("png", "svg", "html"):
        assert picture.save(tmp_path / f"tree.{ending}").stat().st_size > 500
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")
    assert 'src="http' not in (tmp_path / "tree.html").read_text()


def test_an_unknown_picture_is_refused_with_the_nearest() -> None:
    with pytest.raises(PictureError, match="no picture 'timelin'") as caught:
        run_picture(run_here(), "timelin")
    assert caught.value.hint == "did you mean 'timeline'?"


@pytest.mark.parametrize(("state", "reason"), [("running", "no task of it has ended"), ("complete", "kept no trace")])
def test_a_run_without_a_trace_has_a_tree_and_nothing_else(state: str, reason: str) -> None:
    facts = replace(run_on_nodes(workers=2), trace=Trace(), state=state)
    assert len(shapes(run_sheet(facts, "tree")[0], "box")) == 3
    for what in ("timeline", "throughput", "fuel"):
        with pytest.raises(PictureError, match=reason):
            run_picture(facts, what)


def test_one_task_is_enough_for_every_picture() -> None:
    span = Span(
        function="merge", worker="1", start=0, count=1, size_bytes=0, began=0, ended=0, seconds=0, fuel=0, check=Check.HERE
    )
    facts = RunFacts(job_id="j", name="n", state="complete", owner=HERE, trace=Trace((span,)))
    for what in RUN_PICTURES:
        assert run_picture(facts, what).svg()
