"""The timeline: what each worker did when, coloured by function."""

from __future__ import annotations

from dataclasses import dataclass, field

from pangea.compute.model.trace import FUNCTIONS, OTHERS, Span
from pangea.compute.pictures.runs.facts import RunFacts
from pangea.compute.pictures.runs.scales import amount, count, seconds, time_ticks
from pangea.compute.pictures.runs.sheet import FILLS, Sheet, fit
from pangea.compute.pictures.values import theme

#: Workers that get a row of their own; the rest, those that did least, share the last.
_ROWS_MAX = 36
#: Bars of a worker's tasks that lie over each other are drawn one below the other, so many at most.
_LAYERS_MAX = 4
#: With more tasks in a row, a bar is a share of a short time instead of a task.
_BARS_MAX = 300
_CELLS = 240
#: Bars of all rows that say under the pointer what they are.
_TIPS_MAX = 400
_LEFT, _TOP, _BOTTOM, _RIGHT = 236.0, 84.0, 44.0, 20.0
_PLOT = 600.0
_SHORT = 16


@dataclass(slots=True)
class Row:
    """One worker's row."""

    title: str
    spans: list[Span] = field(default_factory=list)

    @property
    def busy(self) -> float:
        """Seconds of work."""
        return sum(span.seconds for span in self.spans)


def timeline(facts: RunFacts) -> tuple[Sheet, tuple[str, ...]]:
    """The timeline of a run, and what should be known about the drawing."""
    timed = [span for span in facts.trace.spans if span.ended > 0 or not span.seconds]
    rows = _rows(facts, timed)
    notes = _notes(facts, rows, len(facts.trace.spans) - len(timed))
    high = 26.0 if len(rows) <= 8 else 18.0 if len(rows) <= 20 else 13.0
    until = max([facts.seconds, *(span.ended for span in timed)], default=0.0) or 1.0
    alt = f"timeline of job {facts.name}: {count(len(rows), 'worker')} in {seconds(until)}"
    sheet = Sheet(_LEFT + _PLOT + _RIGHT, _TOP + max(1, len(rows)) * (high + 4) + _BOTTOM, alt)
    sheet.text(16, 26, f"When it was done: {facts.name}", size=theme.TITLE, bold=True)
    _legend(sheet, {span.function for span in timed})
    _axis(sheet, until)
    has_tips = sum(len(row.spans) for row in rows) <= _TIPS_MAX
    for place, row in enumerate(rows):
        y = _TOP + place * (high + 4)
        share = min(1.0, row.busy / until)
        sheet.text(_LEFT - 10, y + high / 2 + 4, fit(row.title, _LEFT - 58, theme.SMALL), size=theme.SMALL, anchor="end")
        sheet.text(16, y + high / 2 + 4, f"{share:.0%}", kind="quiet", size=theme.SMALL)
        sheet.bar(_LEFT, y, _PLOT, high, "track")
        _draw(sheet, row, y, high, until, has_tips=has_tips)
    return sheet, notes


def _notes(facts: RunFacts, rows: list[Row], untimed: int) -> tuple[str, ...]:
    notes = []
    if facts.trace.is_thinned:
        most = max(span.tasks for span in facts.trace.spans)
        notes.append(f"Up to {most:,} tasks of one worker are told together: counts are exact, moments are not.")
    if any(_is_crowded(row) for row in rows):
        notes.append("Of crowded rows the height says how busy the worker was; full height is its busiest moment.")
    if untimed:
        notes.append(f"{count(untimed, 'task')} from before a restart of the node {'is' if untimed == 1 else 'are'} not shown.")
    if not facts.is_here:
        notes.append("Tasks of other nodes end when their answer came; how long they took is their own word.")
    if any(span.votes > 1 for span in facts.trace.spans):
        notes.append("Of several answers to a task the first is drawn: who confirmed it was busier than this shows.")
    return tuple(notes)


def _rows(facts: RunFacts, spans: list[Span]) -> list[Row]:
    """A row for each worker: the owner first, then by number or by the first task."""
    rows: dict[str, Row] = {}
    for span in spans:
        rows.setdefault(span.worker, Row(_title(facts, span.worker))).spans.append(span)
    names = sorted(rows, key=lambda name: (name != facts.owner, len(name) if facts.is_here else 0, name if facts.is_here else ""))
    if len(names) <= _ROWS_MAX:
        return [rows[name] for name in names]
    least = sorted(names, key=lambda name: (name != facts.owner and -rows[name].busy, name))[_ROWS_MAX - 1 :]
    rest = Row(f"{len(least):,} others")
    for name in least:
        rest.spans += rows.pop(name).spans
    return [*(rows[name] for name in names if name in rows), rest]


def _title(facts: RunFacts, worker: str) -> str:
    if facts.is_here:
        return f"process {worker}"
    short = worker if worker == OTHERS else worker[:_SHORT] or "unknown"
    return f"{short} (owner)" if worker == facts.owner else short


