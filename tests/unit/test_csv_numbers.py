"""Numbers in .csv files are what pandas reads, or text, or refused: nothing that is written otherwise is taken for a number."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from pangea.compute.inputs.formats.csv_tables import BLOCK_BYTES
from pangea.compute.inputs.formats.integers import Watched
from tests.prepared import refusal, segments, table_in


def csv(folder: Path, text: bytes) -> Path:
    (folder / "a.csv").write_bytes(text)
    return folder / "a.csv"


def test_hexadecimal_digits_are_text_in_csv_as_elsewhere(tmp_path: Path) -> None:
    found = table_in(segments(csv(tmp_path, b"a,b,c\n0x10,1,1.5\n3,2,0XFF\n"), "table"))
    assert found.to_pylist() == [{"a": "0x10", "b": 1, "c": "1.5"}, {"a": "3", "b": 2, "c": "0XFF"}]
    assert pd.read_csv(io.BytesIO(b"a,b\n0x10,1\n3,2\n"))["a"].tolist() == ["0x10", "3"]


def test_hexadecimal_digits_in_later_blocks_are_refused_by_row_and_in_text_kept(tmp_path: Path) -> None:
    rows = b"1,x\n" * (BLOCK_BYTES // 4 + 10)
    error = refusal(csv(tmp_path, b"a,b\n" + rows + b"0x10,y\n"), "table")
    assert f"column 'a' in row {BLOCK_BYTES // 4 + 12:,} of" in str(error)
    assert "'0x10' is hexadecimal" in str(error)
    found = table_in(segments(csv(tmp_path, b"a,b\n" + rows + b"10,0xff\n"), "table", most=1 << 20))
    assert found.slice(len(found) - 1).to_pylist() == [{"a": 10, "b": "0xff"}]


def test_hexadecimal_digits_across_two_reads_are_seen() -> None:
    for cut in range(1, 6):
        watched = Watched(io.BytesIO(b"1,0xf,"))
        while watched.read(cut):
            pass
        assert watched.has_hexadecimal
    watched = Watched(io.BytesIO(b"10,x0,0,xf"))
    watched.read()
    assert not watched.has_hexadecimal


def test_whole_numbers_with_a_plus_arent_rounded(tmp_path: Path) -> None:
    assert table_in(segments(csv(tmp_path, b"a\n+1\n2\n"), "table")).to_pylist() == [{"a": 1.0}, {"a": 2.0}]
    error = refusal(csv(tmp_path, b"a\n+9007199254740993\n2\n"), "table")
    assert "a.csv has the whole number +9007199254740993" in str(error)
