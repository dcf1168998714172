"""Data that is damaged or means harm: each a typed error that names the file, the row or the column, and a remedy.

No other exception, no crash, no file written, no object unpickled, and no more memory than a few blocks.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from pangea.compute.inputs.formats import csv_tables, json_tables, npz, tables
from pangea.compute.inputs.formats.schemas import plain_batch
from pangea.compute.inputs.formats.tables import COLUMNS_MAX
from pangea.compute.model.errors import InputError
from tests.examples import spread
from tests.prepared import refusal, segments, table_in

TABLE = pa.table({"number": range(300), "word": [f"word {number}" for number in range(300)]})


class Bomb:
    """Unpickled, it would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def packed(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def npy(array: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array, **options)
    return sink.getvalue()


def npz_bytes() -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, a=np.arange(1000), b=np.eye(20))
    return sink.getvalue()


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, row_group_size=100)
    return sink.getvalue()


def arrow_file() -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(TABLE, sink, compression="lz4", chunksize=100)
    return sink.getvalue()


def arrow_stream() -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=100)
    return sink.getvalue()


def csv_bytes() -> bytes:
    return b"number,word\n" + b"".join(b"%d,word %d\n" % (number, number) for number in range(300))


def json_lines() -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in TABLE.to_pylist()).encode()


#: How each file is made, and what a job that reads it takes.
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "x.npy": (lambda: npy(np.arange(300)), "array"),
    "x.npz": (npz_bytes, "array"),
    "x.parquet": (parquet, "table"),
    "x.feather": (arrow_file, "table"),
    "x.arrow": (arrow_stream, "table"),
    "x.csv": (csv_bytes, "table"),
    "x.jsonl": (json_lines, "table"),
}
#: Cut off here, what is left is a smaller file of the kind, and nobody can tell: text between rows, a stream between batches.
LINES = {"x.csv", "x.jsonl", "x.arrow"}


