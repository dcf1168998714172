"""A user's own modules may be called as those of the standard library, or of what this package needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PANGEA = str(Path(sys.executable).with_name("pangea"))
JOB = """
import json
from pangea.compute import Job, submit_job

def execute(chunk: bytes) -> bytes:
    return json.dumps([chunk.decode()]).encode()

job = Job.from_functions(execute)
if __name__ == "__main__":
    print(bytes(submit_job(job, b"x")).decode())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job.py").write_text(JOB)
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input="in", capture_output=True, text=True, cwd=folder, timeout=50, check=False)


def test_workers_start_whatever_lies_beside_the_job(folder: Path) -> None:
    for name in ("struct", "json", "wasmtime", "platformdirs", "array"):
        (folder / f"{name}.py").write_text("def dumps(value): return 'own'\n")
    done = run(folder, PANGEA, "run", "job.py", "--input", "-")
    assert (done.returncode, done.stdout) == (0, '["in"]'), done.stderr
    assert "json.py beside job.py isn't used" in done.stderr
    assert "struct.py" not in done.stderr, "it isn't imported"


def test_an_own_module_that_was_loaded_is_the_one_that_travels(folder: Path) -> None:
    (folder / "statistics.py").write_text("def mean(values): return 'own'\n")
    job = JOB.replace("import json", "import statistics").replace("json.dumps([chunk.decode()])", "statistics.mean([1])")
    (folder / "job.py").write_text(job)
    done = run(folder, sys.executable, "job.py")
    assert (done.returncode, done.stdout.strip()) == (0, "own"), done.stderr


def test_a_jobs_file_whose_name_is_no_utf_8(folder: Path) -> None:
    name = os.fsdecode(b"job\xff.py")
    (folder / "job.py").rename(folder / name)
    done = run(folder, PANGEA, "run", name, "--input", "-")
    assert (done.returncode, done.stdout) == (0, '["in"]'), done.stderr
