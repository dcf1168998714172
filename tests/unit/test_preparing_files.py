"""Files as input: what each kind of file means to each kind of job, how they are named, found and packed."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.formats import csv_tables, json_tables
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions
from tests.leaks import assert_none_left_open
from tests.prepared import refusal, segments, table_in

TABLE = pa.table({"number": range(500), "x": [number / 8 for number in range(500)], "word": [f"w{n},\n" for n in range(500)]})
FRAME = TABLE.to_pandas()


def stream(path: Path) -> None:
    with pa.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=100)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "t.parquet": lambda path: pq.write_table(TABLE, path, row_group_size=90),
    "t.pq": lambda path: pq.write_table(TABLE, path),
    "t.arrow": stream,
    "t.arrows": stream,
    "t.ipc": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="uncompressed"),
    "t.feather": lambda path: pyarrow.feather.write_feather(TABLE, path, chunksize=70),
    "t.csv": lambda path: FRAME.to_csv(path, index=False),
    "t.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "t.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True),
    "T.NDJSON": lambda path: FRAME.to_json(path, orient="records", lines=True),
}


@pytest.fixture(params=WRITERS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    WRITERS[path.name](path)
    return path


class TestTables:
    def test_they_come_back_as_they_were(self, path: Path) -> None:
        found = segments(path, "table")
        assert table_in(found).to_pylist() == TABLE.to_pylist()
        assert len(found) > 1
        assert segments(str(path), "table", spool=True) == found

    def test_open_files_and_bytes(self, path: Path) -> None:
        expected = table_in(segments(path, "table"))
        with open(path, "rb") as file:
            assert table_in(segments(file, "table")).equals(expected)
            assert not file.closed
        if path.suffix in (".parquet", ".arrow", ".feather"):
            with open(os.open(path, os.O_RDONLY), "rb") as unnamed:
                assert table_in(segments(unnamed, "table")).equals(expected)
            assert table_in(segments(path.read_bytes(), "table")).equals(expected)
            assert table_in(segments(io.BytesIO(path.read_bytes()), "table")).equals(expected)

    def test_to_other_jobs_they_are_bytes(self, path: Path) -> None:
        assert segments(path, "bytes") == [path.read_bytes()]
        if path.suffix in (".csv", ".tsv", ".jsonl"):
            assert segments(path, "text") == segments(path, "jsonl") == [path.read_bytes()]

    def test_they_are_read_while_they_are_cut(self, path: Path) -> None:
        options = JobOptions.of({"split_strategy": "arrow_batches", "min_chunk_size": 1, "max_chunk_size": 4096})
        with prepare_input(path, "table", options) as inputs:
            path.rename(path.with_suffix(".gone"))
            path.touch()
            with pytest.raises(InputError, match=f"{path.name} had .* bytes when the job began, and has 0 now"):
                list(cut(inputs, options, custom_max=1))

    def test_no_descriptors_are_left_open(self, path: Path) -> None:
        with assert_none_left_open():
            segments([path] * 3, "table")
            segments([path] * 3, "table", spool=True)

    def test_the_first_bytes_tell_where_the_name_does_not(self, tmp_path: Path) -> None:
        for name in ("t.parquet", "t.arrow", "t.feather"):
            WRITERS[name](tmp_path / name)
            bare = (tmp_path / name).rename(tmp_path / "data")
            assert table_in(segments(bare, "table")).num_rows == 500

    @pytest.mark.parametrize("header_only", [True, False])
    def test_later_text_takes_the_types_of_the_first(self, tmp_path: Path, header_only: bool) -> None:
        (tmp_path / "1.csv").write_text("a,b\n1.5,x\n")
        (tmp_path / "2.csv").write_text("a,b\n" + ("" if header_only else "2,3\n"))
        (tmp_path / "3.jsonl").write_text('{"b": "7"}\n')
        found = table_in(segments(str(tmp_path / "*"), "table")).to_pylist()
        between = [] if header_only else [{"a": 2.0, "b": "3"}]
        assert found == [{"a": 1.5, "b": "x"}, *between, {"a": None, "b": "7"}]

    def test_columns_that_are_empty_at_first_are_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv_tables, "BLOCK_BYTES", 64)
        monkeypatch.setattr(json_tables, "BLOCK_BYTES", 64)
        (tmp_path / "x.csv").write_text("a,b\n" + "1,\n" * 50 + "2,x\n")
        (tmp_path / "x.jsonl").write_text('{"a": 1, "b": null}\n' * 50 + '{"a": 2, "b": "x"}\n')
        for name in ("x.csv", "x.jsonl"):
            assert table_in(segments(tmp_path / name, "table")).to_pylist()[-1] == {"a": 2, "b": "x"}

    def test_lines_are_read_in_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_tables, "BLOCK_BYTES", 50)
        (tmp_path / "x.jsonl").write_text("\n".join(json.dumps({"a": number, "b": "x" * (number % 90)}) for number in range(300)))
        found = table_in(segments(tmp_path / "x.jsonl", "table"))
        assert found.column("a").to_pylist() == [*range(300)]

    def test_parquet_of_large_rows_is_read_in_few_rows_at_a_time(self, tmp_path: Path) -> None:
        table = pa.table({"w": [chr(97 + number % 26) * 500_000 for number in range(60)]})
        pq.write_table(table, tmp_path / "x.parquet", use_dictionary=False)
        assert len(segments(tmp_path / "x.parquet", "table", most=1 << 20)) == 60 // 2


class TestPacked:
    PACK: ClassVar[dict[str, Any]] = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": pa.Codec("zstd").compress,
    }

    @pytest.mark.parametrize("packing", ["gz", "bz2", "xz", "zst"])
    @pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.arrow"])
    def test_text_and_streams_are_unpacked(self, tmp_path: Path, packing: str, name: str) -> None:
        WRITERS[name](tmp_path / name)
        content = (tmp_path / name).read_bytes()
        packed = tmp_path / f"{name}.{packing}"
        packed.write_bytes(bytes(self.PACK[packing](content)))
        assert table_in(segments(packed, "table")).to_pylist() == TABLE.to_pylist()
        assert segments(packed, "table", spool=True) == segments(packed, "table")
        assert segments(packed, "text") == [content] if name != "t.arrow" else True
        assert segments(packed, "bytes") == [packed.read_bytes()]
        with open(packed, "rb") as file:
            assert table_in(segments(file, "table")).num_rows == 500

    def test_a_reader_that_unpacks_is_not_unpacked_again(self, tmp_path: Path) -> None:
        WRITERS["t.csv"](tmp_path / "t.csv")
        packed = tmp_path / "t.csv.gz"
        packed.write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
        with gzip.open(packed) as file:
            assert table_in(segments(file, "table")).num_rows == 500

    @pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
    def test_files_that_need_going_back_and_forth_are_not(self, tmp_path: Path, name: str) -> None:
        WRITERS[name](tmp_path / name)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        assert "unpack it" in refusal(packed, "table").hint

    def test_npy_files_are_unpacked(self, tmp_path: Path) -> None:
        content = segments([1, 2, 3], "array")[0]
        (tmp_path / "x.npy.gz").write_bytes(gzip.compress(content))
        assert segments(tmp_path / "x.npy.gz", "array") == [content]


class TestNames:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("b.txt", "a.txt", "c.log", "[1].txt"):
            (tmp_path / name).write_text(name)
        (tmp_path / "sub" / "deep").mkdir(parents=True)
        (tmp_path / "sub" / "deep" / "d.txt").write_text("d.txt")
        (tmp_path / "folder.txt").mkdir()
        return tmp_path

    def test_patterns_are_the_sorted_files(self, folder: Path) -> None:
        assert segments(f"{folder}/?.txt", "bytes") == [b"a.txt", b"b.txt"]
        assert segments(f"{folder}/*.txt", "text") == [b"[1].txt", b"a.txt", b"b.txt"]
        assert segments(f"{folder}/**/*.txt", "bytes")[-1] == b"d.txt"
        assert segments([f"{folder}/[ab].*", f"{folder}/c*"], "bytes") == [b"a.txt", b"b.txt", b"c.log"]

    def test_a_file_of_that_very_name_is_meant(self, folder: Path) -> None:
        assert segments(f"{folder}/[1].txt", "bytes") == [b"[1].txt"]

    def test_a_path_is_no_pattern(self, folder: Path) -> None:
        assert "there is no file" in str(refusal(folder / "*.txt", "bytes"))

    def test_no_match_is_told(self, folder: Path) -> None:
        error = refusal(f"{folder}/*.csv", "table")
        assert f"no file matches '{folder}/*.csv'" in str(error)
        assert str(Path.cwd()) in error.hint

    def test_matches_that_cannot_be_read(self, folder: Path) -> None:
        assert "is a directory" in str(refusal(str(folder), "table"))
        assert "there is no file" in str(refusal("nowhere.csv", "table"))
        assert "can't be a file's name" in str(refusal("a\0b", "table"))

    @pytest.mark.parametrize("kind", ["bytes", "text"])
    def test_pipes_and_empty_files(self, tmp_path: Path, kind: str) -> None:
        assert segments("/dev/null", kind) == [b""]
        os.mkfifo(tmp_path / "fifo")
        thread = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(b"text",))
        thread.start()
        assert segments(tmp_path / "fifo", kind) == [b"text"]
        thread.join()

    def test_a_pipe_of_a_table(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo.csv")
        thread = threading.Thread(target=(tmp_path / "fifo.csv").write_bytes, args=(b"a\n1\n",))
        thread.start()
        assert table_in(segments(tmp_path / "fifo.csv", "table")).to_pylist() == [{"a": 1}]
        thread.join()


class TestAddresses:
    @pytest.fixture
    def memory(self) -> Iterator[Any]:
        system = fsspec.filesystem("memory")
        yield system
        system.rm("/", recursive=True)

    def test_files_in_memory(self, memory: Any) -> None:
        memory.pipe({"/d/1.csv": b"a\n1\n", "/d/2.csv": b"a\n2\n", "/d/x.csv.gz": gzip.compress(b"a\n3\n")})
        assert segments("memory://d/1.csv", "bytes") == [b"a\n1\n"]
        assert segments("memory://d/*.csv", "bytes") == [b"a\n1\n", b"a\n2\n"]
        assert table_in(segments("memory://d/*", "table")).column("a").to_pylist() == [1, 2, 3]
        assert segments("memory://d/x.csv.gz", "text", spool=True) == [b"a\n3\n"]

    def test_files_that_are_read_back_and_forth(self, memory: Any, tmp_path: Path) -> None:
        for name in ("t.parquet", "t.feather", "t.arrow"):
            WRITERS[name](tmp_path / name)
            memory.pipe(f"/{name}", (tmp_path / name).read_bytes())
            assert table_in(segments(f"memory://{name}", "table")).to_pylist() == TABLE.to_pylist()

    def test_files_of_this_machine(self, tmp_path: Path) -> None:
        (tmp_path / "x.txt").write_bytes(b"text")
        assert segments(f"file://{tmp_path}/x.txt", "bytes") == [b"text"]
        assert segments(f"file://{tmp_path}/*.txt", "text") == [b"text"]

    def test_what_is_not_there(self, memory: Any, tmp_path: Path) -> None:
        assert "there is no file memory://nothing" in str(refusal("memory://nothing", "bytes"))
        assert "there is no file" in str(refusal(f"file://{tmp_path}/nothing", "bytes"))
        assert "no file matches" in str(refusal("memory://nothing/*.csv", "bytes"))
        assert "can't be read: Protocol not known: nowhere" in str(refusal("nowhere://x", "bytes"))

    def test_a_protocol_whose_library_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(_protocol: str) -> Any:
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr(fsspec.core, "get_filesystem_class", missing)
        error = refusal("s3://bucket/x.csv", "table")
        assert "Install s3fs" in str(error)

    def test_trouble_on_the_way_is_told_in_our_words(self, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        memory.pipe("/x.csv", b"a\n1\n")

        class Unlucky(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise RuntimeError("the connection was reset")

        def unlucky(*_: object, **__: object) -> IO[bytes]:
            return Unlucky(b"a\n1\n")

        monkeypatch.setattr(type(memory), "_open", unlucky)
        for kind in ("bytes", "table"):
            error = refusal("memory://x.csv", kind)
            assert "memory:///x.csv can't be read: the connection was reset" in str(error)

    def test_what_follows_a_question_mark_is_not_shown(self, memory: Any) -> None:
        memory.pipe("/x.csv?token=secret", b"a,b\n1\n")
        assert "secret" not in str(refusal("memory://x.csv?token=secret", "table"))


@pytest.mark.parametrize(
    ("name", "kind", "complaint", "remedy"),
    [
        ("x.csv", "array", "is a .csv file; the job takes arrays", "pass the array"),
        ("x.npy", "table", "x.npy is a .npy file; the job takes tables", ".parquet"),
        ("x.txt", "table", "is a .txt file; the job takes tables", ".csv"),
        ("x.json", "table", "is a .json file; the job takes tables", ".jsonl"),
        ("x.parquet", "text", "is a .parquet file; the job takes text", "table"),
        ("x.npz", "jsonl", "is a .npz file; the job takes text", "array"),
        ("x", "table", "neither its name nor its first bytes", "pass the table"),
    ],
)
def test_files_of_the_wrong_kind(tmp_path: Path, name: str, kind: str, complaint: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"some text\n")
    error = refusal(tmp_path / name, kind)
    assert complaint in str(error)
    assert remedy in error.hint


def test_an_empty_file_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    assert "x.csv" in str(refusal(tmp_path / "x.csv", "table"))
    assert "the input is empty; the job takes table" in str(refusal(None, "table"))


def test_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n')
    assert table_in(segments(tmp_path / "x.jsonl", "table")).to_pylist() == [{"a": 1}, {"a": 2}]


def test_other_encodings_and_old_formats_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("a,b\n1,2\n".encode("utf-16"))
    assert "x.csv is UTF-16" in str(refusal(tmp_path / "x.csv", "table"))
    (tmp_path / "x.feather").write_bytes(b"FEA1" + bytes(60))
    assert "feather file of version 1" in str(refusal(tmp_path / "x.feather", "table"))


LONG = 2**64 - 1


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
class TestLongIntegers:
    """Whole numbers beyond int64 are never rounded without a word."""

    @staticmethod
    def written(folder: Path, ending: str, values: list[int | float | None]) -> Path:
        path = folder / f"x.{ending}"
        if ending == "csv":
            path.write_text("a,b\n" + "".join(f"{'' if value is None else value},1.5\n" for value in values))
        else:
            path.write_text("".join(json.dumps({"a": value, "b": 1.5}) + "\n" for value in values))
        return path

    def test_those_that_fit_without_a_sign_come_exact(self, tmp_path: Path, ending: str) -> None:
        found = table_in(segments(self.written(tmp_path, ending, [3, None, LONG]), "table"))
        assert found.schema == pa.schema([("a", pa.uint64()), ("b", pa.float64())])
        assert found.column("a").to_pylist() == [3, None, LONG]

    @pytest.mark.parametrize("values", [[LONG + 1], [1, -LONG], [-1, LONG], [2**63, -1]])
    def test_those_that_fit_nowhere_are_named(self, tmp_path: Path, ending: str, values: list[int | float | None]) -> None:
        error = refusal(self.written(tmp_path, ending, values), "table")
        worst = next(value for value in values if value not in (1, -1))
        assert f"column 'a' of {tmp_path}/x.{ending} has the whole number {worst}, for which" in str(error)
        assert "as text" in error.hint

    def test_beside_fractions_they_are_fractions(self, tmp_path: Path, ending: str) -> None:
        found = table_in(segments(self.written(tmp_path, ending, [LONG, 0.5]), "table"))
        assert found.column("a").to_pylist() == [float(LONG), 0.5]

    def test_absurd_ones_are_no_integers(self, tmp_path: Path, ending: str) -> None:
        path = self.written(tmp_path, ending, [1])
        path.write_text(path.read_text().replace("1,1.5", "9" * 5_000 + ",1.5").replace(": 1,", ": " + "9" * 5_000 + ","))
        assert table_in(segments(path, "table")).column("a").to_pylist() == [float("inf")]

    def test_a_later_one_that_does_not_fit_is_named(self, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv_tables, "BLOCK_BYTES", 1_000)
        monkeypatch.setattr(json_tables, "BLOCK_BYTES", 1_000)
        error = refusal(self.written(tmp_path, ending, [*range(1_000), LONG]), "table")
        assert "column 'a'" in str(error)
        assert "int64" in str(error)
        assert str(LONG) in str(error)
