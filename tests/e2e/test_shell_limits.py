"""Shells that allow little (`ulimit`): a result, or an error that names the limit and the figure that would do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples import long

PANGEA = str(Path(sys.executable).with_name("pangea"))
JOB = """
from pangea.compute import Job

{top}

@Job.define
def shout():
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        {body}
        return b"[" + chunk.upper() + b"]"
"""


def run(limit: str, folder: Path, *, top: str = "", body: str = "pass", workers: int = 1) -> subprocess.CompletedProcess[bytes]:
    (folder / "job.py").write_text(JOB.format(top=top, body=body))
    (folder / "in.txt").write_bytes(b"a-b-c")
    command = f"ulimit {limit}; PANGEA_WORKERS={workers} '{PANGEA}' run job.py --input in.txt --quiet --retry-count 0"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, timeout=50, check=False)
    assert b"Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("limit", ["-n 32", *long("-v 4718592", "-t 20", "-S -n 12")])
def test_little_is_enough(limit: str, tmp_path: Path) -> None:
    done = run(limit, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[A-B-C]", b"")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("-n 32", b"16 worker processes need 1"),
        ("-v 1000000", b"needs 4.5 GiB of address space; this process may have 977 MiB (ulimit -v)"),
        ("-f 1024", b"of up to 256 MiB; this process may make files of 1.0 MiB (ulimit -f)"),
    ],
)
def test_too_little_is_told_with_both_figures(limit: str, said: bytes, tmp_path: Path) -> None:
    done = run(limit, tmp_path, workers=16)
    assert (done.returncode, done.stdout) == (3, b"")
    assert said in done.stderr
    assert b"ulimit" in done.stderr


@pytest.mark.long
def test_cpu_time_that_ends_is_told_by_the_command_itself(tmp_path: Path) -> None:
    done = run("-t 1", tmp_path, top="n = 0\nwhile True: n += 1")
    assert (done.returncode, done.stdout) == (5, b"")
    assert b"1 s of CPU time are nearly used up (ulimit -t)" in done.stderr


@pytest.mark.long
def test_cpu_time_that_ends_in_a_task_is_told_too(tmp_path: Path) -> None:
    done = run("-t 2", tmp_path, body="while True: pass")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"killed by SIGXCPU; each may use 2 s of CPU time here (ulimit -t)" in done.stderr
