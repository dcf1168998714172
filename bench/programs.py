"""Ten plain programs, a tenth of a second or so each: what `interpreter.py` has a native Python and the sandbox run.

None of them is in the training of the guest's profile. Only the standard library; equal results everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_SYLLABLES = "ka lo mi ne su ta ri po vex dun".split()


def _numbers(count: int, seed: int = 12_345) -> list[int]:
    """A linear congruential sequence (the constants of ISO C's example of `rand`)."""
    found = []
    for _ in range(count):
        seed = (seed * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        found.append(seed)
    return found


def _text(words: int) -> str:
    return " ".join(
        _SYLLABLES[x % 10] + _SYLLABLES[(x >> 8) % 10] + _SYLLABLES[(x >> 16) % 10] * (x & 1) for x in _numbers(words)
    )


def loop() -> object:
    """Arithmetic on small whole numbers."""
    total = 0
    for i in range(3_000_000):
        total += i * i & 1023
    return total


def words() -> object:
    """Words counted in a dictionary."""
    counts: dict[str, int] = {}
    for word in _text(200_000).split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items())[:20]


@dataclass
class _Body:
    place: list[float]
    speed: list[float]
    mass: float


def nbody() -> object:
    """Five bodies that attract each other: floats in lists and attributes."""
    bodies = [_Body([i * 1.1, i * 0.7 - 2, 3.0 - i], [0.1 * i, 0.2, -0.1 * i], 1 + i / 3) for i in range(5)]
    for _ in range(4_000):
        for i, one in enumerate(bodies):
            for other in bodies[i + 1 :]:
                apart = [a - b for a, b in zip(one.place, other.place, strict=True)]
                pull = 0.001 / (sum(a * a for a in apart) ** 1.5 + 0.01)
                for axis in range(3):
                    one.speed[axis] -= apart[axis] * other.mass * pull
                    other.speed[axis] += apart[axis] * one.mass * pull
        for one in bodies:
            for axis in range(3):
                one.place[axis] += 0.001 * one.speed[axis]
    return [[f"{each:.6f}" for each in one.place] for one in bodies]


class _Station:
    def __init__(self, number: int) -> None:
        self.number, self.queue, self.served = number, list[int](), 0

    def serve(self, yard: _Yard) -> None:
        if self.queue:
            parcel = self.queue.pop()
            self.served += 1
            yard.deliver(self.after(parcel), parcel + 1)

    def after(self, parcel: int) -> int:
        raise NotImplementedError


class _Near(_Station):
    def after(self, parcel: int) -> int:
        return (self.number + parcel) % 7


class _Far(_Station):
    def after(self, parcel: int) -> int:
        return (self.number * 3 + self.served) % 7


class _Yard:
    def __init__(self) -> None:
        self.stations: list[_Station] = [(_Near if i % 2 else _Far)(i) for i in range(7)]

    def deliver(self, number: int, parcel: int) -> None:
        self.stations[number].queue.append(parcel)


def objects() -> object:
    """Methods that call methods, of classes with one parent."""
    yard = _Yard()
    for i in range(21):
        yard.deliver(i % 7, i)
    for _ in range(80_000):
        for station in yard.stations:
            station.serve(yard)
    return [station.served for station in yard.stations]


def calls() -> object:
    """A function that calls itself 1.6 million times."""

    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    return fib(30)


def records() -> object:
    """JSON out and in, and lines of a table."""
    rows = [
        {"id": i, "name": f"item {x % 1000}", "price": x % 10_000 / 100, "tags": ["a", str(x % 17)]}
        for i, x in enumerate(_numbers(20_000))
    ]
    back = json.loads(json.dumps(rows))
    lines = [f"{row['id']:>8} {row['name']:<20} {row['price']:10.2f} {','.join(row['tags'])}" for row in back]
    return len(json.dumps(rows[:3_000], indent=1)), lines[-1]


def sorting() -> object:
    """Tuples sorted by keys that are computed."""
    rows = [(x % 1000, f"n{x % 977}", x / 7) for x in _numbers(100_000)]
    return sorted(rows, key=lambda row: (row[1], -row[0]))[:3], sorted(rows, key=lambda row: row[2])[:3], sorted(rows)[-1]


def patterns() -> object:
    """Regular expressions over a long text."""
    text = _text(150_000)
    found = re.findall(r"\b(?:ka|vex)\w*(?:ri|dun)\b", text)
    return len(found), len(re.sub(r"(\w)\1", r"<\1>", text)), sum(1 for _ in re.finditer(r"(?i)[aeiou]{2}|x[^ ]", text))


def comprehensions() -> object:
    """Lists, sets and dictionaries made of each other."""
    numbers = _numbers(150_000)
    squares = {x: x * x for x in numbers if x % 3}
    groups = {k: [x for x in numbers[:20_000] if x % 10 == k] for k in range(10)}
    return (
        len(set(map(str, numbers))),
        sum(v % 7 for v in squares.values()),
        [len(g) for g in groups.values()],
        sum(any(d == "7" for d in str(x)) for x in numbers),
    )


@dataclass(order=True)
class _Line:
    words: list[str] = field(default_factory=list)


def texts() -> object:
    """Text cut, changed and joined, a word at a time."""
    lines, line = [], _Line()
    for word in _text(200_000).split(" "):
        if sum(map(len, line.words)) + len(word) > 60:
            lines.append(" ".join(line.words).strip().title().replace("Ka", "k").rjust(64))
            line = _Line()
        line.words.append(word[::-1] if word.startswith("mi") else word.upper())
    return len(lines), lines[0], max(lines)


PROGRAMS: tuple[Callable[[], object], ...] = (
    loop,
    words,
    nbody,
    objects,
    calls,
    records,
    sorting,
    patterns,
    comprehensions,
    texts,
)
