"""Python inside the sandbox: the standard library, sealed, seeded, and repeatable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pangea.compute import Job, JobFailedError, submit_job
from pangea.compute.client.definition.native_draws import native_run, seeded_call
from pangea.compute.errors import LimitExceededError
from pangea.compute.model import frames
from pangea.compute.model.units import PYTHON_MEMORY_BYTES
from pangea.compute.runtime import sha256

NEEDED = """json re csv collections itertools statistics math datetime decimal fractions struct hashlib zlib base64 dataclasses
enum typing heapq bisect random string unicodedata xml html urllib.parse textwrap difflib functools operator array io pickle copy
uuid sqlite3 bz2 lzma asyncio unittest.mock
zoneinfo xml.etree.ElementTree http.cookies logging unittest zipfile email.message pathlib contextlib"""
MISSING = "socket ssl subprocess multiprocessing ctypes tkinter numpy.f2py pandas"

#: MiB of objects of 1 MiB that fit in 256.
LEAST_MIB_OF_256 = 220


def words(data: bytes) -> list[bytes]:
    return data.split()


def run(execute: object, data: bytes = b"x", **options: object) -> bytes:
    return submit_job(Job.from_functions(execute=execute, split=words), data, **options)  # type: ignore[arg-type]


def test_what_jobs_reach_for_can_be_imported() -> None:
    def execute(chunk: bytes) -> bytes:
        import importlib

        importlib.import_module(chunk.decode())
        return b"."

    assert run(execute, NEEDED.encode()) == b"." * len(NEEDED.split())


def test_what_is_missing_says_module_not_found() -> None:
    def execute(chunk: bytes) -> bytes:
        import importlib

        try:
            importlib.import_module(chunk.decode())
        except ModuleNotFoundError:
            return b"."
        return chunk

    assert run(execute, MISSING.encode()) == b"." * len(MISSING.split())


def test_there_are_no_files_no_clock_and_no_terminal() -> None:
    def execute(chunk: bytes) -> bytes:
        import datetime
        import time

        answers = [time.time() == 0, datetime.datetime.now().year == 1970]  # noqa: DTZ005
        try:
            open("/etc/passwd")
        except PermissionError:
            answers.append(True)
        return repr(answers).encode()

    assert run(execute) == b"[True, True, True]"


def test_a_set_of_ones_own_is_found_where_the_equal_frozenset_is() -> None:
    def execute(chunk: bytes) -> bytes:
        from collections.abc import Set

        class Letters(Set[str]):
            def __init__(self, letters: str) -> None:
                self.letters = "".join(sorted(set(letters)))

            def __contains__(self, letter: object) -> bool:
                return letter in list(self.letters)

            def __iter__(self) -> Iterator[str]:
                return iter(self.letters)

            def __len__(self) -> int:
                return len(self.letters)

            __hash__ = Set._hash

        return str({frozenset("abc"): 1}.get(Letters("cab"))).encode()  # type: ignore[call-overload]

    assert run(execute) == b"1"


def test_what_takes_no_time_or_chance_minds_its_arguments_all_the_same() -> None:
    def execute(chunk: bytes) -> bytes:
        import os
        import random
        import time
        from collections.abc import Callable

        def kind(call: Callable[[], object]) -> str:
            try:
                return repr(call())
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        rest = time.sleep
        calls: list[Callable[[], object]] = [
            lambda: rest(True),
            lambda: rest(-1),
            lambda: rest("1"),  # type: ignore[arg-type]
            lambda: os.urandom(-1),
            lambda: random.SystemRandom().randbytes(-1),
        ]
        return "; ".join(map(kind, calls)).encode()

    said = run(execute).decode().split("; ")
    assert said[:2] == ["None", "ValueError: sleep length must be non-negative"]
    assert said[2] == "TypeError: 'str' object cannot be interpreted as an integer"
    assert [each.partition(":")[0] for each in said[3:]] == ["ValueError"] * 2


def test_memory_runs_out_as_a_limit_with_its_figure() -> None:
    def execute(chunk: bytes) -> bytes:
        return bytes(100 << 20)[:1]

    assert run(execute) == b"\0"
    with pytest.raises(LimitExceededError, match=r"64\.0 MiB"):
        run(execute, limits={"memory": 64 << 20})


def test_nearly_all_of_the_memory_serves_the_job() -> None:
    """An allocator that rounds sizes up leaves half of it unused."""

    def execute(chunk: bytes) -> bytes:
        held, size = [], 1 << 20
        try:
            while True:
                held.append(bytes(size))
        except MemoryError:
            count = len(held)
            held.clear()
        return str(count).encode()

    assert int(run(execute, limits={"memory": 256 << 20})) >= LEAST_MIB_OF_256


def test_a_small_job_runs_under_the_least_memory() -> None:
    """Cut by the host: a `split` of its own has no room for input there."""

    def execute(chunk: bytes) -> bytes:
        import json

        return str(len(json.dumps(list(range(20_000))))).encode()

    job = Job.from_functions(execute=execute)
    assert submit_job(job, b"x", split_strategy="row_based", limits={"memory": PYTHON_MEMORY_BYTES}) == b"128890"


def test_memory_that_ran_out_can_be_handled_by_the_job() -> None:
    def execute(chunk: bytes) -> bytes:
        try:
            return bytes(300 << 20)
        except MemoryError:
            return b"full"

    assert run(execute) == b"full"


def test_equal_chunks_draw_equal_numbers_and_others_do_not() -> None:
    def execute(chunk: bytes) -> bytes:
        import random
        import uuid

        return f"{random.random()} {uuid.uuid4()} {random.Random().random()};".encode()

    drawn = run(execute, b"1 2 1 2 1").decode().split(";")[:-1]
    assert drawn[0] == drawn[2] == drawn[4]
    assert drawn[1] == drawn[3]
    assert drawn[0] != drawn[1]


def test_random_numbers_equal_those_of_a_native_run() -> None:
    def split(data: bytes) -> Iterator[bytes]:
        import random

        for _ in range(5):
            yield b"%d" % random.randrange(10**9)

    def execute(chunk: bytes) -> bytes:
        import os
        import random
        import secrets

        random.shuffle(values := list(range(20)))
        return repr((values, os.urandom(3), secrets.token_hex(4), random.getrandbits(70))).encode()

    def merge(results: list[bytes]) -> bytes:
        import random

        return random.choice(results)

    job = Job.from_functions(execute=execute, split=split, merge=merge)
    assert submit_job(job, b"seed") == job.run_local(b"seed")


def test_importing_random_after_a_first_draw_repeats_nothing() -> None:
    def execute(chunk: bytes) -> bytes:
        import os

        first = os.urandom(4)
        import random

        return repr((first, os.urandom(4), random.random())).encode()

    job = Job.from_functions(execute=execute)
    assert submit_job(job, b"x") == job.run_local(b"x")


def test_a_function_imported_from_random_at_the_top_is_seeded_too() -> None:
    job = Job.from_functions(execute=draw)
    with native_run([draw]), seeded_call("execute", b"x"):
        native = draw(b"x")
    assert submit_job(job, b"x") == native


from random import random as toss  # noqa: E402


def draw(chunk: bytes) -> bytes:
    return repr(toss()).encode()


def test_prints_reach_the_report() -> None:
    def execute(chunk: bytes) -> bytes:
        print("saw", chunk)
        return chunk

    result = submit_job(Job.from_functions(execute=execute), b"abc")
    assert result.report.prints == "saw b'abc'\n"


def test_chained_exceptions_are_shown_whole() -> None:
    def execute(chunk: bytes) -> bytes:
        try:
            return {b"": b""}[chunk]
        except KeyError as error:
            raise RuntimeError("outer") from error

    with pytest.raises(JobFailedError) as caught:
        run(execute)
    assert "KeyError" in caught.value.traceback
    assert "direct cause" in caught.value.traceback
    assert "RuntimeError: outer" in caught.value.traceback
    assert "test_python_guest.py" in caught.value.traceback


def test_an_exception_whose_text_raises_is_still_an_error() -> None:
    def execute(chunk: bytes) -> bytes:
        class Sly(Exception):
            def __str__(self) -> str:
                raise ValueError

        raise Sly

    with pytest.raises(JobFailedError, match="Sly"):
        run(execute)


def test_results_of_a_wrong_type_are_named() -> None:
    with pytest.raises(JobFailedError, match="the result of execute must be bytes, not str"):
        run(lambda_like)


def lambda_like(chunk: bytes) -> bytes:
    return chunk.decode()  # type: ignore[return-value]


def test_globals_do_not_survive_a_task() -> None:
    seen: list[bytes] = []

    def execute(chunk: bytes) -> bytes:
        seen.append(chunk)
        return b"%d " % len(seen)

    job = Job.from_functions(execute=execute)
    assert submit_job(job, b"a") == submit_job(job, b"b") == b"1 "


def test_the_runtime_is_the_pinned_one() -> None:
    import hashlib

    from pangea.compute import runtime

    assert hashlib.sha256(runtime.load()).hexdigest() == sha256()


def test_merge_gets_the_results_in_order() -> None:
    def execute(chunk: bytes) -> bytes:
        return chunk + b"!"

    def merge(results: list[bytes]) -> bytes:
        return b"|".join(results)

    job = Job.from_functions(execute=execute, split=words, merge=merge)
    data = b" ".join(b"%d" % i for i in range(3_000))
    assert submit_job(job, data) == b"|".join(b"%d!" % i for i in range(3_000))
    assert frames.count_of(frames.pack([b""] * 3)) == 3
