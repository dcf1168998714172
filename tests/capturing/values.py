"""Values: equal in value, type and sharing on arrival."""

from __future__ import annotations

import argparse
import array
import collections
import contextvars
import csv
import datetime
import decimal
import fractions
import io
import ipaddress
import json
import logging
import math
import pathlib
import random
import re
import string
import struct
import sys
import types
import uuid
import weakref
import zipfile
import zoneinfo
from typing import Any, NoReturn

from tests.capturing import Cases, Look

CASES = Cases()
NAN = struct.unpack(">d", bytes.fromhex("7ff8000000000123"))[0]


@CASES
def numbers() -> Look:
    kept = [
        0,
        -1,
        2**63,
        -(2**64),
        10**5000,
        True,
        1.5,
        -0.0,
        math.inf,
        -math.inf,
        5e-324,
        1 + 2j,
        complex(-0.0, math.inf),
        False,
    ]
    return lambda: (
        [hash(each) for each in kept[:2]],
        [repr(each)[:40] for each in kept if each != 10**5000],
        kept[4] == 10**5000,
        math.copysign(1, kept[7].real),
    )


@CASES
def numbers_that_are_none() -> Look:
    other, listed = float("nan"), [NAN]
    parts = complex(NAN, 1)
    return lambda: (
        struct.pack(">d", NAN).hex(),
        NAN in listed,
        other in listed,
        listed[0] is NAN,
        repr(parts),
        [math.isnan(each) for each in (other, NAN)],
    )


@CASES
def texts_and_bytes() -> Look:
    kept = ["", "é\u2028\x00", "\ud800", "\ud83d\ude00", "😀", b"", b"\xff\x00", bytearray(b"ab"), "a" * 1000]
    return lambda: [ascii(each) for each in kept]


@CASES
def constants() -> Look:
    kept = (None, ..., NotImplemented, type(None), type(...), type(NotImplemented), int, object, type)
    return lambda: kept


@CASES
def sharing() -> Look:
    inner = [1]
    one, two = {"a": inner}, (inner, inner)
    sentinel = object()
    loop: list[Any] = []
    loop.append(loop)
    tied: dict[str, Any] = {}
    tied["t"] = (tied, [tied])

    def look() -> Any:
        inner.append(2)
        return (
            one,
            two,
            two[0] is two[1],
            loop[0] is loop,
            tied["t"][0] is tied,
            sentinel is sentinels[0],
            sentinels[0] is sentinels[1],
        )

    sentinels = [sentinel, object()]
    return look


@CASES
def containers_of_the_library() -> Look:
    window = collections.deque([1, 2, 3], maxlen=3)
    counts = collections.Counter("abca")
    groups: Any = collections.defaultdict(list, {"x": [1]})
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    ordered.move_to_end("b")
    chain = collections.ChainMap({"a": 1}, {"b": 2})
    user = collections.UserDict({"k": 1})

    def look() -> Any:
        window.append(4)
        groups["y"].append(2)
        return (
            window,
            counts.most_common(1),
            groups,
            list(ordered),
            chain["b"],
            user,
            counts["none"],
            type(ordered).__name__,
            collections.UserList([1]),
        )

    return look


@CASES
def sets() -> Look:
    kept = [{3, 1, 2}, frozenset("ab"), {(1, "a"), (2, "b")}, {None, 1, "x", 2.5}, set()]
    return lambda: [sorted(map(repr, each)) for each in kept]


@CASES
def dialects_of_csv() -> Look:
    csv.register_dialect("of this test", delimiter="|", quotechar="'")
    return lambda: list(csv.reader(["a|'b|c'"], "of this test"))


@CASES
def exact_numbers() -> Look:
    kept = [decimal.Decimal("1.10"), decimal.Decimal("-0"), decimal.Decimal("Infinity"), fractions.Fraction(2, 7)]
    context = decimal.Context(prec=5, rounding=decimal.ROUND_DOWN)
    return lambda: (kept, context.divide(1, 3), repr(decimal.Decimal("sNaN")))


@CASES
def dates() -> Look:
    india = datetime.timezone(datetime.timedelta(hours=5, minutes=30), "IST")
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    kept = [
        datetime.date(2024, 2, 29),
        datetime.time(1, 2, 3, 4, tzinfo=india),
        datetime.timedelta(days=-1, microseconds=5),
        datetime.UTC,
    ]
    when = datetime.datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=1)
    same = datetime.datetime(2024, 7, 1, tzinfo=berlin)
    return lambda: (
        kept,
        when.isoformat(),
        when.utcoffset(),
        same.dst(),
        when.tzinfo is same.tzinfo,
        (same - when),
        datetime.datetime(2024, 3, 31, 2, tzinfo=india).isoformat(),
        str(berlin),
        zoneinfo.ZoneInfo("Europe/Berlin") is berlin,
    )


@CASES
def ranges_and_slices() -> Look:
    kept = (range(3, 30, 7), slice(1, None, 2), range(0))
    return lambda: (kept, list(kept[0]), "abcdef"[kept[1]])


@CASES
def arrays_and_views() -> Look:
    a, f = array.array("i", [1, -2]), array.array("d", [1.5, math.inf])
    longs, unsigned = array.array("l", [5, -6]), array.array("Q", [2**64 - 1])
    store = bytearray(b"abcdef")
    view, part = memoryview(store), memoryview(b"Hello!" * 3)[2:15:2]

    def look() -> Any:
        view[0] = 90
        return a, f, list(longs), unsigned, store, bytes(part), part.readonly, view.tobytes()

    return look


@CASES
def views_of_dicts() -> Look:
    d = {"a": 1}
    keys, values, items, proxy = d.keys(), d.values(), d.items(), types.MappingProxyType(d)
    ordered = collections.OrderedDict(x=1)
    okeys = ordered.keys()

    def look() -> Any:
        d["b"] = 2
        ordered["y"] = 3
        return list(keys), list(values), list(items), dict(proxy), list(okeys), type(okeys).__name__

    return look


@CASES
def paths_and_names() -> Look:
    kept = [pathlib.PurePosixPath("/a/b.txt"), pathlib.PureWindowsPath(r"C:\x\y"), pathlib.Path("rel/x.tar.gz"), uuid.UUID(int=5)]
    nets = [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64")]
    return lambda: (kept, nets, kept[1].drive, kept[2].suffixes, nets[0] in nets[1], kept[0] / "c")


@CASES
def generators_of_random_numbers() -> Look:
    mine = random.Random(7)
    mine.random()
    mine.gauss(0, 1)

    class Die(random.Random):
        def roll(self) -> int:
            return self.randint(1, 6)

    die = Die(3)
    die.roll()
    state = mine.getstate()

    def look() -> Any:
        mine.setstate(state)
        copy = random.Random()
        copy.setstate(die.getstate())
        return mine.random(), mine.gauss(0, 1), copy.randint(1, 6)

    return look


@CASES
def plain_instances() -> Look:
    class Config:
        def __init__(self) -> None:
            raise AssertionError("not again")

    config = object.__new__(Config)
    config.depth = {"a": [config]}
    space = types.SimpleNamespace(a=1, b=[config])
    return lambda: (config.depth["a"][0] is config, space.a, space.b[0] is config)


@CASES
def instances_that_say_how_they_are_copied() -> Look:
    import threading

    class Guarded:
        def __init__(self, value: int) -> None:
            self.value, self.lock = value, threading.Lock()

        def __getstate__(self) -> dict[str, Any]:
            return {"value": self.value}

        def __setstate__(self, state: dict[str, Any]) -> None:
            self.__dict__.update(state)
            self.lock = "made again"

    class Plain:
        def __init__(self) -> None:
            self.a = 1

        def __getstate__(self) -> dict[str, Any]:
            return {"a": -1}

    guarded, plain = Guarded(3), Plain()
    return lambda: (guarded.value, plain.a)


@CASES
def errors() -> Look:
    cause = ValueError("first", 2)
    error = KeyError("k")
    error.__cause__ = cause
    error.add_note("a note")
    group = ExceptionGroup("many", [error, TypeError("t")])
    decode = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")
    missing = ModuleNotFoundError("no", name="m")
    return lambda: (
        *(error.args, error.__cause__.args, error.__notes__, group.message, [type(each).__name__ for each in group.exceptions]),
        *(str(decode), decode.object, missing.name, StopIteration(5).value, FileNotFoundError(2, "x", "f").filename),
    )


@CASES
def weak_references() -> Look:
    class Thing:
        pass

    thing = Thing()
    ref, dead = weakref.ref(thing), weakref.ref(Thing())
    group, table = weakref.WeakSet([thing]), weakref.WeakValueDictionary({"t": thing})
    keys = weakref.WeakKeyDictionary({thing: 1})
    return lambda: (ref() is thing, dead() is None, thing in group, table["t"] is thing, keys[thing])


@CASES
def texts_of_the_library() -> Look:
    template, stream, binary = string.Template("$a b"), io.StringIO("one\ntwo"), io.BytesIO(b"xyz")
    stream.readline()
    binary.read(1)
    packing = struct.Struct("<Ih")
    return lambda: (template.substitute(a=1), stream.read(), binary.read(), packing.pack(1, 2))


@CASES
def matches() -> Look:
    found = [*re.finditer(r"(a)(b)?", "xx ab a"), re.compile(r"\w+").match("hello world", 2), re.fullmatch(b"x(y)*", b"xyy")]
    inside: list[Any] = []
    re.sub("b+", lambda match: inside.append(match) or "", "abba abb")
    return lambda: [
        (each.group(), each.regs, each.pos, each.endpos, each.re.pattern, each.lastindex, each.string)  # type: ignore[attr-defined]
        for each in (*found, *inside)
        if each
    ]


@CASES
def context_variables() -> Look:
    plain, unset = contextvars.ContextVar("plain", default=[1]), contextvars.ContextVar[str]("unset")
    plain.set([*plain.get(), 2])

    def look() -> object:
        return plain.name, plain.get(), unset.get("none"), contextvars.Context().run(plain.get), plain is kept[0]

    kept = [plain]
    return look


@CASES
def decoders_of_json() -> Look:
    class Exact(json.JSONDecoder):
        def __init__(self) -> None:
            super().__init__(object_pairs_hook=self.paired, parse_float=decimal.Decimal, strict=False)

        def paired(self, pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
            return pairs

    exact, plain = Exact(), json.JSONDecoder(object_hook=sorted, parse_int=str)
    return lambda: (exact.decode('{"a": {"b": 1.10}, "c": "\t"}'), plain.raw_decode('{"a": 1, "b": [2]} x'), plain.strict)


@CASES
def finalizers() -> Look:
    class Thing:
        pass

    thing = Thing()
    alive, done = weakref.finalize(thing, sorted, [3, 1], reverse=True), weakref.finalize(thing, len, "x")
    alive.atexit = False
    done()
    return lambda: (alive.alive, done.alive, (alive.peek() or (None,))[1:], alive.atexit)


@CASES
def zips() -> Look:
    def look() -> object:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.txt", "text")
            archive.writestr(zipfile.ZipInfo("b", (2024, 2, 29, 1, 2, 4)), b"more")
        with zipfile.ZipFile(file) as archive:
            found = archive.infolist()
            return [(each.filename, archive.read(each)) for each in found], found[0].date_time >= (1980,), found[1].date_time

    return look


@CASES
def loggers() -> Look:
    log = logging.getLogger("pangea.cases.words")
    log.setLevel(logging.DEBUG)
    child = logging.getLogger("pangea.cases.words.child")
    return lambda: (
        log.isEnabledFor(logging.DEBUG),
        child.isEnabledFor(logging.DEBUG),
        child.name,
        child.parent is log,
        log.level,
    )


@CASES
def streams() -> Look:
    out = sys.__stdout__

    def look() -> Any:
        return callable(out.write)

    return look


@CASES
def keys_of_many_kinds() -> Look:
    class Key:
        def __init__(self, n: int) -> None:
            self.n = n

        def __hash__(self) -> int:
            return hash((Key.salt, self.n))

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and self.n == other.n

    Key.salt = 5
    table = {
        Key(1): "a",
        frozenset([Key(2)]): "b",
        (1, (Key(3),)): "c",
        decimal.Decimal("1"): "d",
        datetime.date(2024, 1, 1): "e",
    }
    Key.table = table
    return lambda: (table[Key(1)], table[frozenset([Key(2)])], table[1, (Key(3),)], table[decimal.Decimal(1)], len(Key.table))


@CASES
def deep_values() -> Look:
    nested: Any = []
    for _ in range(10_000):
        nested = [nested]
    chain: Any = None
    for index in range(10_000):
        chain = {"next": chain, "n": index}

    def look() -> Any:
        depth, at = 0, nested
        while at:
            depth, at = depth + 1, at[0]
        return depth, chain["n"]

    return look


@CASES
def large_tables() -> Look:
    numbers = list(range(20_000))
    words = {f"w{i}": i * 0.5 for i in range(2_000)}
    blob = bytes(range(256)) * 100
    return lambda: (sum(numbers), sum(words.values()), len(blob), blob[-1])


class Strict(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


@CASES
def parsers_of_command_lines() -> Look:
    parser = argparse.ArgumentParser(prog="count", description="Count.")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--size", type=int, default=3, choices=[3, 4])
    parser.add_argument_group("more").add_argument("--name", action="append")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("-v", action="store_true")
    either.add_argument("-q", action="count")
    commands = Strict(prog="do")
    go = commands.add_subparsers(dest="command").add_parser("go")
    go.add_argument("--fast", action=argparse.BooleanOptionalAction)
    go.set_defaults(call=len)

    def refusal() -> str:
        try:
            commands.parse_args(["--no"])
        except ValueError as error:
            return str(error)
        return ""

    return lambda: (
        (parser.parse_args(["a", "b", "--size", "4", "-v", "--name", "x", "--name=y"]), parser.parse_args([])),
        commands.parse_args(["go", "--no-fast"]).call("abc"),
        (refusal(), commands.format_usage(), argparse.Namespace(a=1)),
    )
