"""What has begun before the job: iterators that were drawn from, caches that were filled, readers that were fed."""

from __future__ import annotations

import configparser
import functools
import html.parser
import importlib
import itertools
import logging
import reprlib
from dataclasses import dataclass, field
from typing import Any, cast

from tests.capturing import Cases, Look

CASES = Cases()


def _drawn(made: Any, times: int = 1) -> Any:
    for _ in range(times):
        next(made)
    return made


@CASES
def iterators_that_have_begun() -> Look:
    source = iter([5, 6, 7])
    kept = [
        _drawn(itertools.chain([1, 2], "ab", source)),
        _drawn(itertools.chain.from_iterable([[1], [2, 3]])),
        itertools.chain("never", "begun"),
        _drawn(itertools.chain("x"), 1),
        _drawn(itertools.starmap(pow, [(2, 3), (3, 2)])),
        _drawn(itertools.filterfalse(None, [0, 1, 0, ""])),
        _drawn(itertools.compress("abcd", [1, 0, 1, 1])),
    ]
    ended = itertools.chain("ab")
    rest = [*ended]
    return lambda: ([list(each) for each in kept], list(ended), rest, list(source))


@CASES
def cycles_on_each_round() -> Look:
    drawn = (0, 1, 2, 3, 4, 7)
    kept = [_drawn(itertools.cycle("abc"), times) for times in drawn]
    shared = itertools.cycle([[1], [2]])
    first = next(shared)
    twice = [shared, shared]

    def look() -> Any:
        seen = next(twice[0]), next(twice[1])
        return [list(itertools.islice(each, 4)) for each in kept], seen[1] is first, list(itertools.cycle(()))

    return look


@CASES
def totals_that_have_begun() -> Look:
    kept = [
        itertools.accumulate([1, 2, 3]),
        _drawn(itertools.accumulate([1, 2, 3])),
        _drawn(itertools.accumulate([1, 2, 3], max), 2),
        itertools.accumulate([1, 2], initial=5),
        _drawn(itertools.accumulate([1, 2], lambda one, other: one * other, initial=5)),
        _drawn(itertools.accumulate([1, 2, 3]), 3),
        _drawn(itertools.accumulate(cast("list[Any]", [None, 2]), lambda one, other: (one, other))),
    ]
    return lambda: [list(each) for each in kept]


CALLS: list[Any] = []


@functools.lru_cache
def loaded(name: str, *more: Any, **options: Any) -> list[Any]:
    CALLS.append((name, more, options))
    return [name, more, options]


@functools.lru_cache(maxsize=2, typed=True)
def of_type(number: float, *, scale: int = 1) -> int:
    CALLS.append((number, scale))
    return len(CALLS)


@CASES
def caches_that_were_filled() -> Look:
    CALLS.clear()
    for cached in (loaded, of_type):
        cached.cache_clear()
    first, other = loaded("a"), loaded("a", 1, scale=(2, 3))
    loaded("a")
    of_type(1), of_type(1.0), of_type(1, scale=2)

    def look() -> Any:
        found = loaded("a") is first, loaded("a", 1, scale=(2, 3)) is other, loaded("b")
        return found, of_type(1, scale=2), of_type(1.0), of_type(1), len(CALLS), loaded.cache_info(), of_type.cache_info()

    return look


@CASES
def caches_without_a_limit_of_methods_and_closures() -> Look:
    calls: list[Any] = []

    class Service:
        @functools.cache
        def get(self, key: Any) -> Any:
            calls.append(key)
            return self, key

    @functools.cache
    def settings() -> object:
        calls.append("settings")
        return object()

    @functools.cache
    def failing(number: int) -> int:
        calls.append(number)
        return 1 // number

    service, one = Service(), settings()
    service.get((1, "x"))
    for number in (0, 0, 1):
        try:
            failing(number)
        except ZeroDivisionError:
            calls.append("error")

    def look() -> Any:
        kept = service.get((1, "x"))[0] is service, service.get("y")[1], settings() is one, failing(1), list(calls)
        return kept, failing.cache_info(), settings.cache_info()

    return look


@CASES
def caches_that_keep_what_cannot_travel() -> Look:
    """They are empty there: what they keep is made again."""

    @functools.cache
    def opened(name: str) -> Any:
        return (each for each in name)

    opened("ab")
    return lambda: list(opened("ab")) or list("ab")


@dataclass(slots=True, kw_only=True)
class Slotted:
    name: str
    total: int = field(init=False, default=0)
    tags: list[int] = field(init=False, default_factory=list)


@CASES
def slots_with_defaults_that_are_not_given() -> Look:
    return lambda: (Slotted(name="a"), Slotted(name="a") == Slotted(name="a"), Slotted(name="b").tags, Slotted.__slots__)


@CASES
def readers_of_each_version() -> Look:
    class Tags(html.parser.HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[Any] = []

        def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
            self.tags.append((tag, attrs))

    settings, short, tags = configparser.ConfigParser(inline_comment_prefixes="#"), reprlib.Repr(), Tags()
    settings.read_string("[a]\nx=1\n")
    short.maxlist = 2
    tags.feed("<a href=1><b")
    adapter = logging.LoggerAdapter(logging.getLogger("begun"), {"user": 1})
    line = logging.LogRecord("begun", 20, "path", 1, "line %s", (1,), None)

    def look() -> Any:
        settings.read_string("[b]\ny=2 # a comment\n; another")
        tags.feed(">x</b>")
        shown = logging.Formatter("%(message)s %(levelname)s").format(line)
        return settings["a"]["x"], settings["b"]["y"], short.repr([1, 2, 3]), tags.tags, adapter.process("m", {}), shown

    return look


@CASES
def modules_asked_for_by_text() -> Look:
    importlib.import_module("tests.capturing.helper")

    def look() -> Any:
        helper = importlib.import_module("tests.capturing.helper")
        found = [importlib.import_module(f"tests.capturing.{name}").__name__ for name in ("helper", "helper_nested")]
        return sorted(name for name in vars(helper) if name == "shared"), found, importlib.import_module("json").dumps([1])

    return look
