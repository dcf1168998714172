"""However deeply a job nests things, the interpreter's own limit is met first: an error of Python's everywhere, never a trap."""

from __future__ import annotations

import ast

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.outcome import Finished
from tests.examples import first, spread
from tests.runs import outcome_of, python_guest

#: Each expression nests or recurses without end, or as deeply as its first statement says. `ends` is what it ends with.
HELPERS = """
import copy, functools, json, pickle, re
import numpy as np
import xml.etree.ElementTree as ElementTree

def nested(depth, make=lambda inner: [inner]):
    value = []
    for _ in range(depth):
        value = make(value)
    return value

class Odd:
    def __lt__(self, other): return sorted([Odd(), Odd()])
    def __getattr__(self, name): return getattr(self, name + "x")
    def __repr__(self): return f"{[self]}"
    def __hash__(self): return hash((self,))
    def __format__(self, spec): return f"{self:x}"
    def __call__(self, *_): return functools.partial(functools.partial(self))()
    def __eq__(self, other): return [self] == [Odd()]
    def __iter__(self): return iter(list(self))
    def __bool__(self): return any([self])
    def __index__(self): return range(self)[0]
    def __contains__(self, item): return item in [Odd()] or item in self

class Meta(type):
    def __call__(cls): return super().__call__()

class Made(metaclass=Meta):
    def __init__(self): Made()

def mapped(n): return max(map(mapped, [n + 1]))
def replaced(match): return re.sub(".", replaced, "a")
def generated(n):
    yield n
    yield from generated(n + 1)
def released(make):
    value = None
    for _ in range(300_000):
        value = make(value)
    del value
    return "ended"
def linked(inner):
    one = Odd.__new__(Odd)
    one.__dict__["next"] = inner
    return one
def chained():
    last = None
    for _ in range(100_000):
        one = ValueError()
        one.__context__ = last
        last = one
    return "ended"
def of_itself():
    array = np.array(0, dtype=object)
    array[()] = array
    return array
def fields():
    listed, tabled = [], {}
    listed.append(("f0", listed))
    tabled.update(names=["f0"], formats=[tabled])
    return listed, tabled, ((listed, 2), 2)
"""
RECURSION = ["RecursionError"]
CASES = {
    "json.loads('[' * 100_000)": RECURSION,
    "json.dumps(nested(100_000))": RECURSION,
    "json.JSONEncoder(indent=1).encode(nested(100_000))": RECURSION,
    "repr(nested(100_000))": RECURSION,
    "nested(100_000) == nested(100_000)": RECURSION,
    "nested(100_000, lambda inner: (inner,)) < nested(100_000, lambda inner: (inner,))": RECURSION,
    "copy.deepcopy(nested(100_000))": RECURSION,
    "pickle.dumps(nested(100_000))": RECURSION,
    "hash(nested(100_000, lambda inner: (inner,)))": RECURSION,
    "isinstance('', nested(100_000, lambda inner: (inner or int,)))": [*RECURSION, "False"],
    "released(lambda inner: (inner,))": ["'ended'"],
    "released(lambda inner: {1: [inner]})": ["'ended'"],
    "released(linked)": ["'ended'"],
    "chained()": ["'ended'"],
    "sum(1 for _ in generated(0))": RECURSION,
    "mapped(0)": RECURSION,
    "Made()": RECURSION,
    "Odd() < Odd()": RECURSION,
    "Odd().a": RECURSION,
    "repr(Odd())": RECURSION,
    "hash(Odd())": RECURSION,
    "f'{Odd():x}'": RECURSION,
    "Odd()()": RECURSION,
    "Odd() == Odd()": RECURSION,
    "list(Odd())": RECURSION,
    "bool(Odd())": RECURSION,
    "[1][Odd()]": RECURSION,
    "3 in Odd()": RECURSION,
    "replaced(None)": RECURSION,
    "eval('(' * 1000 + '1' + ')' * 1000)": ["SyntaxError", "MemoryError", *RECURSION],
    "eval('-' * 100_000 + '1')": ["MemoryError", *RECURSION],
    "eval('+'.join(['1'] * 100_000))": ["MemoryError", *RECURSION],
    "eval('[' * 150 + ']' * 150) and compile('lambda: ' * 3000 + '1', '', 'eval')": ["MemoryError", "SyntaxError", *RECURSION],
    "re.compile('(' * 500 + ')' * 500) and re.compile('(' * 20_000 + ')' * 20_000)": RECURSION,
    "int(of_itself())": RECURSION,
    "float(of_itself())": RECURSION,
    "complex(of_itself())": RECURSION,
    "bool(of_itself())": RECURSION,
    "of_itself() == of_itself()": RECURSION,
    "np.dtype(fields()[0])": RECURSION,
    "np.dtype(fields()[1])": RECURSION,
    "np.dtype(fields()[2])": RECURSION,
    "ElementTree.tostring(ElementTree.fromstring('<a>' * 100_000 + '</a>' * 100_000))": RECURSION,
}
#: What must still work, as deep as it did in the guest before this one.
DEEP_ENOUGH = [
    "len(repr(json.loads('[' * 3000 + ']' * 3000))) == 6000",
    "len(json.dumps(json.loads('[' * 2500 + ']' * 2500))) == 5000",
    "eval('(' * 100 + '7' + ')' * 100) == 7",
    "eval('+'.join(['1'] * 1400)) == 1400",
    "eval('-' * 1400 + '1') == 1",
    "(lambda f: f(f, 900))(lambda f, n: n and 1 + f(f, n - 1)) == 900",
    "(lambda f: f(f, 450))(lambda f, n: n and 1 + max(map(lambda m: f(f, m), [n - 1]))) == 450",
]


@pytest.mark.parametrize("expression", spread(9, CASES))
def test_endless_nesting_ends_in_an_error_of_pythons(python: Engine, expression: str) -> None:
    outcome = outcome_of(python, python_guest(f"{HELPERS}\ndef execute(chunk): return repr({expression})[:200].encode()"), b"")

    text = frames_text(outcome) if isinstance(outcome, Finished) else outcome.traceback or outcome.message
    assert any(f"\n{end}" in text or text == end for end in CASES[expression]), text


def frames_text(outcome: Finished) -> str:
    return bytes(outcome.results)[8:].decode()


@pytest.mark.parametrize("expression", first(2, DEEP_ENOUGH))
def test_what_nests_within_reason_works(python: Engine, expression: str) -> None:
    assert ast.parse(expression)
    outcome = outcome_of(python, python_guest(f"{HELPERS}\ndef execute(chunk): return repr({expression}).encode()"), b"")

    assert isinstance(outcome, Finished), outcome.message
    assert frames_text(outcome) == "True"
