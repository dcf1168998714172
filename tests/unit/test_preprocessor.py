"""Opening inputs, and cutting them: the cases with names."""

from __future__ import annotations

import array
import gzip
import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pangea.compute.inputs.cutting import choose_strategy, cut
from pangea.compute.inputs.inputs import Inputs, open_inputs
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions, SplitStrategy
from tests.leaks import assert_none_left_open

LARGE = 3 << 20  # mapped rather than read
FAR = 1 << 40


def segments(value: object, **options: Any) -> list[bytes]:
    custom_max = options.pop("custom_max", FAR)
    with open_inputs(value) as inputs:
        return [bytes(segment) for segment in cut(inputs, JobOptions.of(options), custom_max=custom_max)]


def sizes(strategy: str, *, least: int = 1, most: int, **others: Any) -> dict[str, Any]:
    return {"split_strategy": strategy, "min_chunk_size": least, "max_chunk_size": most, **others}


@contextmanager
def nobody() -> Iterator[None]:
    """Whom no file belongs to: root, who may read anything, is `nobody` for a while."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def file_with(folder: Path, content: bytes, name: str = "data.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def rest_of_standard_input(file: BinaryIO) -> bytes:
    """What is read of this process's standard input, once four bytes of it are gone, while it is `file`."""
    before = os.dup(0)
    try:
        os.dup2(file.fileno(), 0)
        os.read(0, 4)
        return b"".join(segments("/dev/stdin"))
    finally:
        os.dup2(before, 0)
        os.close(before)


def fill(writing: int, content: bytes) -> None:
    """Write all of it, and close."""
    with os.fdopen(writing, "wb") as file:
        file.write(content)


class TestWhatIsAccepted:
    @pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"xabcx")[1:4]])
    def test_buffers(self, value: object) -> None:
        assert segments(value) == [b"abc"]

    def test_a_buffer_of_wider_items_is_its_bytes(self) -> None:
        assert segments(memoryview(array.array("i", [1, 2]))) == [struct.pack("ii", 1, 2)]

    def test_a_view_with_a_zero_in_its_shape_is_empty(self) -> None:
        assert segments(memoryview(array.array("i"))) == [b""]

    @pytest.mark.parametrize("content", [b"", b"abc", b"x" * LARGE])
    def test_paths(self, tmp_path: Path, content: bytes) -> None:
        path = file_with(tmp_path, content)
        assert segments(path) == segments(str(path)) == [content]

    def test_nothing_is_one_empty_input(self) -> None:
        assert segments(None) == [b""]
        assert segments(None, split_strategy="row_based") == [b""]

    def test_a_list_keeps_its_order(self, tmp_path: Path) -> None:
        path = file_with(tmp_path, b"two")
        assert segments([b"one", path, io.BytesIO(b"three")]) == [b"one", b"two", b"three"]
        assert segments((b"one",)) == [b"one"]

    @pytest.mark.parametrize("size", [10, LARGE])
    @pytest.mark.parametrize("start", [0, 4])
    def test_open_files_are_read_from_where_they_stand(self, tmp_path: Path, size: int, start: int) -> None:
        content = bytes(range(10)) * (size // 10)
        with open(file_with(tmp_path, content), "rb") as file:
            file.read(start)
            assert segments(file) == [content[start:]]
            assert not file.closed

    def test_an_open_file_at_its_end_is_empty(self, tmp_path: Path) -> None:
        with open(file_with(tmp_path, b"abc"), "rb") as file:
            file.read()
            assert segments(file) == [b""]

    def test_an_open_file_may_be_closed_before_its_turn(self, tmp_path: Path) -> None:
        with open(file_with(tmp_path, b"x" * LARGE), "rb") as file:
            inputs = open_inputs(file)
        with inputs:
            assert [len(segment) for segment in cut(inputs, JobOptions(), custom_max=FAR)] == [LARGE]

    def test_what_was_written_but_not_flushed_is_there(self, tmp_path: Path) -> None:
        with open(tmp_path / "new", "w+b") as file:
            file.write(b"abc")
            file.seek(0)
            file.write(b"A")
            assert segments(file) == [b"bc"]

    def test_a_decompressing_reader_yields_what_it_decompresses(self, tmp_path: Path) -> None:
        with gzip.open(tmp_path / "z.gz", "wb") as file:
            file.write(b"abc" * 1000)
        with gzip.open(tmp_path / "z.gz", "rb") as file:
            assert segments(file) == [b"abc" * 1000]

    def test_a_pipe(self) -> None:
        reading, writing = os.pipe()
        content = b"abc\n" * 500_000
        thread = threading.Thread(target=fill, args=(writing, content))
        thread.start()
        with os.fdopen(reading, "rb") as file:
            assert segments(file) == [content]
        thread.join()

    def test_a_fifo_by_its_path(self, tmp_path: Path) -> None:
        path = tmp_path / "fifo"
        os.mkfifo(path)
        thread = threading.Thread(target=path.write_bytes, args=(b"through a fifo",))
        thread.start()
        assert segments(path) == [b"through a fifo"]
        thread.join()

    def test_the_null_device_and_files_that_only_seem_empty(self) -> None:
        assert segments("/dev/null") == [b""]
        assert b"VmRSS" in segments("/proc/self/status")[0]

    @pytest.mark.parametrize("content", [b"", b"0123456789", b"0123456789" * LARGE])
    def test_standard_input_goes_on_where_it_stands(self, tmp_path: Path, content: bytes) -> None:
        with open(file_with(tmp_path, content), "rb") as file:
            assert rest_of_standard_input(file) == content[4:]
        reading, writing = os.pipe()
        thread = threading.Thread(target=fill, args=(writing, content))
        thread.start()
        with os.fdopen(reading, "rb") as file:
            assert rest_of_standard_input(file) == content[4:]
        thread.join()

    def test_total_bytes(self, tmp_path: Path) -> None:
        with open_inputs([b"abc", file_with(tmp_path, b"defg"), io.BytesIO(b"h")]) as inputs:
            assert inputs.total_bytes == 8
            assert [(item.size) for item in inputs] == [3, 4, 1]

    def test_a_thousand_files_need_no_thousand_descriptors(self, tmp_path: Path) -> None:
        paths = [file_with(tmp_path, b"%d" % index, str(index)) for index in range(1500)]
        with open_inputs(paths) as inputs, assert_none_left_open():
            assert sum(int(bytes(segment)) for segment in cut(inputs, JobOptions(), custom_max=FAR)) == sum(range(1500))


class TestWhatIsRefused:
    def refusal(self, value: object, **options: Any) -> InputError:
        with pytest.raises(InputError) as caught:
            segments(value, **options)
        return caught.value

    def test_a_missing_file_names_it_and_the_way_to_pass_data(self) -> None:
        error = self.refusal("no/such/file")
        assert "'no/such/file'" in str(error)
        assert error.hint == "there is no folder no/such; a str is a path; pass bytes for data"
        assert self.refusal(Path("no/such/file")).hint == "there is no folder no/such"

    @pytest.mark.parametrize("text", ["", "some words\n" * 1000, "nul\0inside"])
    def test_text_taken_for_a_path(self, text: str) -> None:
        error = self.refusal(text)
        assert "pass bytes" in error.hint
        assert len(str(error)) < 400

    def test_a_directory(self, tmp_path: Path) -> None:
        assert "files" in self.refusal(tmp_path).hint

    def test_a_device_without_end(self) -> None:
        assert "neither a file nor a pipe" in str(self.refusal("/dev/zero"))

    def test_an_unreadable_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            path = file_with(Path(folder), b"secret")
            path.chmod(0)
            self.refusal(folder)  # nobody can't import what refusing takes
            with nobody():
                assert "permission denied" in str(self.refusal(path))

    def test_text_mode(self, tmp_path: Path) -> None:
        with open(file_with(tmp_path, b"abc")) as file:
            assert "'rb'" in self.refusal(file).hint
        assert "'rb'" in self.refusal(io.StringIO("abc")).hint

    def test_a_reader_of_text(self) -> None:
        class Reader:
            def read(self, size: int) -> str:
                return "abc"

        assert "'rb'" in self.refusal(Reader()).hint

    def test_a_closed_file_and_one_open_for_writing(self, tmp_path: Path) -> None:
        with open(tmp_path / "new", "wb") as file:
            assert "can't be read" in str(self.refusal(file))
        assert "can't be read" in str(self.refusal(file))

    def test_a_pipe_that_does_not_block(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        with os.fdopen(reading, "rb", buffering=0) as file, os.fdopen(writing, "wb"):
            assert "non-blocking" in str(self.refusal(file))

    @pytest.mark.parametrize("value", [12, {"a": 1}, iter([b"x"]), [b"fine", None], [[b"nested"]]])
    def test_other_types(self, value: object) -> None:
        assert "bytes, a path" in str(self.refusal(value))

    def test_arrays_are_told_how_to_become_bytes(self) -> None:
        assert "tobytes()" in self.refusal(array.array("d", [1.0])).hint

    def test_scattered_memory(self) -> None:
        assert "tobytes()" in self.refusal(memoryview(b"abcdef")[::2]).hint

    def test_an_empty_list(self) -> None:
        assert "None" in self.refusal([]).hint

    @pytest.mark.parametrize("now", [1, 2 * LARGE])
    def test_a_file_that_changes_before_its_turn(self, tmp_path: Path, now: int) -> None:
        path = file_with(tmp_path, b"x" * LARGE)
        with open_inputs(path) as inputs:
            path.write_bytes(b"y" * now)
            with pytest.raises(InputError, match=f"{LARGE:,} bytes when the job began, and has {now:,} now"):
                list(cut(inputs, JobOptions(), custom_max=FAR))

    def test_a_file_that_vanishes_before_its_turn(self, tmp_path: Path) -> None:
        path = file_with(tmp_path, b"x")
        with open_inputs(path) as inputs:
            path.unlink()
            with pytest.raises(InputError, match="no such file"):
                list(cut(inputs, JobOptions(), custom_max=FAR))


class TestClosing:
    def test_segments_outlive_their_inputs(self, tmp_path: Path) -> None:
        path = file_with(tmp_path, b"ab" * LARGE)
        with open_inputs([path]) as inputs:
            kept = list(cut(inputs, JobOptions.of(sizes("fixed_size", most=LARGE)), custom_max=FAR))
        assert [bytes(segment) for segment in kept] == [b"ab" * (LARGE // 2)] * 2

    def test_a_cut_given_up_halfway_leaves_nothing_open(self, tmp_path: Path) -> None:
        data = [file_with(tmp_path, b"ab" * LARGE), io.BytesIO(b"x" * LARGE)]
        with assert_none_left_open(), open_inputs(data) as inputs:
            pieces = iter(cut(inputs, JobOptions.of(sizes("fixed_size", most=10, least=1)), custom_max=FAR))
            next(pieces)
            del pieces

    def test_a_refusal_closes_what_was_opened_before_it(self) -> None:
        with assert_none_left_open(), pytest.raises(InputError):
            open_inputs([io.BytesIO(b"spooled"), "no/such/file"])

    def test_a_bytearray_can_grow_again(self) -> None:
        data = bytearray(b"abc")
        assert segments(data) == [b"abc"]
        data.append(1)


class TestCustom:
    def test_too_large_an_input_is_refused_before_anything_is_cut(self, tmp_path: Path) -> None:
        with open_inputs([b"small", file_with(tmp_path, b"x" * 101)]) as inputs, pytest.raises(InputError) as caught:
            cut(inputs, JobOptions(), custom_max=100)
        assert "101 bytes" in str(caught.value)
        assert "100 bytes" in str(caught.value)
        assert "row_based" in caught.value.hint
        assert "limits.memory" in caught.value.hint

    def test_empty_inputs_are_segments(self) -> None:
        assert segments([b"", b"a", b""]) == [b"", b"a", b""]


class TestFixedSize:
    def test_the_last_piece_may_be_short(self) -> None:
        assert segments(b"abcdefgh", **sizes("fixed_size", least=3, most=3)) == [b"abc", b"def", b"gh"]

    def test_empty_inputs_among_others_have_no_pieces(self) -> None:
        assert segments([b"", b"abcd", b""], **sizes("fixed_size", most=3)) == [b"abc", b"d"]


class TestRows:
    @pytest.mark.parametrize("strategy", ["row_based", "line_based"])
    def test_as_many_whole_lines_as_fit(self, strategy: str) -> None:
        assert segments(b"one\ntwo\nthree\nx", **sizes(strategy, most=8)) == [b"one\ntwo\n", b"three\nx"]

    def test_a_line_of_just_the_maximum_fits(self) -> None:
        assert segments(b"1234567\n12345678", **sizes("row_based", most=8)) == [b"1234567\n", b"12345678"]

    def test_a_line_that_is_too_long_is_named(self, tmp_path: Path) -> None:
        path = file_with(tmp_path, b"one\ntwo\n" + b"x" * 20 + b"\nfour\n")
        with pytest.raises(InputError) as caught:
            segments(path, **sizes("row_based", most=8))
        assert str(caught.value) == f"line 3 of {path}, at byte 8, is 21 bytes long; max_chunk_size is 8"
        assert caught.value.hint.startswith("raise max_chunk_size to 21")
        assert caught.value.details["offset"] == 8

    def test_lines_before_the_long_one_are_cut_first(self) -> None:
        with open_inputs(b"one\n" + b"x" * 20) as inputs:
            pieces = cut(inputs, JobOptions.of(sizes("row_based", most=8)), custom_max=FAR)
            assert bytes(next(pieces)) == b"one\n"
            with pytest.raises(InputError, match="20 bytes long"):
                next(pieces)

    def test_lines_longer_than_a_search_window(self) -> None:
        lines = [b"%d" % index * 30_000 + b"\n" for index in range(1, 9)]
        assert segments(b"".join(lines), **sizes("row_based", most=100_000)) == [
            b"".join(lines[:3]),
            b"".join(lines[3:6]),
            b"".join(lines[6:]),
        ]


class TestRecords:
    def test_a_delimiter_is_never_cut(self) -> None:
        assert segments(b"aa<>bb<>cc", **sizes("record_based", most=7, delimiter=b"<>")) == [b"aa<>", b"bb<>cc"]

    def test_a_delimiter_across_two_search_windows_is_found(self) -> None:
        record = b"x" * (16 * 1024 - 2) + b"<=>"
        content = record + b"y" * (16 * 1024) + b"<=>"
        for most in range(len(record), len(record) + 6):
            assert segments(content[: len(record) + most], **sizes("record_based", most=most, delimiter=b"<=>"))[0] == record

    def test_a_delimiter_that_overlaps_itself_is_found_from_the_left(self) -> None:
        assert segments(b"x\n\n\ny\n\nz", **sizes("record_based", most=6, delimiter=b"\n\n")) == [b"x\n\n", b"\ny\n\nz"]

    def test_a_record_that_is_too_long(self) -> None:
        with pytest.raises(InputError, match="record 2 of the input, at byte 4, is 12 bytes long"):
            segments(b"aa<>bbbbbbbbbb<>", **sizes("record_based", most=7, delimiter=b"<>"))


class TestAdaptive:
    def choice(self, data: bytes, **options: Any) -> SplitStrategy:
        return choose_strategy(memoryview(data), JobOptions.of(options))[0]

    def test_what_it_chooses(self) -> None:
        assert self.choice(b"tiny\n") is SplitStrategy.CUSTOM
        assert self.choice(b"a line of text\n" * 10_000) is SplitStrategy.ROW_BASED
        assert self.choice("größer als ASCII\r\n".encode() * 10_000) is SplitStrategy.ROW_BASED
        assert self.choice(b"x" * 100_000) is SplitStrategy.FIXED_SIZE
        assert self.choice(bytes(range(256)) * 1000) is SplitStrategy.FIXED_SIZE
        assert self.choice(b"\1\2\n" * 50_000) is SplitStrategy.FIXED_SIZE
        assert self.choice((b"x" * 500 + b"\n") * 200, min_chunk_size=10, max_chunk_size=400) is SplitStrategy.FIXED_SIZE
        assert self.choice(npy_file(b"", (50_000,), "<f8") + bytes(400_000)) is SplitStrategy.NPY_ROWS

    def test_it_says_why(self) -> None:
        assert "lines of up to 15 bytes" in choose_strategy(memoryview(b"a line of text\n" * 10_000), JobOptions())[1]

    def test_each_input_is_cut_by_its_own_choice(self) -> None:
        text, binary = b"some text\n" * 20_000, bytes(200_000)
        found = segments([text, b"tiny", binary, b""], **sizes("adaptive", least=100, most=100_001))
        assert found == [text[:100_000], text[100_000:], b"tiny", binary[:100_001], binary[100_001:]]


def npy_file(rows: bytes, shape: tuple[int, ...], descr: str, *, fortran: bool = False, version: int = 1) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}" if descr[0] == "[" else ""
    header = header or f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    length = "<H" if version == 1 else "<I"
    body = header.encode() + b" " * 40 + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(length, len(body)) + body + rows


def npy_parts(segment: bytes) -> tuple[str, bytes]:
    size = 2 if segment[6] == 1 else 4
    start = 8 + size + int.from_bytes(segment[8 : 8 + size], "little")
    assert start % 64 == 0
    return segment[8 + size : start].decode().strip(), segment[start:]


class TestNpyRows:
    @pytest.mark.parametrize("version", [1, 2, 3])
    def test_each_segment_is_a_file_of_whole_rows(self, version: int) -> None:
        rows = bytes(range(240))
        found = segments(npy_file(rows, (10, 3), "<f8", version=version), **sizes("npy_rows", most=128 + 24 * 4))
        headers, parts = zip(*map(npy_parts, found), strict=True)
        assert b"".join(parts) == rows
        assert [len(part) for part in parts] == [96, 96, 48]
        assert headers[2] == "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}"

    def test_records_unicode_and_dates_have_their_sizes(self) -> None:
        for descr, size in [("<U3", 12), ("<M8[ns]", 8), ("[('a', '<f4'), ('b', '|S5', (2, 2))]", 24), ("|b1", 1)]:
            rows = bytes(range(size)) * 500
            found = segments(npy_file(rows, (500,), descr), **sizes("npy_rows", most=256 + size))
            assert b"".join(npy_parts(part)[1] for part in found) == rows
            assert all(len(npy_parts(part)[1]) % size == 0 for part in found)

    def test_an_array_without_rows_goes_whole(self) -> None:
        content = npy_file(b"", (0, 3), "<f8")
        assert segments(content, **sizes("npy_rows", most=64)) == [content]

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (b"not an array", "no .npy header"),
            (b"\x93NUMPY\x01\x00\xff\xff", "cut off"),
            (b"\x93NUMPY\x01", "can't be cut"),
            (npy_file(bytes(48), (3, 2), "<f8", fortran=True), "Fortran order"),
            (npy_file(bytes(48), (3, 2), "|O"), "no fixed size"),
            (npy_file(bytes(8), (), "<f8"), "no rows"),
            (npy_file(bytes(40), (3, 2), "<f8"), "should have"),
            (npy_file(bytes(56), (3, 2), "<f8"), "should have"),
            (b"\x93NUMPY\x01\x00\x05\x00((((\n", "can't be cut"),
            (b"\x93NUMPY\x01\x00\x03\x00{}\n", "can't be cut"),
        ],
    )
    def test_what_is_no_array_of_rows_is_refused(self, content: bytes, complaint: str) -> None:
        with pytest.raises(InputError, match=complaint):
            segments(content, split_strategy="npy_rows")

    def test_a_row_that_is_too_long(self) -> None:
        with pytest.raises(InputError, match="row of the input has 800 bytes"):
            segments(npy_file(bytes(2400), (3, 100), "<f8"), **sizes("npy_rows", most=700))


# ru_maxrss would count the parent's memory too, which a child of vfork starts with.
MEASURE = """
import sys
from pathlib import Path
from pangea.compute.inputs.inputs import open_inputs
from pangea.compute.inputs.cutting import cut
from pangea.compute.model.options import JobOptions
total = 0
with open_inputs(sys.argv[1]) as inputs:
    for segment in cut(inputs, JobOptions(split_strategy="row_based"), custom_max=1):
        total += len(bytes(segment))
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(total, status["VmHWM"].split()[0])
"""


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path, block, times = tmp_path / "large", b"a line of some length, and its newline\n" * 26_000, 128
    with open(path, "wb") as file:
        for _ in range(times):
            file.write(block)
    yield path, len(block) * times
    path.unlink()  # pytest keeps the folders of its last runs


@pytest.mark.slow
def test_more_lines_than_memory_that_is_taken(large_file: tuple[Path, int]) -> None:
    path, size = large_file
    done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    total, peak_kib = map(int, done.stdout.split())
    assert total == size > 120 << 20
    assert peak_kib < 100 << 10


def test_inputs_count_themselves() -> None:
    with open_inputs([b"a", b"b"]) as inputs:
        assert isinstance(inputs, Inputs)
        assert len(inputs) == 2
