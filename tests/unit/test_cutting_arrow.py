"""Cutting Arrow streams between their record batches: the cases with names."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.ipc as ipc
import pytest

from pangea.compute.inputs.cutting import choose_strategy, cut
from pangea.compute.inputs.cutting_arrow import END, is_arrow
from pangea.compute.inputs.inputs import open_inputs
from pangea.compute.model.errors import InputError
from pangea.compute.model.options import JobOptions

TABLE = pa.table({"number": range(1000), "word": [f"word {number}" for number in range(1000)]})


def stream_of(table: Any = TABLE, *, rows: int = 100, write: Any = ipc.new_stream, **options: Any) -> bytes:
    sink = io.BytesIO()
    with write(sink, table.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


def segments(data: bytes, most: int = 4096, strategy: str = "arrow_batches") -> list[bytes]:
    options = JobOptions.of({"split_strategy": strategy, "min_chunk_size": 1, "max_chunk_size": most})
    with open_inputs(data) as inputs:
        return [bytes(segment) for segment in cut(inputs, options, custom_max=1 << 40)]


def read(segment: bytes) -> Any:
    return ipc.open_stream(segment).read_all()


@pytest.mark.parametrize("write", [ipc.new_stream, ipc.new_file])
@pytest.mark.parametrize("most", [4096, 8192, 1 << 20])
def test_segments_are_streams_of_whole_batches_as_many_as_fit(write: Any, most: int) -> None:
    data = stream_of(write=write)
    found = segments(data, most)
    assert pa.concat_tables(map(read, found)).equals(TABLE)
    assert all(len(segment) <= most and segment.endswith(END) for segment in found)
    assert [batch.num_rows for segment in found for batch in ipc.open_stream(segment)] == [100] * 10
    for segment, following in pairwise(found):  # the next one's first batch wouldn't have fitted
        assert len(segment) + ipc.get_record_batch_size(next(iter(ipc.open_stream(following)))) > most


def test_a_stream_without_batches_is_one_segment() -> None:
    data = stream_of(TABLE.slice(0, 0))
    assert segments(data) == [data]
    assert segments(b"") == [b""]


def test_without_an_end_marker_the_stream_ends_with_the_input() -> None:
    data = stream_of()
    assert segments(data.removesuffix(END)) == segments(data)


def test_streams_may_stand_one_behind_the_other() -> None:
    other = pa.table({"x": [1.5]})
    found = segments(stream_of() + stream_of(other), 1 << 20)
    assert [read(segment) for segment in found] == [TABLE, other]


def test_a_batch_that_is_too_large_is_named() -> None:
    data = stream_of(pa.concat_tables([TABLE, pa.table({"number": [1], "word": ["x" * 5000]})]))
    with pytest.raises(InputError, match=r"record batch 11 of the input has 5,\d\d\d bytes.*max_chunk_size 4,096") as caught:
        segments(data)
    needed = int(caught.value.hint.partition(" to ")[2].partition(" ")[0].replace(",", ""))
    assert len(segments(data, needed)) > 1
    with pytest.raises(InputError):
        segments(data, needed - 1)


def test_adaptive_knows_streams_and_files() -> None:
    for write in (ipc.new_stream, ipc.new_file):
        data = stream_of(write=write)
        assert choose_strategy(memoryview(data), JobOptions.of({"min_chunk_size": 1}))[0] == "arrow_batches"
        assert segments(data, strategy="adaptive") == segments(data)
    assert not any(
        is_arrow(memoryview(data)) for data in [b"", b"ARROW1\0\0", b"\xff" * 8, b"\xff" * 400, stream_of()[:20], END * 2]
    )


def test_categories_and_what_else_is_no_batch_are_refused() -> None:
    categories = pa.table({"c": pa.array(["a", "b"]).dictionary_encode()})
    with pytest.raises(InputError, match=r"a dictionary \(of categories\) where a record batch should be") as caught:
        segments(stream_of(categories))
    assert "decoded" in caught.value.hint
    with pytest.raises(InputError, match="a compressed one where a record batch should be"):
        segments(stream_of(compression="zstd"))
    batch = stream_of()[len(TABLE.schema.serialize()) :]
    with pytest.raises(InputError, match="no schema, with which a stream begins"):
        segments(batch)
    with pytest.raises(InputError, match="kind 1"):
        segments(TABLE.schema.serialize().to_pybytes() * 2)


def test_every_cut_through_a_message_is_noticed() -> None:
    data = stream_of(TABLE.slice(0, 20), rows=10)
    messages = {len(TABLE.schema.serialize())}
    for batch in TABLE.slice(0, 20).to_batches(max_chunksize=10):
        messages.add(max(messages) + len(batch.serialize()))
    for end in range(1, len(data) - len(END) + 1):
        if end in messages:
            assert sum(read(segment).num_rows for segment in segments(data[:end])) in (0, 10, 20)
            continue
        with pytest.raises(InputError, match="the input can't be cut into record batches of an Arrow stream: at byte"):
            segments(data[:end])


def test_something_behind_the_end_is_refused() -> None:
    with pytest.raises(InputError, match="cut off"):
        segments(stream_of() + b"more")
