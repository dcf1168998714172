"""What is known of a worker: how honest it has been, and how dependable its machine is. Two things, kept apart.

Honesty is counted in checks passed, per worker key, runtime class (results are comparable within one class only) and function:
who has executed honestly may yet lie in merging, where one lie spoils the results of many (`work_of`). It falls
faster than it rises: one pass at a time up, to zero with one proven lie. A lie also bans the key, in all classes, for a week,
twice as long with each further lie; afterwards every pass counts half as much as before. A time-out is no lie.

Theory. Of all workers a share `f` is assumed to lie. One that passed `k` checks, and would have been banned by a failed one,
is credible by

    c = 1 - f / (1 - f) / (k e)        and never less than 1 - f, the credibility of a stranger.

The formula bounds the worst lie rate a worker can have chosen to get this far. `weight` is the odds c / (1 - c).

Several that agree on a lie are a clique, and a clique lies about the same tasks. So what its members have passed doesn't
multiply, it adds up: n workers that agree, with K passes together, are all liars, came this far and lie now with odds of at most

    (f / (1 - f))^n / (K e)            and never more than (f / (1 - f))^n: `joint_weight`.

K leaves out what they have passed by nobody's word but each other's: a clique vouches for its own.

Keys cost nothing to make. So nothing a new key does may harm what is known of others: the book is bounded, what is worth least
leaves first, and a ban can never make its key better off than a fresh one.

Source: Sarmenta, "Sabotage-tolerance mechanisms for volunteer computing systems", FGCS 18(4), 2002; odds as in iExec's PoCo.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from pangea.compute.model.ids import PeerId

#: The share of workers that lie, as assumed: pessimistic for open networks.
ASSUMED_FAULTY = 0.2
#: Passed checks until which all work of a key is checked.
PROBATION_PASSES = 3
#: The first ban, in seconds: a week. It doubles with each further one …
BAN_SECONDS = 7 * 86_400.0
#: … up to this: a year and a quarter.
BAN_SECONDS_MAX = 64 * BAN_SECONDS
#: Answers that a key may commit to and not show; then it votes no more, for as long as a first ban lasts after the latest.
STRIKES_MAX = 3
#: Faults after which a machine that has passed its own test is let back.
READMISSIONS_MAX = 3
STRIKE_SECONDS = BAN_SECONDS
#: Records kept (one per worker and runtime class, some 300 bytes each); as many keys that were ever banned.
TRUST_RECORDS_MAX = 100_000
#: When a register is full, this share of it leaves at once: the room in which newcomers turn over.
NEWCOMERS_SHARE = 1 / 16
#: Weight of the latest attempt in a worker's reliability: about the last ten count.
RELIABILITY_WEIGHT = 0.1
#: Reliability of a key nothing is known of: one that never failed is preferred to it, and it to one that fails every tenth time.
RELIABILITY_NEW = 0.9

#: Odds that a stranger is honest, and by how much each pass raises the odds: k e (1 - f) / f - 1 is c / (1 - c).
STRANGER_WEIGHT = (1 - ASSUMED_FAULTY) / ASSUMED_FAULTY
_WEIGHT_PER_PASS = math.e * STRANGER_WEIGHT
_BANS_COUNTED_MAX = 64
#: Strangers counted in a group's odds: beyond, they are as good as infinite.
_GROUP_MAX = 64


def work_of(runtime: str, function: str) -> str:
    """What trust is about: a runtime class by itself stands for executing in it."""
    return runtime if function == "execute" else f"{runtime} {function}"


def parts_of(work: str) -> tuple[str, str]:
    """The runtime class and the function that `work_of` was made of."""
    runtime, _, function = work.partition(" ")
    return runtime, function or "execute"


def weight_of(passes: int) -> float:
    """Odds c / (1 - c) that a worker with so many passes answers right; see the module's theory."""
    return max(STRANGER_WEIGHT, _WEIGHT_PER_PASS * passes - 1.0)


def joint_weight(workers: int, passes: int) -> float:
    """Odds that so many independent workers that agree are right, who have so many passes together; see the module's theory."""
    strangers: float = STRANGER_WEIGHT ** min(workers, _GROUP_MAX)
    return max(strangers, strangers * math.e * passes - 1.0)


