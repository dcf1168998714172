"""What a guest raised can be caught as what it is, and says where; whatever happens to the error on its way."""

from __future__ import annotations

import builtins
import concurrent.futures
import copy
import pickle
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from pangea.compute.model.errors import JobCancelledError, JobFailedError, LimitExceededError, PangeaError, from_json
from pangea.compute.model.guest_types import builtin_of

TRACE = """Traceback (most recent call last):
  File "job.py", line 3, in execute
    d[c]
{last}
KeyError: a message of several lines

printed before the error:
ValueError: only printed
"""
EXCEPTIONS = [
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, StopIteration | StopAsyncIteration | ExceptionGroup)
]
WAYS: dict[str, Callable[[JobFailedError], PangeaError]] = {
    "as made": lambda error: error,
    "pickled": lambda error: pickle.loads(pickle.dumps(error)),
    "copied": copy.copy,
    "from a node": lambda error: from_json({**error.to_json(), "traceback": error.traceback, "chunk_index": 3}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made_of", [JobFailedError, LimitExceededError])
def test_an_error_is_of_the_built_in_type_that_the_guest_raised(way: str, made_of: type[JobFailedError]) -> None:
    for kind in EXCEPTIONS:
        name = kind.__name__
        error = made_of(f"execute failed: {name}", traceback=TRACE.format(last=f"{name}: x"), hint="do", chunk_index=3, fuel=5)
        found = WAYS[way](error)
        assert isinstance(found, kind), name
        assert isinstance(found, made_of)
        assert (str(found), type(found).__name__) == (f"execute failed: {name}", made_of.__name__)
        assert (found.code, found.hint, found.chunk_index) == (made_of.code, "do", 3)
        assert found.details["fuel"] == 5
        trace, hint = found.__notes__
        assert trace.startswith("in the sandbox:\nTraceback")
        assert hint == "hint: do"


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("ValueError: x", ValueError),
        ("ValueError", ValueError),
        ("MyError: x", None),
        ("module.ValueError: x", None),
        ("SystemExit: 3", None),
        ("KeyboardInterrupt", None),
        ("StopIteration: 3", None),
        ("ExceptionGroup: two (2 sub-exceptions)", None),
        ("print: x", None),
        ("", None),
    ],
)
def test_other_types_and_none_are_plain_failures(last: str, kind: type[Exception] | None) -> None:
    text = f'Traceback (most recent call last):\n  File "a.py", line 1\n{last}\n'
    assert builtin_of(text) is kind
    assert builtin_of(last) is kind
    assert builtin_of("") is None
    error = JobFailedError("it broke", traceback=text)
    assert (type(error) is JobFailedError) is (kind is None)


class Oops(ValueError):
    class Deeper(OSError, KeyError): ...


class Unrelated(Exception): ...


class Ended(StopIteration): ...


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("Oops: x", ValueError),
        ("Oops", ValueError),
        ("Oops.Deeper: x", OSError),
        ("Unrelated: x", Exception),
        ("Ended: x", None),
        ("Oops.Shallower: x", None),
        ("TRACE: x", None),
    ],
)
def test_a_class_that_is_loaded_here_counts_as_the_built_in_one_it_derives_from(
    last: str, kind: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert builtin_of(f"{__name__}.{last}") is kind
    assert builtin_of("json.decoder.JSONDecodeError: Expecting value: line 1") is ValueError
    assert builtin_of(last) is None  # it isn't a script's
    monkeypatch.setitem(sys.modules, "__main__", sys.modules[__name__])
    assert builtin_of(last) is kind
    error = JobFailedError("it broke", traceback=f"{__name__}.Oops: x")
    assert isinstance(error, ValueError)
    assert isinstance(pickle.loads(pickle.dumps(error)), ValueError)


def test_what_a_guest_names_is_never_imported_nor_asked() -> None:
    module = ModuleType("lazy_errors")
    vars(module)["__getattr__"] = lambda name: pytest.fail(f"asked for {name}")
    sys.modules["lazy_errors"] = module
    try:
        assert builtin_of("lazy_errors.Anything: x") is None
    finally:
        del sys.modules["lazy_errors"]
    was_loaded = "antigravity" in sys.modules
    assert builtin_of("antigravity.Error: x") is None
    assert builtin_of("a." * 10**6 + "Error: x") is None
    assert ("antigravity" in sys.modules) is was_loaded


def test_the_text_of_an_exception_is_not_taken_for_its_type() -> None:
    assert builtin_of("f.<locals>.Own: several lines\nValueError: only said") is None
    assert builtin_of("Traceback (most recent call last):\nValueError: x") is ValueError


def test_the_last_of_a_chain_is_what_was_raised() -> None:
    text = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nKeyError: 1\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "a.py", line 2, in f\n    h()\nZeroDivisionError: x\n'
    )
    assert builtin_of(text) is ZeroDivisionError


def test_a_cancelled_job_is_a_cancelled_future() -> None:
    with pytest.raises(concurrent.futures.CancelledError):
        raise JobCancelledError("the job was cancelled")
