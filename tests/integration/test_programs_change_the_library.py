"""What a program has put into the library, or told it, is so in the sandbox, too."""

from __future__ import annotations

import calendar
import codecs
import collections
import copy
import copyreg
import fractions
import functools
import json
import logging
import math
import sqlite3
import string
import textwrap
from typing import Any
from xml.etree import ElementTree

import pytest

from pangea.compute import Job, submit_job
from pangea.compute.model.errors import JobDefinitionWarning
from tests.integration.test_capture_in_guest import carried


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