class Verdict(StrEnum):
    """Why a key is shut out."""

    #: Wrong in a way that no machine is by itself.
    LIED = "lied"
    #: Wrong, once as far as is known: about one machine in a thousand computes wrong now and then.
    FAULTY = "faulty"
    #: Did what no honest node does, as this node has seen, but can't show to others.
    MISBEHAVED = "misbehaved"
    #: Whoever runs this node says so.
    BY_HAND = "banned by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRecord:
    """What is known of a worker within one runtime class, as it is written down.

    Attributes:
        passes: checks passed since the last lie, 0 or more.
        anchors: answers among these that this node found right by executing them itself, one a task at most, 0 or more.
        bans: lies that were punished, 0 or more; of the key, so the same in all runtime classes.
        banned_until: seconds, on the clock of `now`; None if never banned. May be past.
        reliability: share of attempts that ended with an answer, lately, 0 to 1. Says nothing about honesty.
        last_check: seconds, when a check was last passed; 0 if none was since the last lie.
        strikes: times that it committed to an answer and didn't show it when asked, 0 or more; of the key. No lie.
        struck_at: seconds, when it last did so; 0 if never.
        verdict: a `Verdict`, of the key's latest ban; "" if there was none.
    """

    passes: int = 0
    anchors: int = 0
    bans: int = 0
    banned_until: float | None = None
    reliability: float = RELIABILITY_NEW
    last_check: float = 0.0
    strikes: int = 0
    struck_at: float = 0.0
    verdict: str = ""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ValueError: names the field and its value.
        """
        counts = {"passes": self.passes, "anchors": self.anchors, "bans": self.bans, "strikes": self.strikes}
        banned_until = 0.0 if self.banned_until is None else self.banned_until
        seconds = {"last_check": self.last_check, "banned_until": banned_until, "struck_at": self.struck_at}
        for name, count in counts.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise ValueError(f"{name} is {count!r}; it must be a whole number, 0 or more")
        for name, value in {**seconds, "reliability": self.reliability}.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}; it must be a finite number")
        if not isinstance(self.verdict, str) or self.verdict not in ("", *Verdict):
            raise ValueError(f"verdict is {self.verdict!r}; it must be one of {', '.join(Verdict)}, or empty")
        if not 0.0 <= self.reliability <= 1.0:
            raise ValueError(f"reliability is {self.reliability!r}; it must be 0 to 1")

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object; `from_json` takes it back exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrustRecord:
        """The record that `to_json` wrote.

        Raises:
            ValueError: a field is unknown or out of range.
        """
        unknown = [name for name in values if name not in {field.name for field in fields(cls)}]
        if unknown:
            raise ValueError(f"unknown fields of a trust record: {', '.join(map(str, unknown))}")
        return cls(**values)


class _Known:
    """What is known of a worker in one runtime class; `credit` and `weight` follow from `passes` and the key's bans."""

    __slots__ = ("anchors", "credit", "last_check", "passes", "reliability", "weight")

    def __init__(self) -> None:
        self.passes = 0
        self.anchors = 0
        self.credit = 0
        self.weight = STRANGER_WEIGHT
        self.reliability = RELIABILITY_NEW
        self.last_check = 0.0

    def count(self, passes: int, bans: int) -> None:
        """Have `passes` passes, each of which counts 1/2^bans."""
        self.passes = passes
        self.credit = passes >> bans
        self.weight = weight_of(self.credit)


@dataclass(slots=True)
class _Ban:
    count: int
    until: float
    verdict: str = ""


@dataclass(slots=True)
class _Strikes:
    count: int
    last: float


