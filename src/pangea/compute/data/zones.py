"""The rules of time zones inside a sandbox, which has no database of them: a column brings those of its own zone along.

A field's metadata has the zone's file (TZif) under `KEY`, in base64, as Arrow's metadata is text and some readers insist on that
(polars panics at other bytes). What is read from a column with a zone is a datetime by the clock of
that zone, with the offset of that moment: so hours are local ones, while differences and comparisons are of instants, as in
pandas. Its `tzname()` is the zone's name, from which columns that are made of such values have their zone again.

Source: RFC 9636 (TZif), RFC 4648 section 4 (base64), Arrow's Schema.fbs (KeyValue).
"""

from __future__ import annotations

import binascii
import io
import re
import zoneinfo
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from pangea.compute.data.errors import DataError

KEY = b"pangea.zone"
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")
_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "utc", "Z"})
_MAGIC = b"TZif"
#: What was read so far: what metadata says of rules, by name, and the zones that they make.
_rules: dict[str, bytes] = {}
_zones: dict[str, tzinfo] = {}


def described(rules: bytes) -> bytes:
    """What a field's metadata says of a zone's rules."""
    return binascii.b2a_base64(rules, newline=False)


def rules_of(name: str) -> bytes | None:
    """What a column has said here of the rules of a zone."""
    return _rules.get(name)


def learn(name: str, said: bytes) -> None:
    """Keep the rules of a zone.

    Args:
        name: of the zone.
        said: what a field's metadata says of them; or the file itself, as it was written at first.

    Raises:
        DataError: they are damaged.
    """
    if _rules.get(name) == said:
        return
    try:
        rules = said if said[:4] == _MAGIC else binascii.a2b_base64(said)
        _zones[name] = zoneinfo.ZoneInfo.from_file(io.BytesIO(rules), key=name)
    except (ValueError, OSError, IndexError, MemoryError) as exc:
        raise DataError(f"the rules of the time zone {name!r} are damaged") from exc
    _rules[name] = said


def zone_of(name: str) -> tzinfo:
    """The time zone called `name`.

    Raises:
        DataError: nobody knows its rules here.
    """
    if name in _UTC_NAMES:
        return UTC
    if name not in _zones:
        _zones[name] = _found(name)
    return _zones[name]


def localized(values: Sequence[Any], name: str) -> list[Any]:
    """Datetimes in UTC by the clock of a zone, each with that moment's offset; None stays.

    Raises:
        DataError: nobody knows the zone's rules here.
    """
    zone = zone_of(name)
    if zone is UTC:
        return list(values)
    offsets: dict[Any, timezone] = {}
    found: list[Any] = []
    for value in values:
        if value is None:
            found.append(None)
            continue
        try:
            local: datetime = value.astimezone(zone)
        except (OverflowError, ValueError):  # at the ends of the calendar
            found.append(value)
            continue
        offset = local.utcoffset()
        assert offset is not None
        if offset not in offsets:
            offsets[offset] = timezone(offset, name)
        found.append(local.replace(tzinfo=offsets[offset], fold=0))
    return found


def name_in(values: Sequence[Any]) -> str:
    """The zone that all these datetimes are of, whatever their offsets; "UTC" if they are of several."""
    names = {_name_of(value.tzinfo) for value in values if value is not None}
    return names.pop() if len(names) == 1 else "UTC"


def _name_of(zone: tzinfo) -> str:
    name = getattr(zone, "key", None) or (zone.tzname(None) if isinstance(zone, timezone) else None)
    return name if name in _rules or name in _zones else "UTC"


def _found(name: str) -> tzinfo:
    if offset := _OFFSET.fullmatch(name):
        sign = -1 if offset[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(offset[2]), minutes=int(offset[3])), name)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise DataError(
            f"nothing here knows the rules of the time zone {name!r}: give the job a table, which brings them along, or use UTC"
        ) from exc
