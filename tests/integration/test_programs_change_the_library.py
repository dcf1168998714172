"""What a program has put into the library, or told it, is so in the sandbox, too."""

from __future__ import annotations

import argparse
import bisect
import builtins
import calendar
import codecs
import collections
import colorsys
import configparser
import copy
import copyreg
import csv
import decimal
import email.charset
import errno
import fractions
import functools
import gc
import html
import html.parser
import io
import itertools
import json
import keyword
import logging
import math
import mimetypes
import numbers
import operator
import os
import random
import re
import reprlib
import sqlite3
import statistics
import string
import textwrap
import urllib.parse
import uuid
import warnings
import zipfile
from typing import Any
from xml.etree import ElementTree

import numpy
import pytest
import toolz  # type: ignore[import-untyped]

from pangea.compute import Job, submit_job
from pangea.compute.capture import registrations
from pangea.compute.model.errors import JobDefinitionWarning
from tests.integration.test_capture_in_guest import carried


@toolz.curry  # type: ignore[untyped-decorator]
def joined(one: str, other: str, *, between: str = "") -> str:
    return f"{one}{between}{other}"


def test_functions_classes_and_constants_put_there(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_dumps, plain_sqrt = json.dumps, math.sqrt

    @functools.wraps(json.dumps)
    def loud(value: Any) -> str:
        return f"{plain_dumps(value)} "

    class Tally(collections.Counter[str]):
        def __repr__(self) -> str:
            return f"Tally of {self.total()}"

    def filled(_self: object, text: str) -> str:
        return f"<{text}>"

    monkeypatch.setattr(json, "dumps", loud)
    monkeypatch.setattr(math, "sqrt", lambda x: -plain_sqrt(x))
    monkeypatch.setattr(collections, "Counter", Tally)
    monkeypatch.setattr(textwrap.TextWrapper, "fill", filled)
    monkeypatch.setattr(fractions.Fraction, "percent", property(lambda each: f"{float(each):.0%}"), raising=False)
    monkeypatch.setattr(json.JSONEncoder, "default", lambda _self, value: type(value).__name__)
    monkeypatch.setattr(string, "ascii_lowercase", "xyz")
    monkeypatch.setattr(string, "separator", "--", raising=False)
    half: Any = fractions.Fraction(1, 2)

    def look() -> object:
        shown = (json.dumps(["a"]), plain_dumps([half]), math.sqrt(4), plain_sqrt(4), collections.Counter("aab"))
        separator: str = string.separator  # type: ignore[attr-defined]
        return shown, textwrap.fill("a b"), half.percent, string.ascii_lowercase, separator, string.digits

    there, here = carried(look)
    assert there == here


def test_what_was_registered() -> None:
    class Place:
        def __init__(self, x: int) -> None:
            self.x = x

    def question(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        return "?!", error.end

    copyreg.pickle(Place, lambda place: (Place, (place.x + 1,)))
    sqlite3.register_adapter(Place, lambda place: f"at {place.x}")
    sqlite3.register_converter("PLACE", lambda text: ("place", text))
    codecs.register_error("pangea.question", question)
    ElementTree.register_namespace("pangea", "http://pangea.test")
    calendar.setfirstweekday(calendar.SUNDAY)

    def look() -> object:
        database = sqlite3.connect(":memory:", detect_types=sqlite3.PARSE_DECLTYPES)
        database.execute("create table t (p PLACE)")
        database.execute("insert into t values (?)", (Place(3),))
        rows = database.execute("select p from t").fetchall()
        tree = ElementTree.tostring(ElementTree.fromstring("<a xmlns='http://pangea.test'/>"))
        return copy.copy(Place(1)).x, rows, "é".encode("ascii", "pangea.question"), tree, calendar.month(2024, 2)

    try:
        there, here = carried(look)
    finally:
        calendar.setfirstweekday(calendar.MONDAY)
        copyreg.dispatch_table.pop(Place)
        sqlite3.adapters.pop((Place, sqlite3.PrepareProtocol))
        sqlite3.converters.pop("PLACE")
    assert there == here


def test_filters_of_loggers_and_names_of_levels() -> None:
    log, level = logging.getLogger("pangea.cases.filtered"), 23
    log.setLevel(logging.INFO)

    def is_public(record: logging.LogRecord) -> bool:
        return "secret" not in record.getMessage()

    log.addFilter(is_public)
    logging.addLevelName(level, "NOTICE")

    def look() -> object:
        records = [logging.LogRecord("n", level, "f", 1, text, (), None) for text in ("secret", "open")]
        return [bool(log.filter(each)) for each in records], records[0].levelname

    there, here = carried(look)
    assert there == here
    assert b"[False, True], 'NOTICE'" in here


def test_what_was_put_there_and_cannot_travel_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(__file__, encoding="utf-8") as file:

        def default(_self: object, _value: object) -> str:
            return file.readline()

        monkeypatch.setattr(json.JSONEncoder, "default", default)
        with pytest.warns(JobDefinitionWarning, match=r"at json\.encoder\.JSONEncoder\.default, which can't travel"):
            there = submit_job(Job.from_functions(lambda _chunk: json.dumps([1]).encode()), b"x")
    assert there == b"[1]"


def test_archives_are_written_whatever_the_program_makes_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    def job() -> bytes:
        return Job.from_functions(lambda chunk: chunk).archive()

    before = job()
    monkeypatch.setattr(json, "dumps", lambda *_a, **_k: "broken")
    assert job() == before


def test_tables_and_constants_that_code_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "mean", statistics.median)
    monkeypatch.setattr(string, "whitespace", "_")
    monkeypatch.setattr(colorsys, "ONE_THIRD", 0.5)
    monkeypatch.setitem(configparser.ConfigParser.BOOLEAN_STATES, "ja", True)
    monkeypatch.setattr(configparser.ConfigParser, "depth", 3, raising=False)
    monkeypatch.setattr(html.parser.HTMLParser, "CDATA_CONTENT_ELEMENTS", ("x",))
    monkeypatch.setattr(json, "_default_encoder", json.JSONEncoder(indent=1))
    monkeypatch.setattr(reprlib.aRepr, "maxlist", 2)
    monkeypatch.setattr(decimal.DefaultContext, "prec", 40)
    monkeypatch.setitem(email.charset.CHARSETS, "pangea", (None, None, "utf-8"))
    monkeypatch.setitem(vars(copy)["_deepcopy_dispatch"], fractions.Fraction, lambda value, _memo: ("copy", value))
    words: Any = keyword.kwlist
    words.remove("None")
    for table in (urllib.parse.uses_netloc, urllib.parse.uses_relative):
        table.append("pangea")

    def look() -> object:
        parser = configparser.ConfigParser()
        parser.read_string("[a]\nb = ja")
        joined, shown = urllib.parse.urljoin("pangea://host/a/b", "c"), reprlib.repr([1, 2, 3])
        elements: Any = html.parser.HTMLParser.CDATA_CONTENT_ELEMENTS
        depth = configparser.ConfigParser.depth  # type: ignore[attr-defined]
        whole = (statistics.mean([1, 2, 9]), string.whitespace, parser.getboolean("a", "b"), depth, elements, json.dumps([1]))
        kept = (decimal.Context().prec, email.charset.Charset("pangea").output_charset, copy.deepcopy(fractions.Fraction(1, 2)))
        return joined, shown, whole, kept, "None" in keyword.kwlist, colorsys.hls_to_rgb(0.1, 0.2, 0.3)

    try:
        there, here = carried(look)
    finally:
        words.insert(1, "None")
        for table in (urllib.parse.uses_netloc, urllib.parse.uses_relative):
            table.remove("pangea")
    assert there == here


def test_what_stands_in_place_of_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shown:
        def __call__(self, value: object) -> str:
            return f"<{value}>"

    monkeypatch.setattr(json, "dumps", functools.partial(json.dumps, sort_keys=True))
    monkeypatch.setattr(bisect, "bisect", bisect.bisect_left)
    monkeypatch.setattr(bisect, "insort", bisect.insort_left)
    monkeypatch.setattr(textwrap, "dedent", str.strip)
    monkeypatch.setattr(textwrap, "shorten", Shown())
    monkeypatch.setattr(statistics, "mean", operator.itemgetter(0))
    monkeypatch.setattr(math, "sqrt", math.exp)
    monkeypatch.setattr(random, "choice", random.Random(5).choice)
    monkeypatch.setattr(textwrap.TextWrapper, "fill", staticmethod(repr))
    monkeypatch.setattr(textwrap.TextWrapper, "broad", functools.partialmethod(textwrap.TextWrapper.wrap), raising=False)
    monkeypatch.setattr(itertools, "halves", lambda values: values[::2], raising=False)

    def look() -> object:
        values: list[Any] = [1, 2.0, 3]
        bisect.insort(values, 2)
        broad, halves = textwrap.TextWrapper(width=5).broad("aa bb cc"), itertools.halves("abcde")  # type: ignore[attr-defined]
        shown = (json.dumps({"b": 1, "a": 2}), textwrap.dedent(" a\n  b"))
        return (
            (shown, bisect.bisect([1, 2, 2], 2), values, statistics.mean([4, 5]), math.sqrt(2), random.choice(range(1000))),
            (textwrap.TextWrapper().fill("x"), broad, halves, textwrap.shorten("ab")),  # type: ignore[call-arg]
        )

    there = bytes(submit_job(Job.from_functions(lambda _chunk: repr(look()).encode()), b"x"))
    monkeypatch.setattr(random, "choice", random.Random(5).choice)  # which has been asked for one by then, if it was here
    assert there == repr(look()).encode()


def test_constants_that_no_text_shows_and_private_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math, "pi", 3)
    monkeypatch.setattr(math, "dozen", 12, raising=False)
    monkeypatch.setattr(textwrap, "_whitespace", " ")
    monkeypatch.setattr(html, "_charref", re.compile("x"))
    monkeypatch.setattr(random, "NV_MAGICCONST", 2.0)

    def look() -> object:
        from math import pi  # as a job may

        shown = (html.unescape("&amp;"), textwrap.TextWrapper(width=4).wrap("a b c d"), random.Random(3).normalvariate(0, 1))
        return pi, math.pi, math.tau, math.dozen, shown  # type: ignore[attr-defined]

    there, here = carried(look)
    assert there == here


