"""Calls as a job: each call is a chunk, which holds its place, a seed and its arguments; each result is a line.

The place and the seed are in the chunk because random numbers are seeded from it: equal calls draw different ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from pangea.compute.client.calls.bound import Bound, Call
from pangea.compute.client.calls.classes import Classes
from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import tagged
from pangea.compute.data.errors import DataError, NoPlaceError
from pangea.compute.model.errors import InputError, JobDefinitionError
from pangea.compute.model.units import MIB

#: Of one job: fits many times into a guest's memory.
BATCH_BYTES_MAX = 16 * MIB
BATCH_CALLS_MAX = 1 << 16
#: The first batch of many is small, so that first results come soon; each further one is twice the size.
BATCH_CALLS_FIRST = 64

_HINT_VALUES = "give numbers, text, bytes, dates, tuples, lists, sets, dicts, arrays, dataclasses, named tuples or enums"
_HINT_FUTURE = "a future is waited for as an argument itself, not inside of one: submit(lambda *parts: sum(parts), a, b)"
_HINT_FUNCTION = (
    "submit takes functions as arguments; map calls one that has them already: map(functools.partial(f, key=g), items)"
)
_HINT_MOMENT = "give Python's or NumPy's: value.to_pydatetime() or value.to_numpy()"
_HINT_FRAME = 'give its columns as arrays ({name: column.to_numpy() ...}), or have a job take it: @Job.execute(input="table")'


class Gap(NamedTuple):
    """An argument that is another job's result.

    Attributes:
        where: its position, or its keyword.
        classes: those that the value may be of, by number; None where the result is taken as it is, as bytes.
    """

    where: int | str
    classes: tuple[type, ...] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that make one job.

    Attributes:
        first: place of the first one among all.
        count: how many.
        data: their chunks, a line each.
    """

    first: int
    count: int
    data: bytes

    def beginning(self, count: int) -> Batch:
        """Its first `count` calls."""
        return Batch(self.first, count, b"".join(self.data.splitlines(keepends=True)[:count]))


@dataclass(frozen=True, eq=False, repr=False)
class _Captured(JobDefinition):
    """A job whose functions travel as they were when the calls began: looked at once for all batches."""

    archived: bytes = b""

    @classmethod
    def of(cls, job: JobDefinition) -> _Captured:
        return cls(**{each.name: getattr(job, each.name) for each in fields(job)}, archived=job.archive())

    def archive(self) -> bytes:
        """What was captured."""
        return self.archived


