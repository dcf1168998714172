"""Plain Python values as input of jobs that take JSON, and what such jobs refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pangea.compute.data import Table
from pangea.compute.data.array import Array
from tests.prepared import refusal, segments


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, "ä"]}, '{"a": [1, null, "ä"]}'),
        ([1, 2], "[1, 2]"),
        ([], "[]"),
        ([{"a": 1}, "b"], '[{"a": 1}, "b"]'),
        ((1, "x"), '[1, "x"]'),
        (7, "7"),
        (True, "true"),
        (1.5, "1.5"),
    ],
)
def test_values_are_one_document(value: Any, text: str) -> None:
    assert segments(value, "json") == [text.encode()]


def test_lists_of_data_and_of_names_are_several_inputs(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"3")
    assert segments([b"1", bytearray(b"2"), tmp_path / "x.json", str(tmp_path / "x.json")], "json") == [b"1", b"2", b"3", b"3"]
    assert "there is no file 'x'" in str(refusal(["x"], "json"))
    assert "pass bytes for data" in refusal("{}", "json").hint


def test_values_are_written_one_a_line() -> None:
    lines = b'{"a": 1}\n[2]\n"x"\n'
    for value in ([{"a": 1}, [2], "x"], iter([{"a": 1}, [2], "x"])):
        assert segments(value, "jsonl") == [lines]
    assert segments({"a": 1}, "jsonl") == [b'{"a": 1}\n']
    assert segments([{"a": number} for number in range(3)], "jsonl", split_strategy="row_based", most=12) == [
        b'{"a": %d}\n' % number for number in range(3)
    ]


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        ({1, 2}, "json", "the input can't be said in JSON: .* set"),
        ([float("nan")], "json", "can't be said in JSON"),
        ({"a": b"x"}, "json", "can't be said in JSON: .* bytes"),
        ([{"a": 1}, {"b": object()}], "jsonl", "line 2 of the input can't be said in JSON"),
        (np.zeros(2), "json", "is a numpy.ndarray; the job takes json"),
        (pd.DataFrame({"a": [1]}), "jsonl", "DataFrame; the job takes jsonl"),
        (np.zeros(2), "text", "is a numpy.ndarray; the job takes text"),
        ({"a": 1}, "text", "is a dict: {'a': 1}; the job takes text"),
        ({"a": 1}, "bytes", "is a dict: {'a': 1}; the job takes bytes"),
        (object, "bytes", "is a type"),
        (7, "bytes", "is a int: 7; the job takes bytes"),
        ([b"x", None], "bytes", "input 2 of 2 is a NoneType"),
        (Array.of([1]), "table", "Array.* the job takes table"),
        (Table.of({"a": [1]}), "text", "Table.* the job takes text"),
    ],
)
def test_what_the_job_does_not_take(value: Any, kind: str, complaint: str) -> None:
    error = refusal(value, kind)
    with pytest.raises(type(error), match=complaint):
        raise error
    assert error.hint


def test_our_own_tables_are_bytes_to_jobs_that_take_bytes() -> None:
    assert segments(Table.of({"a": [1]}), "bytes") == [Table.of({"a": [1]}).to_arrow()]
    assert segments(Table.of({"a": [1]}), "bytes")[0].endswith(b"\xff\xff\xff\xff\0\0\0\0")
