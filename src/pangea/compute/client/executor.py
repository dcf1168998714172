"""`PangeaExecutor`: a `concurrent.futures.Executor` whose functions run in the sandbox, here or on a node.

with PangeaExecutor() as executor:
    future = executor.submit(shout, b"hello")            # one job
    answers = list(executor.map(shout, chunks))          # as few jobs as there are 16 MiB of chunks
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import chain
from types import CodeType, FunctionType
from typing import Any

from pangea.compute.client.job import Job, JobDefinition
from pangea.compute.client.submit import submit_job
from pangea.compute.model import frames
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import MIB

#: Chunks of one job of `map`: fits many times into a guest's memory.
_BATCH_BYTES = 16 * MIB
_BATCH_CHUNKS = 100_000

Function = Callable[[bytes], bytes]


class PangeaExecutor(Executor):
    """Calls of functions from bytes to bytes, each in a sandbox."""

    def __init__(self, node: str | None = None, *, max_jobs: int = 32, **options: Any) -> None:
        """Run functions on a node, or on this machine.

        Args:
            node: its address; by default PANGEA_NODE, else this machine.
            max_jobs: jobs under way at once.
            **options: keywords of `submit_job` for each job.
        """
        self._node = node
        self._options = options
        self._threads = ThreadPoolExecutor(max_jobs, thread_name_prefix="pangea-executor")

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> Future[bytes]:  # type: ignore[override]
        """Run `fn(data)` as a job of its own; `data` is bytes, and the only argument.

        Raises:
            InputError: the arguments are others.
            JobDefinitionError: the function can't travel; says why.
        """
        if kwargs or len(args) != 1 or not isinstance(args[0], bytes | bytearray | memoryview):
            given = ", ".join([*(type(each).__name__ for each in args), *kwargs]) or "nothing"
            raise InputError(f"{_name(fn)} was given {given}; a call takes one argument, which is bytes", hint="encode it first")
        job = Job.from_functions(execute=fn, name=_name(fn))
        job.archive()  # so that what can't travel is an error here, not in the future
        return self._threads.submit(self._run, job, bytes(args[0]))

    def map(  # type: ignore[override]
        self, fn: Function, *iterables: Iterable[bytes], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[bytes]:
        """Yield `fn(chunk)` for each chunk, in order. Many chunks share a job.

        Args:
            fn: from bytes to bytes.
            *iterables: exactly one, of bytes.
            timeout: seconds for each batch's result.
            chunksize: is taken for compatibility; batches are as large as they may be.

        Raises:
            InputError: there are several iterables, or something in it isn't bytes.
        """
        if len(iterables) != 1:
            raise InputError(
                f"map was given {len(iterables)} iterables; the function takes one argument", hint="zip them into bytes first"
            )
        unpack, pack = _framing(fn)
        job = Job.from_functions(split=unpack, execute=fn, merge=pack, name=_name(fn))
        job.archive()
        futures = [self._threads.submit(self._run, job, batch) for batch in _batches(iterables[0])]
        return chain.from_iterable(frames.unpack(future.result(timeout)) for future in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; with `cancel_futures`, begin nothing that hasn't begun."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def _run(self, job: JobDefinition, data: bytes) -> bytes:
        return submit_job(job, data, node=self._node, **self._options)


def _batches(chunks: Iterable[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for index, chunk in enumerate(chunks):
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise InputError(f"chunk {index} is a {type(chunk).__name__}; it must be bytes", hint="encode it first")
        if batch and (size + len(chunk) > _BATCH_BYTES or len(batch) >= _BATCH_CHUNKS):
            yield frames.pack(batch)
            batch, size = [], 0
        batch.append(bytes(chunk))
        size += len(chunk)
    if batch:
        yield frames.pack(batch)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", "function"))


#: These two travel with the user's function, so they are made to stand beside it: text of their own, over its globals. They speak
#: the framed lists of `model.frames`, and import nothing.
_FRAMING = """\
def _pangea_unpack(data: bytes) -> list[bytes]:
    chunks, at = [], 4
    for _ in range(int.from_bytes(data[:4], "little")):
        size = int.from_bytes(data[at : at + 4], "little")
        chunks.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return chunks


def _pangea_pack(results: list[bytes]) -> bytes:
    parts = [len(results).to_bytes(4, "little")]
    for result in results:
        parts += [len(result).to_bytes(4, "little"), result]
    return b"".join(parts)
"""
_FILE = "<batch of a map>"


def _framing(function: Any) -> tuple[Any, Any]:
    """What splits a batch and what joins its results, beside `function`, with their source where sources are looked for."""
    linecache.cache[_FILE] = (len(_FRAMING), None, _FRAMING.splitlines(keepends=True), _FILE)
    made = compile(_FRAMING, _FILE, "exec", dont_inherit=True)
    unpack, pack = (code for code in made.co_consts if isinstance(code, CodeType))
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return FunctionType(unpack, scope), FunctionType(pack, scope)
