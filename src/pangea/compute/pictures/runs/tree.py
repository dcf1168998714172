"""The delegation tree: who did what of a job, through whom, and what speaks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pangea.compute.model.trace import OTHERS
from pangea.compute.pictures.runs.facts import RunFacts, Worker
from pangea.compute.pictures.runs.scales import amount, count, seconds
from pangea.compute.pictures.runs.sheet import Sheet, fit
from pangea.compute.pictures.values import theme

#: Of one node's children, so many are drawn; the rest, those with the fewest tasks, are one box.
_CHILDREN_MAX = 40
#: Of all boxes.
_BOXES_MAX = 120
_BOX_WIDE, _BOX_HIGH, _ROW = 330.0, 46.0, 56.0
_INDENT, _TOP, _MARGIN, _LINE = 36.0, 64.0, 16.0, 16.0
#: Letters of a peer id: the first eight are the same for all.
_SHORT = 16


@dataclass(slots=True)
class Box:
    """One box of the tree.

    Attributes:
        title, note: who it is.
        figures: what it did.
        checked: what speaks for it.
        tasks: its own and those of all below.
        is_bad: whether it was shut out for a wrong answer.
        is_idle: whether it did nothing.
    """

    title: str
    note: str = ""
    figures: str = ""
    checked: str = ""
    tasks: int = 0
    is_bad: bool = False
    is_idle: bool = False
    children: list[Box] = field(default_factory=list)

    def walk(self) -> Iterator[Box]:
        """It and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def tree(facts: RunFacts) -> tuple[Sheet, tuple[str, ...]]:
    """The delegation tree of a run, and what should be known about the drawing."""
    root = _here(facts) if facts.is_here else _of_node(facts)
    drawn = _bounded(root)
    boxes = sum(1 for _ in drawn.walk())
    deep = _depth(drawn)
    workers = count(len([worker for worker in facts.workers if worker.tasks]), "worker")
    alt = f"delegation tree of job {facts.name}: {facts.owner}, and {workers} that did {facts.trace.tasks:,} tasks"
    wide = 2 * _MARGIN + _BOX_WIDE + deep * _INDENT + 220
    under = _broken(_subtitle(facts), wide - 2 * _MARGIN, 3)
    top = _TOP + _LINE * (len(under) - 1)
    sheet = Sheet(wide, top + boxes * _ROW + _MARGIN, alt)
    sheet.text(_MARGIN, 26, f"Who did what: {facts.name}", size=theme.TITLE, bold=True)
    for line, text in enumerate(under):
        sheet.text(_MARGIN, 46 + _LINE * line, text, kind="quiet", size=theme.SMALL)
    _draw(sheet, drawn, top, 0, 0)
    is_cut = boxes < sum(1 for _ in root.walk())
    return sheet, ("Boxes of the workers with the fewest tasks are drawn as one.",) if is_cut else ()


def _subtitle(facts: RunFacts) -> str:
    if facts.report is not None:
        return f"{facts.state}; {facts.report.verification}"
    return f"{facts.state}, {count(facts.trace.tasks, 'task')} done"


# What is in the boxes


def _here(facts: RunFacts) -> Box:
    """This machine and its worker processes."""
    children = [_worker_box(worker, f"worker process {worker.name}", "") for worker in facts.workers]
    return Box(
        title="this machine",
        note="owner",
        figures=_sum(facts.workers),
        checked="computed here alone: no other node took part",
        tasks=sum(worker.tasks for worker in facts.workers),
        children=children,
    )


def _of_node(facts: RunFacts) -> Box:
    """The owner and what stands below it, those included that have left, and those that were caught."""
    rows = {worker.name: worker for worker in facts.workers}
    banned = [peer for peer in facts.checks.get("bans", ()) if isinstance(peer, str) and peer not in rows]
    rows |= {peer: Worker(name=peer, checked="banned: its answers were withdrawn", is_banned=True) for peer in banned}
    below = _below(facts, rows)
    return _box(facts.owner, "owner", rows, below)


def _below(facts: RunFacts, rows: dict[str, Worker]) -> dict[str, dict[str, str]]:
    """Of each node those below it, with a note on each."""
    children: dict[str, dict[str, str]] = {}
    placed = {facts.owner}
    for peer, parent, site in facts.below:
        if peer not in placed:  # nobody is in two places
            children.setdefault(parent, {})[peer] = site
            placed.add(peer)
    for peer, worker in rows.items():
        if peer not in placed:
            above = worker.branch if worker.branch in placed and worker.branch != peer else facts.owner
            children.setdefault(above, {})[peer] = "gone"
    return children


