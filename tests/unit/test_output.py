"""Where bytes go: nothing but a regular file is ever replaced, and links stay links."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from pangea.compute.cli.output import check_apart, check_output, check_unread, write_output, write_result
from pangea.compute.cli.usage import UsageError
from pangea.compute.client.results.result import Value
from pangea.compute.data import Table
from pangea.compute.engine.files import real_place, write_file
from pangea.compute.model.errors import OutputError
from pangea.compute.model.kinds import ResultKind


def test_a_regular_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "result"
    file.write_bytes(b"old")
    file.chmod(0o640)
    inode = file.stat().st_ino
    write_file(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o640)
    assert file.stat().st_ino != inode, "a reader of the old one still has it whole"


def test_links_stay_links_and_what_they_lead_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link, second = tmp_path / "elsewhere" / "file", tmp_path / "latest", tmp_path / "second"
    link.symlink_to("elsewhere/file")  # leads nowhere yet
    second.symlink_to("latest")
    for data in (b"first", b"again"):
        write_file(second, data)
        assert (link.is_symlink(), second.is_symlink(), target.read_bytes()) == (True, True, data)


def test_links_in_a_circle_are_an_error_in_words(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links") as caught:
        real_place(loop)
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(OutputError, match="symbolic links"):
        check_output(loop)


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (pipe, link):
        write_file(path, b"through")
        assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"])
def test_an_open_file_is_written_where_it_stands_and_not_replaced(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"line\n")
    inode = file.stat().st_ino
    with file.open("ab") as opened:
        link = tmp_path / "link"
        link.symlink_to(f"{folder}/{opened.fileno()}")
        write_file(Path(folder) / str(opened.fileno()), b"more\n")
        write_file(link, b"and more\n")
    assert (file.read_bytes(), file.stat().st_ino) == (b"line\nmore\nand more\n", inode)
    assert link.is_symlink()


def test_a_file_in_a_folder_that_takes_no_new_ones_is_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result"
    file.write_bytes(b"a longer old one")
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != tmp_path and allowed(path, mode)
    )  # root may write anywhere
    inode = file.stat().st_ino
    check_output(file)
    write_file(file, b"new")
    assert (file.read_bytes(), file.stat().st_ino) == (b"new", inode)
    with pytest.raises(OutputError, match="is not writable"):
        check_output(tmp_path / "other")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "result"
    file.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="broken"):
        write_output(b"new", file)
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["result"]


def test_two_outputs_need_two_places(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "b"
    link.symlink_to("a")
    check_apart({"--output": None, "--report": None, "--receipt": file})
    check_apart({"--output": file, "--report": None, "--receipt": Path("-")})
    for outputs in (
        {"--output": None, "--receipt": Path("-")},
        {"--output": Path("-"), "--receipt": Path("/dev/stdout")},
        {"--output": file, "--receipt": link},
    ):
        with pytest.raises(UsageError, match="--output and --receipt would both be written to"):
            check_apart(outputs)


def test_no_output_replaces_what_is_read(tmp_path: Path) -> None:
    file, link, empty = tmp_path / "in.csv", tmp_path / "link.csv", tmp_path / "empty"
    file.write_text("a\n1\n")
    link.symlink_to("in.csv")
    empty.touch()
    read = ["s3://bucket/in.csv", "", str(tmp_path), str(empty), str(file)]
    for unharmed in (None, Path("-"), Path("/dev/null"), tmp_path / "new.csv", empty):
        check_unread({"--output": unharmed}, read)
    check_unread({"--output": file}, read[:-1])
    for path in (file, link):
        with pytest.raises(OutputError, match=r"^--report .*csv would replace .*in\.csv, which is read") as refused:
            check_unread({"--output": None, "--report": path}, read)
        assert refused.value.hint == "--report OTHER_FILE"


def test_what_a_format_has_no_words_for_is_told_as_such_and_leaves_the_file(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("older")
    table = Table.of({"l": [[1], []]})
    with pytest.raises(
        OutputError, match=r"^--output .*r\.csv: column 'l' is of type list<item: int64>: CSV has no words"
    ) as refused:
        write_result(Value(table.to_arrow(), ResultKind("table", False)), tmp_path / "r.csv")
    assert refused.value.hint == "write .parquet or .arrow, or cast it"
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]
    assert (tmp_path / "r.csv").read_text() == "older"
