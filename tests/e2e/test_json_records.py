"""`--json`: what every command really prints is what docs/cli.md says. The commands are those of the parser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from docs.make_cli import PAGE, page
from tests.commands import checked, leaves
from tests.deadlines import until
from tests.examples import spread
from tests.nodes import PANGEA

from pangea.compute import Client, Job
from pangea.compute.cli.main import _run
from pangea.compute.cli.records import SCHEMA
from pangea.compute.cli.shapes import ERROR, SHAPES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
JOBS = """
from pangea.compute import Job

@Job.define
def loud() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        print("seen", chunk.decode())
        return chunk.upper()
"""
#: Commands that last, with what starts them; the others are run beside them, on the devnet.
LASTING = {
    "devnet": "devnet --nodes 2 --depth 1 --json",
    "node start": "node start --data-dir {place}/node --workers 1 --json",
    "dashboard": "dashboard --node {place} --listen 127.0.0.1:0 --json",
}
#: In tests/integration/test_building.py, where compilers are; in tests/e2e/test_pangea_run.py; and below.
ELSEWHERE = {"build", "doctor", "log cosign"}
#: In order: the words of each command, in the folder of the fixture.
CASES = {
    "run": "run {place}/jobs.py --input {place}/in --verify --json",
    "sim": "sim --nodes 4 --chunks 20 --json",
    "node id": "node id --data-dir {place}/other --json",
    "node status": "node status --json",
    "node pause": "node pause --json",
    "node resume": "node resume --json",
    "node contributions": "node contributions --json",
    "job submit": "job submit {place}/jobs.py --input {place}/in --receipt --json",
    "job wait": "job wait last --json",
    "job result": "job result last --json",
    "job list": "job list --json",
    "job status": "job status last --json",
    "job watch": "job watch last --json",
    "job logs": "job logs last --json",
    "job explain": "job explain last --json",
    "job tree": "job tree last --json",
    "job receipt": "job receipt last -o {place}/receipt.json --json",
    "verify": "verify {place}/receipt.json --reexecute all --input {place}/in --json",
    "log prove": "log prove {place}/receipt.json --data-dir {data_dir} --output {place}/proof --json",
    "log check": "log check {place}/proof {place}/receipt.json --json",
    "log witnessed": "log witnessed --data-dir {data_dir} --json",
    "log export": "log export {place}/log --data-dir {data_dir} --json",
    "job plot": "job plot last tree {place}/tree.svg --json",
    "job report": "job report last {place}/report.html --json",
    "job validate": "job validate {place}/jobs.py --input {place}/in --json",
    "job rerun": "job rerun last --json",
    "job cancel": "job cancel last --json",
    "peer list": "peer list --json",
    "peer show": "peer show {child} --json",
    "peer trust": "peer trust --json",
    "peer ban": "peer ban {child} --reason tried --json",
    "peer pardon": "peer pardon {child} --json",
    "top": "top --json",
    "config list": "config list --json",
    "config get": "config get workers --json",
    "config path": "config path --json",
    "id": "id --identity {place}/my.key --json",
    "completion": "completion bash --json",
}


@contextmanager
def running(command: str, place: Path) -> Iterator[Path]:
    """A command that lasts; the file with what it prints."""
    out = place / f"{command}.out"
    with open(out, "wb") as file, open(place / f"{command}.err", "wb") as err:
        words = LASTING[command].format(place=place).split()
        process = subprocess.Popen([PANGEA, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=err)
    try:
        yield out
    finally:
        process.terminate()
        process.wait(30)


def said(command: str, out: Path) -> Any:
    """The data of its one record, once it is there."""
    until(lambda: out.read_bytes().endswith(b"\n"), seconds=90, what=command)
    [line] = out.read_text().splitlines()
    return checked(command, line)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the words of the cases name."""
    place = tmp_path_factory.mktemp("records")
    (place / "jobs.py").write_text(JOBS)
    (place / "in").write_bytes(b"hello")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        outs = {command: stack.enter_context(running(command, place)) for command in LASTING}
        found = {command: said(command, out) for command, out in outs.items()}
        environment.setenv("PANGEA_NODE", found["devnet"]["node"])
        yield {
            "place": str(place),
            "child": found["devnet"]["nodes"][1]["peer"],
            "data_dir": found["devnet"]["nodes"][0]["data_dir"],
        }


def test_no_command_is_forgotten() -> None:
    assert sorted(leaves()) == sorted(SHAPES)
    assert sorted([*LASTING, *CASES, *ELSEWHERE]) == sorted(SHAPES)


def test_the_page_is_what_the_shapes_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/cli.md is out of date: run `make docs`"


@pytest.mark.parametrize("command", CASES)
def test_its_data_is_as_documented(command: str, names: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    code = _run(CASES[command].format_map(names).split())
    out, err = capfd.readouterr()
    assert code == 0, err
    is_on_stderr = SHAPES[command][0].is_on_stderr
    for line in (err if is_on_stderr else out).splitlines():
        checked(command, line)
    assert err if is_on_stderr else out
    assert not (is_on_stderr and "version" in out)
    assert is_on_stderr or err == ""


def test_a_witness_s_data_is_as_documented(names: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert _run("log prove --since none --data-dir {data_dir} --output {place}/growth".format_map(names).split()) == 0
    words = "log cosign {place}/growth --data-dir {place}/witness --output {place}/checkpoint --json"
    assert _run(words.format_map(names).split()) == 0
    checked("log cosign", capfd.readouterr().err)


@pytest.mark.parametrize("command", spread(12, sorted(SHAPES)))
def test_its_errors_are_as_documented_and_end_as_without(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*command.split(), "--limitt=3"]
    code = _run(words)
    out, text = capsys.readouterr()
    assert (code, out) == (2, "")
    assert _run([*words, "--json"]) == code
    out, err = capsys.readouterr()
    record = json.loads(err)
    assert (out, record["schema"], record["command"], len(record)) == ("", SCHEMA, command, 3)
    assert ERROR.faults(record["error"]) == []
    assert text.startswith(f"error {record['error']['code']}: {record['error']['message']}\n")


def test_the_environment_asks_for_data_alone(
    names: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PANGEA_OUTPUT", "json")
    assert _run(["peer", "show", names["child"]]) == 0
    assert checked("peer show", capsys.readouterr().out)["relation"] == "child"
    assert _run(["job", "status", "ffff"]) == 2
    assert capsys.readouterr().err.startswith("error UNKNOWN_JOB: ")


def test_a_failed_job_s_record_says_where_and_why(names: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with Client() as client:
        client.submit_job(failing, b"12 x", job_id="dddd1111-0000-4000-8000-000000000000").exception(60)
    assert _run(["job", "result", "dddd", "--json"]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert ERROR.faults(error) == []
    assert (error["code"], error["where"]) == ("JOB_FAILED", "execute, chunk 0")
    assert "ValueError: invalid literal" in error["traceback"]


@Job.define
def failing() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % int(chunk)
