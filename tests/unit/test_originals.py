"""What the text of the library's modules says that its names are is what they are, in a Python that changed nothing."""

from __future__ import annotations

import copy
import inspect
import re
import subprocess
import sys
import types
from typing import Any

import pytest

from pangea.compute.capture.originals import UNKNOWN, Original, original
from pangea.compute.client.definition.job import Job

_TEXT = '''
FIRST = "ab"
BOTH = FIRST + "c"
TABLE = {"a": [1, (2, BOTH)], 3: None}
FILLED = {}
CALLED = dict(a=1)
LATER = [1]
LATER.append(2)
TWICE = 1
TWICE = 2
if FIRST:
    NESTED = 3
MADE = 4


def wrap(text, width=70, *rest, ready=(1, 2), called=len(FIRST), **more):
    global MADE
    inner = FIRST


@decorated
def other(a=1):
    pass


class Kind(Base):
    limit = 5
    text = """a
        b"""
    shared = BOTH

    def method(self):
        self.later = 1


class Kind2: x = 1
'''


def test_what_the_text_says() -> None:
    text = Original(_TEXT)
    known = {"FIRST": "ab", "BOTH": "abc", "TABLE": {"a": [1, (2, "abc")], 3: None}}
    assert {name: text.was(name, None) for name in known} == known
    assert [text.was(name, now) for name, now in known.items()] == [UNKNOWN] * 3
    for name in ("FILLED", "CALLED", "LATER", "TWICE", "NESTED", "MADE", "missing", "inner"):
        assert text.was(name, None) is UNKNOWN, name
    assert text.lacks("missing")
    assert not text.lacks("inner")
    body = text.class_("Kind")
    assert body is not None
    assert [body.was(each, None) for each in ("limit", "text", "shared")] == [5, "a\n        b", "abc"]
    assert body.was("later", None) is UNKNOWN
    assert body.lacks("extra")
    assert text.class_("Absent") is None


def test_defaults_in_the_text() -> None:
    text = Original(_TEXT)
    found = text.signature("wrap")
    assert found is not None
    assert found == {"width": 70, "ready": (1, 2), "called": UNKNOWN}
    assert text.signature("other") is None
    assert (text.defines("wrap"), text.defines("FIRST"), text.defines("missing")) == (True, False, False)


def test_a_module_without_text() -> None:
    assert original(sys) is None
    assert original(types.ModuleType("made")) is None


_LOOK = """
import importlib, sys, warnings
from pangea.compute.capture import changes
from pangea.compute.capture.homes import Homes
from pangea.compute.runtime.guest.library import PRELOADED
warnings.simplefilter("ignore")
names = {each for each in PRELOADED if each.partition(".")[0] in sys.stdlib_module_names - changes._ASIDE}
for name in names | {"mimetypes", "email.charset", "json.encoder", "optparse", "shelve", "tarfile", "chunk", "xml.sax.saxutils"}:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
count, homes = 0, Homes()
for name, module in sorted(sys.modules.items()):
    if name.partition(".")[0] in sys.stdlib_module_names - changes._ASIDE:
        count += 1
        found = [place for place, _before, _now in changes.changed(module, homes)]
        assert not found, found
print(count)
"""


@pytest.mark.slow
def test_nothing_is_taken_for_changed_where_nothing_was() -> None:
    done = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_what_a_text_defines_and_calls_by_another_name() -> None:
    text = Original("""
def plain():
    return second.name

def dressed_plainly(): ...

@decorated(
    1,
)
def dressed(): ...

first = plain
second = one.two  # the same
third = plain()
class Kind:
    page = '''
at the margin
'''
    def method(self): ...
    other = method
    filled = {}
    made = re.compile("a|b", re.IGNORECASE)
""")
    assert [text.alias(each) for each in ("first", "second", "third", "plain")] == ["plain", "one.two", None, None]
    assert [text.touches(each) for each in ("first", "second")] == [False, False]
    assert [text.is_decorated(each) for each in ("plain", "dressed_plainly", "dressed")] == [False, False, True]
    body = text.class_("Kind")
    assert body is not None
    assert (body.alias("other"), body.defines("method")) == ("method", True)
    assert body.was("made", None) == re.compile("a|b", re.IGNORECASE)
    assert (body.lacks("nothing"), body.lacks("name")) == (True, False)  # as `Kind.name = ...` would be


@pytest.mark.parametrize("table", ["_copy_dispatch", "_deepcopy_dispatch"])
def test_a_job_that_copies_travels_whichever_tables_copy_has(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    monkeypatch.delattr(copy, table, raising=False)  # 3.14 lacks the first of them
    assert Job.from_functions(execute=lambda chunk: bytes(copy.copy(chunk)), name="copying").archive()


#: As Cython does when a package of its making is loaded.
_CYTHON = """
import inspect

def cy_wrap(before):
    def cy_isgenerator(value):
        return isinstance(value, Own) or before(value)
    return cy_isgenerator

class Own: pass
isgenerator = inspect.isgenerator = cy_wrap(inspect.isgenerator)
"""


def test_what_cython_has_put_around_a_function_of_inspect_is_that_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_the_module(chunk: bytes) -> bytes:
        return str(inspect.isgenerator(chunk)).encode()

    def by_name(chunk: bytes) -> bytes:
        return str(isgenerator(chunk)).encode()

    isgenerator = inspect.isgenerator
    before = [Job.from_functions(each).archive() for each in (by_the_module, by_name)]
    monkeypatch.setattr(inspect, "isgenerator", inspect.isgenerator)
    names: dict[str, Any] = {}
    exec(_CYTHON, names)
    isgenerator = names["isgenerator"]
    assert inspect.isgenerator is isgenerator
    assert [Job.from_functions(each).archive() for each in (by_the_module, by_name)] == before
