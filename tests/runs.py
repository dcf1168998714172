"""Run a job on an engine, past the warm one that `submit_job` chooses, and keep the run to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, cast

from pangea.compute import runtime
from pangea.compute.client.receipts.rechecking import Rechecks
from pangea.compute.client.submission.run import JobRun
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob, prepare
from pangea.compute.engine.task import Guest, Task
from pangea.compute.flow.packs import Pack
from pangea.compute.model import frames
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import Function
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Failure, Finished, Outcome


def run_of(
    engine: object,
    job: PreparedJob,
    segments: Iterable[bytes],
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
    rechecks: Rechecks | None = None,
    **options: Any,
) -> JobRun:
    """A run of `job` over `segments`, ready for `result()`."""
    return JobRun(
        cast(Engine, engine),
        job,
        JobOptions.of(options),
        segments=iter(segments),
        input_bytes=sum(map(len, segments)) if isinstance(segments, Sequence) else 0,
        on_progress=lambda _progress: None,
        is_cancelled=is_cancelled,
        rechecks=rechecks,
    )


def error_of_run(run: JobRun) -> PangeaError:
    """The error that ends `run`."""
    try:
        result = run.result()
    except PangeaError as error:
        return error
    raise AssertionError(f"the run gave {result!r:.100} and no error")


def module_job(engine: Engine, wasm: bytes, **limits: Any) -> PreparedJob:
    """`wasm` compiled for `engine`."""
    return prepare(wasm, Limits.of(limits), engine, lambda _what: None, name="module", associative=False)


def module_guest(engine: Engine, wasm: bytes, **limits: Any) -> Guest:
    """`wasm` as the engine's guest."""
    name = hashlib.sha256(wasm).hexdigest()
    checked = Limits.of(limits).with_fuel_for(python=False)
    engine.prepare(name, checked, lambda: wasm, lambda: None)
    return Guest(name, b"", checked)


def python_guest(source: str, **limits: Any) -> Guest:
    """A Python job in plain source, for an engine that has the runtime."""
    return Guest(runtime.sha256(), source.encode(), Limits.of(limits).with_fuel_for(python=True))


def python_job(source: str, **limits: Any) -> PreparedJob:
    """A Python job in plain source, prepared."""
    return PreparedJob("test", python_guest(source, **limits), "def split" in source, "def merge" in source, False, 1 << 30)


def task_of(guest: Guest, *chunks: bytes, function: Function = "execute", packs: Sequence[int] = ()) -> Task:
    """A task with `chunks`: one pack, or packs of so many each; of split, each is one."""
    sizes, counts = iter(map(len, chunks)), packs or ([1] * len(chunks) if function == "split" else [])
    given = [Pack(count, sum(islice(sizes, count))) for count in counts]
    return Task(guest, function, len(chunks), [frames.pack(chunks)], given)


def outcome_of(
    engine: Engine, guest: Guest, *chunks: bytes, function: Function = "execute", packs: Sequence[int] = ()
) -> Outcome:
    """How a task with `chunks` ends."""
    return engine.submit(task_of(guest, *chunks, function=function, packs=packs)).result(50)


def finished(outcome: Outcome) -> Finished:
    """`outcome`, which ended well."""
    assert isinstance(outcome, Finished), outcome
    return outcome


def failed(outcome: Outcome) -> Failure:
    """`outcome`, which didn't."""
    assert isinstance(outcome, Failure), f"{outcome!r:.200}"
    return outcome


def results_of(outcome: Outcome) -> list[bytes]:
    """The results of a task that ended well."""
    return list(frames.unpack(finished(outcome).results))
