"""The DSL: what makes a job, what doesn't, and what running it natively gives."""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import pickle
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.client.definition.job import Job, JobBuilder, JobDefinition
from pangea.compute.model.errors import InputError, JobDefinitionError, ManifestError


def words(data: bytes) -> list[bytes]:
    return data.split()


def upper(chunk: bytes) -> bytes:
    return chunk.upper()


def joined(results: list[bytes]) -> bytes:
    return b"-".join(results)


def make(**options: Any) -> JobDefinition:
    @Job.define(**options)
    def shout() -> None:
        Job.split(words)
        Job.execute(upper)
        Job.merge(joined)

    return shout


def test_define_collects_the_decorated_functions() -> None:
    @Job.define
    def shout() -> None:
        @Job.split
        def split(data: bytes) -> Iterator[bytes]:
            yield from data.split()

        @Job.execute
        def execute(chunk: bytes) -> bytes:
            return chunk.upper()

        @Job.merge(associative=True)
        def merge(results: list[bytes]) -> bytes:
            return b"".join(results)

    assert shout.name == "shout"
    assert shout.associative
    assert list(shout.functions) == ["split", "execute", "merge"]
    assert shout.file == __file__
    assert shout.run_local(b"ab cd") == b"ABCD"


def test_execute_alone_is_a_job() -> None:
    job = Job.from_functions(upper)
    assert (job.split, job.merge, job.associative, job.name) == (None, None, False, "upper")
    assert job.run_local(b"ab cd") == b"AB CD"
    assert job.run_local(segments=[b"x", b"y"]) == b"XY"


def test_split_runs_on_each_segment_and_merge_once() -> None:
    assert make().run_local(segments=[b"a b", b"", b"c"]) == b"A-B-C"


def test_three_ways_to_define_the_same_job() -> None:
    built = JobBuilder("shout").split(words).execute(upper).merge(joined, associative=True).build()
    given = Job.from_functions(upper, words, joined, name="shout", associative=True)
    assert built.functions == given.functions == make().functions
    assert built.associative
    assert given.associative
    assert built.archive() == given.archive()


def test_defaults_are_checked_options() -> None:
    job = make(name="x", split_strategy="row_based", min_chunk_size=1)
    assert job.name == "x"
    assert dict(job.defaults) == {"split_strategy": "row_based", "min_chunk_size": 1}
    assert "row_based" in repr(job)
    with pytest.raises(ManifestError, match="min_chunk_size is 0"):
        make(min_chunk_size=0)
    with pytest.raises(JobDefinitionError, match="unknown option 'split_strategi'") as caught:
        make(split_strategi="row_based")
    assert caught.value.hint == "did you mean 'split_strategy'?"


def test_a_definition_is_frozen_and_says_what_it_is() -> None:
    job = make()
    with pytest.raises(AttributeError):
        job.name = "other"  # type: ignore[misc]
    assert repr(job).startswith("<job 'shout': split=words, execute=upper, merge=joined; test_job.py:")
    with pytest.raises(JobDefinitionError, match="can't be called") as caught:
        job(b"data")
    assert "run_local" in caught.value.hint


@pytest.mark.parametrize("decorator", [Job.split, Job.execute, Job.merge])
def test_a_decorator_outside_of_a_job_is_an_error(decorator: Callable[[Any], Any]) -> None:
    with pytest.raises(JobDefinitionError, match=r"outside of a job, on upper \(test_job.py:"):
        decorator(upper)


def test_a_job_has_one_execute() -> None:
    with pytest.raises(JobDefinitionError, match="has no execute function"):
        Job.define(lambda: None)

    def twice() -> None:
        Job.execute(upper)
        Job.execute(words)

    with pytest.raises(JobDefinitionError, match=r"two execute functions: upper \(test_job.py:\d+\) and words"):
        Job.define(twice)
    assert make().name == "shout"  # an error leaves no half-made job behind


def test_unknown_options_name_the_nearest() -> None:
    def body() -> None:
        Job.merge(assosiative=True)

    with pytest.raises(JobDefinitionError, match="unknown option 'assosiative'") as caught:
        Job.define(body)
    assert caught.value.hint == "did you mean 'associative'?"
    with pytest.raises(JobDefinitionError, match="unknown option 'kernal'") as caught:
        Job.execute(kernal="float64 -> float64")
    assert caught.value.hint == "did you mean 'kernel'?"


async def _async_function(chunk: bytes) -> bytes:
    return chunk


def _generator(chunk: bytes) -> Iterator[bytes]:
    yield chunk


class _Callable:
    def __call__(self, chunk: bytes) -> bytes:
        return chunk


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (_async_function, "is async"),
        (_generator, "is a generator"),
        (len, "must be a Python function, not a builtin_function_or_method"),
        (functools.partial(upper), "must be a Python function, not a partial"),
        (_Callable(), "must be a Python function, not a _Callable"),
        (bytes, "must be a Python function, not a type"),
        (3, "must be a Python function, not a int: 3"),
        (lambda: b"", r"<lambda> \(test_job.py:\d+\) must take one argument, a chunk; its signature is \(\)"),
        (lambda chunk, more: chunk, "must take one argument"),
        (lambda *, chunk: chunk, "must take one argument"),
    ],
)
def test_what_cannot_be_execute(function: Any, reason: str) -> None:
    with pytest.raises(JobDefinitionError, match=reason):
        Job.from_functions(function)


