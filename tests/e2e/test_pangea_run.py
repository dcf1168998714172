"""The `pangea` command as a user starts it: real processes, real sandboxes, real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tests.commands import checked
from tests.examples import first, long, spread
from tests.nodes import data_of

PANGEA = str(Path(sys.executable).with_name("pangea"))
EXAMPLES = Path(__file__).parents[2] / "examples"
WORD_COUNT = str(EXAMPLES / "word_count.py")

JOBS = """
import os
from pangea.compute import Job

@Job.define
def double():
    @Job.execute
    def execute(chunk):
        return chunk * 2

@Job.define
def bad_split():
    @Job.split
    def split(data):
        raise KeyError("lost in split")
    @Job.execute
    def execute(chunk):
        return chunk

@Job.define
def bad_execute():
    @Job.split
    def split(data):
        return data.split()
    @Job.execute
    def execute(chunk):
        print("looking at", chunk)
        return b"%d" % (1 // int(chunk))

@Job.define
def bad_merge():
    @Job.execute
    def execute(chunk):
        return chunk
    @Job.merge
    def merge(results):
        return results

@Job.define
def endless():
    @Job.execute
    def execute(chunk):
        while True:
            pass

@Job.define
def looks_around():
    @Job.execute
    def execute(chunk):
        return os.environ.get("HOME", "nowhere").encode()

@Job.define
def escapes():
    @Job.execute
    def execute(chunk):
        print("\\x1b[31mred\\x1b[0m")
        return chunk
"""


def pangea(*arguments: str | Path, data: bytes = b"", folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([PANGEA, *map(str, arguments)], input=data, capture_output=True, cwd=folder, timeout=50, check=False)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.py"
    path.write_text(JOBS)
    return path


def assert_clean_error(done: subprocess.CompletedProcess[bytes], exit_code: int, code: str, *words: str) -> None:
    text = done.stderr.decode()
    assert done.returncode == exit_code, text
    assert f"error {code}: " in text
    assert "src/pangea" not in text, "no traceback of ours"
    assert done.stdout == b""
    for word in words:
        assert word in text


def test_stdout_holds_the_result_and_nothing_else() -> None:
    done = pangea("run", WORD_COUNT, "--input", "-", data=b"a b\nc")
    assert (done.returncode, done.stdout) == (0, b"3")
    assert b"workers" in done.stderr


@pytest.mark.long
def test_several_inputs_are_segments_in_order(tmp_path: Path, jobs: Path) -> None:
    paths = [tmp_path / f"{i}.txt" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(b"%d" % i)
    done = pangea("run", f"{jobs}:double", "--input", *paths)
    assert done.stdout == b"0011223344"


def test_a_pattern_that_the_shell_left_alone_is_all_that_matches_it(tmp_path: Path, jobs: Path) -> None:
    for name, data in {"b/2.txt": b"2", "a/1.txt": b"1", "a/0.csv": b"0", "[x].txt": b"x"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert pangea("run", f"{jobs}:double", "--input", "*/*.txt", folder=tmp_path).stdout == b"1122"
    assert pangea("run", f"{jobs}:double", "--input", "[x].txt", folder=tmp_path).stdout == b"xx", "there is a file of that name"
    assert_clean_error(
        pangea("run", f"{jobs}:double", "--input", "*.bin", folder=tmp_path), 2, "BAD_INPUT", "no file matches '*.bin'"
    )


@pytest.mark.long
def test_word_count_of_real_files_equals_native_python() -> None:
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:60]
    done = pangea("run", WORD_COUNT, "--input", *paths)
    assert int(done.stdout) == sum(len(path.read_bytes().split()) for path in paths)


@pytest.mark.parametrize("strategy", ["line_based", *long("record_based", "custom", "row_based", "adaptive")])
def test_strategies_that_keep_lines_whole_count_the_same_words(strategy: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"some words on a line\n" * 5_000)
    done = pangea(
        "run", WORD_COUNT, "-i", path, "--split-strategy", strategy, "--max-chunk-size", "8KiB", "--min-chunk-size", "1KiB"
    )
    assert done.stdout == b"25000", done.stderr.decode()


@pytest.mark.long
def test_the_report_is_one_json_object_on_stderr() -> None:
    done = pangea("run", WORD_COUNT, "--input", "-", "--json", data=b"a b\nc")
    report = data_of(done.stderr)["report"]
    assert (report["chunks"], report["bytes_in"], report["bytes_out"]) == (2, 5, 1)
    assert report["fuel"] > 0


@pytest.mark.long
def test_an_error_is_one_json_object_too(jobs: Path) -> None:
    done = pangea("run", f"{jobs}:bad_execute", "--input", "-", "--json", data=b"1 2 0")
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "JOB_FAILED"
    assert error["details"]["chunk_index"] == 2
    assert "ZeroDivisionError" in error["traceback"]


@pytest.mark.parametrize(
    ("name", "words"),
    first(
        2,
        [
            ("bad_split", ["KeyError", "lost in split", 'File "jobs.py", line 15, in split']),
            ("bad_execute", ["ZeroDivisionError", "at chunk 1", 'File "jobs.py", line 28, in execute', "looking at b'0'"]),
            ("bad_merge", ["the result of merge must be bytes, not list", "declare what it returns"]),
        ],
    ),
)
def test_an_exception_names_the_users_own_file_and_line(name: str, words: list[str], jobs: Path) -> None:
    assert_clean_error(pangea("run", f"{jobs}:{name}", "--input", "-", data=b"1 0 2"), 1, "JOB_FAILED", *words)


def test_an_endless_loop_runs_out_of_fuel(jobs: Path) -> None:
    done = pangea("run", f"{jobs}:endless", "--fuel", "100000000")
    assert_clean_error(done, 5, "LIMIT_EXCEEDED", "100,000,000 units of fuel", "hint")


@pytest.mark.long
def test_an_endless_loop_runs_into_its_time(jobs: Path) -> None:
    done = pangea("run", f"{jobs}:endless", "--task-time", "300ms", "--retry-count", "1")
    assert_clean_error(done, 5, "LIMIT_EXCEEDED", "time limit of 0.3 s", "2 attempts")


@pytest.mark.long
def test_a_job_runs_into_its_timeout(jobs: Path) -> None:
    assert_clean_error(pangea("run", f"{jobs}:endless", "--timeout", "0.5"), 5, "LIMIT_EXCEEDED", "timeout of 0.5 s")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code", "words"),
    spread(
        5,
        [
            (["run", "missing.py"], 2, "BAD_INPUT", ["missing.py"]),
            (["run", "missing.wasm"], 2, "BAD_INPUT", ["missing.wasm"]),
            (["run", "jobs.py"], 2, "BAD_JOB", ["double", "bad_split"]),
            (["run", "jobs.py:doble"], 2, "BAD_JOB", ["doble", "double"]),
            (["run", "syntax.py"], 2, "BAD_JOB", ["line 1", "SyntaxError"]),
            (["run", "empty.py"], 2, "BAD_JOB", ["no job"]),
            (["run", "jobs.py:double", "--input", "missing"], 2, "BAD_INPUT", ["missing"]),
            (["run", "jobs.py:double", "--input", "."], 2, "BAD_INPUT", ["directory"]),
            (["run", "jobs.py:double", "--max-chunk-size", "0"], 2, "BAD_MANIFEST", ["max_chunk_size", "67,108,864"]),
            (["run", "jobs.py:double", "--max-chunk-size", "big"], 2, "BAD_MANIFEST", ["max_chunk_size", "64KiB"]),
            (["run", "jobs.py:double", "--redundancy", "8"], 2, "BAD_MANIFEST", ["redundancy", "7"]),
            (["run", "jobs.py:double", "--split-strategy", "row_bassed"], 2, "BAD_MANIFEST", ["row_based"]),
            (["run", "jobs.py:double", "--memory", "1"], 2, "BAD_MANIFEST", ["limits.memory"]),
            (["run", "jobs.py:double", "--bogus"], 2, "USAGE", ["--bogus"]),
            (["run"], 2, "USAGE", ["needs TARGET"]),
            (["rum"], 2, "USAGE", ["rum"]),
            (["run", "jobs.py:double", "--output", "nowhere/x"], 1, "BAD_OUTPUT", ["nowhere"]),
            (["run", "jobs.py:double", "--output", "."], 1, "BAD_OUTPUT", ["folder"]),
            (["run", "garbage.wasm"], 2, "BAD_MODULE", ["not WebAssembly"]),
        ],
    ),
)
def test_a_mistake_of_the_user_is_a_clean_error(
    arguments: list[str], exit_code: int, code: str, words: list[str], tmp_path: Path, jobs: Path
) -> None:
    assert jobs.parent == tmp_path
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "garbage.wasm").write_bytes(b"garbage")
    assert_clean_error(pangea(*arguments, folder=tmp_path), exit_code, code, *words)


@pytest.mark.long
def test_an_unreadable_input_is_a_clean_error(tmp_path: Path, jobs: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    secret.chmod(0)
    if os.access(secret, os.R_OK):  # root reads anything
        done = pangea("run", f"{jobs}:double", "--input", "/proc/self/mem")
        assert_clean_error(done, 2, "BAD_INPUT", "/proc/self/mem")
    else:
        assert_clean_error(pangea("run", f"{jobs}:double", "--input", secret), 2, "BAD_INPUT", "secret")


@pytest.mark.long
def test_output_replaces_a_file_whole_and_keeps_its_mode(tmp_path: Path, jobs: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    target.chmod(0o640)
    done = pangea("run", f"{jobs}:double", "--input", "-", "--output", target, data=b"ab")
    assert (done.stdout, target.read_bytes(), target.stat().st_mode & 0o777) == (b"", b"abab", 0o640)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["jobs.py", "out"]


@pytest.mark.long
def test_a_full_disk_is_a_clean_error(jobs: Path) -> None:
    done = pangea("run", f"{jobs}:double", "--input", "-", "--output", "/dev/full", data=b"ab")
    assert_clean_error(done, 1, "BAD_OUTPUT", "No space left")


def test_a_full_stdout_is_a_clean_error(jobs: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [PANGEA, "run", f"{jobs}:double", "--input", str(jobs)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=50, check=False)
    assert done.returncode == 1
    assert b"BAD_OUTPUT" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["-o", "--report", "--receipt", "--plot"])
def test_a_folders_name_is_no_file_to_write(option: str, jobs: Path, tmp_path: Path) -> None:
    done = pangea("run", f"{jobs}:escapes", option, f"{tmp_path}/new/")
    assert done.returncode == 1
    assert f"{option} {tmp_path}/new/ names a folder\n  hint: name a file: {option} {tmp_path}/new/NAME" in done.stderr.decode()
    assert not (tmp_path / "new").exists()


def test_a_warning_is_a_line_of_its_own(jobs: Path) -> None:
    done = pangea("run", f"{jobs}:looks_around", "--input", "-", "--quiet", data=b"x")
    assert done.stdout == b"nowhere"
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("warning: execute (jobs.py:"), line
    assert "uses os.environ" in line


def test_what_a_job_prints_cannot_steer_the_terminal(jobs: Path) -> None:
    done = pangea("run", f"{jobs}:escapes", "--input", "-", data=b"x")
    assert b"\x1b" not in done.stderr
    assert b"\\x1b[31mred" in done.stderr


@pytest.mark.parametrize("signal_number", [signal.SIGINT, *long(signal.SIGTERM)])
def test_an_interrupt_ends_everything_and_says_so(signal_number: signal.Signals, jobs: Path, tmp_path: Path) -> None:
    script = tmp_path / "watch.py"
    script.write_text(
        "import sys\nfrom pangea.compute.cli import run\nfrom pangea.compute.cli.main import main\n"
        "from pangea.compute.engine.engines.local import LocalEngine\n"
        "real = LocalEngine.submit\n"
        "def submit(self, task):\n"
        "    future = real(self, task)\n"
        "    while not self.pids(): pass\n"
        "    print('pids', *self.pids(), file=sys.stderr, flush=True)\n"
        "    return future\n"
        "LocalEngine.submit = submit\n"
        f"main(['run', {str(jobs) + ':endless'!r}])\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stderr is not None
        pids = [int(word) for word in process.stderr.readline().split()[1:]]
        process.send_signal(signal_number)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal_number
    assert b"interrupted; the job is cancelled" in said
    assert b"Traceback" not in said
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.long
def test_doctor_says_that_this_machine_can_run_jobs() -> None:
    done = pangea("doctor", "--json")
    assert done.returncode == 0, done.stdout.decode()
    findings = checked("doctor", done.stdout)["findings"]
    assert any("answered 42" in each["text"] for each in findings)
    assert all(each["is_ok"] in (True, None) for each in findings)


@pytest.mark.long
@pytest.mark.parametrize("name", ["word_count", *long("letter_frequency", "monte_carlo_pi", "log_report")])
def test_each_example_runs_by_itself(name: str) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / f"{name}.py")], capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout
