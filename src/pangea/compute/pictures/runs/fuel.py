"""Fuel by part: what split, execute and merge used, of fuel and of time."""

from __future__ import annotations

from pangea.compute.model.trace import FUNCTIONS
from pangea.compute.pictures.runs.facts import RunFacts
from pangea.compute.pictures.runs.scales import amount, count, seconds
from pangea.compute.pictures.runs.sheet import FILLS, Sheet
from pangea.compute.pictures.values import theme

_LEFT, _PLOT, _RIGHT = 92.0, 560.0, 190.0
_TOP, _ROW, _BAR, _BOTTOM = 60.0, 58.0, 16.0, 16.0


def fuel(facts: RunFacts) -> tuple[Sheet, tuple[str, ...]]:
    """Fuel and time of a run by function, and what should be known about the drawing."""
    spans = facts.trace.spans
    parts = [function for function in FUNCTIONS if any(span.function == function for span in spans)] or ["execute"]
    figures = {
        function: (
            sum(span.fuel for span in spans if span.function == function),
            sum(span.seconds for span in spans if span.function == function),
            sum(span.tasks for span in spans if span.function == function),
        )
        for function in parts
    }
    all_fuel, all_time = (sum(figure[place] for figure in figures.values()) or 1 for place in (0, 1))
    alt = f"fuel of job {facts.name}: " + ", ".join(f"{name} {figure[0] / all_fuel:.0%}" for name, figure in figures.items())
    sheet = Sheet(_LEFT + _PLOT + _RIGHT, _TOP + len(parts) * _ROW + _BOTTOM, alt)
    sheet.text(16, 26, f"What it cost: {facts.name}", size=theme.TITLE, bold=True)
    for place, (name, (used, time, tasks)) in enumerate(figures.items()):
        y = _TOP + place * _ROW
        sheet.text(16, y + 14, name, bold=True)
        sheet.text(16, y + 32, count(tasks, "task"), kind="quiet", size=theme.SMALL)
        _bar(sheet, y, used / all_fuel, f"{amount(used)} fuel, {used / all_fuel:.1%}", FILLS[name])
        _bar(sheet, y + _BAR + 4, time / all_time, f"{seconds(time)}, {time / all_time:.1%}", "rest")
    return sheet, ("The coloured bar is fuel, the grey one time in sandboxes, summed over workers.",)


def _bar(sheet: Sheet, y: float, share: float, text: str, kind: str) -> None:
    sheet.bar(_LEFT, y, _PLOT, _BAR, "track", round_by=2)
    if share:
        sheet.bar(_LEFT, y, max(1.0, _PLOT * share), _BAR, kind, round_by=2)
    sheet.text(_LEFT + _PLOT + 10, y + 12, text, size=theme.SMALL)