class TrustBook:
    """What this node knows of workers. `now` is in seconds, on a clock that goes on while the node is down."""

    def __init__(self, *, records_max: int = TRUST_RECORDS_MAX) -> None:
        """Know nothing yet, and later at most `records_max` records and as many bans (at least 1)."""
        assert records_max > 0
        self._records_max = records_max
        #: By runtime class, then by worker. Rule: no key has passes from before its latest ban.
        self._known: dict[str, dict[PeerId, _Known]] = {}
        #: Apart from the records, so that a swarm of liars pushes out nobody; kept after a ban's end, for the next one.
        self._bans: dict[PeerId, _Ban] = {}
        self._strikes: dict[PeerId, _Strikes] = {}
        self._count = 0

    def __len__(self) -> int:
        """Records kept, bans apart."""
        return self._count

    def passes(self, worker: PeerId, runtime: str) -> int:
        """Checks passed since the last lie, as far as they count: after n bans each counts 1/2^n."""
        known = self._find(worker, runtime)
        return known.credit if known else 0

    def weight(self, worker: PeerId, runtime: str) -> float:
        """Odds that this worker's answer is right, 4 (a stranger's) or more."""
        known = self._find(worker, runtime)
        return known.weight if known else STRANGER_WEIGHT

    def is_proven(self, worker: PeerId, runtime: str) -> bool:
        """Whether the worker has passed its probation."""
        return self.passes(worker, runtime) >= PROBATION_PASSES

    def is_banned(self, worker: PeerId, now: float) -> bool:
        """Whether the key is shut out, from all runtime classes."""
        ban = self._bans.get(worker)
        return ban is not None and now < ban.until

    def passed(self, worker: PeerId, runtime: str, now: float) -> None:
        """A check found the worker's answer right. Nothing counts while it is banned."""
        if self.is_banned(worker, now):
            return
        known = self._get(worker, runtime)
        known.count(known.passes + 1, self._ban_count(worker))
        known.last_check = now

    def anchors(self, worker: PeerId, runtime: str) -> int:
        """Answers of the worker that this node found right by executing them itself, since the last lie."""
        known = self._find(worker, runtime)
        return known.anchors if known else 0

    def anchor(self, worker: PeerId, runtime: str, now: float) -> None:
        """This node's own execution found the worker's answer right. Nothing counts while it is banned."""
        if not self.is_banned(worker, now):
            self._get(worker, runtime).anchors += 1

    def ban(self, worker: PeerId, runtime: str, now: float, verdict: Verdict = Verdict.LIED) -> None:
        """The worker answered wrongly: its passes are gone in all classes (`runtime` is where), and it is shut out.

        More that comes to light during a ban was done before it: it doesn't prolong it, but may make a lie of a fault.
        """
        if self.is_banned(worker, now):
            if verdict is Verdict.LIED:
                self._bans[worker].verdict = verdict
            return
        count = self._ban_count(worker) + 1
        self._forget(worker)
        self._set_ban(worker, _Ban(count, now + ban_seconds(count), verdict))

    def verdict(self, worker: PeerId) -> str:
        """Why the worker is shut out, or was at last; "" if it never was."""
        ban = self._bans.get(worker)
        return ban.verdict if ban is not None else ""

    def readmit(self, worker: PeerId, tested_at: float, now: float) -> bool:
        """A faulty machine was tested at `tested_at`, seconds, and passed: let it back, if that was after it was found out.

        Its passes are gone, so that all its answers are checked again. After a third fault a test is no excuse any more.
        """
        ban = self._bans.get(worker)
        if ban is None or not self.is_banned(worker, now) or ban.verdict != Verdict.FAULTY or ban.count > READMISSIONS_MAX:
            return False
        if not ban.until - ban_seconds(ban.count) < tested_at <= now:
            return False
        ban.until = now
        return True

    def strike(self, worker: PeerId, asked: float, now: float) -> bool:
        """The worker, asked at `asked` to show what it had committed to, didn't; False if that was known already.

        What it was asked before its last strike is part of that: a machine that stands still for a moment is struck once.
        """
        known = self._strikes.get(worker)
        if known is not None and asked <= known.last:
            return False
        count = known.count if known is not None and now < known.last + STRIKE_SECONDS else 0
        self._set_strikes(worker, _Strikes(count + 1, now))
        return True

    def strikes(self, worker: PeerId, now: float) -> int:
        """Strikes that count still."""
        known = self._strikes.get(worker)
        return known.count if known is not None and now < known.last + STRIKE_SECONDS else 0

    def may_vote(self, worker: PeerId, now: float) -> bool:
        """Whether the worker may give answers that are committed to first."""
        return self.strikes(worker, now) < STRIKES_MAX

    def pardon(self, worker: PeerId) -> tuple[str, ...]:
        """End a ban now. It still counts: later passes are worth less, the next ban is longer.

        Returns:
            Runtime classes whose record of the worker has changed; none if it wasn't banned at all.
        """
        ban = self._bans.get(worker)
        self._strikes.pop(worker, None)
        if ban is None:
            return ()
        ban.until = 0.0
        return tuple(runtime for runtime, workers in self._known.items() if worker in workers) or ("",)

    def records(self) -> Iterator[tuple[PeerId, str, TrustRecord]]:
        """Each worker, the runtime class, and what is known of it there."""
        for runtime, workers in self._known.items():
            for worker in workers:
                yield worker, runtime, self.record(worker, runtime)

    def banned(self, now: float) -> list[PeerId]:
        """Who is shut out."""
        return [worker for worker, ban in self._bans.items() if now < ban.until]

    def succeeded(self, worker: PeerId, runtime: str) -> None:
        """An attempt ended with an answer, right or wrong."""
        self._rate(worker, runtime, 1.0)

    def failed(self, worker: PeerId, runtime: str) -> None:
        """The machine failed: time-out, lost link, killed process. No lie."""
        self._rate(worker, runtime, 0.0)

    def reliability(self, worker: PeerId, runtime: str) -> float:
        """Share of attempts that ended with an answer, lately, 0 to 1."""
        known = self._find(worker, runtime)
        return known.reliability if known else RELIABILITY_NEW

    def record(self, worker: PeerId, runtime: str) -> TrustRecord:
        """What to write down, so that `restore` can bring it back."""
        known = self._find(worker, runtime) or _Known()
        ban, struck = self._bans.get(worker), self._strikes.get(worker)
        return TrustRecord(
            passes=known.passes,
            anchors=known.anchors,
            bans=ban.count if ban else 0,
            banned_until=ban.until if ban else None,
            reliability=known.reliability,
            last_check=known.last_check,
            verdict=ban.verdict if ban else "",
            strikes=struck.count if struck else 0,
            struck_at=struck.last if struck else 0.0,
        )

    def restore(self, worker: PeerId, runtime: str, record: TrustRecord) -> None:
        """Take back what was written down, in any order. Passes from before a ban known by now don't count."""
        ban = self._bans.get(worker)
        if record.bans > (ban.count if ban else 0):
            self._forget(worker)
            ban = _Ban(record.bans, record.banned_until or 0.0, record.verdict or Verdict.LIED)
            self._set_ban(worker, ban)
        elif ban and record.bans == ban.count:
            ban.until = max(ban.until, record.banned_until or 0.0)
            ban.verdict = Verdict.LIED if Verdict.LIED in (ban.verdict, record.verdict) else ban.verdict or record.verdict
        struck = self._strikes.get(worker)
        if record.strikes and (struck is None or struck.last < record.struck_at):
            self._set_strikes(worker, _Strikes(record.strikes, record.struck_at))
        known = self._get(worker, runtime)
        known.reliability, known.last_check = record.reliability, record.last_check
        bans = ban.count if ban else 0
        known.count(record.passes if record.bans == bans else 0, bans)
        known.anchors = record.anchors if record.bans == bans else 0

    def _find(self, worker: PeerId, runtime: str) -> _Known | None:
        workers = self._known.get(runtime)
        return workers.get(worker) if workers else None

    def _get(self, worker: PeerId, runtime: str) -> _Known:
        workers = self._known.setdefault(runtime, {})
        known = workers.get(worker)
        if known is None:
            if self._count >= self._records_max:
                self._make_room()
            known = workers[worker] = _Known()
            self._count += 1
        return known

    def _rate(self, worker: PeerId, runtime: str, outcome: float) -> None:
        known = self._get(worker, runtime)
        known.reliability += RELIABILITY_WEIGHT * (outcome - known.reliability)

    def _ban_count(self, worker: PeerId) -> int:
        ban = self._bans.get(worker)
        return ban.count if ban else 0

    def _forget(self, worker: PeerId) -> None:
        for workers in self._known.values():
            if workers.pop(worker, None) is not None:
                self._count -= 1

    def _set_ban(self, worker: PeerId, ban: _Ban) -> None:
        if worker not in self._bans and len(self._bans) >= self._records_max:
            ends = sorted((old.until, key) for key, old in self._bans.items())
            for _, key in ends[: self._room()]:
                del self._bans[key]  # the one that ended or ends first: among so many, its key is no better off than a fresh one
        self._bans[worker] = ban

    def _set_strikes(self, worker: PeerId, strikes: _Strikes) -> None:
        if worker not in self._strikes and len(self._strikes) >= self._records_max:
            for key in sorted(self._strikes, key=lambda key: self._strikes[key].last)[: self._room()]:
                del self._strikes[key]
        self._strikes[worker] = strikes

    def _make_room(self) -> None:
        """Drop what is worth least: the fewest passes, and among equals what was checked longest ago."""
        worth = sorted(
            (known.credit, known.last_check, runtime, worker)
            for runtime, workers in self._known.items()
            for worker, known in workers.items()
        )
        for _, _, runtime, worker in worth[: self._room()]:
            del self._known[runtime][worker]
            self._count -= 1

    def _room(self) -> int:
        return max(1, int(self._records_max * NEWCOMERS_SHARE))


def ban_seconds(bans: int) -> float:
    """How long the `bans`-th ban lasts (1 is the first)."""
    return min(BAN_SECONDS_MAX, BAN_SECONDS * 2.0 ** (min(bans, _BANS_COUNTED_MAX) - 1))