def _box(peer: str, note: str, rows: dict[str, Worker], below: dict[str, dict[str, str]]) -> Box:
    children = [_box(each, place, rows, below) for each, place in below.pop(peer, {}).items()]  # popped: no loop is followed
    worker = rows.get(peer)
    title = peer if len(peer) <= _SHORT or peer == OTHERS else peer[:_SHORT]
    box = _worker_box(worker, title, note) if worker is not None else Box(title=title, note=note, is_idle=True)
    box.tasks += sum(child.tasks for child in children)
    if worker is None and any(child.tasks for child in children):
        box.figures = "passed tasks and answers on"
    box.children = sorted(children, key=lambda child: (not child.is_bad, -child.tasks, child.title))
    return box


def _worker_box(worker: Worker, title: str, note: str) -> Box:
    return Box(
        title=title,
        note=note,
        figures=_sum((worker,)) if worker.tasks else "nothing that counts",
        checked=worker.checked,
        tasks=worker.tasks,
        is_bad=worker.is_banned,
        is_idle=not worker.tasks,
    )


def _sum(workers: tuple[Worker, ...]) -> str:
    tasks, chunks = sum(worker.tasks for worker in workers), sum(worker.chunks for worker in workers)
    fuel, time = sum(worker.fuel for worker in workers), sum(worker.seconds for worker in workers)
    return f"{count(tasks, 'task')}, {count(chunks, 'chunk')}, {amount(fuel)} fuel, {seconds(time)}"


# Large trees


def _bounded(root: Box) -> Box:
    """The same with no more boxes than can be read."""
    most = _CHILDREN_MAX
    bounded = _with_rest(root, most)
    while most > 1 and sum(1 for _ in bounded.walk()) > _BOXES_MAX:
        most //= 2
        bounded = _with_rest(root, most)
    return bounded


def _with_rest(box: Box, most: int) -> Box:
    children = [_with_rest(child, most) for child in box.children]
    if len(children) > most:
        rest = children[most - 1 :] if most > 1 else children
        kept = children[: most - 1] if most > 1 else []
        hidden = [each for child in rest for each in child.walk()]
        bad = sum(each.is_bad for each in hidden)
        note = f"{count(sum(child.tasks for child in rest), 'task')} together"
        children = [*kept, Box(title=f"{len(hidden):,} more", figures=note, checked=f"{bad:,} of them banned" if bad else "")]
    return replace(box, children=children)


def _depth(box: Box) -> int:
    return 1 + max(map(_depth, box.children), default=-1)


# Drawing


def _draw(sheet: Sheet, box: Box, top: float, level: int, row: int) -> int:
    """Draw a box in `row`, and what is below it in the rows that follow; the first free row."""
    x, y = _MARGIN + level * _INDENT, top + row * _ROW
    after = row + 1
    for child in box.children:
        middle = top + after * _ROW + _BOX_HIGH / 2
        sheet.line([(x + _INDENT / 2, y + _BOX_HIGH), (x + _INDENT / 2, middle), (x + _INDENT, middle)], "wire")
        after = _draw(sheet, child, top, level + 1, after)
    kind = "badbox" if box.is_bad else "track" if box.is_idle else "box"
    sheet.bar(x, y, _BOX_WIDE, _BOX_HIGH, kind, round_by=6)
    sheet.bar(x, y, 4, _BOX_HIGH, "mark" if box.is_bad else "quiet" if box.is_idle else "execute", round_by=2)
    name = f"BANNED {box.title}" if box.is_bad else box.title
    sheet.text(x + 14, y + 19, fit(name, 200), bold=True)
    sheet.text(x + _BOX_WIDE - 10, y + 19, fit(box.note, 110, theme.SMALL), kind="quiet", size=theme.SMALL, anchor="end")
    sheet.text(x + 14, y + 37, fit(box.figures, _BOX_WIDE - 24, theme.SMALL), size=theme.SMALL)
    if box.checked:
        room = sheet.wide - x - _BOX_WIDE - 2 * _MARGIN
        kind = "mark" if box.is_bad else "quiet"
        for line, text in enumerate(_broken(box.checked, room, 2)):
            sheet.text(x + _BOX_WIDE + 12, y + 19 + _LINE * line, text, kind=kind, size=theme.SMALL)
    return after


def _broken(text: str, room: float, most: int) -> list[str]:
    """Text broken between words, into `most` lines at most."""
    first = fit(text, room, theme.SMALL)
    cut = first.rstrip("…").rfind(" ")
    if first == text or most == 1 or cut <= 0:
        return [first]
    return [text[:cut], *_broken(text[cut + 1 :], room, most - 1)]
