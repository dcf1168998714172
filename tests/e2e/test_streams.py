"""Standard streams that are closed, full or broken: a result gets where it should, or an error says that it didn't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples import first, long

PANGEA = str(Path(sys.executable).with_name("pangea"))
JOB = """
from pangea.compute import Job

@Job.define
def shout():
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"[" + chunk.upper() + b"]"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "in.txt").write_bytes(b"a-b-c")
    return tmp_path


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """`script` of bash, where RUN is a job whose result is [A-B-C]."""
    command = script.replace("RUN", f"'{PANGEA}' run job.py --input in.txt --quiet").replace("PANGEA", f"'{PANGEA}'")
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, timeout=50, check=False)


@pytest.mark.parametrize("how", ["<&- 2>&-", *long("2>&-", "2>/dev/full", "<&-", "-o - 2>&-", "-o /dev/stdout <&-")])
def test_a_result_is_written_whatever_became_of_the_other_streams(how: str, folder: Path) -> None:
    done = shell(f"RUN {how}", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[A-B-C]", b"")


@pytest.mark.parametrize("how", ["<&- >&- 2>&-", *long(">&-", "<&- >&-", ">&- 2>&-", ">/dev/full 2>/dev/full")])
def test_a_result_in_a_file_needs_no_streams(how: str, folder: Path) -> None:
    assert shell(f"RUN -o out.bin {how}", folder).returncode == 0
    assert (folder / "out.bin").read_bytes() == b"[A-B-C]"


@pytest.mark.long
def test_a_job_that_prints_and_has_no_stderr_prints_nowhere_else(folder: Path) -> None:
    (folder / "job.py").write_text(JOB.replace("return", 'print("noise")\n        return'))
    done = (
        shell("RUN 2>&-", folder).stdout,
        shell("'PANGEA' run job.py --input in.txt 2>&-".replace("'PANGEA'", "PANGEA"), folder),
    )
    assert (done[0], done[1].stdout, done[1].returncode) == (b"[A-B-C]", b"[A-B-C]", 0)


@pytest.mark.parametrize("command", ["RUN", *long("PANGEA --version", "PANGEA config list", "PANGEA --help")])
@pytest.mark.parametrize("how", first(1, [">&-", ">/dev/full"]))
def test_a_stdout_that_takes_nothing_is_an_error_in_words(command: str, how: str, folder: Path) -> None:
    done = shell(f"{command} {how}", folder)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error BAD_OUTPUT: ")
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", ["RUN", *long("PANGEA --help", "PANGEA config list", "PANGEA sim --nodes 20 --chunks 50")])
def test_a_broken_pipe_ends_quietly(command: str, folder: Path) -> None:
    done = shell(f"{command} | true", folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.long
def test_standard_output_that_is_a_file_is_written_on_and_not_replaced(folder: Path) -> None:
    done = shell("RUN >> log; RUN -o - >> log; RUN -o /dev/stdout >> log; RUN -o /dev/fd/3 3>> log", folder)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (folder / "log").read_bytes() == b"[A-B-C]" * 4


@pytest.mark.long
def test_a_closed_stdin_is_no_empty_input(folder: Path) -> None:
    done = shell("PANGEA run job.py --input - <&-", folder)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"standard input, which is closed" in done.stderr


@pytest.mark.long
def test_a_file_called_json_asks_for_nothing(folder: Path) -> None:
    texts = {shell(f"PANGEA run missing.py --output {name}", folder).stderr for name in ("json", "text")}
    assert texts == {b"error BAD_INPUT: there is no file missing.py\n  hint: check the path\n"}