def complaint_about(path: Path, kind: str, **options: Any) -> InputError | None:
    try:
        segments(path, kind, **options)
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_cut_off(tmp_path: Path, name: str) -> None:
    make, kind = FILES[name]
    content, path = make(), tmp_path / name
    ends = [1, 5, 10, 100, *(len(content) * part // 7 for part in range(1, 7)), len(content) - 9, len(content) - 2]
    noticed = 0
    for end in ends:
        path.write_bytes(content[:end])
        if (error := complaint_about(path, kind)) is not None:
            assert str(path) in str(error)
            assert error.hint
            noticed += 1
    assert noticed >= len(ends) - 2 if name not in LINES else noticed > 0


@pytest.mark.parametrize("name", spread(3, FILES))
def test_files_that_are_damaged(tmp_path: Path, name: str) -> None:
    """Whatever bytes change, there are segments or there is an `InputError`; in a process of its own, since it may crash."""
    make, kind = FILES[name]
    (tmp_path / name).write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(tmp_path / name), kind],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    good, bad = map(int, done.stdout.split())
    assert bad > 10
    assert good + bad == 200


DAMAGE = """
import sys
from pathlib import Path
from random import Random
from pangea.compute.inputs.formats.schemas import plain_batch
from pangea.compute.inputs.formats.tables import COLUMNS_MAX
from pangea.compute.model.errors import InputError
from tests.prepared import segments
path, random = Path(sys.argv[1]), Random(7)
content, good, bad = path.read_bytes(), 0, 0
for number in range(200):
    damaged = bytearray(content)
    for _ in range(random.choice([1, 1, 4, 30])):
        damaged[random.randrange(len(damaged))] = random.randrange(256)
    path.write_bytes(damaged)
    try:
        segments(path, sys.argv[2])
        good += 1
    except InputError as error:
        assert error.hint and str(path) in str(error), error
        bad += 1
print(good, bad)
"""


@pytest.mark.parametrize("name", FILES)
def test_noise_and_files_of_another_kind(tmp_path: Path, name: str) -> None:
    path, kind = tmp_path / name, FILES[name][1]
    others = [make() for other, (make, _) in FILES.items() if other != name and not {other, name} <= {"x.feather", "x.arrow"}]
    for content in (b"\0" * 1000, Random(3).randbytes(5000), b"\n\n\n", *others):
        path.write_bytes(content)
        error = complaint_about(path, kind, most=1 << 20)
        if name != "x.csv":  # which may be anything
            assert error is not None
        if error is not None:
            assert str(path) in str(error)
            assert error.hint


class TestPickle:
    def test_in_npy(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        content = npy(np.array([Bomb(trace), None], object), allow_pickle=True)
        (tmp_path / "x.npy").write_bytes(content)
        for value in (tmp_path / "x.npy", content):
            assert "its type is '|O': pickled objects are never read" in str(refusal(value, "array"))
        (tmp_path / "x.npy").write_bytes(pickle.dumps(Bomb(trace)))
        assert "x.npy can't be cut into rows of a .npy file" in str(refusal(tmp_path / "x.npy", "array"))
        assert not trace.exists()

    def test_in_npz(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        objects = npy(np.array([Bomb(trace)], object), allow_pickle=True)
        for member in (objects, pickle.dumps(Bomb(trace))):
            (tmp_path / "x.npz").write_bytes(packed(**{"fine.npy": npy(np.arange(3)), "bad.npy": member}))
            error = refusal(tmp_path / "x.npz", "array")
            assert "x.npz[bad] can't be read" in str(error)
            assert "numpy.savez" in error.hint
        assert not trace.exists()

    def test_in_objects(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        assert "only pickle can store that" in str(refusal(np.array([Bomb(trace)], object), "array"))
        assert not trace.exists()


@pytest.mark.parametrize(
    ("ending", "is_run"), [("parquet", False), ("arrow", False), ("arrow", True)], ids=["parquet", "categories", "runs"]
)
def test_what_stands_for_much_is_decoded_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, *, is_run: bool
) -> None:
    texts, rows, most, path = pa.array(["x" * 1000, "y"]), 5_000, 100_000, tmp_path / f"x.{ending}"
    if is_run:
        column = pa.RunEndEncodedArray.from_arrays(pa.array([rows - 7, rows], pa.int32()), texts)
    else:
        column = pa.DictionaryArray.from_arrays(pa.array([0] * (rows - 7) + [1] * 7, pa.int32()), texts)
    table = pa.table({"text": column, "number": range(rows)})
    if ending == "parquet":
        pq.write_table(table, path)
    else:
        pyarrow.feather.write_feather(table, path)
    decoded: list[int] = []

    def plain(batch: Any, schema: Any) -> Any:
        decoded.append((found := plain_batch(batch, schema)).nbytes)
        return found

    monkeypatch.setattr(tables, "plain_batch", plain)
    monkeypatch.setattr(tables, "_DECODED_BYTES_MAX", most)
    found = table_in(segments(path, "table", most=20_000))
    assert found.column("text").to_pylist() == ["x" * 1000] * (rows - 7) + ["y"] * 7
    assert found.column("number").to_pylist() == [*range(rows)]
    assert max(decoded) < 2 * most


@pytest.mark.parametrize("first", ["c", "x" * 200_000], ids=["short", "long"])
def test_a_header_of_separators_is_refused_before_it_is_parsed(tmp_path: Path, first: str) -> None:
    (tmp_path / "x.csv").write_text(f"{first}{',c' * COLUMNS_MAX}\n{'1,' * COLUMNS_MAX}1\n")
    assert f"has {COLUMNS_MAX + 1:,} columns; a table may have {COLUMNS_MAX:,}" in str(refusal(tmp_path / "x.csv", "table"))


def test_lines_that_each_have_another_key_are_refused_before_they_are_parsed(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("".join(f'{{"k{number}": 1}}\n' for number in range(12_000)))
    assert "has 12,000 keys in its first 12,000 rows: a table of 144,000,000 values" in str(
        refusal(tmp_path / "x.jsonl", "table")
    )
    (tmp_path / "x.jsonl").write_text("{" + ",".join(f'"k{number}": 1' for number in range(COLUMNS_MAX + 1)) + "}\n")
    assert f"has {COLUMNS_MAX + 1:,} keys" in str(refusal(tmp_path / "x.jsonl", "table", most=1 << 20))


def test_many_lines_without_most_of_the_columns_are_parsed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns, read = 1000, 50, json_tables._read
    (tmp_path / "x.jsonl").write_text(
        "{" + ",".join(f'"k{number}": {number}' for number in range(columns)) + "}\n" + "{}\n" * (rows - 1)
    )
    parsed: list[int] = []

    def noted(data: bytes, schema: Any) -> Any:
        parsed.append((found := read(data, schema)).num_rows * found.num_columns)
        return found

    monkeypatch.setattr(json_tables, "BLOCK_BYTES", 600)  # the schema is that of a row or two
    monkeypatch.setattr(json_tables, "_CELLS_MAX", 4_000)
    monkeypatch.setattr(json_tables, "_read", noted)
    assert table_in(segments(tmp_path / "x.jsonl", "table", most=1 << 16)).num_rows == rows
    assert max(parsed) <= 4_000


class TestArchives:
    @pytest.mark.parametrize("name", ["../x.npy", "/etc/x.npy", "a/../../x.npy", "..\\x.npy", "C:\\x.npy", "C:/x.npy"])
    def test_names_that_lead_elsewhere(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "a" / "b"
        folder.mkdir(parents=True)
        (folder / "x.npz").write_bytes(packed(**{"fine.npy": npy(np.arange(3)), name: npy(np.arange(3))}))
        error = refusal(folder / "x.npz", "array")
        assert repr(name) in str(error)
        assert "leads out of the folder" in str(error)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [folder / "x.npz"]

    def test_names_in_folders_do_no_harm(self, tmp_path: Path) -> None:
        (tmp_path / "x.npz").write_bytes(packed(**{"layer/weights.npy": npy(np.arange(3))}))
        assert len(segments(tmp_path / "x.npz", "array")) == 1

    def test_what_is_no_array(self, tmp_path: Path) -> None:
        for members, complaint in (({"x.txt": b"text"}, "'x.txt' .* is no array"), ({}, "has no arrays")):
            (tmp_path / "x.npz").write_bytes(packed(**members))
            with pytest.raises(InputError, match=complaint):
                raise refusal(tmp_path / "x.npz", "array")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_arrays_of_one_name(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("a.npy", npy(np.arange(3)))
            archive.writestr("a.npy", npy(np.arange(4)))
        assert "'a.npy' in" in str(refusal(tmp_path / "x.npz", "array"))

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(npz, "UNPACKED_BYTES_MAX", 1 << 20)
        np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(4 << 20, "u1"))
        np.savez_compressed(tmp_path / "fine.npz", a=np.zeros(1 << 19, "u1"))
        error = refusal(tmp_path / "bomb.npz", "array", most=1 << 20)
        assert "would unpack to 4.0 MiB; 1.0 MiB are allowed for" in str(error)
        assert "unpack it and give the .npy files" in error.hint
        assert segments(tmp_path / "fine.npz", "array", most=1 << 20)

    def test_a_directory_that_lies_about_sizes_is_not_believed(self, tmp_path: Path) -> None:
        content = bytearray(packed(**{"a.npy": npy(np.zeros(100_000))}))
        place = content.rindex(b"PK\1\2") + 24
        content[place : place + 4] = (200).to_bytes(4, "little")
        (tmp_path / "x.npz").write_bytes(content)
        assert "x.npz[a] can't be read" in str(refusal(tmp_path / "x.npz", "array"))

    def test_an_array_of_another_size_than_its_header_says(self, tmp_path: Path) -> None:
        for content in (npy(np.arange(100))[:-8], npy(np.arange(100)) + bytes(8)):
            (tmp_path / "x.npz").write_bytes(packed(**{"a.npy": content}))
            error = refusal(tmp_path / "x.npz", "array", most=400)
            assert f"x.npz[a] can't be read: it has {len(content)} bytes, and by its header it should have 928" in str(error)

    def test_the_directory_of_an_archive_is_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        count, entries = 40, itertools.count()

        class Counted(zipfile.ZipInfo):
            def __init__(self, *given: Any) -> None:
                super().__init__(*given)
                next(entries)

        arrays: dict[str, Any] = {f"a{number}": np.arange(1000) for number in range(count)}
        np.savez(tmp_path / "x.npz", **arrays)
        monkeypatch.setattr(zipfile, "ZipInfo", Counted)
        assert len(segments(tmp_path / "x.npz", "array", most=1000)) > count
        assert next(entries) == count

    def test_unpacking_takes_little_memory(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "large.npz", a=np.zeros(100 << 20, "u1"))
        program = (
            "import sys; from pathlib import Path; from tests.prepared import *\n"
            "options = JobOptions.of({'split_strategy': 'npy_rows'})\n"
            "before = int(dict(l.split(':') for l in open('/proc/self/status')) ['VmHWM'].split()[0])\n"
            "with prepare_input(Path(sys.argv[1]), 'array', options) as inputs:\n"
            "    total = sum(len(segment) for segment in cut(inputs, options, custom_max=1))\n"
            "after = int(dict(l.split(':') for l in open('/proc/self/status')) ['VmHWM'].split()[0])\n"
            "print(total, after - before)"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "large.npz")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=Path(__file__).parents[2])
        total, more = map(int, done.stdout.split())
        assert total > 100 << 20
        assert more < 40 << 10


class TestText:
    @pytest.mark.parametrize(
        ("text", "complaint", "remedy"),
        [
            ("a,b\n1,2\n1,2,3\n", r"row 3 of .*x.csv \(the header is row 1\) has 3 values; the header has 2 names", "quote"),
            ("a,b\n1,2\n1\n", r"row 3 of .*x.csv .* has 1 values; the header has 2", "quote"),
            ("a\n" + "1\n" * 40 + "x\n", r"column 'a' in row 42 of .*x.csv .* has to be int64: .*'x'", "first 64 bytes"),
            ("a\n" + "1\n" * 40 + "1.5\n", "column 'a' in row 42 .* int64: .*'1.5'", "pass the table"),
            ("a\n" + "x\n" * 40 + "\udcff\n", "column 'a' in row 42 .* UTF8", "pass the table"),
            ("a\n\udcff\n", "column 'a' of .*x.csv isn't UTF-8", "iconv"),
            ("a,b\n", "has a header and no rows, so nothing says of which type column 'a'", "pass a table with types"),
            ("\n\n\n", "x.csv can't be read as .csv: .*Empty", "header"),
            ("a,a\n1,2\n", "two columns 'a'", "rename"),
            ("a,\udcff\n1,2\n", "has a column whose name isn't UTF-8", "rename"),
            ('a,b\n1,"' + "x" * 300, "a row is longer than 64 bytes, or a quote never ends", "header"),
        ],
    )
    def test_csv(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str, remedy: str) -> None:
        monkeypatch.setattr(csv_tables, "BLOCK_BYTES", 64)
        (tmp_path / "x.csv").write_bytes(text.encode(errors="surrogateescape"))
        error = refusal(tmp_path / "x.csv", "table")
        with pytest.raises(InputError, match=complaint):
            raise error
        assert remedy in error.hint

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ('{"a": 1}\n{"a": "x"}\n', "line 2 of .*x.jsonl: column 'a' is a string, and before it was a number"),
            ('{"a": 1}\n' * 40 + '{"a": "x"}\n', "line 41 of .*x.jsonl: column 'a' is a string, and before it was a number"),
            ('{"a": 1}\n' * 40 + '{"a": 1.5}\n', "line 41 .*: column 'a', which is int64 in the lines before: .*1.5"),
            ('{"a": 1}\n' * 40 + '{"a": 1, "b": 2}\n', "line 41 .*: column 'b' isn't among those of the lines before: a"),
            ('{"a": 1}\n\n\n{"a": 1\n', "line 4 .*: it isn't JSON: Expecting"),
            ('{"a": 1}\n' * 40 + '{"a": 1,', "line 41 .*: it isn't JSON"),
            ('{"a": 1}\n[1]\n', "line 2 .*: it is a list, not an object"),
            ("[1, 2]\n", "line 1 .*: it is a list, not an object"),
            ('{"a": 1}\nnull\n', "line 2 .*: it is a NoneType"),
            ('{"a": 1, "a": 2}\n', "line 1 .*specified twice"),
            ('{"a": [1]}\n{"a": ["x"]}\n', "line 2 of .*x.jsonl: column 'a/\\[\\]' is a string, and before it was a number"),
            ('{"a": {}}\n', "column 'a' of .*x.jsonl is struct<>"),
            ("{}\n{}\n", "x.jsonl is a table without columns"),
            ("\n \n", "x.jsonl has no rows"),
            ('{"a": 1}\n{"a": "\udcff"}\n', "line 2 .*: byte 0xff in it isn't UTF-8"),
            ('{"\udcff": 1}\n', "line 1 .*: byte 0xff in it isn't UTF-8"),
            ('{"a": "\\ud800"}\n', "line 1 .*surrogate"),
            ("[" * 100_000 + "\n", "line 1 .*: it isn't JSON: .*recursion"),
            ("[\n" * 100_000, "line 1 .*: it isn't JSON"),
            ('{"a":\n' * 100_000, "line 1 .*: it isn't JSON"),
            ('{"a":' * 50_000 + "1" + "}" * 50_000 + "\n", "line 1 .*: it is nested more than 100 deep"),
            ('{"a":' + "[" * 50_000 + "]" * 50_000 + "}\n", "line 1 .*: it is nested more than 100 deep"),
            ('{"b": "' + "[{" * 60 + '", "a":' + "[" * 99 + "]" * 99 + "}\n", "column 'a' of .*x.jsonl .* more than 16 deep"),
        ],
    )
    def test_json_lines(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str) -> None:
        monkeypatch.setattr(json_tables, "BLOCK_BYTES", 64)
        (tmp_path / "x.jsonl").write_bytes(text.encode(errors="surrogateescape"))
        error = refusal(tmp_path / "x.jsonl", "table")
        with pytest.raises(InputError, match=complaint):
            raise error
        assert error.hint

    def test_a_line_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_tables, "CHUNK_BYTES_MAX", 1 << 20)
        monkeypatch.setattr(json_tables, "BLOCK_BYTES", 1 << 18)
        (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a": "' + "x" * (2 << 20))
        error = refusal(tmp_path / "x.jsonl", "table", most=1 << 20)
        assert "line 2 of" in str(error)
        assert "longer than 1.0 MiB" in str(error)

    @pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
    @pytest.mark.parametrize("kind", ["table", "text"])
    def test_packed_files_that_are_damaged(self, tmp_path: Path, packing: str, kind: str) -> None:
        codec = {"gz": "gzip", "bz2": "bz2", "zst": "zstd"}
        content = (
            __import__("lzma").compress(csv_bytes()) if packing == "xz" else bytes(pa_compressed(csv_bytes(), codec[packing]))
        )
        path = tmp_path / f"x.csv.{packing}"
        for bad in (content[:-20], content[: len(content) // 2], content[:3], b"not packed at all" * 10):
            path.write_bytes(bad)
            error = refusal(path, kind)
            assert str(path) in str(error)
            assert error.hint


def pa_compressed(data: bytes, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return bytes(sink.getvalue())


class TestSchemas:
    def test_files_of_different_columns(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "1.parquet")
        pq.write_table(pa.table({"a": [1.5], "b": ["x"]}), tmp_path / "2.parquet")
        error = refusal(f"{tmp_path}/*.parquet", "table")
        assert f"column 'a' of {tmp_path}/2.parquet is double, but in {tmp_path}/1.parquet it is int64" in str(error)
        assert "select and cast" in error.hint

    def test_text_of_other_types_or_columns(self, tmp_path: Path) -> None:
        (tmp_path / "1.csv").write_text("a,b\n1,x\n")
        (tmp_path / "2.csv").write_text("a,b\n1.5,x\n")
        assert f"column 'a' in row 2 of {tmp_path}/2.csv" in str(refusal(f"{tmp_path}/*.csv", "table"))
        (tmp_path / "2.csv").write_text("a,c\n1,x\n")
        assert f"{tmp_path}/1.csv has no column 'c', which {tmp_path}/2.csv has" in str(refusal(f"{tmp_path}/*.csv", "table"))
        (tmp_path / "3.jsonl").write_text('{"z": 1}\n')
        (tmp_path / "2.csv").unlink()
        assert "column 'z' isn't among those" in str(refusal([f"{tmp_path}/1.csv", f"{tmp_path}/3.jsonl"], "table"))


def test_offsets_that_point_elsewhere_do_not_end_the_process(tmp_path: Path) -> None:
    content = bytearray(arrow_stream())
    place = content.index((0).to_bytes(4, "little") + (6).to_bytes(4, "little") + (12).to_bytes(4, "little"))
    content[place + 8 : place + 12] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "x.arrow").write_bytes(content)
    program = "import sys; from tests.prepared import refusal; print(refusal(sys.argv[1], 'table'))"
    command = [sys.executable, "-c", program, str(tmp_path / "x.arrow")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    assert "x.arrow can't be read" in done.stdout


def test_no_room_for_what_is_copied(tmp_path: Path) -> None:
    """A table for a node is encoded into a temporary file; when the disk is full, that is said."""
    program = (
        "import resource, signal; from tests.prepared import refusal; import pyarrow as pa\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "print(refusal(pa.table({'a': range(100_000)}), 'table', spool=True))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    assert "the input can't be copied to" in done.stdout


def test_nothing_is_a_table_of_no_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "x.parquet")
    assert "x.parquet is a table without columns" in str(refusal(tmp_path / "x.parquet", "table"))
