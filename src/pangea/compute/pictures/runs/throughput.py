"""Throughput over time: bytes of input and chunks that were executed, a second."""

from __future__ import annotations

from pangea.compute.model.trace import Span
from pangea.compute.pictures.runs.facts import RunFacts
from pangea.compute.pictures.runs.scales import amount, seconds, ticks, time_ticks
from pangea.compute.pictures.runs.sheet import Sheet
from pangea.compute.pictures.runs.timeline import parts
from pangea.compute.pictures.values import theme

_CELLS_MAX, _CELLS_MIN = 80, 8
_LEFT, _RIGHT, _PLOT, _PANEL = 92.0, 28.0, 720.0, 150.0
_TOP, _GAP, _BOTTOM = 74.0, 62.0, 44.0


def throughput(facts: RunFacts) -> tuple[Sheet, tuple[str, ...]]:
    """Throughput of a run over time, and what should be known about the drawing."""
    spans = [span for span in facts.trace.spans if span.function == "execute" and span.ended > 0]
    until = max([facts.seconds, *(span.ended for span in spans)], default=0.0) or 1.0
    panels = [("chunks", "", [(span, float(span.count)) for span in spans])]
    if any(span.size_bytes for span in spans):
        panels.insert(0, ("input", "B", [(span, float(span.size_bytes)) for span in spans]))
    high = _TOP + len(panels) * _PANEL + (len(panels) - 1) * _GAP + _BOTTOM
    sheet = Sheet(_LEFT + _PLOT + _RIGHT, high, f"throughput of job {facts.name} over {seconds(until)}")
    sheet.text(16, 26, f"How fast it went: {facts.name}", size=theme.TITLE, bold=True)
    for place, (name, unit, amounts) in enumerate(panels):
        _panel(sheet, _TOP + place * (_PANEL + _GAP), name, unit, rates(amounts, until), until)
    for tick in time_ticks(until):
        x = _LEFT + _PLOT * tick / until
        sheet.text(x, high - _BOTTOM + 18, seconds(tick), kind="quiet", size=theme.SMALL, anchor="middle")
    middle = _LEFT + _PLOT / 2
    sheet.text(middle, high - _BOTTOM + 36, "time since the job's start", kind="quiet", size=theme.SMALL, anchor="middle")
    return sheet, ("What a task did is spread evenly over its time.",)


def rates(amounts: list[tuple[Span, float]], until: float) -> list[float]:
    """For equal parts of the time from 0 to `until`: how much was done a second in each."""
    cells = max(_CELLS_MIN, min(_CELLS_MAX, 2 * len(amounts)))
    found = [0.0] * cells
    for span, amount_done in amounts:
        for cell, share in parts(span.began, span.ended, until, cells):
            found[cell] += amount_done * share
    return [done * cells / until for done in found]


def _panel(sheet: Sheet, y: float, name: str, unit: str, values: list[float], until: float) -> None:
    marks = ticks(max(values, default=0.0), 4)
    top, bottom = marks[-1], y + _PANEL
    mean = sum(values) / len(values) if values else 0.0
    sheet.text(_LEFT, y - 12, f"{name} a second", bold=True)
    sheet.text(_LEFT + _PLOT, y - 12, f"{amount(mean, unit)}/s on average", kind="mark", size=theme.SMALL, anchor="end")
    for mark in marks:
        at = bottom - _PANEL * mark / top
        sheet.line([(_LEFT, at), (_LEFT + _PLOT, at)], "grid")
        sheet.text(_LEFT - 8, at + 4, amount(mark, unit), kind="quiet", size=theme.SMALL, anchor="end")
    wide = _PLOT / max(1, len(values))
    outline = [(_LEFT, bottom)]
    for cell, value in enumerate(values):
        level = bottom - _PANEL * value / top
        outline += [(_LEFT + cell * wide, level), (_LEFT + (cell + 1) * wide, level)]
    sheet.area([*outline, (_LEFT + _PLOT, bottom)], "execute")
    level = bottom - _PANEL * mean / top
    sheet.line([(_LEFT, level), (_LEFT + _PLOT, level)], "markline", is_dashed=True)