def _legend(sheet: Sheet, functions: set[str]) -> None:
    x = _LEFT
    for function in FUNCTIONS:
        if function in functions:
            sheet.bar(x, 40, 12, 12, FILLS[function], round_by=2)
            sheet.text(x + 18, 50, function)
            x += 84
    sheet.text(16, 50, "busy", kind="quiet", size=theme.SMALL)


def _axis(sheet: Sheet, until: float) -> None:
    bottom = sheet.high - _BOTTOM
    for tick in time_ticks(until):
        x = _LEFT + _PLOT * tick / until
        sheet.line([(x, _TOP - 6), (x, bottom + 2)], "grid")
        sheet.text(x, bottom + 18, seconds(tick), kind="quiet", size=theme.SMALL, anchor="middle")
    sheet.text(_LEFT + _PLOT / 2, bottom + 36, "time since the job's start", kind="quiet", size=theme.SMALL, anchor="middle")


def _draw(sheet: Sheet, row: Row, y: float, high: float, until: float, *, has_tips: bool) -> None:
    if _is_crowded(row):
        _draw_shares(sheet, row, y, high, until)
        return
    layers = _layers(row.spans)
    count_of = min(_LAYERS_MAX, max(layers, default=0) + 1)
    thick = high / count_of
    places: dict[str, list[tuple[float, float, float, float]]] = {}
    for span, layer in zip(row.spans, layers, strict=True):
        x, end = _LEFT + _PLOT * span.began / until, _LEFT + _PLOT * span.ended / until
        at = y + (layer % count_of) * thick
        wide = max(1.0, end - x - 0.5)
        if has_tips:
            sheet.bar(x, at + 0.5, wide, thick - 1, FILLS[span.function], tip=_tip(span))
        else:
            places.setdefault(span.function, []).append((x, at + 0.5, wide, thick - 1))
    for function, bars in places.items():
        sheet.bars(bars, FILLS[function])


def _is_crowded(row: Row) -> bool:
    return len(row.spans) > _BARS_MAX or any(span.tasks > 1 for span in row.spans)


def _tip(span: Span) -> str:
    noun = {"split": "segment", "execute": "chunk", "merge": "group"}[span.function]
    last = f" to {span.start + span.count - 1:,}" if span.count > 1 else ""
    tries = f", {span.attempts} tries" if span.attempts > 1 else ""
    return f"{span.function}, {noun} {span.start:,}{last}: {seconds(span.seconds)}, {amount(span.fuel)} fuel{tries}"


def _layers(spans: list[Span]) -> list[int]:
    """For each task the lowest layer in which nothing else is at that time."""
    ends: list[float] = []
    layers = []
    for span in spans:
        layer = next((place for place, end in enumerate(ends) if end <= span.began + 1e-4), len(ends))
        if layer == len(ends):
            ends.append(span.ended)
        else:
            ends[layer] = span.ended
        layers.append(layer)
    return layers


def _draw_shares(sheet: Sheet, row: Row, y: float, high: float, until: float) -> None:
    """For each short time, how much of it went to each function: full height is the worker's busiest."""
    shares = busy_shares(row.spans, until, _CELLS)
    most = max((sum(cell.values()) for cell in shares), default=0.0) or 1.0
    places: dict[str, list[tuple[float, float, float, float]]] = {}
    for number, cell in enumerate(shares):
        top = y + high
        for function in FUNCTIONS:
            if tall := high * cell.get(function, 0.0) / most:
                top -= tall
                places.setdefault(function, []).append((_LEFT + _PLOT * number / _CELLS, top, _PLOT / _CELLS + 0.2, tall))
    for function, bars in places.items():
        sheet.bars(bars, FILLS[function])


def busy_shares(spans: list[Span], until: float, cells: int) -> list[dict[str, float]]:
    """The seconds of work in each of `cells` equal parts of the time from 0 to `until`, by function.

    A span's work is spread evenly over its time.
    """
    found: list[dict[str, float]] = [{} for _ in range(cells)]
    for span in spans:
        for cell, part in parts(span.began, span.ended, until, cells):
            found[cell][span.function] = found[cell].get(span.function, 0.0) + span.seconds * part
    return found


def parts(began: float, ended: float, until: float, cells: int) -> list[tuple[int, float]]:
    """Which of `cells` equal parts of 0 to `until` a time touches, and what share of it is in each; the shares sum to 1."""
    first = min(cells - 1, int(began / until * cells))
    last = min(cells - 1, int(ended / until * cells))
    if first >= last or ended <= began:
        return [(first, 1.0)]
    edges = [began, *(until * cell / cells for cell in range(first + 1, last + 1)), ended]
    return [(first + place, (edges[place + 1] - edges[place]) / (ended - began)) for place in range(last - first + 1)]
