"""A node and its command line, as a user meets them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.nodes import NodeProcess, data_of, pangea
from tests.nursery import nursery

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WORDS = str(Path(__file__).parents[2] / "examples" / "word_count.py")
SLEEPER = """
from pangea.compute import Job

@Job.define(timeout=600)
def endless() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        while True:
            pass
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("cli") / "node") as process:
        yield process


def job(node: NodeProcess, *arguments: str) -> tuple[int, bytes, str]:
    done = pangea("job", *arguments, "--data-dir", str(node.data_dir))
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_bytes(b"to be or not\nto be\n" * 1000)
    return path


def test_submit_prints_the_id_and_result_the_bytes_and_nothing_else(node: NodeProcess, text: Path) -> None:
    code, printed, said = job(node, "submit", WORDS, "--input", str(text))
    assert (code, said) == (0, "")
    job_id = printed.decode().rstrip("\n")
    assert printed == f"{job_id}\n".encode()
    assert len(job_id) == 36
    assert job(node, "result", "last", "-q") == (0, b"6000", "")
    assert job(node, "result", job_id[:8], "-q")[1] == b"6000"
    code, printed, _ = job(node, "rerun", job_id)
    assert job(node, "result", printed.decode().strip(), "-q")[1] == b"6000"
    record = data_of(job(node, "status", job_id, "--json")[1])
    assert (record["state"], record["progress"], record["bytes_out"]) == ("complete", 1.0, 4)
    listed = data_of(job(node, "list", "--json")[1])["jobs"]
    assert [each["state"] for each in listed[:2]] == ["complete", "complete"]
    assert "fuel used" in job(node, "list")[2]
    assert b"no unfinished task" in job(node, "explain", job_id)[1]


@pytest.mark.long
def test_run_on_a_node_is_run_here(node: NodeProcess, text: Path) -> None:
    here = pangea("run", WORDS, "--input", str(text), "-q")
    there = pangea("run", WORDS, "--input", str(text), "-q", "--node", str(node.data_dir))
    assert (here.returncode, here.stdout) == (there.returncode, there.stdout) == (0, b"6000")


def test_a_manifest_file_says_the_same(node: NodeProcess, text: Path, tmp_path: Path) -> None:
    from pangea.compute.client.submission.target import load_target

    (tmp_path / "job.zip").write_bytes(load_target(WORDS, None).archive())
    record = {"wasmModule": {"path": "job.zip"}, "inputData": {"path": text.name}, "config": {"splitStrategy": "row_based"}}
    (tmp_path / "m.json").write_text(json.dumps(record))
    code, printed, said = job(node, "submit", "--manifest", str(tmp_path / "m.json"))
    assert (code, said) == (0, "")
    assert job(node, "result", printed.decode().strip(), "-q")[1] == b"6000"
    (tmp_path / "m.json").write_text(json.dumps({**record, "confg": {}}))
    code, _, said = job(node, "submit", "--manifest", str(tmp_path / "m.json"))
    assert code == 2
    assert "did you mean 'config'?" in said