class Calls:
    """Calls of one function, and the job that makes them."""

    def __init__(self, function: Any, *, seed: int = 0, bound: Bound | None = None) -> None:
        """Prepare to call `function`.

        Args:
            function: what is called.
            seed: where its random numbers come from.
            bound: arguments that are the same in all calls, and travel with the function; the calls have None there.

        Raises:
            JobDefinitionError: it isn't callable.
        """
        if not callable(function):
            raise JobDefinitionError(f"{function!r:.80} is a {type(function).__name__}, not a function", hint="give a function")
        self.name: str = str(getattr(function, "__name__", type(function).__name__))
        self._function = function
        self._seed = seed
        self.bound: Bound = bound or {}
        #: Those of the caller's own that values may be of.
        self.classes: Classes = Classes(function, *self.bound.values())
        self._jobs: dict[tuple[type, ...], JobDefinition] = {}

    def job(self, *, is_one: bool = False) -> JobDefinition:
        """The job for the batches made so far; of one call, without its end of line, a job that needn't split it.

        Raises:
            JobDefinitionError: the function can't travel; says why, here and not in a future.
        """
        known = self.classes.known
        if known not in self._jobs:
            self._jobs[known] = _Captured.of(self._job_of(known, is_one=is_one))
        return self._jobs[known]

    def filled_job(self, gaps: tuple[Gap, ...]) -> JobDefinition:
        """The job of one call, some of whose arguments are other jobs' results: the call's line comes first, then those."""
        called_function, value_classes, bound = self._function, self.classes.known, [*self.bound.items()]
        places = [(gap.where, gap.classes) for gap in gaps]

        def passed_on(part: bytes) -> bytes:
            return part

        def call(parts: list[bytes]) -> bytes:
            from pangea.compute.data import tagged

            _place, _seed, arguments, keywords = tagged.loads(parts[0], value_classes)
            filled = [*bound]
            for (where, part_classes), part in zip(places, parts[1:], strict=True):
                filled.append((where, part if part_classes is None else tagged.loads(part, part_classes)))
            for where, value in filled:
                (arguments if isinstance(where, int) else keywords)[where] = value
            return tagged.dumps(called_function(*arguments, **keywords), tagged.Classes.of(value_classes)) + b"\n"

        return Job.from_functions(execute=passed_on, merge=call, name=self.name)

    def _job_of(self, classes: tuple[type, ...], *, is_one: bool) -> JobDefinition:
        called_function, value_classes, bound = self._function, classes, [*self.bound.items()]

        def calls_of_batch(batch: bytes) -> list[bytes]:
            return batch.splitlines()

        def call(chunk: bytes) -> bytes:
            from pangea.compute.data import tagged

            _place, _seed, arguments, keywords = tagged.loads(chunk, value_classes)
            for where, value in bound:
                (arguments if isinstance(where, int) else keywords)[where] = value
            return tagged.dumps(called_function(*arguments, **keywords), tagged.Classes.of(value_classes)) + b"\n"

        return Job.from_functions(split=None if is_one else calls_of_batch, execute=call, name=self.name)

    def values(self, result: bytes) -> list[Any]:
        """What the calls of a batch returned."""
        known = self.classes.known
        return [tagged.loads(line, known) for line in result.splitlines()]

    def made_here(self, line: bytes) -> Any:
        """What one call, as `line` makes it a chunk, returns in this process, without a sandbox."""
        [value] = self.values(self.job().run_local(line, index=0))
        return value

    def batches(self, calls: Iterable[Call], *, batch_calls: int | None = None) -> Iterator[Batch]:
        """Cut calls into batches: of `batch_calls`, or growing ones.

        Raises:
            InputError: an argument can't travel as a value; names the call, the argument's type and where it is. As whatever
                `calls` itself raises, after a batch of those before.
        """
        lines: list[bytes] = []
        size, first, most = 0, 0, batch_calls or BATCH_CALLS_FIRST
        source, trouble = enumerate(calls), None
        while True:
            try:
                place, call = next(source)
                line = self.line(place, call)
            except StopIteration:
                break
            except Exception as error:
                trouble = error
                break
            if lines and (size + len(line) > BATCH_BYTES_MAX or len(lines) >= most):
                yield Batch(first, len(lines), b"".join(lines))
                lines, size, first = [], 0, place
                most = batch_calls or min(2 * most, BATCH_CALLS_MAX)
            lines.append(line)
            size += len(line)
        if lines:
            yield Batch(first, len(lines), b"".join(lines))
        if trouble is not None:
            raise trouble

    def line(self, place: int, call: Call) -> bytes:
        """One call as a chunk.

        Raises:
            InputError: an argument can't travel as a value; names the call and the argument's type.
        """
        arguments, keywords = call
        try:
            return self.classes.dumps([place, self._seed, list(arguments), keywords]) + b"\n"
        except DataError as error:
            what = f"{error.reason}{_among(error.place)}" if isinstance(error, NoPlaceError) else str(error)
            raise InputError(
                f"{self.name}, call {place:,}: {what}",
                hint=_hint(what),
                index=place,
            ) from error


def _hint(what: str) -> str:
    """What to do about a value that can't travel."""
    if re.match(r"an? \S*(?:Future|Handle) ", what):
        return _HINT_FUTURE
    if re.match(r"a (?:function|builtin_function_or_method|method|functools\.partial) ", what):
        return _HINT_FUNCTION
    if re.match(r"a pandas\.(?:\S+\.)?(?:Timestamp|Timedelta|NaTType) ", what):
        return _HINT_MOMENT
    return _HINT_FRAME if re.match(r"a (?:pandas|pyarrow|polars)\.", what) else _HINT_VALUES


def _among(place: str) -> str:
    """Where something is in a call, of its place in the call's line."""
    if found := re.fullmatch(r"\[2\]\[(\d+)\](.*)", place, re.DOTALL):
        return f", in argument {int(found[1])}{f' at {found[2]}' if found[2] else ''}"
    if found := re.fullmatch(r"\[3\]\['(\w+)'\](.*)", place, re.DOTALL):
        return f", in {found[1]}={f' at {found[2]}' if found[2] else ''}"
    return ""


def zipped(iterables: tuple[Iterable[Any], ...]) -> Iterator[Call]:
    """Calls with an item of each iterable; the shortest one ends them.

    Raises:
        TypeError: there is no iterable, as the built-in `map` has it.
    """
    if not iterables:
        raise TypeError("map() must have at least two arguments.")
    return ((items, {}) for items in zip(*iterables, strict=False))


def spread(iterable: Iterable[Iterable[Any]]) -> Iterator[Call]:
    """Calls with the arguments that each item holds."""
    return ((tuple(items), {}) for items in iterable)