def test_names_that_a_program_has_added_to_the_built_in_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "doubled", lambda value: 2 * value, raising=False)
    monkeypatch.setattr(builtins, "LIMIT", 7, raising=False)

    def look() -> object:
        return doubled(LIMIT), builtins.LIMIT  # type: ignore[name-defined, attr-defined]  # noqa: F821

    there, here = carried(look)
    assert there == here == b"(14, 7)"


def test_when_garbage_is_looked_for() -> None:
    before = gc.get_threshold()
    was_on = gc.isenabled()
    gc.set_threshold(5, 6, before[2])
    gc.disable()
    try:
        there, here = carried(lambda: (gc.get_threshold()[:2], gc.isenabled()))
    finally:
        gc.set_threshold(*before)
        if was_on:
            gc.enable()
    assert there == here == b"((5, 6), False)"


def test_json_with_other_separators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.JSONEncoder, "item_separator", "; ")
    monkeypatch.setattr(json.JSONEncoder, "key_separator", " = ")
    there, here = carried(lambda: json.dumps({"a": [1, 2]}))
    assert there == here


def test_what_else_was_told_the_library() -> None:
    mimetypes.add_type("application/x-pangea", ".pangea")
    csv.register_dialect(dialect := "pangea", delimiter="|")
    logging.disable(logging.ERROR)
    level = logging.root.level
    logging.root.setLevel(logging.INFO)
    numpy.set_printoptions(formatter={"float": lambda value: f"<{value}>"})
    numpy.polynomial.set_default_printstyle("ascii")

    def look() -> object:
        told = (
            mimetypes.guess_type("a.pangea"),
            next(csv.reader(["a|b"], dialect)),
            logging.getLogger("pangea.x").getEffectiveLevel(),
        )
        return (
            told,
            logging.getLogger("pangea.x").isEnabledFor(logging.ERROR),
            repr(numpy.array([1.5])),
            str(numpy.polynomial.Polynomial([1, 2])),
        )

    try:
        there, here = carried(look)
    finally:
        vars(mimetypes)["_db"].types_map[True].pop(".pangea")
        csv.unregister_dialect(dialect)
        logging.disable(logging.NOTSET)
        logging.root.setLevel(level)
        numpy.set_printoptions(formatter=None)
        numpy.polynomial.set_default_printstyle("unicode")
    assert there == here


