"""`map`, `starmap`, `submit` and the executor: values in, equal values of the same types out, all through real sandboxes."""

from __future__ import annotations

import enum
import math
import operator
import pickle
import random
import traceback
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from concurrent.futures import as_completed, wait
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple, cast
from uuid import UUID

import numpy as np
import pandas
import pytest

import pangea.compute as pc
from pangea.compute import JobFailedError, PangeaExecutor
from pangea.compute.client.calls import functions
from pangea.compute.data import Table
from pangea.compute.errors import InputError, JobDefinitionError, LimitExceededError, ManifestError, UnavailableError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WAIT = 60


@pytest.fixture(autouse=True)
def own_executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's executor is no test's: each gets one, and ends it."""
    with PangeaExecutor() as executor:
        monkeypatch.setattr(functions, "_executor", executor)
        yield


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: float
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Cell:
    at: Point
    colour: Colour
    tags: tuple[str, ...] = ()


@dataclass
class Account:
    owner: str
    sums: list[Decimal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.calls = getattr(self, "calls", 0) + 1


class Opaque:
    """Neither fields nor a place in a codec."""


def same(value: Any) -> Any:
    return value


def mirrored(cell: Cell) -> Cell:
    return Cell(Point(-cell.at.x, cell.at.y), Colour.BLUE if cell.colour is Colour.RED else Colour.RED, cell.tags[::-1])


def drawn(_: object) -> float:
    return random.random()


VALUES: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, -0.0, math.inf, "", "Zürich \ud800", b"\x00\xff", bytearray(b"a")),
    *((1, (2,)), [1, [2]], {1: "a", (2, 3): None}, {1, 2}, frozenset({b"x"}), 3 + 4j, range(1, 9, 3)),
    *(Decimal("1.10"), Fraction(1, 3), date(2026, 2, 28), datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), timedelta(-1, 2, 3)),
    *(UUID(int=5), Counter("abca"), OrderedDict([("b", 1), ("a", 2)]), deque([1, 2], maxlen=3), {"$": 1}, {"v": {"$": {}}}),
    *(
        Colour.RED,
        Right.READ | Right.WRITE,
        Point(1.0),
        Cell(Point(1.0, 2.0), Colour.RED, ("a", "b")),
        [{Colour.BLUE: Point(0.5)}],
    ),
]


def test_what_goes_in_comes_back_equal_and_of_the_same_type() -> None:
    back = list(pc.map(same, VALUES))
    assert back == VALUES
    assert list(map(type, back)) == list(map(type, VALUES))
    assert math.copysign(1.0, back[6]) == -1.0
    assert back[-5] is Colour.RED
    assert math.isnan(next(pc.map(same, [math.nan])))


def test_classes_of_the_caller_s_come_back_without_being_initialised_again() -> None:
    account = Account("Ada", [Decimal(1)])
    (back,) = pc.map(same, [account])
    assert (type(back), back, back.calls) == (Account, account, 1)
    cell = Cell(Point(1.0, 2.0), Colour.RED, ("a", "b"))
    assert list(pc.map(mirrored, [cell])) == [mirrored(cell)]


@pytest.mark.long
def test_several_iterables_keywords_and_functions_of_python_s_own() -> None:
    assert list(pc.map(pow, [2, 3], [5, 2])) == [32, 9]
    assert list(pc.starmap(operator.add, [(1, 2), ("a", "b")])) == [3, "ab"]
    assert list(pc.map(lambda x: {x: (x, 1.5)}, range(3))) == [{x: (x, 1.5)} for x in range(3)]
    assert pc.submit(int, "ff", base=16).result(WAIT) == 255
    assert list(pc.map(same, [])) == []


def test_an_endless_iterable_is_taken_as_results_are() -> None:
    taken = 0

    def numbers() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    assert list(islice(pc.map(lambda n: n * n, numbers(), chunksize=8), 20)) == [n * n for n in range(1, 21)]
    assert taken < 100


def test_equal_items_draw_different_numbers_and_a_seed_repeats_them() -> None:
    first, again = list(pc.map(drawn, [0] * 40)), list(pc.map(drawn, [0] * 40))
    assert first == again
    assert len(set(first)) == 40
    assert list(pc.map(drawn, [0] * 40, chunksize=7)) == first, "how items are batched doesn't show"
    assert set(first).isdisjoint(pc.map(drawn, [0] * 40, seed=1))


def test_what_a_call_raises_is_raised_with_the_item_named() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        list(pc.map(lambda x: 1 // x, [2, 1, 0], chunksize=2))
    assert isinstance(raised.value, JobFailedError)
    sandbox, call, hint = raised.value.__notes__
    assert (raised.value.call_index, call) == (2, "in call 2 of <lambda>: <lambda>(0)")
    assert "list(pc.map(lambda x: 1 // x, [2, 1, 0], chunksize=2))" in sandbox
    assert sandbox.count("  File ") == 1, "the frame that makes the call is ours"
    assert hint.startswith("hint: error.run_local() makes this call here, without the sandbox")


def test_a_call_that_failed_is_made_again_here_for_a_debugger() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        list(pc.map(divided, [3, 2, 1, 0], chunksize=2))
    with pytest.raises(ZeroDivisionError) as here:
        cast("JobFailedError", raised.value).run_local()
    assert type(here.value) is ZeroDivisionError, "as it is, without the sandbox's text"
    frame = [*traceback.walk_tb(here.tb)][-1][0]
    assert (frame.f_code.co_name, frame.f_locals) == ("divided", {"by": 0, "what": 6}), "what a debugger shows"
    copied = pickle.loads(pickle.dumps(raised.value))
    with pytest.raises(UnavailableError, match="this process hasn't made a call that failed so"):
        copied.run_local()


def test_a_call_that_only_failed_in_the_sandbox_returns_its_value_here() -> None:
    with pytest.raises(LimitExceededError) as raised:
        list(pc.map(lambda n: sum(range(n)), [10, 10**7], limits={"fuel": 10**8}))
    assert raised.value.run_local() == sum(range(10**7))


def divided(by: int) -> float:
    what = 6
    return what / by


class Malformed(ValueError):
    """A class of the caller's own."""


def refuse(text: str) -> None:
    raise Malformed(text)


def test_an_exception_of_one_s_own_class_is_caught_as_the_built_in_one_it_derives_from() -> None:
    with pytest.raises(ValueError, match="Malformed: abc") as caught:
        list(pc.map(refuse, ["abc"]))
    assert isinstance(caught.value, JobFailedError)


def test_a_map_over_nothing_is_an_error_as_of_the_built_in_one() -> None:
    with pytest.raises(TypeError) as built_in:
        map(str)  # type: ignore[call-overload]
    for mapped in (pc.map, pc.map_unordered):
        with pytest.raises(TypeError) as caught:
            mapped(str)
        assert str(caught.value) == str(built_in.value)
    with PangeaExecutor() as executor:
        assert list(executor.map(str)) == []  # as the standard library's executors


@pytest.mark.parametrize(("given", "meant"), [("nod", "node"), ("chunk_size", "chunksize"), ("timeot", "timeout")])
def test_a_misspelt_keyword_is_told_the_one_that_map_takes(given: str, meant: str) -> None:
    with pytest.raises(ManifestError, match=given) as caught:
        pc.map(str, [1], **cast("Any", {given: 1}))
    assert caught.value.hint == f"did you mean {meant!r}?"


def test_a_group_of_exceptions_is_named_as_such() -> None:
    def failing(words: str) -> None:
        raise ExceptionGroup(words, [ValueError(1), TypeError("t")])

    with pytest.raises(JobFailedError, match=r"execute failed: ExceptionGroup: several \(2 sub-exceptions\)") as raised:
        pc.submit(failing, words="several").result(WAIT)
    assert "TypeError: t" in raised.value.traceback
    assert "in call 0 of failing: failing(words='several')" in raised.value.__notes__


