"""`cut` against naive references, over random inputs, sizes and delimiters."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.inputs import Input, open_inputs
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions, SplitStrategy

# Few letters, so that delimiters and near misses are frequent.
DATA = st.text("ab\n", max_size=80).map(str.encode)
DELIMITERS = st.text("ab\n", min_size=1, max_size=4).map(str.encode)
STRATEGIES = sorted(set(SplitStrategy) - {SplitStrategy.NPY_ROWS, SplitStrategy.ARROW_BATCHES})
SIZES = st.tuples(st.integers(1, 30), st.integers(0, 30)).map(lambda pair: (pair[0], sum(pair)))


def options_for(strategy: SplitStrategy, sizes: tuple[int, int], delimiter: bytes = b"\n") -> JobOptions:
    least, most = sizes
    return JobOptions(split_strategy=strategy, min_chunk_size=least, max_chunk_size=most, delimiter=delimiter)


def segments(value: object, options: JobOptions) -> list[bytes]:
    with open_inputs(value) as inputs:
        return [bytes(segment) for segment in cut(inputs, options, custom_max=1 << 30)]


def records_of(data: bytes, delimiter: bytes) -> list[bytes]:
    """The records of `data` with their delimiters, found from the left."""
    return re.findall(b"(?s).*?" + re.escape(delimiter) + b"|.+\\Z", data)


def naive_records(data: bytes, delimiter: bytes, most: int) -> list[bytes] | None:
    """Whole records, as many at a time as fit; None when one doesn't."""
    packed: list[bytes] = []
    for record in records_of(data, delimiter):
        if len(record) > most:
            return None
        if packed and len(packed[-1]) + len(record) <= most:
            packed[-1] += record
        else:
            packed.append(record)
    return packed or [b""]


@given(DATA, SIZES)
def test_fixed_size_is_slicing(data: bytes, sizes: tuple[int, int]) -> None:
    most = sizes[1]
    expected = [data[start : start + most] for start in range(0, len(data), most)] or [b""]
    assert segments(data, options_for(SplitStrategy.FIXED_SIZE, sizes)) == expected


@given(DATA, SIZES, DELIMITERS)
def test_records_are_packed_whole(data: bytes, sizes: tuple[int, int], delimiter: bytes) -> None:
    expected = naive_records(data, delimiter, sizes[1])
    options = options_for(SplitStrategy.RECORD_BASED, sizes, delimiter)
    if expected is not None:
        assert segments(data, options) == expected
        return
    with pytest.raises(InputError) as caught:
        segments(data, options)
    position, record = next((index, record) for index, record in enumerate(records_of(data, delimiter)) if len(record) > sizes[1])
    assert caught.value.details["length"] == len(record)
    assert caught.value.details["offset"] == len(b"".join(records_of(data, delimiter)[:position]))
    assert f" {position + 1} of the input" in str(caught.value)


@given(st.lists(DATA, min_size=1, max_size=5), SIZES, st.sampled_from(STRATEGIES))
def test_inputs_stay_apart_and_whole(datas: list[bytes], sizes: tuple[int, int], strategy: SplitStrategy) -> None:
    options = options_for(strategy, sizes)
    try:
        alone = [segments(data, options) for data in datas]
    except InputError:
        return
    found = segments(datas, options)
    assert b"".join(found) == b"".join(datas)
    if strategy is SplitStrategy.CUSTOM:
        assert found == datas
        return
    assert found == ([piece for pieces in alone for piece in pieces if piece] or [b""])
    assert all(len(piece) <= max(sizes) for piece in found)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=60), st.integers(40_001, 90_000))
def test_a_mapped_file_is_cut_like_its_bytes(line_lengths: list[int], most: int) -> None:
    data = b"\n".join(b"x" * length for length in line_lengths)
    options = options_for(SplitStrategy.ROW_BASED, (1, most))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(data)
        assert segments(path, options) == segments(data, options) == naive_records(data, b"\n", most)


def test_every_input_is_an_input() -> None:
    with open_inputs([b"a"]) as inputs:
        assert all(isinstance(item, Input) for item in inputs)
