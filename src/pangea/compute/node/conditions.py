"""When a machine works for others of its own accord: not while its user needs it, not outside certain hours, not on battery.

BOINC has the same: "suspend when computer is in use", "compute only between", "suspend when computer is on battery" (computing
preferences). What is decided is a function of what was seen; seeing is `Machine`'s.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

import psutil

#: Other programs may use so much of this machine's cores while it counts as idle (BOINC's default for "non-BOINC CPU usage").
OTHERS_MAX = 0.25
#: So long must it have been idle (BOINC: "in use" is input in the last 3 minutes).
QUIET_SECONDS = 180.0
#: Between two looks.
LOOK_SECONDS = 10.0
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def read_hours(text: str) -> tuple[int, int]:
    """Read `22:00-07:00`: from and until when, in minutes of the day (0 to 1,439). They may go past midnight.

    Raises:
        ValueError: it is none, or no time lies between.
    """
    found = _HOURS.fullmatch(text)
    if found is None or found[1] + found[2] == found[3] + found[4]:
        raise ValueError("it must be two different times of the day, such as 22:00-07:00")
    return int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """When a node works for others.

    Attributes:
        only_idle: while other programs leave the machine alone.
        hours: within these hours of the local day, as `read_hours` takes them; empty: at any.
        battery: on battery, too.
    """

    only_idle: bool = False
    hours: str = ""
    battery: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of a machine.

    Attributes:
        minute: of the local day, 0 to 1,439.
        others: share of the cores that other programs have used since the last look, 0 to 1; None at the first.
        on_battery: whether it runs on battery.
    """

    minute: int
    others: float | None
    on_battery: bool


class Watch:
    """Decides from one look after the other."""

    def __init__(self, conditions: Conditions) -> None:
        """Nothing seen yet."""
        self._conditions = conditions
        self._hours = read_hours(conditions.hours) if conditions.hours else None
        self._in_use_until = 0.0

    def objection(self, look: Look, now: float) -> str:
        """Why the node doesn't work for others now, in words; empty if it does. `now`: seconds of any clock that runs on."""
        if look.on_battery and not self._conditions.battery:
            return "this machine runs on battery"
        if self._hours is not None and not _is_within(look.minute, *self._hours):
            return f"it is outside {self._conditions.hours}"
        return self._use(look.others, now) if self._conditions.only_idle else ""

    def _use(self, others: float | None, now: float) -> str:
        if others is None or others > OTHERS_MAX:
            self._in_use_until = now + (QUIET_SECONDS if others is not None else 0.0)
        if others is None:
            return "whether this machine is idle isn't known yet"
        if now < self._in_use_until:
            left = self._in_use_until - now
            return f"other programs use this machine ({others:.0%} of its cores now; {left:.0f} s until it counts as idle)"
        return ""


def _is_within(minute: int, start: int, end: int) -> bool:
    return start <= minute < end if start < end else minute >= start or minute < end


class Sight(Protocol):
    """How a machine is looked at."""

    def look(self) -> Look:
        """Look."""


class Times(NamedTuple):
    """Seconds of all cores since the machine began: in all, at work, and at work for this node and its children."""

    total: float
    busy: float
    own: float


def share_of_others(before: Times, after: Times) -> float | None:
    """Share of the cores that others have used in between, 0 to 1; None if no time has passed."""
    total = after.total - before.total
    if total <= 0.0:
        return None
    # A child whose parent ended before it takes its time along: `own` falls, and others haven't used what is missing.
    own = max(0.0, after.own - before.own)
    return min(1.0, max(0.0, after.busy - before.busy - own) / total)


def times() -> Times:
    """The cores' times now, from /proc."""
    cores = psutil.cpu_times()
    guests = getattr(cores, "guest", 0.0) + getattr(cores, "guest_nice", 0.0)  # those are in user and nice, too
    total, me = sum(cores) - guests, psutil.Process()
    own = sum(map(_seconds_of, [me, *me.children(recursive=True)]))
    return Times(total, total - cores.idle - getattr(cores, "iowait", 0.0), own)


class Machine:
    """This machine."""

    def __init__(self, *, counts_others: bool) -> None:
        """Not looked at yet. Whether others use it is looked at if `counts_others`: that reads all of /proc."""
        self._counts_others = counts_others
        self._last: Times | None = None

    def look(self) -> Look:
        """Look; reads /proc and /sys."""
        now, battery = datetime.now().astimezone(), psutil.sensors_battery()
        return Look(
            minute=now.hour * 60 + now.minute,
            others=self._others() if self._counts_others else None,
            on_battery=battery is not None and battery.power_plugged is False,
        )

    def _others(self) -> float | None:
        last, self._last = self._last, times()
        return None if last is None else share_of_others(last, self._last)


def _seconds_of(process: psutil.Process) -> float:
    """Of the cores' time, what a process has used, and those of its children that have ended."""
    try:
        times = process.cpu_times()
    except psutil.Error:  # it has ended meanwhile: its parent has its time now
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


async def watch(conditions: Conditions, machine: Sight, hold: Callable[[str], None], seconds: float = LOOK_SECONDS) -> None:
    """Look again and again, and tell `hold` why the node doesn't work for others, empty if it does; until cancelled."""
    decided, clock = Watch(conditions), asyncio.get_running_loop().time
    while True:
        hold(decided.objection(await asyncio.to_thread(machine.look), clock()))
        await asyncio.sleep(seconds)
