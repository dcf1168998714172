"""The far side of an engine on somebody's cluster: in each of their worker processes a pool of jailed ones, warmed once.

Requests are JSON, answers plain dicts: what travels means the same to whatever carries it. A task is a pure function of bytes, so
that a cluster may run it again, elsewhere or twice; what was given up is killed by the name of its attempt.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from dataclasses import asdict
from functools import cache, lru_cache
from typing import Any

from pangea.compute import runtime
from pangea.compute.engine.cache import RefusedError
from pangea.compute.engine.engine import CANCELLED
from pangea.compute.engine.engines import embedded
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.task import Guest, Task
from pangea.compute.flow.packs import Pack
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, Outcome

#: Attempts that were given up, perhaps before they came.
_GIVEN_UP_MAX = 10_000
#: How often a waiting thread can be interrupted: clusters that cancel by an exception in it need that.
_POLL_SECONDS = 0.1
#: Beyond what its packs may take, for a task's turn among the others of its process.
_SPARE_SECONDS = 60.0

_lock = threading.Lock()
_running: dict[str, tuple[LocalEngine, Future[Outcome]]] = {}
_given_up: OrderedDict[str, None] = OrderedDict()


@cache  # it is in every request and every answer, and to look it up in files takes longer than a task
def software() -> str:
    """What both sides must have alike, for people."""
    from importlib.metadata import version

    return f"pangea-compute {version('pangea-compute')} with the Python guest {runtime.sha256()[:12]}"


def serve(request: str, content: bytes, frame: bytes, *, workers: int) -> dict[str, Any]:
    """Answer a request in a worker process of a cluster.

    Args:
        request: JSON of `remote`'s making.
        content: the job's archive, or its module.
        frame: the task's input.
        workers: how many jailed processes this process may have.

    Returns:
        Where it was answered, and one of "exports", "finished", "failure", "refused" or "unavailable".
    """
    asked = json.loads(request)
    answer: dict[str, Any] = {"worker": f"{socket.gethostname()}:{os.getpid()}", "software": software()}
    if asked["software"] != answer["software"]:
        return answer  # what else it says may mean something else here
    try:
        engine, _ = embedded.engine(workers)
        answer["meter"] = engine.meter
        exports = _prepare(engine, asked, content)
        if "function" not in asked:
            return answer | {"exports": exports}
        began = time.monotonic()
        outcome = _run(engine, asked, content, frame)
        what = "failure" if isinstance(outcome, Failure) else "finished"
        return answer | {what: asdict(outcome), "seconds": time.monotonic() - began}
    except RefusedError as error:
        return answer | {"refused": asdict(error.failure)}
    except UnavailableError as error:
        return answer | {"unavailable": [error.message, error.hint]}


def cancel(attempts: Iterable[str]) -> None:
    """Kill what runs of `attempts` here, and begin none of them."""
    with _lock:
        for attempt in attempts:
            _given_up[attempt] = None
            if attempt in _running:
                engine, future = _running[attempt]
                engine.cancel([future])
        while len(_given_up) > _GIVEN_UP_MAX:
            _given_up.popitem(last=False)


def _prepare(engine: LocalEngine, asked: dict[str, Any], content: bytes) -> tuple[str, ...]:
    module, limits = asked["module"], Limits(**asked["limits"])
    if module == runtime.sha256():
        return engine.prepare(module, Limits(), runtime.load, lambda: None)
    return engine.prepare(module, limits, lambda: content, lambda: None, is_strangers=asked["is_strangers"])


def _run(engine: LocalEngine, asked: dict[str, Any], content: bytes, frame: bytes) -> Outcome:
    attempt = asked["attempt"]
    packs = [Pack(count, size_bytes) for count, size_bytes in asked["packs"]]
    guest = _guest(asked["module"], content, json.dumps(asked["limits"]), asked["is_strangers"])
    task = Task(guest, asked["function"], asked["count"], [frame], packs)
    with _lock:
        if attempt in _given_up:
            return CANCELLED
        future = engine.submit(task)
        _running[attempt] = engine, future
    try:
        return _waited(future, time.monotonic() + guest.limits.time * (len(packs) + 1) + _SPARE_SECONDS)
    except CancelledError:
        return CANCELLED
    except BaseException:  # the cluster's way to give it up
        engine.cancel([future])
        raise
    finally:
        with _lock:
            del _running[attempt]


def _waited(future: Future[Outcome], deadline: float) -> Outcome:
    while True:
        try:
            return future.result(_POLL_SECONDS)
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


@lru_cache(maxsize=16)
def _guest(module: str, content: bytes, limits: str, is_strangers: bool) -> Guest:
    """The same object for the same job: what names it is computed once."""
    code = content if module == runtime.sha256() else b""
    return Guest(module, code, Limits(**json.loads(limits)), is_strangers)
