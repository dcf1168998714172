"""`run_picture`: a picture of a run, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pangea.compute.model.errors import PictureError
from pangea.compute.model.limits import nearest
from pangea.compute.pictures.runs.facts import Run, RunFacts
from pangea.compute.pictures.runs.fuel import fuel
from pangea.compute.pictures.runs.sheet import Sheet
from pangea.compute.pictures.runs.throughput import throughput
from pangea.compute.pictures.runs.timeline import timeline
from pangea.compute.pictures.runs.tree import tree
from pangea.compute.pictures.values import theme
from pangea.compute.pictures.values.drawings import svg_to_png
from pangea.compute.pictures.values.picture import Picture

Draw = Callable[[RunFacts], tuple[Sheet, tuple[str, ...]]]
_DRAWN: Final[dict[str, Draw]] = {"tree": tree, "timeline": timeline, "throughput": throughput, "fuel": fuel}
#: The pictures of a run, by name.
RUN_PICTURES: Final = tuple(_DRAWN)


@dataclass(frozen=True, slots=True)
class Sketch:
    """A drawing that is SVG from the start."""

    sheet: Sheet

    @property
    def spec(self) -> None:
        """None: it isn't Vega-Lite."""

    def png(self, scale: float) -> bytes:
        """The PNG, at `scale` dots per pixel, in light colours."""
        return svg_to_png(self.sheet.svg(dark=False), scale)

    def svg(self) -> str:
        """The SVG document; it is light or dark as its reader likes."""
        return self.sheet.svg()

    def markup(self) -> None:
        """Nothing beyond the picture."""


def run_picture(run: Run, what: str) -> Picture:
    """Draw one of `RUN_PICTURES`.

    Args:
        run: a result, or its report, of a job that ran here; the handle of a job on a node; the error that a job ended with.
        what: "tree" (who did what, how it was checked), "timeline" (when), "throughput" (how fast) or "fuel" (at what cost).

    Raises:
        PictureError: there is no such picture, or nothing is known that it could show.
        PangeaError: the node of a handle can't be asked.
    """
    sheet, notes = run_sheet(RunFacts.of(run), what)
    return Picture(Sketch(sheet), kind=what, title=sheet.alt, alt=sheet.alt, notes=notes)


def run_sheet(facts: RunFacts, what: str) -> tuple[Sheet, tuple[str, ...]]:
    """The drawing itself, and what should be known about it.

    Raises:
        PictureError: as `run_picture`.
    """
    draw = _DRAWN.get(what)
    if draw is None:
        near = nearest(what, list(_DRAWN))
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(_DRAWN)}, and result"
        raise PictureError(f"there is no picture {what[:40]!r} of a run", hint=hint)
    if not facts.trace.spans and what != "tree":
        reason = "no task of it has ended" if facts.state != "complete" else "the node kept no trace of its tasks"
        raise PictureError(f"there is no {what} of job {facts.job_id or facts.name}: {reason}", hint="the tree needs none")
    return _with_notes(*draw(facts))


def _with_notes(sheet: Sheet, notes: tuple[str, ...]) -> tuple[Sheet, tuple[str, ...]]:
    """Write the notes below the drawing."""
    for note in notes:
        sheet.high += 18
        sheet.text(16, sheet.high - 10, note, kind="quiet", size=theme.SMALL)
    return sheet, notes
