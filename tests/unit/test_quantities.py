"""Sizes and durations as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.quantities import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("65536", 65536), ("1_000_000", 10**6), ("1,000,000", 10**6), (" 5 ", 5), ("7b", 7), ("7 B", 7),
        ("64KiB", 65536), ("64 kib", 65536), ("64K", 65536), ("1MiB", 1 << 20), ("1.5 MiB", 3 << 19), ("2G", 2 << 30),
        ("2GiB", 2 << 30), ("64kB", 64000), ("1MB", 10**6), ("1GB", 10**9), ("0.5k", 512),
    ],
)  # fmt: skip
def test_a_size_is_an_integer_with_an_optional_unit(text: str, size: int) -> None:
    assert parse_size(text, "field") == size


@pytest.mark.parametrize(
    "text", ["", " ", "KiB", "-1", "+1", "1 TB", "1e6", "0x10", "1.", ".5", "1 2", "1KiB 2", "٣", "nan", "inf"]
)
def test_what_is_no_size_is_refused_with_field_value_and_example(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_size(text, "memory")
    assert caught.value.message == f"memory is {text!r}; it must be a size such as 65536, 64KiB or 1MiB"
    assert caught.value.details["field"] == "memory"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30), ("0.5", 0.5), ("500ms", 0.5), ("30s", 30), ("2m", 120), ("1h 30m", 5400), ("1h30m", 5400),
        ("1d", 86400), (" 1m 1s ", 61), ("1.5h", 5400), ("2 m", 120), ("-3", -3),
    ],
)  # fmt: skip
def test_a_duration_is_a_number_or_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text, "field") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "1x", "1h 30", "1 h m", "-1s", "1:30", "one", "1.2.3s"])
def test_what_is_no_duration_is_refused_with_field_value_and_example(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_duration(text, "timeout")
    assert caught.value.message == f"timeout is {text!r}; it must be a duration such as 30, 500ms, 30s or 1h 30m"
    assert caught.value.details["field"] == "timeout"


@given(st.integers(0, 1 << 53))
def test_a_size_in_bytes_is_itself(size: int) -> None:
    assert parse_size(str(size), "field") == parse_size(f"{size:,}", "field") == parse_size(f"{size:_}", "field") == size


@given(st.text("0123456789., _kKmMgGiIbB-dhs", max_size=12))
def test_any_text_is_a_quantity_or_a_typed_error(text: str) -> None:
    for parse in (parse_size, parse_duration):
        with contextlib.suppress(ManifestError):
            assert parse(text, "field") >= 0 or "-" in text


@pytest.mark.parametrize("text", ["9007199254740993", "9" * 400])
def test_a_size_of_any_length_is_exact(text: str) -> None:
    assert parse_size(text, "field") == int(text)
