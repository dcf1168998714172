"""What `compare.py` measures of this engine alone, and says of the machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORKERS = len(os.sched_getaffinity(0))
ROOT = Path(__file__).parent.parent


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `action` takes, and what it returns."""
    started = time.perf_counter()
    value = action()
    return time.perf_counter() - started, value


def worker_memory() -> list[dict[str, int]]:
    """Bytes of each worker of this engine: resident, and of that its own (anonymous) pages, which no other process shares."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (folder / "cmdline").read_bytes(), (folder / "status").read_text()
        except OSError:  # ended meanwhile
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines())
        if b"pangea.compute.engine.worker" in command and int(fields["PPid"]) == os.getpid():
            kib = {name: int(fields[field].split()[0]) for name, field in (("resident", "VmRSS"), ("own", "RssAnon"))}
            found.append({name: size << 10 for name, size in kib.items()})
    return found


def tiny_run() -> float:
    """Seconds of a whole `pangea run` over a few words, its interpreter's start included."""
    job = ROOT / "examples" / "word_count.py"
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"three short words\n")
        file.flush()
        command = [sys.executable, "-m", "pangea.compute.cli.main", "run", str(job), "--input", file.name]
        seconds, done = timed(lambda: subprocess.run(command, capture_output=True, check=True))
    assert done.stdout == b"3", done.stdout
    return seconds


def show_own(figures: dict[str, Any]) -> None:
    """Print this engine's own figures."""
    memory = ", ".join(
        f"{worker['resident'] / 1e6:.0f} MB ({worker['own'] / 1e6:.0f} MB its own)" for worker in figures["worker_bytes"]
    )
    print(f"\npangea alone\n  workers at rest, resident     {memory}")
    for name, key in (("pangea run, three words", "tiny_run_seconds"), ("a million one-byte lines", "million_lines_seconds")):
        print(f"  {name:<28}{statistics.median(figures[key]):>7.3f} s   ({min(figures[key]):.3f}-{max(figures[key]):.3f})")
    print(f"  …of which were made          {figures['million_lines_tasks']:,} tasks", flush=True)


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": WORKERS,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }
