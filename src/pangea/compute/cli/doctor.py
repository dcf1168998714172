"""`pangea doctor`: whether this machine can run jobs, and what each limit really is here."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from pangea.compute.cli.doctor_finding import Finding
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.model.errors import PangeaError, UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.quantities import parse_duration
from pangea.compute.model.units import GIB, STACK_BYTES, human_bytes

#: The compiled runtime is about 46 MB, and written once more before it is renamed.
_CACHE_FREE_BYTES = 200 << 20


def doctor(
    *,
    burn_in: str | None = None,
    data_dir: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Say whether this machine can run jobs, and what each limit really is here.

    Runs a real job in a real sandbox, and guests that run into each limit. Exit code 0 when jobs can run, 3 when not.

    Parameters
    ----------
    burn_in
        Compute for so long on all cores (such as 60s), and compare: whether this machine computes wrong now and then.
    data_dir
        Note in this node's data directory that the burn-in has passed: who found the node faulty lets it back.
    """
    findings, as_json = [], wants_json(as_json=as_json)
    seconds = None if burn_in is None else parse_duration(burn_in, "--burn-in")
    for finding in chain(_examine(), () if seconds is None else _burn_in(seconds, data_dir)):
        findings.append(finding)
        if not as_json:
            mark = {None: "    ", True: "ok  ", False: "FAIL"}[finding.is_ok]
            print_out(f"{mark}  {finding.name:<22} {finding.text}")
            if finding.is_ok is False and finding.remedy:
                print_out(f"      {'':<22} remedy: {finding.remedy}")
    if as_json:
        print_data({"findings": [asdict(finding) for finding in findings]})
    if any(finding.is_ok is False for finding in findings):
        raise UnavailableError("this machine can't run jobs as it should", hint="see the lines marked FAIL")
    if not as_json:
        print_out("this machine can run jobs")


def _burn_in(seconds: float, data_dir: Path | None) -> Iterator[Finding]:
    from pangea.compute.cli.burn_in import burn_in

    yield from burn_in(seconds, data_dir)


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
    yield from _adapter()
    yield from _limits()


def _cache() -> Finding:
    from pangea.compute.engine.places import cache_folder

    folder = cache_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    is_ok = os.access(existing, os.W_OK) and free > _CACHE_FREE_BYTES
    return Finding("module cache", f"{folder}, {human_bytes(free)} free", is_ok, "set PANGEA_CACHE_DIR to a folder with room")


def _engine() -> Iterator[Finding]:
    from pangea.compute.client.definition.job import Job
    from pangea.compute.client.submission.submit import submit_job
    from pangea.compute.engine.engines import embedded

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
        calls = "an allow list (seccomp); tasks start, open and signal nothing" if engine.jail["calls"] else "all: no seccomp"
        yield Finding("system calls", calls)
        started = time.perf_counter()
        result = submit_job(Job.from_functions(execute=_double, name="doctor"), b"21")
        yield Finding(
            "a job in the sandbox", f"answered {result.decode()} in {time.perf_counter() - started:.2f} s", result == b"42"
        )
    except PangeaError as error:
        yield Finding("engine", error.message, False, error.hint)


def _adapter() -> Iterator[Finding]:
    """What shaders run on, and what its process may do: a machine without one runs all other jobs."""
    from pangea.compute.engine.gpu_process import GpuProcess

    started = time.perf_counter()
    try:
        process = GpuProcess(os.environ.get("PANGEA_GPU", "auto"))
    except PangeaError as error:
        yield Finding("adapter for shaders", f"none: {error.message}; to have one: {error.hint}")
        return
    hello = process.hello
    process.close()
    seconds = time.perf_counter() - started
    kind = "software" if hello["is_software"] else "hardware"
    memory = f", {human_bytes(hello['memory_bytes'])} of memory" if hello["memory_bytes"] else ""
    name = f"{hello['adapter']}, {hello['driver']} ({kind}{memory})"
    yield Finding("adapter for shaders", f"{name}, opened in {seconds:.2f} s")
    files = "the driver's, the system's and Python's, to read" if hello["files"] else "not forbidden: no Landlock"
    opened = (
        "none, once the driver is loaded" if hello["calls"] and hello["is_software"] else f"{files}; the adapter's own, to write"
    )
    yield Finding("files of its process", opened)
    may = "computes, and speaks to the adapter (ioctl)" if not hello["is_software"] else "computes; starts threads, no processes"
    yield Finding("calls of its process", f"an allow list (seccomp): {may}" if hello["calls"] else "all: no seccomp")


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
