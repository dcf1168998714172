"""Loading a job from a file named on the command line."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest

from pangea.compute.client.submission.target import is_python_text, load_job_file, load_target
from pangea.compute.model.errors import InputError, JobDefinitionError, ManifestError

JOB = """
from pangea.compute.client.definition.job import Job

@Job.define
def {name}():
    @Job.execute
    def execute(chunk):
        return chunk.{method}()
"""


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def write(folder: Path, text: str, name: str = "my_job.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_the_only_job_needs_no_name(tmp_path: Path) -> None:
    job = load_target(write(tmp_path, JOB.format(name="shout", method="upper")))
    assert (job.name, job.run_local(b"a")) == ("shout", b"A")
    assert sys.modules["my_job"].__file__ == str(tmp_path / "my_job.py")


def test_one_of_two_is_named_by_variable_or_by_its_own_name(tmp_path: Path) -> None:
    text = JOB.format(name="shout", method="upper") + JOB.format(name="whisper", method="lower") + "calm = whisper"
    path = write(tmp_path, text)
    assert load_target(path, "whisper").run_local(b"A") == b"a"
    assert load_target(path, "calm").name == "whisper"
    with pytest.raises(JobDefinitionError, match=r"2 jobs in my_job.py: shout, whisper") as several:
        load_target(path)
    assert several.value.hint == "name one: my_job.py:shout"
    with pytest.raises(JobDefinitionError, match="no job 'wisper'") as unknown:
        load_target(path, "wisper")
    assert unknown.value.hint == "did you mean 'whisper'?"


def test_a_file_without_a_job(tmp_path: Path) -> None:
    path = write(tmp_path, "x = 1")
    with pytest.raises(JobDefinitionError, match=r"there is no job in my_job.py") as caught:
        load_target(path)
    assert caught.value.hint.endswith(f"python {path}")


def test_loading_again_sees_the_new_text(tmp_path: Path) -> None:
    load_target(write(tmp_path, JOB.format(name="shout", method="upper")))
    job = load_target(write(tmp_path, JOB.format(name="shout", method="lower")))
    assert job.run_local(b"A") == b"a"
    assert b"lower" in job.archive()


def test_helpers_beside_the_file_are_found(tmp_path: Path) -> None:
    write(tmp_path, "def twice(x): return x * 2", "doubling_helper.py")
    text = JOB.format(name="double", method="upper").replace("chunk.upper()", "doubling_helper.twice(chunk)")
    job = load_target(write(tmp_path, "import doubling_helper\n" + text))
    assert job.run_local(b"ab") == b"abab"
    assert b"def twice(x): return x * 2" in job.archive()


def test_a_file_of_a_package_imports_from_it_by_dots(tmp_path: Path) -> None:
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    write(folder, "")
    text = "from .sibling import twice\nfrom .. import LETTER\n" + JOB.format(name="double", method="upper")
    path = write(folder, text.replace("chunk.upper()", "twice(chunk) + LETTER"))
    write(folder, "def twice(x): return x * 2", "sibling.py")
    with pytest.raises(JobDefinitionError, match=r"line 1: ImportError: attempted relative import") as alone:
        load_target(path)
    assert alone.value.hint.startswith("an __init__.py beside the file")
    for package, content in ((folder, "from . import sibling"), (tmp_path / "outer", "LETTER = b'!'")):
        write(package, content, "__init__.py")
    job = load_target(path)
    assert job.run_local(b"ab") == b"abab!"
    assert sys.modules["outer.inner.my_job"].__package__ == "outer.inner"
    assert b"def twice(x): return x * 2" in job.archive()


def test_a_package_that_fails_is_the_file_s_failure(tmp_path: Path) -> None:
    folder = tmp_path / "failing"
    folder.mkdir()
    write(folder, "1 / 0", "__init__.py")
    with pytest.raises(JobDefinitionError, match=r"can't be loaded: ZeroDivisionError"):
        load_target(write(folder, "from .a import b"))
    assert not {"failing", "failing.my_job"} & set(sys.modules)


def test_a_file_named_like_another_module_does_not_replace_it(tmp_path: Path) -> None:
    statistics = sys.modules.get("statistics")
    job = load_target(write(tmp_path, JOB.format(name="shout", method="upper"), "statistics.py"))
    assert job.execute.__module__ == "statistics_job"
    assert sys.modules.get("statistics") is statistics
    assert load_target(write(tmp_path, JOB.format(name="shout", method="upper"), "my-job.py")).name == "shout"


def test_prints_go_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load_target(write(tmp_path, "print('hello')" + JOB.format(name="shout", method="upper")))
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("x = 1\ndef f(:\n  pass", "SyntaxError: invalid syntax", 2),
        ("def f():\n    return {}[0]\n\nf()", "KeyError: 0", 2),
        ("import sys\nsys.exit(3)", "it calls sys.exit", 2),
        ("import no_such_module_of_mine", "ModuleNotFoundError: No module named 'no_such_module_of_mine'", 1),
    ],
)
def test_a_failing_file_is_shown_with_its_own_frames(tmp_path: Path, text: str, message: str, line: int) -> None:
    path = write(tmp_path, text)
    with pytest.raises(JobDefinitionError) as caught:
        load_target(path)
    assert caught.value.message == f"my_job.py can't be loaded, line {line}: {message}"
    trace = caught.value.details["traceback"]
    assert f'File "{path}", line {line}' in trace
    assert "target.py" not in trace
    assert "my_job" not in sys.modules


def test_errors_about_the_job_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="min_chunk_size"):
        load_target(write(tmp_path, JOB.format(name="j", method="upper").replace(".define", ".define(min_chunk_size=0)")))
    with pytest.raises(JobDefinitionError, match="outside of a job"):
        load_target(write(tmp_path, "from pangea.compute.client.definition.job import Job\nJob.execute(lambda c: c)"))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        load_target(str(tmp_path / "absent.py"))
    write(tmp_path, "", "words.py")
    with pytest.raises(InputError, match="there is no file") as near:
        load_target(str(tmp_path / "wrods.py"))
    assert near.value.hint == f"did you mean '{tmp_path}/words.py'?"
    with pytest.raises(InputError, match="is a folder"):
        load_target(str(tmp_path))
    with pytest.raises(JobDefinitionError, match=r"^notes\.txt can't be loaded, line 1: SyntaxError"):
        load_target(write(tmp_path, "just text", "notes.txt"))
    with pytest.raises(JobDefinitionError, match=r"^zero\.py can't be loaded: SyntaxError"):
        load_target(write(tmp_path, "x = 1\0", "zero.py"))
    with pytest.raises(InputError, match="can't be read"):
        load_target("null\0byte.py")


@pytest.mark.parametrize("name", ["shout", "shout.txt", "shout.PY", "shout.py.bak", "1.2", "sh out"])
def test_a_file_that_is_text_is_python_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, JOB.format(name="shout", method="upper"), name)
    assert is_python_text(path, Path(path).read_bytes())
    job = load_target(path)
    assert job.run_local(b"a") == b"A"
    with zipfile.ZipFile(io.BytesIO(job.archive())) as archive:
        assert ".upper()" in archive.read("job.py").decode()


@pytest.mark.parametrize(
    ("content", "is_python"),
    [
        (b"x = 1\n", True),
        ("# -*- coding: latin-1 -*-\n# \xe9".encode("latin-1"), True),
        (b"\xef\xbb\xbfx = 1", True),
        (b"# \xe9", False),
        (b"# coding: nothing", False),
        (b"\0asm\1\0\0\0", False),
        (b"x = 1\0", False),
        (b" \n", False),
    ],
)
def test_what_is_text(content: bytes, is_python: bool) -> None:
    assert is_python_text("job", content) is is_python
    assert not is_python_text("job.wasm", content)


def test_a_job_that_comes_through_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read once, and its text is kept for the proof; modules are looked for in the current folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "LOUD = b'!'", "beside_pipe.py")
    text = JOB.format(name="shout", method="upper").replace("upper()", "upper() + LOUD") + "from beside_pipe import LOUD\n"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR)  # so that opening it to look whether it is there doesn't wait
    try:
        job, _ = load_job_file(str(pipe), None, text.encode())
    finally:
        os.close(keeper)
        pipe.unlink()  # Hypothesis reads the files of all modules that there are, and would wait here for ever
    assert job.run_local(b"a") == b"A!"
    with zipfile.ZipFile(io.BytesIO(job.archive())) as archive:
        assert ".upper() + LOUD" in archive.read("job.py").decode()