@pytest.mark.long
def test_a_failing_job_s_traceback_and_exit_code_are_those_of_a_local_run(node: NodeProcess, tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(SLEEPER.replace("while True:\n            pass", "return b'%d' % (1 // len(chunk))"))
    here, there = pangea("run", str(file)), pangea("run", str(file), "--node", str(node.data_dir))
    assert (here.returncode, there.returncode) == (1, 1)
    assert "ZeroDivisionError" in there.stderr.decode()
    assert here.stderr.splitlines()[-2:] == there.stderr.splitlines()[-2:]


def test_a_running_job_is_explained_and_cancelled(node: NodeProcess, tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(SLEEPER)
    job_id = job(node, "submit", str(file), "--task-time", "100s", "--fuel", "1000000000000")[1].decode().strip()
    code, _, said = job(node, "wait", job_id, "--timeout", "500ms")
    assert code == 1
    assert "NOT_DONE" in said
    assert b"attempt" in job(node, "explain", job_id)[1]
    assert b"running" in pangea("top", "--data-dir", str(node.data_dir)).stdout
    assert "cancelled" in job(node, "cancel", job_id)[2]
    code, printed, said = job(node, "result", job_id)
    assert (code, printed) == (1, b"")
    assert "CANCELLED" in said
    assert "had ended already" in job(node, "cancel", job_id)[2]


def test_a_selector_that_fits_nothing_says_so(node: NodeProcess) -> None:
    code, printed, said = job(node, "result", "ffffffff-none")
    assert (code, printed) == (2, b"")
    assert "UNKNOWN_JOB" in said
    assert "pangea job list" in said


def test_a_data_directory_has_one_node(node: NodeProcess) -> None:
    second = pangea("node", "start", "--data-dir", str(node.data_dir))
    assert second.returncode == 3
    assert f"process {node.process.pid}" in second.stderr.decode()
    assert b"12D3KooW" in pangea("node", "id", "--data-dir", str(node.data_dir)).stdout


def test_a_command_right_after_the_start_waits_for_the_node(tmp_path: Path) -> None:
    with open(os.devnull, "wb") as nowhere:
        words = ["node", "start", "--data-dir", str(tmp_path)]
        starting = nursery().start(words, os.environ, stdout=nowhere.fileno(), stderr=nowhere.fileno())
    try:
        done = pangea("job", "list", "--json", "--data-dir", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert data_of(done.stdout)["jobs"] == []
    finally:
        starting.terminate()
        starting.wait(30)


def test_no_node_is_exit_code_3_and_says_how_to_start_one(tmp_path: Path) -> None:
    done = pangea("job", "list", "--node", f"unix:{tmp_path}/rpc.sock")
    assert done.returncode == 3
    assert "pangea node start" in done.stderr.decode()


def test_an_unknown_setting_is_a_usage_error(tmp_path: Path) -> None:
    done = pangea("node", "start", "--data-dir", str(tmp_path / "n"), PANGEA_WORKRS="2")
    assert done.returncode == 2
    assert "did you mean 'workers'?" in done.stderr.decode()


def test_a_directory_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = pangea("node", "start", "--data-dir", str(tmp_path / "file" / "n"))
    assert done.returncode == 3
    assert "can't be used" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_over_tcp_only_who_is_allowed_gets_in_and_jobs_are_its_own(tmp_path: Path, text: Path) -> None:
    from pangea.compute.network.identity import Identity

    for name in ("friend.key", "stranger.key"):
        Identity.load_or_create(tmp_path / name)
    friend = Identity.load_or_create(tmp_path / "friend.key").peer_id
    with NodeProcess(tmp_path / "n", "--listen", "127.0.0.1:0", "--allow", friend) as node:
        line = next(line for line in node.log().splitlines() if '"address"' in line)
        address = json.loads(line)["address"]
        asked = ("run", WORDS, "--input", str(text), "-q", "--node", address)
        done = pangea(*asked, "--identity", str(tmp_path / "friend.key"))
        assert (done.returncode, done.stdout) == (0, b"6000"), done.stderr
        assert pangea(*asked, "--identity", str(tmp_path / "stranger.key")).returncode == 3
        assert pangea(*asked).returncode == 3
        assert data_of(job(node, "list", "--json")[1])["jobs"] == []  # the local user's own: none
        remote = pangea("job", "list", "--json", "--node", address, "--identity", str(tmp_path / "friend.key"))
        assert [each["owner"] for each in data_of(remote.stdout)["jobs"]] == [friend]


@pytest.mark.long
def test_a_node_is_paused_and_resumed_from_the_command_line(tmp_path: Path) -> None:
    data = str(tmp_path / "node")
    with NodeProcess(tmp_path / "node", "--workers", "1") as node:
        assert pangea("node", "pause", "--for", "2h", "--data-dir", data).stdout.startswith(b"works for others: paused for 7")
        node.stop()
        node.start()
        assert b"paused for 7" in pangea("node", "status", "--data-dir", data).stdout
        assert pangea("node", "resume", "--data-dir", data).stdout == b"works for others: yes\n"
        assert pangea("node", "resume", "--data-dir", data).stdout == b"it wasn't paused\n"
        refused = pangea("node", "pause", "--for", "soon", "--data-dir", data)
        assert (refused.returncode, b"--for is 'soon'; it must be a duration" in refused.stderr) == (2, True)
