"""The engine inside this process: started at the first job, warm for the next, gone with the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress

from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model.errors import UnavailableError

_lock = threading.Lock()
_engine: LocalEngine | None = None
#: Whether nobody has asked for the engine yet.
_is_new = False
#: Processes started with the engine, the others when tasks wait: a small job needs one, and starting two takes the cores it has.
AT_ONCE: int | None = 1


def engine(workers: int | None = None) -> tuple[LocalEngine, bool]:
    """The warm engine, and whether this call had to start it.

    Args:
        workers: how many worker processes it is started with; by default one per core. `PANGEA_WORKERS` wins.
            `PANGEA_GPU` says which adapter shaders may use ("auto", "software", "hardware", "off", or a
            Vulkan driver's .json file).

    Raises:
        UnavailableError: this machine can't run jobs.
    """
    global _is_new
    with _lock:
        engine = _started(workers)
        was_new, _is_new = _is_new, False
        return engine, was_new


def begin() -> None:
    """Start the warm engine beside the caller, who will need it: what keeps it from starting, `engine` says."""
    threading.Thread(target=_begin, name="pangea-engine", daemon=True).start()


def _begin() -> None:
    with _lock, suppress(UnavailableError):
        _started(None)


def _started(workers: int | None) -> LocalEngine:
    """The engine; whoever asks holds the lock."""
    global _engine, _is_new
    if _engine is None:
        _engine = LocalEngine(workers=_workers() or workers, at_once=AT_ONCE, gpu=os.environ.get("PANGEA_GPU", "auto"))
        _is_new = True
    return _engine


def close() -> None:
    """End the warm engine; the next job starts another."""
    global _engine
    with _lock:
        ending, _engine = _engine, None
    if ending is not None:
        ending.close()


def _workers() -> int | None:
    if not sys.platform.startswith("linux"):
        raise UnavailableError(
            f"the embedded engine needs Linux (memfd, fork, prctl); this is {sys.platform}",
            hint="run it in a Linux container or virtual machine",
        )
    text = os.environ.get("PANGEA_WORKERS")
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise UnavailableError(f"PANGEA_WORKERS is {text!r}; it must be an integer between 1 and 1,024")
    return int(text)


def _forget() -> None:
    """In a forked child the engine's threads don't exist: a job there starts an engine of its own."""
    global _engine, _lock
    _engine = None
    _lock = threading.Lock()


atexit.register(close)
os.register_at_fork(after_in_child=_forget)
