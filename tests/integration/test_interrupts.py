"""A run from the shell that is interrupted: what it says, and that nothing of it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pangea.compute.cli import start
from tests.deadlines import children_of, is_running, until, workers_of
from tests.examples import first

JOB = """
from pangea.compute import Job

@Job.define
def forever():
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        while True:
            pass
"""


@pytest.mark.parametrize(("signal_number", "code"), first(1, [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]))
def test_the_command_line_interrupted_says_by_what_and_leaves_no_process(tmp_path: Path, signal_number: int, code: int) -> None:
    (tmp_path / "job.py").write_text(JOB)
    command = [sys.executable, "-m", "pangea.compute.cli.main", "run", str(tmp_path / "job.py"), "--fuel", str(10**15)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as caller:
        workers = until(lambda: {pid for pid in workers_of(caller.pid) if children_of(pid)}, seconds=40)
        tasks = [child for pid in workers for child in children_of(pid)]
        caller.send_signal(signal_number)
        out, err = caller.communicate(timeout=30)
    assert (caller.returncode, out) == (code, b"")
    assert b"interrupted" in err
    assert b"Traceback" not in err
    until(lambda: not any(map(is_running, [*workers, *tasks])))


def test_an_engine_that_starts_beside_the_command_line_ends_with_it(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(JOB)
    command = [sys.executable, "-c", "from pangea.compute.cli.start import main; main()", "run", str(tmp_path / "job.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as caller:
        workers = until(lambda: workers_of(caller.pid), seconds=40)
        caller.send_signal(signal.SIGTERM)
        _, err = caller.communicate(timeout=30)
    assert (caller.returncode, b"Traceback" in err) == (143, False)
    until(lambda: not any(map(is_running, workers)))


@pytest.mark.parametrize(
    ("arguments", "is_here"),
    [
        (["run", "job.py", "--input", "file"], True),
        (["run", "job.py", "--node", "unix:/run/pangea/rpc.sock"], False),
        (["run", "job.py", "--engine=dask://host:8786"], False),
        (["run", "--help"], False),
        (["job", "list"], False),
        ([], False),
    ],
)
def test_only_a_run_on_this_machine_starts_an_engine_early(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], is_here: bool
) -> None:
    monkeypatch.delenv("PANGEA_NODE", raising=False)
    assert start._runs_here(arguments) is is_here
    monkeypatch.setenv("PANGEA_NODE", "unix:/run/pangea/rpc.sock")
    assert not start._runs_here(arguments)
