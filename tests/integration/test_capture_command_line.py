"""What travels of a program that is no file: given to the interpreter on its command line, or on standard input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

JOB_TEXT = """
from pangea.compute.client.definition.job import Job
K = b"k"
def helper(x):
    return x + K
@Job.define
def job():
    @Job.execute
    def execute(chunk):
        return helper(chunk)
import sys, zipfile, io
sys.stdout.write(zipfile.ZipFile(io.BytesIO(job.archive())).read("job.py").decode())
"""


def test_a_job_on_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-Wdefault", "-c", JOB_TEXT], capture_output=True, text=True, check=False)
    assert "# <string>, line 4\ndef helper(x):\n    return x + K\n" in done.stdout, done.stderr


def test_a_job_on_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_text(JOB_TEXT)
    with path.open() as stream:
        done = subprocess.run([sys.executable], stdin=stream, capture_output=True, text=True, check=False)
    assert "# <cell 1>, line 4\ndef helper(x):\n" in done.stdout, done.stderr
    piped = subprocess.run([sys.executable], input=JOB_TEXT, capture_output=True, text=True, check=False)
    assert "has no source text" in piped.stderr


def test_a_dataclass_on_the_command_line() -> None:
    cls = "import dataclasses\n@dataclasses.dataclass\nclass C:\n    k: bytes = b'k'\n    def get(self): return self.k\n"
    text = JOB_TEXT.replace('K = b"k"', cls)
    text = text.replace("x + K", "x + C().get()")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert "    def get(self): return self.k\n" in done.stdout, done.stderr