@pytest.mark.long
def test_what_the_items_raise_comes_after_the_results_of_those_before() -> None:
    def items() -> Iterator[Any]:
        yield from range(70)
        raise LookupError("no more")

    for results in (pc.map(same, items()), pc.map(same, items(), chunksize=1)):
        assert [*islice(results, 70)] == [*range(70)]
        with pytest.raises(LookupError, match="no more"):
            next(results)
    unordered = pc.map_unordered(same, items(), chunksize=30)
    assert {*islice(unordered, 70)} == {*range(70)}
    with pytest.raises(LookupError, match="no more"):
        next(unordered)
    results = pc.map(same, [1, 2, object()])
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(InputError, match="call 2: an object can't travel"):
        next(results)


def test_what_an_executor_s_items_raise_is_raised_at_once() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    with PangeaExecutor() as executor, pytest.raises(LookupError, match="no more"):
        executor.map(same, items())


def test_numbers_of_numpy_and_tables_come_back_as_such() -> None:
    table = Table.of({"a": [1, None]})
    items = [np.float32(0.5), {np.int64(1): np.array("x")}, table]
    back = list(pc.map(same, items))
    assert [type(each) for each in back] == [np.float32, dict, Table]
    assert back[0] == items[0]
    assert [(type(key), key, value) for key, value in back[1].items()] == [(np.int64, 1, np.array("x"))]
    assert back[2].to_arrow() == table.to_arrow()
    assert type(pc.submit(np.sum, np.arange(3)).result(WAIT)) is np.int64


def described(array: Any) -> tuple[Any, tuple[int, ...], str]:
    return array, array.shape, str(array.dtype)


def test_arrays_of_all_types_and_orders_come_back_as_they_went() -> None:
    drawn = np.random.default_rng(11)
    record = np.dtype([("id", "i8"), ("at", "M8[s]"), ("inner", [("text", "U3"), ("flags", "?", (2,))])])
    types = [*"bBhHiIqQefdFD?", ">i4", ">f8", "S3", "U4", "M8[ns]", "M8[D]", "m8[us]", record]
    items = []
    for code, shape in zip(types, [(7,), (2, 3), (0, 2), (1,), (3, 1, 2), ()] * 4, strict=False):
        dtype = np.dtype(code)
        raw = bytes(drawn.integers(0, 2, max(int(np.prod(shape)), 1) * dtype.itemsize, dtype="u1"))
        array = np.resize(np.frombuffer(raw, dtype), shape)
        items += [array, np.asfortranarray(array), array.T, array[::-1] if array.ndim else array]
    for array, (back, shape, kind) in zip(items, pc.map(described, items), strict=True):
        assert (back.dtype, back.shape, shape, kind) == (array.dtype, array.shape, array.shape, str(array.dtype))
        assert np.ascontiguousarray(back).tobytes() == np.ascontiguousarray(array).tobytes()
    back, shape, _ = pc.submit(described, items[1]).result(WAIT)
    assert (back.tobytes(), shape) == (np.ascontiguousarray(items[1]).tobytes(), items[1].shape)


@pytest.mark.parametrize("make", [lambda frame: frame, lambda frame: frame["a"], lambda frame: frame.index])
def test_frames_and_their_columns_are_refused_with_what_takes_them(make: Any) -> None:
    frame = pandas.DataFrame({"a": pandas.Series([1, None], dtype="Int64")})
    for call in (lambda: list(pc.map(same, [make(frame)])), lambda: pc.submit(same, make(frame)).result(WAIT)):
        with pytest.raises(InputError, match=r"(?s)same.* a pandas\..* can't travel as a value: .*input=.table"):
            call()
    for moment in (pandas.Timestamp(2026, 1, 1), pandas.Timedelta(1), pandas.NaT):
        with pytest.raises(
            InputError, match=r"(?s)a pandas\..* can't travel as a value: .*to_pydatetime\(\) or value.to_numpy\(\)"
        ):
            pc.submit(same, {"when": moment})


def applied(function: Any, *values: Any) -> Any:
    return function(*values)