def test_loggers_and_abstract_classes_that_code_finds_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("pangea.cases.found")
    log.setLevel(logging.DEBUG)

    # as after numbers.Real.register(uuid.UUID), which nothing takes back
    monkeypatch.setattr(registrations, "registered_pairs", lambda: [(numbers.Real, uuid.UUID)])

    def look() -> object:
        inner = logging.getLogger("pangea.cases.found.inner")
        return inner.getEffectiveLevel(), inner.isEnabledFor(logging.DEBUG), isinstance(uuid.UUID(int=1), numbers.Real)

    try:
        there, here = carried(look)
    finally:
        log.setLevel(logging.NOTSET)
    assert there == b"(10, True, True)"
    assert here == b"(10, True, False)"


def test_no_package_travels_for_what_it_has_told_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrations, "registered_pairs", lambda: [(numbers.Real, pytest.PytestWarning)])

    def look() -> object:
        return numbers.Real, warnings.warn

    job = Job.from_functions(lambda _chunk: repr(look()).encode())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=pytest.PytestWarning)
        warnings.filterwarnings("ignore", category=JobDefinitionWarning)
        names = zipfile.ZipFile(io.BytesIO(job.archive())).namelist()
    assert not [each for each in names if each.startswith("lib/")]


def test_warnings_that_the_program_has_made_errors() -> None:
    def look() -> object:
        try:
            return warnings.warn("old", UserWarning, stacklevel=1), float(numpy.float64(1) / numpy.float64(0))
        except UserWarning as error:
            return str(error)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="ol[ab]")
        there, here = carried(look)
        assert there == here == b"'old'"
        warnings.filterwarnings("ignore", message="old|divide")
        there, here = carried(look)
        assert there == here == b"(None, inf)"


