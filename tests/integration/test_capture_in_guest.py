"""Definitions of many kinds show the same in the sandbox as here."""

from __future__ import annotations

import copyreg
import importlib
import struct
import sys

import numpy
import pytest
from tblib import pickling_support

from pangea.compute import Job, submit_job
from pangea.compute.capture.packages import Home, Packages
from tests.capturing import (
    Case,
    Look,
    arrays,
    attributes,
    begun,
    callables,
    classes,
    corners,
    derived,
    functions,
    generated,
    libraries,
    modern,
    names,
    sharing,
    values,
)
from tests.examples import spread

CASES = {
    name: case
    for each in (
        functions,
        callables,
        classes,
        generated,
        values,
        derived,
        sharing,
        modern,
        arrays,
        attributes,
        corners,
        libraries,
        names,
        begun,
    )
    for name, case in each.CASES.items()
}


def carried(look: Look) -> tuple[bytes, bytes]:
    """What `look` shows in the sandbox, and then here."""

    def execute(_chunk: bytes) -> bytes:
        return repr(look()).encode()

    there = submit_job(Job.from_functions(execute), b"x")
    return bytes(there), execute(b"x")


@pytest.mark.filterwarnings("ignore::pangea.compute.model.errors.JobDefinitionWarning")
@pytest.mark.parametrize("case", spread(36, CASES.values()), ids=CASES.keys())
def test_it_is_there_what_it_is_here(case: Case) -> None:
    there, here = carried(case())
    assert there == here


@pytest.mark.filterwarnings("ignore::pangea.compute.model.errors.JobDefinitionWarning")
def test_what_a_package_says_of_exceptions_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing `distributed` has tblib take all exceptions apart, which loses what UnicodeDecodeError keeps in C."""
    monkeypatch.setattr(copyreg, "dispatch_table", dict(copyreg.dispatch_table))
    look = values.CASES["errors"]()
    job = Job.from_functions(lambda _chunk: repr(look()).encode())
    before = job.archive()
    pickling_support.install()
    assert UnicodeDecodeError in copyreg.dispatch_table
    assert job.archive() == before
    there, here = carried(look)
    assert there == here


def _deep(levels: int) -> int:
    return 1 + _deep(levels - 1) if levels else 0


def test_what_a_program_has_set_is_set_there() -> None:
    def look() -> object:
        try:
            numpy.array([1]) // 0
        except FloatingPointError as error:
            return str(error), repr(numpy.array([1.123456])), _deep(2000)
        return "no error"

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        with numpy.errstate(divide="raise"), numpy.printoptions(precision=3):
            there, here = carried(look)
    finally:
        sys.setrecursionlimit(limit)
    assert there == here


def test_native_sizes_are_those_of_home() -> None:
    forms = ["l", "@L", "n", "P", "bl", "<l", "=L", "2h l"]
    compiled = struct.Struct("bl")

    def look() -> object:
        packed = [struct.pack("l", -(2**40)), struct.unpack("bl", compiled.pack(1, 2)), compiled.size, compiled.format]
        return [struct.calcsize(each) for each in forms], packed, sys.maxsize

    there, here = carried(look)
    assert there == here


def test_the_guest_has_the_modules_that_capture_counts_on() -> None:
    names = sorted(each for each in sys.stdlib_module_names if not each.startswith("_"))

    def lacking() -> list[str]:
        found = []
        for name in names:
            try:
                importlib.import_module(name)
            except ImportError:
                found.append(name)
        return found

    there = bytes(submit_job(Job.from_functions(lambda _chunk: repr(lacking()).encode()), b"x"))
    packages = Packages()
    assert there.decode() == repr([each for each in names if packages.add(each) is not Home.GUEST])