def test_functions_may_be_arguments_of_a_call() -> None:
    factor = 3
    later = pc.submit(abs, -2)
    steps = {"first": [lambda x: x * factor, Point(1).__class__._make], "then": {"key": str.upper}}
    assert pc.submit(sorted, [3, 1, 2], key=lambda x: -x).result(WAIT) == [3, 2, 1]
    assert pc.submit(applied, lambda x: x * factor, later).result(WAIT) == 6
    assert pc.submit(applied, operator.itemgetter("b"), {"b": 1}).result(WAIT) == 1
    assert pc.submit(applied, Point._make, [1.0, 2.0]).result(WAIT) == Point(1.0, 2.0), "a class that only the function names"
    assert pc.submit(lambda by, x: [by["first"][0](x), by["then"]["key"]("a")], steps, 2).result(WAIT) == [6, "A"]
    with PangeaExecutor() as executor:
        assert executor.batch(applied, [((abs, -1), {}), ((abs, -2), {})]).result(WAIT) == [1, 2]
        with pytest.raises(InputError, match=r"in argument 0\nhint: submit takes functions as arguments; map"):
            executor.batch(applied, [((abs, -1), {}), ((str, -2), {}), ((repr, -2), {})])
    with pytest.raises(InputError, match=r"in argument 0\nhint: submit takes functions as arguments; map"):
        list(pc.map(applied, [abs], [1]))
    with (here := open(__file__)), pytest.raises(JobDefinitionError, match=r"uses .here., which is of type _io\."):
        pc.submit(applied, lambda: here.name)
    with pytest.raises(ZeroDivisionError) as raised:
        pc.submit(applied, divided, 0).result(WAIT)
    assert "in call 0 of applied: applied(<function divided at" in "".join(raised.value.__notes__)


def test_what_can_t_travel_is_refused_by_name() -> None:
    with pytest.raises(
        InputError, match=r"same, call 1: a .*Opaque can't travel as a value: .*, in argument 0 at \['a'\]\[1\]\n"
    ):
        list(pc.map(same, [1, {"a": (2, Opaque())}]))
    with pytest.raises(InputError, match="a future is waited for as an argument itself"):
        pc.submit(sum, [pc.submit(abs, -1), 1])
    with pytest.raises(InputError, match=r"(?s)a pandas.DataFrame can't travel .*as arrays .*or have a job take it"):
        list(pc.map(same, [pandas.DataFrame({"a": [1]})]))
    with pytest.raises(InputError, match=r"can't travel as a value: .*, in item= at \[0\]"):
        pc.submit(same, item=[Opaque()])
    with pytest.raises(JobFailedError, match=r"an object can't travel as a value: .*, at \[0\]\['b'\]"):
        list(pc.map(lambda _: [{"b": object()}], [1]))
    with pytest.raises(JobDefinitionError, match="is a int, not a function"):
        pc.map(3, [1])  # type: ignore[arg-type]
    with pytest.raises(ManifestError, match="chunksize is 0"):
        PangeaExecutor().map(same, [1], chunksize=0)
    with pytest.raises(ManifestError, match="did you mean 'retry_count'"):
        PangeaExecutor(retry_cuont=1)  # type: ignore[call-arg]
    with pytest.raises(ManifestError, match="max_jobs"):
        PangeaExecutor(max_workers=1)  # type: ignore[call-arg]


def test_the_executor_is_one_of_concurrent_futures() -> None:
    with PangeaExecutor() as executor:
        futures = [executor.submit(divmod, n, 3) for n in range(4)]
        done, rest = wait(futures, WAIT)
        assert (len(done), len(rest)) == (4, 0)
        assert sorted(future.result() for future in as_completed(futures, WAIT)) == [(0, 0), (0, 1), (0, 2), (1, 0)]
        assert list(executor.map(same, range(300), chunksize=50, buffersize=100, timeout=WAIT)) == list(range(300))
        with pytest.raises(ValueError, match="invalid literal"):
            executor.submit(int, "x").result(WAIT)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)


def test_a_result_that_isn_t_there_in_time_is_a_timeout() -> None:
    def never(_: object) -> None:
        while True:
            pass

    with PangeaExecutor(limits={"time": 5}) as executor:
        results = executor.map(never, [1], timeout=0.2)
        with pytest.raises(TimeoutError):
            next(results)
