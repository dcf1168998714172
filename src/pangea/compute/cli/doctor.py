"""`pangea doctor`: whether this machine can run jobs, and what each limit really is here."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pangea.compute.model.errors import PangeaError, UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.units import GIB, STACK_BYTES, human_bytes

#: The compiled runtime is about 46 MB, and written once more before it is renamed.
_CACHE_FREE_BYTES = 200 << 20


@dataclass(frozen=True)
class Finding:
    """One line of the report: `is_ok` None is a fact, not a check."""

    name: str
    text: str
    is_ok: bool | None = None
    remedy: str = ""


def doctor(*, json_report: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Say whether this machine can run jobs, and what each limit really is here.

    Runs a real job in a real sandbox, and guests that run into each limit. Exit code 0 when jobs can run, 3 when not.

    Parameters
    ----------
    json_report
        Print the findings to stdout as one JSON object.
    """
    findings = []
    for finding in _examine():
        findings.append(finding)
        if not json_report:
            mark = {None: "    ", True: "ok  ", False: "FAIL"}[finding.is_ok]
            print(f"{mark}  {finding.name:<22} {finding.text}", flush=True)  # noqa: T201
            if finding.is_ok is False and finding.remedy:
                print(f"      {'':<22} remedy: {finding.remedy}")  # noqa: T201
    if json_report:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=1))  # noqa: T201
    if any(finding.is_ok is False for finding in findings):
        raise UnavailableError("this machine can't run jobs as it should", hint="see the lines marked FAIL")
    if not json_report:
        print("this machine can run jobs")  # noqa: T201


def _examine() -> Iterator[Finding]:
    yield Finding(
        "python", f"{platform.python_version()} ({sys.executable})", sys.version_info >= (3, 11), "use Python 3.11 or later"
    )
    yield Finding(
        "system", f"{platform.system()} {platform.release()} {platform.machine()}", sys.platform == "linux", "use Linux"
    )
    yield Finding("cores", f"{len(os.sched_getaffinity(0))} usable: as many worker processes")
    yield _cache()
    yield from _engine()
    yield from _limits()


def _cache() -> Finding:
    from pangea.compute.engine.cache import default_folder

    folder = default_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    is_ok = os.access(existing, os.W_OK) and free > _CACHE_FREE_BYTES
    return Finding("module cache", f"{folder}, {human_bytes(free)} free", is_ok, "set PANGEA_CACHE_DIR to a folder with room")


def _engine() -> Iterator[Finding]:
    from pangea.compute.client import embedded
    from pangea.compute.client.job import Job
    from pangea.compute.client.submit import submit_job

    started = time.perf_counter()
    try:
        engine, _ = embedded.engine()
        yield Finding("worker processes", f"{engine.workers} started in {time.perf_counter() - started:.2f} s", True)
        yield Finding("wasmtime", engine.jail["profile"], engine.jail["problem"] is None, "pip install --upgrade wasmtime")
        yield Finding(
            "no new privileges", "set" if engine.jail["no_new_privileges"] else "refused", bool(engine.jail["no_new_privileges"])
        )
        yield Finding(
            "files of workers", "compiled modules only (Landlock)" if engine.jail["files"] else "not forbidden: no Landlock"
        )
        yield Finding("capabilities", "none" if engine.jail["capabilities"] else "could not be dropped")
        network = "none: a namespace of their own" if engine.jail["network"] else "shared: the kernel allows no namespace"
        yield Finding("network of workers", network)
        started = time.perf_counter()
        result = submit_job(Job.from_functions(execute=_double, name="doctor"), b"21")
        yield Finding(
            "a job in the sandbox", f"answered {result.decode()} in {time.perf_counter() - started:.2f} s", result == b"42"
        )
    except PangeaError as error:
        yield Finding("engine", error.message, False, error.hint)


def _double(chunk: bytes) -> bytes:
    return b"%d" % (2 * int(chunk))


def _limits() -> Iterator[Finding]:
    limits = Limits()
    yield Finding("limit: fuel", "10^9 per chunk for modules, 10^11 for Python jobs")
    yield _memory(limits)
    yield Finding("limit: time", f"{limits.time:g} s per attempt at a task, then its process is killed")
    yield Finding("limit: stack", human_bytes(STACK_BYTES))
    yield Finding(
        "limit: module",
        f"{human_bytes(limits.module)}, compiled in {limits.compile_time:g} s and {human_bytes(limits.compile_memory)} at most",
    )
    yield Finding(
        "limit: sizes", f"chunk {human_bytes(limits.chunk)}, result {human_bytes(limits.result)}, list {limits.items:,} items"
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield Finding("limit: open files", f"{hard} for this process")


def _memory(limits: Limits) -> Finding:
    workers = len(os.sched_getaffinity(0))
    needed = workers * limits.memory
    available = _available_memory()
    text = f"{human_bytes(limits.memory)} per sandbox; {workers} at once: {human_bytes(needed)} of {human_bytes(available)} free"
    return Finding("limit: memory", text, available > needed or available > 2 * GIB, "set PANGEA_WORKERS lower, or limits.memory")


def _available_memory() -> int:
    """What the kernel says is available, or what the control group leaves of it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup/memory.max")
    text = _quietly(group.read_text)
    return min(available, int(text)) if text.strip().isdecimal() else available


def _quietly(read: Callable[[], str]) -> str:
    try:
        return read()
    except OSError:
        return ""
