"""`pangea run` with pictures, reports, checks and options of the job's own; `pangea job plot` and `pangea job report`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples import spread
from tests.nodes import NodeProcess, data_of, pangea_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
JOBS = '''
from __future__ import annotations
from pangea.compute import Job
from pangea.compute.data.array import Array

@Job.define
def product() -> None:
    """One matrix by another, in bands of rows."""

    @Job.split(input="json", output="json")
    def split(both):
        a, b = both
        for start in range(0, len(a), 4):
            yield {"rows": a[start : start + 4], "other": b}

    @Job.execute(input="json", output="array")
    def execute(chunk):
        print("a band of", len(chunk["rows"]))
        columns = list(zip(*chunk["other"]))
        return Array.of([[float(sum(a * b for a, b in zip(row, column))) for column in columns] for row in chunk["rows"]])

@Job.define
def counting() -> None:
    seen = []

    @Job.split(input="json", output="json")
    def split(both):
        return list(range(500))

    @Job.execute(input="json")
    def execute(chunk):
        seen.append(chunk)
        return b"%d" % len(seen)

@Job.define
def failing() -> None:
    @Job.execute(input="json")
    def execute(chunk):
        raise KeyError("<script>alert(1)</script>")

def matrices(size, seed):
    return [[[(seed + 7 * i + 3 * j) % 10 for j in range(size)] for i in range(size)] for _ in range(2)]

@Job.inputs
def inputs(size: int = 8, seed: int = 1):
    return matrices(size, seed)

@Job.check
def check(result, size: int, seed: int) -> str:
    a, b = matrices(size, seed)
    right = [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]
    assert result.as_array().tolist() == right, "the product is another"
    return f"equal to a product of {size} x {size} computed without a sandbox"
'''


class Terminal:
    """A folder with a job file, and commands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "jobs.py").write_text(JOBS)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return pangea_in(self.folder, *arguments, **environment)

    def error(self, code: int, *arguments: str, **environment: str) -> str:
        """What a command that must fail says; nothing of it is on stdout, and nothing is ours."""
        done = self.run(*arguments, **environment)
        text = done.stderr.decode()
        assert done.returncode == code, text
        assert done.stdout == b""
        assert "src/pangea" not in text
        return text

    def file(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture
def here(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


PRODUCT = ("run", "jobs.py:product")


@pytest.mark.long
def test_the_job_s_own_options_make_its_input(here: Terminal) -> None:
    small, large = here.run(*PRODUCT, "-q"), here.run(*PRODUCT, "-q", "--size", "12", "--seed=3")
    assert (small.returncode, large.returncode) == (0, 0)
    assert len(large.stdout) > len(small.stdout) > 8 * 8 * 8


@pytest.mark.long
def test_verify_executes_again_and_asks_the_file(here: Terminal) -> None:
    done = here.run(*PRODUCT, "--size", "16", "--verify")
    text = done.stderr.decode()
    assert done.returncode == 0, text
    assert "and executed again in " in text
    assert "1 segment, 4 chunks; all equal, byte for byte" in text
    assert "verified: equal to a product of 16 x 16 computed without a sandbox" in text
    record = data_of(here.run(*PRODUCT, "--verify", "--json").stderr)
    assert record["verified"][1].startswith("equal to a product")
    assert "all equal" in record["report"]["verification"]


@pytest.mark.long
def test_a_check_that_says_no_is_exit_code_4_too(here: Terminal) -> None:
    (here.folder / "jobs.py").write_text(JOBS.replace("== right", "== [right]"))
    text = here.error(4, *PRODUCT, "--verify", "--report", "r.html", "--output", "out")
    assert not (here.folder / "out").exists()
    assert "error UNVERIFIED: the job's own check says no: the product is another" in text
    assert "hint: check, jobs.py:" in text
    assert b"the product is another" in here.file("r.html")
    assert here.run(*PRODUCT, "-q").returncode == 0, "nobody has asked it"


def test_pictures_and_a_report_of_a_run_here(here: Terminal) -> None:
    plots = ("tree.html", "timeline:when.svg", "throughput.png", "fuel:cost.png", "product.png", "result:result2.svg")
    given = [word for plot in plots for word in ("--plot", plot)]
    done = here.run(*PRODUCT, "--size", "32", "--verify", *given, "--report", "report.html", "--output", "out.npy")
    assert done.returncode == 0, done.stderr.decode()
    assert here.file("out.npy").startswith(b"\x93NUMPY")
    for name in ("throughput.png", "cost.png", "product.png"):
        assert here.file(name).startswith(b"\x89PNG"), name
    assert b"execute" in here.file("when.svg")
    assert here.file("tree.html").startswith(b"<!DOCTYPE html>")
    report = here.file("report.html").decode()
    for words in (
        "product",
        "complete",
        "worker process",
        "When it was done",
        "a band of 4",
        "data:image/",
        "size",
        "all equal",
    ):
        assert words in report, words


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    spread(
        3,
        [
            (["--sise", "3"], 2, ["error USAGE: unknown option --sise", "did you mean --size?"]),
            (["--quite"], 2, ["error USAGE: unknown option --quite\n", "--quiet?"]),
            (["--size"], 2, ["error USAGE: --size needs a value"]),
            (["--size", "big"], 2, ["error BAD_MANIFEST: --size is 'big'; it must be an integer"]),
            (
                ["--size", "3", "-i", "jobs.py"],
                2,
                ["error USAGE: --size is for the input that the job makes, and --input is given"],
            ),
            (["--plot", "x.gif"], 2, ["error NO_PICTURE: a picture can't become 'x.gif'", ".png, .svg, .html"]),
            (["--plot", "tree:nowhere/x.png"], 1, ["error BAD_OUTPUT: --plot nowhere/x.png: there is no folder nowhere"]),
            (
                ["--plot", "tree.png", "--plot-scale", "log"],
                2,
                ["--plot-scale log: it is for the result's picture", "product.png"],
            ),
            (["--plot", "x.png", "--plot-scale", "cubic"], 2, ["--plot-scale", "cubic"]),
            (["--report", "x.txt"], 2, ["error USAGE: --report x.txt: a report is a page", "such as x.html"]),
            (["--report", "nowhere/x.html"], 1, ["error BAD_OUTPUT: --report nowhere/x.html: there is no folder"]),
        ],
    ),
)
def test_mistakes_are_told_before_anything_runs(here: Terminal, arguments: list[str], code: int, words: list[str]) -> None:
    text = here.error(code, *PRODUCT, *arguments)
    for each in words:
        assert each in text


def test_an_option_that_pangea_has_itself_is_the_file_s_mistake(here: Terminal) -> None:
    (here.folder / "jobs.py").write_text(JOBS.replace("size: int", "timeout: int"))
    assert "jobs.py:product takes --timeout, which is an option of pangea's" in here.error(2, *PRODUCT)


@pytest.mark.long
def test_the_result_s_picture_has_the_scale_that_is_asked_for(here: Terminal) -> None:
    for scale, is_said in (("linear", False), ("log", True)):
        assert here.run(*PRODUCT, "-q", "--plot", f"{scale}.html", "--plot-scale", scale).returncode == 0
        assert (b"ogarithmic scale: equal steps are equal factors" in here.file(f"{scale}.html")) == is_said


@pytest.mark.long
def test_a_result_without_a_picture_is_an_error_after_it_was_written(here: Terminal) -> None:
    done = here.run("run", "jobs.py:counting", "-q", "--plot", "picture.png")
    assert done.returncode == 2
    assert done.stdout.startswith(b"1")
    assert b"error NO_PICTURE: " in done.stderr
    assert b"hint: " in done.stderr
    assert not (here.folder / "picture.png").exists()


def test_a_job_that_fails_has_a_report_too(here: Terminal) -> None:
    text = here.error(1, "run", "jobs.py:failing", "--report", "report.html")
    assert "error JOB_FAILED" in text
    report = here.file("report.html").decode()
    assert "What went wrong" in report
    assert "KeyError" in report
    assert "<script>" not in report


def test_a_job_that_ran_without_a_node_is_kept_nowhere(here: Terminal, tmp_path: Path) -> None:
    assert here.run(*PRODUCT, "-q").returncode == 0
    for command in (["report", "last", "x.html"], ["plot", "last", "tree.png"]):
        text = here.error(2, "job", *command, HOME=str(tmp_path))
        assert "a job that ran without a node is kept nowhere: pangea run --report FILE.html --plot FILE.png JOB" in text


# On a node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    folder = tmp_path_factory.mktemp("pictures")
    with NodeProcess(folder / "node", "--stop-seconds", "0", "--workers", "2") as process:
        assert process.data_dir == folder / "node"
        yield Terminal(folder)


def on(node: Terminal) -> dict[str, str]:
    return {"PANGEA_NODE": str(node.folder / "node")}


@pytest.mark.long
def test_a_run_on_a_node_is_verified_drawn_and_reported(node: Terminal) -> None:
    done = node.run(*PRODUCT, "--size", "16", "--verify", "--plot", "tree.svg", "--report", "run.html", **on(node))
    text = done.stderr.decode()
    assert done.returncode == 0, text
    assert "its receipt's signatures are right, and all " in text
    assert "verified: equal to a product of 16 x 16" in text
    assert b"12D3KooW" in node.file("tree.svg")
    report = node.file("run.html").decode()
    assert "computed by the owner itself" in report
    assert "receipt" in report, "an option that verifying has chosen"


@pytest.mark.long
def test_a_job_on_a_node_is_drawn_later(node: Terminal) -> None:
    job_id = node.run("job", "submit", "jobs.py:product", "--size", "24", **on(node)).stdout.decode().strip()
    assert node.run("job", "wait", job_id, **on(node)).returncode == 0
    for arguments in (["tree.png"], ["timeline", "t.svg"], ["throughput", "th.png"], ["fuel", "f.html"], ["result", "r.png"]):
        done = node.run("job", "plot", job_id[:13], *arguments, **on(node))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (node.folder / arguments[-1]).stat().st_size > 500
    assert node.run("job", "report", "last", "last.html", **on(node)).returncode == 0
    report = node.file("last.html").decode()
    for words in ("product", job_id, "complete", "data:image/", "a band of 4", "6 in "):
        assert words in report
    record = data_of(node.run("job", "tree", job_id, "--json", **on(node)).stdout)
    assert sum(row[9] for row in record["trace"]["rows"]) >= 2, "the trace is for programs, too"


@pytest.mark.long
def test_a_job_that_failed_on_a_node_is_reported_by_both_commands(node: Terminal) -> None:
    text = node.error(1, "run", "jobs.py:failing", "--report", "failed.html", **on(node))
    assert "error JOB_FAILED" in text
    assert node.run("job", "report", "last", "failed2.html", **on(node)).returncode == 0
    for name in ("failed.html", "failed2.html"):
        report = node.file(name).decode()
        assert "What went wrong" in report
        assert "KeyError" in report
        assert "<script>" not in report


@pytest.mark.parametrize(
    ("arguments", "words"),
    spread(
        2,
        [
            (["plot", "last", "timelin", "x.png"], ["plot takes a job, what to draw, and a file", "did you mean 'timeline'?"]),
            (
                ["plot", "last"],
                ["plot takes a job, what to draw, and a file", "WHAT is result, tree, timeline, throughput, fuel"],
            ),
            (["plot", "last", "tree", "x.gif"], ["error NO_PICTURE: a picture can't become 'x.gif'"]),
            (["plot", "zzz", "tree.png"], ["no job of yours begins with 'zzz'", "is kept nowhere"]),
            (["report", "last", "x.png"], ["error USAGE: report x.png: a report is a page"]),
        ],
    ),
)
def test_mistakes_with_jobs_of_a_node(node: Terminal, arguments: list[str], words: list[str]) -> None:
    text = node.error(2, "job", *arguments, **on(node))
    for each in words:
        assert each in text
