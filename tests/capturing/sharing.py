"""What is one thing at home is one thing in a job: dictionaries behind instances and modules, memory behind views."""

from __future__ import annotations

import array
import linecache
import pathlib
import types
from datetime import datetime, timedelta, tzinfo
from typing import Any

from tests.capturing import Cases, Look

CASES = Cases()


@CASES
def instances_of_one_dictionary() -> Look:
    class Shared:
        state: dict[str, Any] = {}

        def __init__(self) -> None:
            self.__dict__ = self.state

    one, other = Shared(), Shared()
    one.x = 1

    def look() -> Any:
        other.y = 2
        return one.y, Shared().x, one.__dict__ is other.__dict__ is Shared.state

    return look


@CASES
def instances_of_one_dictionary_that_nothing_else_holds() -> Look:
    class Twin:
        pass

    one, other = Twin(), Twin()
    other.__dict__ = one.__dict__

    def look() -> Any:
        one.x = 1
        return other.x, vars(one) is vars(other)

    return look


@CASES
def the_dictionary_of_an_instance() -> Look:
    class Plain:
        pass

    kept = Plain()
    kept.x = 1
    behind = vars(kept)

    def look() -> Any:
        behind["y"] = 2
        return kept.y, vars(kept) is behind

    return look


def _run(text: str, name: str, space: dict[str, Any]) -> dict[str, Any]:
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), space)
    return space


@CASES
def globals_as_a_dictionary() -> Look:
    text = "ALL = globals()\ncount = 1\ndef up():\n    global count\n    count += 1\n    return ALL['count'], ALL is globals()\n"
    up = _run(text, "<globals>", {"__name__": "counting"})["up"]
    return lambda: (up(), up())


@CASES
def a_namespace_that_exec_filled() -> Look:
    space = _run("def f():\n    return n\nn = 1\n", "<filled>", {})

    def look() -> Any:
        space["n"] = 5
        return space["f"](), space["f"].__globals__ is space

    return look


@CASES
def the_dictionary_of_a_module() -> Look:
    module = types.ModuleType("made")
    _run("def f():\n    return n\nn = 1\n", "<made>", vars(module))
    behind = vars(module)

    def look() -> Any:
        behind["n"] = 7
        return module.f(), module.n

    return look


@CASES
def views_into_the_same_memory() -> Look:
    data, numbers = bytearray(range(12)), array.array("i", range(6))
    views = [
        memoryview(data),
        memoryview(data)[2:8],
        memoryview(data)[::-2],
        memoryview(data)[3:9].cast("H"),
        memoryview(numbers)[1:4],
    ]
    views += [
        memoryview(data).toreadonly()[4:6],
        memoryview(data).cast("B", (3, 4)),
        memoryview(numbers)[::2],
        memoryview(data)[5:5],
    ]

    def look() -> Any:
        data[4] = 99
        numbers[2] = -1
        views[1][0] = 77
        shown = [
            (view.tolist(), view.format, view.readonly, view.shape, view.obj is data or view.obj is numbers) for view in views
        ]
        return shown, data[2]

    return look


@CASES
def views_of_bytes() -> Look:
    text = b"abcdef"
    views = [memoryview(text)[1:3], memoryview(text)[::-1], memoryview(text)[::2][1:]]
    return lambda: [(view.tobytes(), view.obj == text, view.readonly) for view in views]


@CASES
def texts_that_stand_for_nothing() -> Look:
    unset = "<not given>"

    def f(x: str = unset) -> bool:
        return x is unset

    return lambda: (f(), f("".join(["<not", " given>"])), {"k": unset}["k"] is unset)


@CASES
def classes_derived_from_types_of_c_that_hold_nothing() -> Look:
    class Fixed(tzinfo):
        def __init__(self, hours: int) -> None:
            self.hours = hours

        def utcoffset(self, when: Any) -> timedelta:
            return timedelta(hours=self.hours)

        def dst(self, when: Any) -> None:
            return None

        def tzname(self, when: Any) -> str:
            return f"+{self.hours}"

    class Space(types.SimpleNamespace):
        def twice(self) -> int:
            return self.x * 2

    zone, space = Fixed(3), Space(x=4)
    when = datetime(2026, 1, 1, tzinfo=zone)
    return lambda: (when.isoformat(), when.tzinfo is zone, zone.tzname(None), space.twice(), space)


@CASES
def paths_of_a_class_of_its_own() -> Look:
    class Key(pathlib.PurePosixPath):
        def upper(self) -> str:
            return str(self).upper()

    kept = Key("a/b.txt")
    return lambda: (kept.upper(), kept.name, type(kept.parent).__name__, kept == Key("a") / "b.txt", {kept: 1}[Key("a/b.txt")])


@CASES
def arrays_of_a_class_of_its_own() -> Look:
    class Samples(array.array):
        def mean(self) -> float:
            return sum(self) / len(self)

    samples, longs = Samples("d", [1.0, 2.5]), Samples("l", [1, 2, 2**31 - 1])
    samples.unit = "m"
    return lambda: (samples.mean(), samples.unit, list(samples), list(longs), longs.typecode)
