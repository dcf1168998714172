"""Periods of the calendar by pandas' names: weeks, months, quarters, years, called by their first day or their last one."""

from __future__ import annotations

import re
from datetime import date, timedelta

from pangea.compute.model.errors import ManifestError

#: Unit, whether a period is called by its last day, where it is anchored (a weekday, Monday is 0; or a month, January is 0, that
#: is the first of a period, or the last), and how many of them are one.
Calendar = tuple[str, bool, int, int]

_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_RULE = re.compile(r"(\d{0,9})\s*(W|MS|ME|M|QS|QE|Q|YS|YE|Y|A)(?:-([A-Z]{3}))?")
_PERIODS_MAX = 120_000  # as many months as the calendar has
_LENGTHS = {"M": 1, "Q": 3, "Y": 12}


def calendar_of(rule: object) -> Calendar | None:
    """The periods that a rule names; None if it names spans of time.

    Raises:
        ManifestError: it names none that there are.
    """
    found = _RULE.fullmatch(rule) if isinstance(rule, str) else None
    if found is None:
        return None
    count, name, anchor = found.groups()
    if not 0 < int(count or 1) <= _PERIODS_MAX:
        raise ManifestError(f"rule is {rule!r}: from 1 to {_PERIODS_MAX:,} periods can be one", field="rule")
    if name in ("M", "Q", "Y", "A"):
        unit = "Y" if name == "A" else name
        hint = f"take {unit}S, called by the first day, or {unit}E, by the last"
        raise ManifestError(f"rule is {rule!r}: which day are the periods called by?", hint=hint, field="rule")
    anchors = _WEEKDAYS if name == "W" else _MONTHS
    if anchor is not None and (anchor not in anchors or name[0] == "M"):
        known = "none of those" if name[0] == "M" else f"one of {', '.join(anchors)}"
        raise ManifestError(f"rule is {rule!r}: {name!r} is followed by {known}", field="rule")
    usual = "SUN" if name == "W" else "JAN" if name[1] == "S" else "DEC"
    return name[0], name == "W" or name[1] == "E", anchors.index(anchor or usual), int(count or 1)


# What follows runs in the sandbox.


def period_of(day: date, calendar: Calendar) -> date:
    """What the single period of a day is called by."""
    unit, is_end, anchor, _ = calendar
    if unit == "W":
        return day + timedelta((anchor - day.weekday()) % 7)
    length, month = _LENGTHS[unit], day.year * 12 + day.month - 1
    if not is_end:
        return _first_of(month - (month - anchor) % length)
    return _last_of(month + (anchor - month) % length)


def period_after(day: date, calendar: Calendar) -> date:
    """What the next period, of as many single ones as are one, is called by, after the one that is called by `day`."""
    unit, is_end, _, count = calendar
    if unit == "W":
        return day + timedelta(7 * count)
    month = day.year * 12 + day.month - 1 + _LENGTHS[unit] * count
    return _last_of(month) if is_end else _first_of(month)


def _first_of(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _last_of(month: int) -> date:
    return date(month // 12, 12, 31) if month % 12 == 11 else _first_of(month + 1) - timedelta(1)