def test_define_takes_a_plain_function_without_arguments() -> None:
    with pytest.raises(JobDefinitionError, match="takes 'size'"):
        Job.define(lambda size: None)  # type: ignore[arg-type,misc]
    with pytest.raises(JobDefinitionError, match="decorates a function"):
        Job.define(3)  # type: ignore[call-overload]

    async def body() -> None:
        Job.execute(upper)

    with pytest.raises(JobDefinitionError, match="no async"):
        Job.define(body)


def test_definitions_nest_and_run_in_threads() -> None:
    @Job.define
    def outer() -> None:
        @Job.define
        def inner() -> None:
            Job.execute(lambda chunk: b"inner")

        assert inner.run_local(b"") == b"inner"
        Job.execute(lambda chunk: b"outer")

    assert outer.run_local(b"") == b"outer"
    barrier, made = threading.Barrier(4), []

    def define(index: int) -> None:
        def body() -> None:
            barrier.wait(50)
            Job.execute(lambda chunk: b"%d" % index)
            barrier.wait(50)

        made.append((index, Job.define(body)))

    threads = [threading.Thread(target=define, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [job.run_local(b"") for _, job in sorted(made, key=lambda pair: pair[0])] == [b"0", b"1", b"2", b"3"]


def test_jobs_can_be_defined_inside_a_running_loop() -> None:
    async def define() -> JobDefinition:
        return make()

    assert asyncio.run(define()).run_local(b"a") == b"A"


def test_randomness_depends_on_the_call_alone() -> None:
    def draw(chunk: bytes) -> bytes:
        return b"%d %s;" % (random.getrandbits(32), os.urandom(4).hex().encode())

    job = Job.from_functions(draw, words)
    state = random.getstate()
    first = job.run_local(b"a b a").split(b";")
    assert first[0] == first[2] != first[1]
    assert job.run_local(b"b").split(b";")[0] == first[1]
    assert random.getstate() == state


def test_results_are_checked_as_in_the_sandbox() -> None:
    def returning(value: Any) -> Callable[[Any], Any]:
        return lambda _: value

    with pytest.raises(TypeError, match=r"^the result of execute must be bytes, not str: 'x'$"):
        Job.from_functions(returning("x")).run_local(b"")
    with pytest.raises(TypeError, match=r"^the result of merge must be bytes, not NoneType: None$"):
        Job.from_functions(upper, merge=returning(None)).run_local(b"")
    with pytest.raises(TypeError, match=r"^the result of split must be a list of bytes, not bytes: b'x'$"):
        Job.from_functions(upper, returning(b"x")).run_local(b"")
    with pytest.raises(TypeError, match=r"^item 1 of split's result must be bytes, not int: 2$"):
        Job.from_functions(upper, returning([b"1", 2])).run_local(b"")
    assert Job.from_functions(returning(bytearray(b"x")), returning([memoryview(b"y")])).run_local(b"") == b"x"


def test_a_decorator_that_isn_t_there_is_told_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"^Job has no 'exec'; did you mean Job\.execute\?$"):
        Job.exec  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError, match=r"^Job has no 'zzz'; there are check, define, execute, "):
        Job.zzz  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(Job, "__wrapped__")


def test_exceptions_of_the_functions_pass_unchanged() -> None:
    def fail(chunk: bytes) -> bytes:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Job.from_functions(fail).run_local(b"")


def test_run_local_takes_what_submit_job_takes(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"a")
    assert make().run_local(path) == make().run_local(str(path)) == make().run_local(bytearray(b"a")) == b"A"
    assert make().run_local() == b""
    with pytest.raises(InputError, match="there is no file 'text'"):
        make().run_local("text")
    with pytest.raises(InputError, match="either the input or its segments"):
        make().run_local(b"", segments=[b""])


def test_run_local_cuts_as_the_options_say() -> None:
    job = Job.from_functions(lambda chunk: b"x", split_strategy="fixed_size", max_chunk_size=2, min_chunk_size=1)
    assert job.run_local(b"12345") == b"xxx"
    assert job.run_local(b"12345", max_chunk_size=1) == b"xxxxx"


def shout(chunk: bytes) -> bytes:
    return chunk.upper()


PLAIN = Job.from_functions(shout, name="plain", min_chunk_size=1)


@Job.define
def nested() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk.lower()


def test_a_job_is_pickled_as_a_function_is_by_its_name() -> None:
    for job in (PLAIN, nested):
        assert pickle.loads(pickle.dumps(job)) is job
        assert copy.deepcopy([job, job]) == [job, job]
        assert copy.copy(job) is job


def test_a_job_without_a_name_is_pickled_by_its_parts() -> None:
    job = Job.from_functions(shout, name="unnamed", min_chunk_size=1, associative=False)
    for made in (pickle.loads(pickle.dumps(job)), copy.copy(job), copy.deepcopy(job)):
        assert made is not job
        assert (made.name, made.execute, made.kinds, made.defaults) == ("unnamed", shout, job.kinds, {"min_chunk_size": 1})
        assert made.run_local(b"a") == b"A"
        assert made.archive() == job.archive()
        assert type(made.defaults) is type(job.defaults)
