"""Dates on an axis and in words, by the clock of their own zone: also where that is put back, and one hour comes twice.

On an axis each instant has a place of its own, in their order: that of a clock which is never changed, the one that the first of
them shows. In words an instant is what the zone's clock shows; where two instants look alike, each says how far it is from UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pangea.compute.model.errors import PictureError
from pangea.compute.pictures.values import charts
from pangea.compute.pictures.values.shapes import Numbers

_MINUTE_MS = 60_000
#: The last moment that an axis of Vega's, or a date of JavaScript, can have: the year 275760.
_MOMENT_MAX_MS = 8.64e15
_MS = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a column.

    Attributes:
        zone: its time zone; "" if the column has none.
        offset_ms: what the axis is ahead of UTC.
        is_changed: whether the zone's clock shows something else at other places of the column.
    """

    zone: str = ""
    offset_ms: float = 0.0
    is_changed: bool = False

    @classmethod
    def of(cls, column: Any) -> tuple[Clock, Numbers]:
        """The clock of an Arrow column of dates, and the place of each on an axis: milliseconds, NaN where there is none.

        Raises:
            PictureError: there is one beyond the years that an axis can have.
        """
        zone = getattr(column.type, "tz", None) or ""
        instants = _milliseconds(column)
        known = np.flatnonzero(np.isfinite(instants))
        if not zone or not len(known):
            return cls(zone), instants
        offsets = _local(instants[known], zone) - instants[known]
        clock = cls(zone, float(offsets[np.argmin(instants[known])]), bool((offsets != offsets[0]).any()))
        return clock, instants + clock.offset_ms

    @property
    def note(self) -> str:
        """What is to be said below the picture; "" if there is nothing."""
        if not self.is_changed:
            return ""
        return f"the clocks of {self.zone} are changed in between: the axis keeps {_offset_text(self.offset_ms)} throughout"

    def title(self, name: str) -> str:
        """A column's name with its zone."""
        return f"{name}, {self.zone}" if self.zone else name

    def texts(self, places: Numbers) -> list[str]:
        """Places on the axis in words, by the zone's own clock."""
        if not len(places):
            return []
        if not self.zone:
            return charts.moment_texts(places)
        instants = np.asarray(places) - self.offset_ms
        local = _local(instants, self.zone)
        texts = charts.moment_texts(local)
        alike: dict[str, set[float]] = {}
        for text, instant in zip(texts, instants.tolist(), strict=True):
            alike.setdefault(text, set()).add(instant)
        offsets = (local - instants).tolist()
        return [
            f"{text} {_offset_text(offset)}" if len(alike[text]) > 1 else text
            for text, offset in zip(texts, offsets, strict=True)
        ]


def _milliseconds(column: Any) -> Numbers:
    zone = getattr(column.type, "tz", None)
    if pa.types.is_date32(column.type):
        size, stored = 86_400_000.0, column.cast(pa.int32())
    else:
        size, stored = _MS[getattr(column.type, "unit", "ms")], column.cast(pa.int64())
    furthest = pc.min_max(stored).as_py()
    if any(abs(end) * size > _MOMENT_MAX_MS for end in furthest.values() if end is not None):
        raise PictureError(
            "there are dates beyond the year 275760, which no axis has", hint="look for what made them, or leave them out"
        )
    plain = column.cast(pa.timestamp("ms", tz=zone), safe=False).cast(pa.int64()).cast(pa.float64())
    return np.asarray(plain.to_numpy(), dtype=np.float64)


def _local(instants: Numbers, zone: str) -> Numbers:
    column = pa.array(instants.astype(np.int64), pa.timestamp("ms", tz="UTC")).cast(pa.timestamp("ms", tz=zone))
    return np.asarray(pc.local_timestamp(column).cast(pa.int64()).to_numpy(), dtype=np.float64)


def _offset_text(milliseconds: float) -> str:
    minutes = round(milliseconds / _MINUTE_MS)
    return f"UTC{'+' if minutes >= 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