def test_defaults_and_handlers_that_stay_behind_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keeping(logging.Handler):
        pass

    log = logging.getLogger("pangea.cases.keeping")
    log.addHandler(handler := Keeping())
    monkeypatch.setattr(textwrap.wrap, "__defaults__", (20,))
    job = Job.from_functions(lambda chunk: repr((textwrap.wrap("a"), logging.getLogger("pangea.cases.keeping"))).encode() + chunk)
    try:
        with pytest.warns(JobDefinitionWarning) as told:
            job.archive()
    finally:
        log.removeHandler(handler)
    shown = "\n".join(str(each.message) for each in told)
    assert "has given textwrap.wrap another default for width" in shown
    assert "the logger 'pangea.cases.keeping' has a handler of the program's own" in shown


def test_errors_have_the_numbers_of_linux() -> None:
    def look() -> object:
        made = [OSError(number, os.strerror(number)) for number in range(140)]
        return (
            [(type(each).__name__, str(each)) for each in made],
            [(each, errno.errorcode.get(each)) for each in range(1, 133)],
            errno.EWOULDBLOCK,
        )

    there, here = carried(look)
    assert there == here


def test_a_parser_of_arguments_made_in_a_job() -> None:
    def look() -> object:
        parser = argparse.ArgumentParser()
        parser.add_argument("--times", type=int, default=3)
        return parser.parse_args(["--times", "5"]).times, parser.parse_args([]).times

    there, here = carried(look)
    assert there == here == b"(5, 3)"


def test_a_function_that_a_package_has_curried() -> None:
    begun: Any = joined("a", between="-")

    def look() -> object:
        return begun("b"), begun.keywords

    job = Job.from_functions(lambda _chunk: repr(look()).encode())
    graph = zipfile.ZipFile(io.BytesIO(job.archive())).read("graph.json").decode()
    assert ":joined" not in graph  # as it takes itself apart: by a name that need not be there in time
    there, here = carried(look)
    assert there == here
