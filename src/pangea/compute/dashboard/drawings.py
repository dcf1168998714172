"""Drawings of a job and of its result, for pages."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from pangea.compute.dashboard.source import Shared, Source
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.progress import JobState
from pangea.compute.pictures.runs.facts import RunFacts
from pangea.compute.pictures.runs.pictures import run_sheet
from pangea.compute.pictures.runs.results import picture_or_why
from pangea.compute.pictures.runs.sheet import Sheet
from pangea.compute.pictures.runs.throughput import rates

#: A larger result isn't drawn here: `pangea job plot` does it in a process of its own.
RESULT_BYTES_MAX: Final = 4 << 20
#: Pictures of results that are kept.
_PICTURES_MAX: Final = 8
_SCALE: Final = 1.5
_SHEET_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as pages show it: a picture with what it shows in words, or why there is none."""

    png: bytes = b""
    text: str = ""
    notes: tuple[str, ...] = ()


def rates_of(facts: RunFacts) -> dict[str, Any]:
    """Chunks a second over a job's time: `{"seconds": [when], "chunks": [how many]}`, at most 80 of each."""
    spans = [span for span in facts.trace.spans if span.function == "execute" and span.ended > 0]
    until = max([facts.seconds, *(span.ended for span in spans)], default=0.0) or 1.0
    values = rates([(span, float(span.count)) for span in spans], until) if spans else []
    return {
        "seconds": [round(until * place / len(values), 4) for place in range(len(values))],
        "chunks": [round(value, 3) for value in values],
    }


class Drawings:
    """Pictures of results: each is drawn once, one at a time."""

    def __init__(self, source: Source) -> None:
        """Draw what `source` has."""
        self._source = source
        self._kept: OrderedDict[str, Shown] = OrderedDict()
        self._turn = asyncio.Lock()
        self._sheets = Shared(_SHEET_SECONDS)

    async def sheet(self, job_id: str, what: str) -> Sheet:
        """A drawing of a run, for all who ask for it within a while.

        Raises:
            PictureError: there is none of that name, or nothing that it could show.
        """
        return await self._sheets.get((job_id, what), lambda: self._sheet(job_id, what))

    async def _sheet(self, job_id: str, what: str) -> Sheet:
        facts = await self._source.facts(job_id)
        return (await asyncio.to_thread(run_sheet, facts, what))[0]

    async def of(self, job_id: str) -> Shown:
        """The picture of a job's result.

        Raises:
            PangeaError: the node doesn't answer.
        """
        async with self._turn:
            if job_id not in self._kept:
                status = await self._source.status(job_id)
                if status.state is not JobState.COMPLETE:
                    return Shown(text=f"There is no result of a job that is {status.state}.")
                if status.bytes_out > RESULT_BYTES_MAX:
                    return Shown(text=_too_large(status.bytes_out))
                self._kept[job_id] = await asyncio.to_thread(_draw, await self._source.result(job_id))
            self._kept.move_to_end(job_id)
            while len(self._kept) > _PICTURES_MAX:
                self._kept.popitem(last=False)
            return self._kept[job_id]


def _draw(result: Any) -> Shown:
    picture, why = picture_or_why(result)
    if picture is None:
        return Shown(text=f"{why[:1].upper()}{why[1:]}.")
    try:
        return Shown(png=picture.png(_SCALE), text=picture.alt, notes=picture.notes)
    except PangeaError as error:
        return Shown(text=f"No picture: {error.message}.")


def _too_large(size: int) -> str:
    return f"The result has {size:,} bytes: more than {RESULT_BYTES_MAX:,} aren't drawn here. `pangea job plot` draws it."
