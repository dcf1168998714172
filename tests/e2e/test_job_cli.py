"""`pangea job` and `pangea top`, command by command: what stdout, stderr and the exit code say."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples import first, long, spread
from tests.nodes import PANGEA, NodeProcess, data_of, pangea

from pangea.compute import Client, Job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
JOBS = """
from pangea.compute import Job

@Job.define
def loud() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk.upper()

@Job.define
def wrong() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        raise ValueError("told to")

@Job.define
def chatty() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        print("seen", chunk.decode())
        return chunk

@Job.define
def talkative() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        print("cut \\x1b[2J")
        return [data]

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        while True:
            pass

@Job.define
def greedy() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        while True:
            pass
"""
#: Ids that are chosen, so that it is known how they begin.
FIRST, SECOND = "aaaa1111-0000-4000-8000-000000000000", "aaaa2222-0000-4000-8000-000000000000"


class Terminal:
    """A folder with jobs, and the command line on one node."""

    def __init__(self, folder: Path, node: NodeProcess) -> None:
        self.folder, self.node = folder, node
        (folder / "jobs.py").write_text(JOBS)
        (folder / "in").write_bytes(b"hello")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return pangea(*arguments, "--data-dir", str(self.node.data_dir), **environment)

    def job(self, *arguments: str) -> tuple[int, str, str]:
        done = self.run("job", *arguments)
        assert b"pangea/compute" not in done.stderr, done.stderr  # no traceback of our own
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def submit(self, name: str, *arguments: str) -> str:
        code, out, err = self.job("submit", f"{self.folder}/jobs.py:{name}", "--input", f"{self.folder}/in", *arguments)
        assert (code, err) == (0, ""), err
        assert UUID.fullmatch(out.rstrip("\n"))
        return out.rstrip("\n")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("job")
    with NodeProcess(folder / "node", "--stop-seconds", "0") as process:
        yield Terminal(folder, process)


@Job.define
def shout() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk.upper()


@pytest.fixture(scope="module")
def two(terminal: Terminal) -> tuple[str, str]:
    """Two ended jobs whose ids begin alike."""
    with Client(str(terminal.node.data_dir)) as client:
        for job_id in (FIRST, SECOND):
            assert client.submit_job(shout, b"x", job_id=job_id).result(60) == b"X"
    return FIRST, SECOND


def test_a_job_s_life_in_commands(terminal: Terminal) -> None:
    job_id = terminal.submit("loud")
    assert terminal.job("wait", job_id) == (0, "", "")
    assert terminal.job("result", job_id, "-q") == (0, "HELLO", "")
    out = terminal.folder / "out"
    assert terminal.job("result", job_id, "-q", "--output", str(out)) == (0, "", "")
    assert out.read_bytes() == b"HELLO"
    code, again, err = terminal.job("rerun", job_id)
    assert (code, err) == (0, "")
    assert UUID.fullmatch(again.strip())
    assert again.strip() != job_id
    assert terminal.job("result", again.strip(), "-q")[1] == "HELLO"


def test_status_as_a_table_and_as_json(terminal: Terminal, two: tuple[str, str]) -> None:
    code, out, err = terminal.job("status", FIRST, "--json")
    record = data_of(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert (record["job_id"], record["state"], record["owner"]) == (FIRST, "complete", f"uid:{os.getuid()}")
    code, out, err = terminal.job("status", FIRST)
    lines = dict(line.split("  ", 1) for line in out.splitlines())
    assert (code, err, lines["state"].strip(), lines["bytes out"].strip()) == (0, "", "complete", "1")
    assert data_of(terminal.run("job", "status", FIRST, PANGEA_OUTPUT="json").stdout) == record


def test_list_as_a_table_and_as_json(terminal: Terminal, two: tuple[str, str]) -> None:
    code, out, err = terminal.job("list", "--json")
    assert (code, err) == (0, "")
    ids = [each["job_id"] for each in data_of(out)["jobs"]]
    assert ids.index(SECOND) < ids.index(FIRST)
    code, out, err = terminal.job("list")
    head, *rows = out.splitlines()
    assert (code, head.split()[:3]) == (0, ["ID", "NAME", "STATE"])
    assert any(row.startswith(FIRST) and "complete" in row and "100%" in row for row in rows)
    assert re.fullmatch(r"fuel used: [\d,]+ by all your ended jobs on this node, [\d,]+ by these\n", err)
    assert len(data_of(terminal.job("list", "--limit", "1", "--json")[1])["jobs"]) == 1


def test_explain_as_a_table_and_as_json(terminal: Terminal, two: tuple[str, str]) -> None:
    code, out, err = terminal.job("explain", FIRST)
    assert (code, out, err) == (0, f"{FIRST} (shout): complete, 100%\nno unfinished task\n", "")
    record = data_of(terminal.job("explain", FIRST, "--json")[1])
    assert (record["status"]["job_id"], record["tasks"]) == (FIRST, [])


def test_a_selector_is_an_id_the_beginning_of_one_or_last(terminal: Terminal, two: tuple[str, str]) -> None:
    assert data_of(terminal.job("status", "aaaa1", "--json")[1])["job_id"] == FIRST
    last = terminal.submit("loud")
    assert data_of(terminal.job("status", "last", "--json")[1])["job_id"] == last


@pytest.mark.parametrize("command", first(2, ["status", "wait", "result", "cancel", "explain", "rerun"]))
def test_a_beginning_that_several_ids_have_is_refused_with_their_names(
    terminal: Terminal, two: tuple[str, str], command: str
) -> None:
    code, out, err = terminal.job(command, "aaaa")
    assert (code, out) == (2, "")
    assert f"error UNKNOWN_JOB: 'aaaa' could be {SECOND}, {FIRST}" in err
    assert "hint: give more of the id" in err


@pytest.mark.parametrize("command", first(2, ["status", "wait", "result", "cancel", "explain", "rerun"]))
def test_a_selector_that_fits_nothing_is_named(terminal: Terminal, two: tuple[str, str], command: str) -> None:
    code, out, err = terminal.job(command, "ffffffff")
    assert (code, out) == (2, "")
    assert err == "error UNKNOWN_JOB: no job of yours begins with 'ffffffff'\n  hint: pangea job list shows them\n"


@pytest.mark.parametrize("selector", spread(3, ["no-job", "LAST", "../../etc", "ä", os.fsdecode(b"\xff"), "\x1b[2J", "a" * 300]))
def test_a_selector_that_is_none_is_named_harmlessly_and_in_few_words(terminal: Terminal, selector: str) -> None:
    code, out, err = terminal.job("status", selector)
    assert (code, out) == (2, ""), err
    assert err.startswith("error ")
    assert len(err) < 500
    assert "\x1b" not in err


def test_last_without_any_job_says_that(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node") as node:
        done = pangea("job", "status", "last", "--data-dir", str(node.data_dir))
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"you have no jobs on this node" in done.stderr
        listed = pangea("job", "list", "--data-dir", str(node.data_dir))
        assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 1)


def test_how_a_job_ended_is_the_exit_code_of_wait_and_result(terminal: Terminal) -> None:
    failed = terminal.submit("wrong")
    for command in (("wait", failed), ("result", failed, "-q")):
        code, out, err = terminal.job(*command)
        assert (code, out) == (1, "")
        assert "ValueError: told to" in err
        assert "error JOB_FAILED" in err
    exhausted = terminal.submit("greedy", "--fuel", "100000000")
    code, out, err = terminal.job("wait", exhausted)
    assert (code, out) == (5, "")
    assert "LIMIT_EXCEEDED" in err
    good = terminal.submit("loud")
    assert terminal.job("wait", good, failed)[0] == 1
    assert terminal.job("wait", failed, good)[0] == 1
    assert terminal.job("list")[1].count("JOB_FAILED") >= 1


@pytest.mark.long
def test_a_watch_ends_with_the_job_and_says_how_it_did(terminal: Terminal) -> None:
    good, failed = terminal.submit("loud"), terminal.submit("wrong")
    code, out, _ = terminal.job("watch", good)
    assert code == 0
    assert out.splitlines()[-1].startswith(good[:8])
    assert "complete" in out.splitlines()[-1]
    code, out, err = terminal.job("watch", failed, "--json")
    states = [data_of(line)["state"] for line in out.splitlines()]
    assert (code, states[-1]) == (1, "failed")
    assert "ValueError: told to" in err


@pytest.mark.long
def test_what_was_printed_can_be_read_when_the_job_has_ended(terminal: Terminal) -> None:
    chatty, failed = terminal.submit("chatty"), terminal.submit("wrong")
    assert terminal.job("logs", chatty, "--follow") == (0, "seen hello\n", "")
    assert data_of(terminal.job("logs", chatty, "--json")[1]) == {"job_id": chatty, "prints": "seen hello\n"}
    code, out, _ = terminal.job("logs", failed, "-f")
    assert code == 0
    assert "ValueError: told to" in out


@pytest.mark.long
def test_what_is_printed_can_be_read_while_the_job_runs(terminal: Terminal) -> None:
    endless = terminal.submit("talkative", "--fuel", str(10**15))
    follow = [PANGEA, "job", "logs", endless, "--follow", "--data-dir", str(terminal.node.data_dir)]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == b"cut \\x1b[2J\n"  # shown, not obeyed
        assert terminal.job("logs", endless) == (0, "cut \\x1b[2J\n", "")
        following.send_signal(signal.SIGINT)
        assert following.communicate(timeout=60) == (b"", b"")
        assert following.returncode == 130
    with Client(str(terminal.node.data_dir)) as client:
        handle = client.job(endless)
        told = handle.logs(follow=True)
        assert next(told) == "cut \x1b[2J\n"
        assert not handle.status().state.is_final
        assert handle.cancel()
        assert list(told) == []
        assert list(handle.logs()) == ["cut \x1b[2J\n"]  # what was printed before isn't lost with the job


@pytest.mark.long
def test_a_wait_that_is_over_is_an_error_and_the_job_goes_on_until_it_is_cancelled(terminal: Terminal) -> None:
    running = terminal.submit("greedy", "--task-time", "100s", "--fuel", "1000000000000")
    for command in (("wait", running, "--timeout", "200ms"), ("result", running, "-q", "--timeout", "200ms")):
        code, out, err = terminal.job(*command)
        assert (code, out) == (1, "")
        assert "error NOT_DONE" in err
    code, out, err = terminal.job("explain", running)
    assert (code, err) == (0, "")
    assert f"{running} (greedy): running" in out
    other = terminal.submit("loud")
    terminal.job("wait", other)
    code, out, err = terminal.job("cancel", running, other)
    assert (code, out, err) == (0, "", f"{running}: cancelled\n{other}: had ended already\n")
    code, out, err = terminal.job("result", running, "-q")
    assert (code, out) == (1, "")
    assert "CANCELLED" in err


def test_an_error_as_json_is_one_object_on_stderr(terminal: Terminal) -> None:
    code, out, err = terminal.job("status", "ffffffff", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["code"] == "UNKNOWN_JOB"


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        3,
        [
            (("submit",), "give either a job or --manifest"),
            (("submit", "none.py"), "there is no file none.py"),
            (("submit", "--manifest", "none.json"), "can't be read"),
            (("wait",), ""),
            (("result", "aaaa1", "--timeout", "soon"), "timeout"),
            (("result", "aaaa1", "--output", "/nowhere/at/all"), "there is no folder"),
            (("list", "--limit", "many"), ""),
            (("list", "--output", "xml"), ""),
            (("status",), ""),
            (("frobnicate",), ""),
        ],
    ),
)
def test_a_wrong_command_line_is_said_to_be_that(
    terminal: Terminal, two: tuple[str, str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = terminal.job(*arguments)
    assert (code in (1, 2), out) == (True, "")
    assert message in err
    assert err.startswith(("error ", "{"))


@pytest.mark.parametrize("limit", first(1, ["0", "-1", "1001", "5000000000"]))
def test_a_limit_out_of_range_is_refused(terminal: Terminal, limit: str) -> None:
    code, out, err = terminal.job("list", f"--limit={limit}")
    assert (code, out) == (2, "")
    assert "it must be 1 to 1,000" in err


def test_clients_may_ask_for_any_number_of_jobs(terminal: Terminal, two: tuple[str, str]) -> None:
    with Client(str(terminal.node.data_dir)) as client:
        assert [len(client.list_jobs("aaaa", limit)) for limit in (-1, 0, 1, 2, 10**12)] == [0, 0, 1, 2, 2]


MANIFESTS = {
    "no JSON": "{",
    "no object": "[]",
    "deeply nested": "[" * 100_000,
    "a huge size": json.dumps({"wasmModule": {"sha256": "0" * 64, "size": 10**30}}),
    "a path with a zero byte": json.dumps({"wasmModule": {"path": "a\0b"}}),
    "a path that is none": json.dumps({"wasmModule": {"path": "\ud800"}}),
    "no UTF-8": "\udcff",
    "a lone surrogate as name": json.dumps({"wasmModule": "AGFzbQ==", "name": "\ud800"}),
}


@pytest.mark.parametrize("text", spread(3, MANIFESTS.values()), ids=MANIFESTS)
def test_a_manifest_that_is_none_is_a_usage_error(terminal: Terminal, text: str, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(text.encode(errors="surrogateescape") if "\ud800" not in text else text.encode())
    code, out, err = terminal.job("submit", "--manifest", str(tmp_path / "m.json"))
    assert (code, out) == (2, ""), err
    assert err.startswith("error ")


def test_top_looks_once_when_nobody_watches(terminal: Terminal, two: tuple[str, str]) -> None:
    done = terminal.run("top")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert re.fullmatch(r"node 12D3KooW\w+, version \S+, up \d+m \d\ds", lines[0])
    assert re.fullmatch(r"workers \d+, \d+% busy; loop at most \d+ ms late; [\d.,]+ MB stored", lines[1])
    assert "complete" in lines[2]
    assert "rates:" in lines[4]
    assert any(line.startswith("aaaa1111  shout") and "100%" in line for line in lines[6:])
    record = data_of(terminal.run("top", "--once", "--json").stdout)
    assert record["node"]["jobs"]["complete"] >= 2
    assert {FIRST, SECOND} & {each["job_id"] for each in record["jobs"]}


def nobody(folder: Path) -> str:
    return f"unix:{folder}/none/rpc.sock"


def stale(folder: Path) -> str:
    """The socket of a node that was killed."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "rpc.sock"))
    left.close()
    return f"unix:{folder}/rpc.sock"


def a_file(folder: Path) -> str:
    (folder / "file").write_text("")
    return f"unix:{folder}/file"


def nobody_over_tcp(_folder: Path) -> str:
    return "tcp://127.0.0.1:1/12D3KooWGzh1u3Y1oGJNJZkVqZ3MJcBvQJHfTuJ5g9aZpXhvQe4D"


@pytest.mark.parametrize("where", first(2, [nobody, stale, a_file, nobody_over_tcp]))
@pytest.mark.parametrize("command", [("job", "list"), *long((("top", "--once"),))])
def test_where_no_node_is_it_is_said_with_exit_code_3(tmp_path: Path, where: object, command: tuple[str, ...]) -> None:
    assert callable(where)
    address = where(tmp_path)
    done = pangea(*command, "--node", address, "--identity", str(tmp_path / "key"))
    assert (done.returncode, done.stdout) == (3, b"")
    err = done.stderr.decode()
    assert err.startswith(f"error UNAVAILABLE: no node at {address}: ")
    assert "hint: start one with `pangea node start`" in err
    assert len(err.splitlines()) <= 3


@pytest.mark.parametrize("address", first(2, ["nonsense", "host:99999/x", "host:80", "http://host", "unix:", "a" * 5_000]))
def test_what_is_no_address_is_a_usage_error(address: str) -> None:
    done = pangea("job", "list", "--node", address)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error BAD_CONFIG: ")
    assert len(done.stderr) < 1_000


def test_over_tcp_who_does_not_say_who_it_is_is_told_how(tmp_path: Path) -> None:
    done = pangea("job", "list", "--node", nobody_over_tcp(tmp_path))
    assert done.returncode == 3
    assert b"--identity" in done.stderr
