"""What a job's functions declare: made complete, refused when it can't be right, written into the archive, kept to."""

from __future__ import annotations
import __future__

import builtins
import io
import json
import linecache
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import pangea.compute
import pangea.compute.data
from pangea.compute import data
from pangea.compute.client.definition.any_job import options_for
from pangea.compute.client.definition.job import Job, JobBuilder, JobDefinition
from pangea.compute.client.definition.module import ModuleJob
from pangea.compute.data import DataError, Table
from pangea.compute.data.array import Array
from pangea.compute.data.kinds import KINDS, OUTPUT_KINDS
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.kinds import Declared, InputKind, OutputKind, complete
from pangea.compute.runtime.guest import loading
from pangea.compute.runtime.guest.loading import LoadedJob, load
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns

#: The compiler's flag for annotations that aren't evaluated.
LAZY = __future__.annotations.compiler_flag
WEIGHTS = Array.of([0.5, 2.0, 4.0])
CITIES = Table.of({"code": [1, 2], "name": ["Ulm", "Bonn"]})


@pytest.fixture(autouse=True)
def _as_in_the_guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave annotations alone, as the guest's Python does; undo what loading archives does to this process."""

    def compile_(source: Any, file: str, mode: str, *, dont_inherit: bool) -> Any:
        return builtins.compile(source, file, mode, LAZY, dont_inherit)

    monkeypatch.setattr(loading, "compile", compile_, raising=False)
    modules, cache = dict(sys.modules), dict(linecache.cache)
    yield
    sys.modules.update(modules)
    linecache.cache.clear()
    linecache.cache.update(cache)


def total(chunk: Array) -> dict[str, Any]:
    return {"sum": sum(chunk), "count": len(chunk)}


def same(chunk: Any) -> Any:
    return chunk


def first(results: list[Any]) -> Any:
    return results[0]


def archived(job: JobDefinition) -> tuple[dict[str, Any], str, list[str]]:
    with zipfile.ZipFile(io.BytesIO(job.archive())) as archive:
        return json.loads(archive.read("job.json")), archive.read("job.py").decode(), archive.namelist()


def loaded(job: JobDefinition) -> LoadedJob:
    """The job as the guest loads it."""
    return load(job.archive(), PackageFinder(), StandIns())


def execute(job: JobDefinition, chunk: bytes) -> bytes:
    """Run the archive's execute as the guest does."""
    result = loaded(job).function("execute")(chunk)
    assert isinstance(result, bytes)
    return result


def doc(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def test_the_kinds_are_those_of_the_data_package() -> None:
    assert get_args(InputKind) == KINDS
    assert get_args(OutputKind) == OUTPUT_KINDS


@pytest.mark.parametrize(
    ("declared", "kinds"),
    [
        ({}, {"split": ("bytes", "bytes"), "execute": ("bytes", "bytes"), "merge": ("bytes", "bytes")}),
        (
            {"execute": ("array", "json")},
            {"split": ("bytes", "array"), "execute": ("array", "json"), "merge": ("json", "json")},
        ),
        (
            {"split": ("table", None), "execute": ("text", "array"), "merge": (None, "image")},
            {"split": ("table", "text"), "execute": ("text", "array"), "merge": ("array", "image")},
        ),
        (
            {"split": (None, "json"), "execute": ("text", None), "merge": (None, "text")},
            {"split": ("bytes", "json"), "execute": ("text", "bytes"), "merge": ("bytes", "text")},
        ),
    ],
)
def test_what_is_not_declared_follows_from_what_is(declared: dict[str, Any], kinds: dict[str, tuple[str, str]]) -> None:
    said = {role: Declared(*each) for role, each in declared.items()}
    assert complete(said, dict.fromkeys(("split", "execute", "merge")), is_associative=False) == kinds
    assert list(complete(said, {"execute": None}, is_associative=False)) == ["execute"]


def test_three_ways_to_declare_the_same() -> None:
    @Job.define
    def job() -> None:
        Job.split(input="table", output="array")(same)
        Job.execute(input="array", output="json")(total)
        Job.merge(output="text")(first)

    built = (
        JobBuilder("job")
        .split(same, input="table", output="array")
        .execute(total, input="array", output="json")
        .merge(first, output="text")
        .build()
    )
    kinds: dict[str, Any] = {"input": "array", "output": "json", "split_input": "table", "merge_output": "text"}
    given = Job.from_functions(total, same, first, **kinds)

    assert job.kinds == {"split": ("table", "array"), "execute": ("array", "json"), "merge": ("json", "text")}
    assert built.kinds == given.kinds == job.kinds
    assert (job.input_kind, job.output_kind, job.result_kind) == ("table", "text", ("text", False))
    assert "split=same (table -> array), execute=total (array -> json), merge=first (json -> text)" in repr(job)


def test_what_a_job_takes_and_returns_without_split_and_merge() -> None:
    job = Job.from_functions(total, input="array", output="json")

    assert (job.input_kind, job.output_kind, job.result_kind) == ("array", "json", ("json", True))
    assert Job.from_functions(same).result_kind == ("bytes", True)


@pytest.mark.parametrize(
    ("role", "declared", "said", "hint"),
    [
        (
            "execute",
            {"input": "arry"},
            "execute is declared input='arry'; it must be one of bytes, text,",
            "did you mean 'array'",
        ),
        ("execute", {"output": "jsn"}, "execute is declared output='jsn'", "did you mean 'json'"),
        ("execute", {"input": "image"}, "execute is declared input='image'; it must be one of .*, table$", ""),
        ("split", {"output": "image"}, "split is declared output='image'; .*, table$", ""),
        ("execute", {"input": Array}, "execute is declared input=<class .*; it must be one of", ""),
        ("merge", {"output": "jsonn"}, "merge is declared output='jsonn'", "did you mean 'json'"),
        ("merge", {"input": "json"}, "merge can't be declared an input", "it is given what execute returns"),
        ("execute", {"outputs": "json"}, "unknown option 'outputs'", "did you mean 'output'"),
        ("split", {"inputs": "json"}, "unknown option 'inputs'", "did you mean 'input'"),
    ],
)
def test_what_nobody_can_declare_is_refused_with_the_nearest(role: str, declared: dict[str, Any], said: str, hint: str) -> None:
    def job() -> None:
        getattr(Job, role)(**declared)(same)

    with pytest.raises(JobDefinitionError, match=said) as caught:
        Job.define(job)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"split_output": "table", "input": "array"}, "split is declared output='table', and execute input='array'"),
        ({"split_output": "array", "input": "text"}, "split is declared output='array', and execute input='text'"),
        ({"associative": True, "output": "array", "merge_output": "json"}, "merge is declared associative, but takes 'array'"),
    ],
)
def test_kinds_that_do_not_fit_together_are_refused(kinds: dict[str, Any], said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said):
        Job.from_functions(same, same, first, **kinds)
    with pytest.raises(JobDefinitionError, match="'spam'"):
        JobDefinition("job", same, kinds={"execute": ("spam", "bytes")})


def test_text_and_bytes_fit_whatever_is_made_of_them() -> None:
    for made, taken in (("bytes", "array"), ("table", "bytes"), ("json", "text"), ("text", "jsonl")):
        job = Job.from_functions(same, same, split_output=made, input=taken)  # type: ignore[arg-type]
        assert (job.kinds["split"][1], job.kinds["execute"][0]) == (made, taken)


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        ("array", "npy_rows"),
        ("table", "arrow_batches"),
        ("text", "row_based"),
        ("jsonl", "row_based"),
        ("json", "custom"),
        ("bytes", "custom"),
    ],
)
def test_an_input_is_cut_between_its_rows_unless_somebody_says_otherwise(kind: Any, strategy: str) -> None:
    job = Job.from_functions(same, input=kind)

    assert options_for(job, {}).split_strategy == strategy
    assert options_for(job, {"split_strategy": None, "max_chunk_size": 100_000}).split_strategy == strategy
    assert options_for(job, {"split_strategy": "fixed_size"}).split_strategy == "fixed_size"
    assert options_for(Job.from_functions(same, input=kind, split_strategy="custom"), {}).split_strategy == "custom"
    assert options_for(Job.from_functions(same, same, split_input=kind), {}).split_strategy == "custom"


def test_run_local_cuts_as_submit_job_does() -> None:
    job = Job.from_functions(total, input="array", output="json", max_chunk_size=65_536)

    assert len(job.run_local(np.zeros(20_000)).value) == 3
    assert len(job.run_local(np.zeros(20_000), split_strategy="custom").value) == 1


def test_bytes_throughout_leaves_no_trace_in_the_archive() -> None:
    plain, typed = Job.from_functions(same, same, first), Job.from_functions(same, same, first, output="json")

    assert "kinds" not in archived(plain)[0]
    assert archived(typed)[0]["kinds"] == {"split": ["bytes", "bytes"], "execute": ["bytes", "json"], "merge": ["json", "json"]}
    assert loaded(plain).function("execute").__name__ == "same"  # not wrapped


@pytest.mark.parametrize(
    ("kind", "chunk", "seen", "given_back"),
    [
        ("bytes", b"\xff", b"\xff", b"\xff"),
        ("text", "ü".encode(), "ü", "ü".encode()),
        ("json", b'{"a": [1, null]}', {"a": [1, None]}, b'{"a": [1, null]}\n'),
        ("jsonl", b'1\n"x"', [1, "x"], b'1\n"x"\n'),
    ],
)
def test_each_kind_is_decoded_and_encoded(kind: Any, chunk: bytes, seen: Any, given_back: bytes) -> None:
    def check(value: Any) -> Any:
        assert value == seen
        return value

    job = Job.from_functions(check, input=kind, output=kind)
    assert job.run_local(segments=[chunk]) == execute(job, chunk) == given_back


def test_all_three_functions_see_values() -> None:
    @Job.define
    def job() -> None:
        @Job.split(input="table")
        def split(table: Table) -> Iterator[Array]:
            yield from (Array.of([float(value), 1.0]) for value in table["n"])

        @Job.execute(input="array", output="table")
        def execute(row: Array) -> Table:
            return Table.of({"sum": [sum(row)]})

        @Job.merge(output="json")
        def merge(parts: list[Table]) -> list[float]:
            return [value for part in parts for value in part["sum"]]

    assert job.run_local(pd.DataFrame({"n": [1, 2, 3]})).value == [2.0, 3.0, 4.0]
    assert job.run_local(pd.DataFrame({"n": [1, 2, 3]})) == b"[2.0, 3.0, 4.0]\n"


def test_an_associative_merge_is_given_what_it_returned() -> None:
    def add(parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"sum": sum(part["sum"] for part in parts), "count": sum(part["count"] for part in parts)}

    job = Job.from_functions(total, merge=add, associative=True, input="array", output="json")
    merge: Any = loaded(job).function("merge")
    parts = [doc({"sum": 1, "count": 1}), doc({"sum": 2, "count": 1}), doc({"sum": 3, "count": 1})]
    assert merge([merge(parts[:2]), parts[2]]) == merge(parts) == doc({"sum": 6, "count": 3})


@pytest.mark.parametrize(
    ("output", "returned", "said"),
    [
        ("array", {"a": 1}, r"declared output='array', but returned dict: \{'a': 1\}; return an array of NumPy"),
        ("table", [1, 2], "declared output='table', but returned list: .1, 2.; return a Table"),
        ("json", {1, 2}, "declared output='json', but returned set: .*JSON can't write it"),
        ("json", float("nan"), "declared output='json', but returned float: nan"),
        ("jsonl", {"a": 1}, "declared output='jsonl', but returned dict"),
        ("text", b"abc", "declared output='text', but returned bytes: b'abc'"),
        ("image", b"abc", "declared output='image', but returned bytes"),
        ("array", None, "declared output='array', but returned NoneType: None"),
    ],
)
def test_what_is_returned_instead_is_shown(output: Any, returned: Any, said: str) -> None:
    def answer(_chunk: bytes) -> Any:
        return returned

    job = Job.from_functions(answer, output=output)
    with pytest.raises((TypeError, DataError), match=said) as here:
        job.run_local(b"")
    with pytest.raises((TypeError, DataError), match=said) as archived:
        execute(job, b"")
    assert str(here.value) == str(archived.value)
    assert str(here.value).startswith(f"execute (test_typed_jobs.py:{answer.__code__.co_firstlineno}) is declared")


def _answer(value: Any) -> Callable[[bytes], Any]:
    def answer(_chunk: bytes) -> Any:
        return value

    return answer


@pytest.mark.parametrize(
    ("kind", "chunk", "said"),
    [
        ("array", b"hello", "is given array, as declared, but its chunk is none: .*b'hello'"),
        ("table", b"hello", "is given table, as declared, but its chunk is none: "),
        ("json", b"{", "is given json, as declared, but its chunk is none: "),
        ("text", b"\xff", "is given text, as declared, but its chunk is none: "),
    ],
)
def test_a_chunk_that_is_something_else_is_shown(kind: Any, chunk: bytes, said: str) -> None:
    job = Job.from_functions(same, input=kind)
    with pytest.raises(DataError, match=said) as here:
        job.run_local(segments=[chunk])
    with pytest.raises(DataError, match=said) as archived:
        execute(job, chunk)
    assert str(here.value) == str(archived.value)
    assert str(here.value).startswith(f"execute (test_typed_jobs.py:{same.__code__.co_firstlineno}) ")


def test_a_mistake_is_told_once_and_what_the_user_raised_is_theirs() -> None:
    with pytest.raises(DataError) as caught:
        Job.from_functions(_answer({1}), output="json").run_local(b"")
    assert caught.value.__suppress_context__

    def lines(_chunk: bytes) -> Any:
        return (1 // (2 - number) for number in range(5))

    with pytest.raises(ZeroDivisionError):
        Job.from_functions(lines, output="jsonl").run_local(b"")
    assert Job.from_functions(lambda c: (n for n in range(3)), output="jsonl").run_local(b"") == b"0\n1\n2\n"


@pytest.mark.parametrize("returned", [Array.of([[1, 2], [3, 4]]), {"a": 1}, "abc", b"abc", 7])
def test_split_returns_several(returned: Any) -> None:
    job = Job.from_functions(same, _answer(returned), input="json")
    with pytest.raises(TypeError, match=r"split \(.*\) is declared output='json' and must return a list of chunks, but returned"):
        job.run_local(b"")


def test_the_chunk_that_split_got_wrong_is_numbered() -> None:
    job = Job.from_functions(same, _answer([[1.0], {"a": 1}]), input="array")
    with pytest.raises(TypeError, match=r"split \(.*\), chunk 1, is declared output='array', but returned dict"):
        job.run_local(b"")


def test_the_result_that_merge_cannot_read_is_numbered() -> None:
    merge: Any = loaded(Job.from_functions(same, merge=first, output="json")).function("merge")
    with pytest.raises(DataError, match=r"merge \(.*\) is given json, as declared, but result 1 is none"):
        merge([b"1\n", b"{"])


# What of this package travels: nothing but the name of the module that is there already.


def by_name(chunk: bytes) -> bytes:
    return Table.of({"a": list(chunk)}).to_arrow()


def by_module(chunk: bytes) -> bytes:
    return data.Table.of({"a": list(chunk)}).to_arrow()


def by_path(chunk: bytes) -> bytes:
    return pangea.compute.data.Table.of({"a": list(chunk)}).to_arrow()


def by_import_inside(chunk: bytes) -> bytes:
    from pangea.compute.data import Table as Rows

    return Rows.of({"a": list(chunk)}).to_arrow()


@pytest.mark.parametrize("function", [by_name, by_module, by_path, by_import_inside])
def test_the_data_package_is_imported_not_shipped(function: Callable[[bytes], bytes]) -> None:
    job = Job.from_functions(function)

    assert archived(job)[2] == ["graph.json", "job.json", "job.py"]
    assert execute(job, b"\1\2") == function(b"\1\2")


def test_arrays_and_tables_travel_as_values() -> None:
    def weighted(chunk: Array) -> Any:
        return sum(a * b for a, b in zip(chunk, WEIGHTS, strict=True)) + len(CITIES["name"][1])

    job = Job.from_functions(weighted, input="array", output="json")

    assert archived(job)[2] == ["graph.json", "job.json", "job.py"]
    assert execute(job, Array.of([1.0, 1.0, 1.0]).to_npy()) == b"10.5\n"


def test_the_rest_of_this_package_stays_behind() -> None:
    def sneaky(chunk: bytes) -> bytes:
        return repr(options_for).encode() + chunk

    with pytest.raises(JobDefinitionError, match="it is pangea itself") as caught:
        Job.from_functions(sneaky).archive()
    assert "outside of the functions" in caught.value.hint


def test_plain_source_may_use_the_data_package() -> None:
    source = "from pangea.compute.data import Table\ndef execute(chunk): return b'%d' % len(Table.from_arrow(chunk))\n"
    function: Any = load(source.encode(), PackageFinder(), StandIns()).function("execute")
    assert function(CITIES.to_arrow()) == b"2"


def test_modules_say_what_they_take(tmp_path: Path) -> None:
    (tmp_path / "job.wasm").write_bytes(b"\0asm")
    job = ModuleJob.load(tmp_path / "job.wasm", input_kind="table", output_kind="array")

    assert (job.name, job.input_kind, job.result_kind) == ("job", "table", ("array", None))
    assert ModuleJob(b"").input_kind == "bytes"
    with pytest.raises(JobDefinitionError, match="'arrays'"):
        ModuleJob(b"", input_kind="arrays")  # type: ignore[arg-type]


def test_a_job_shows_itself_in_notebooks() -> None:
    job = Job.from_functions(total, input="array")
    assert "total" in job._repr_html_()
    assert job._repr_mimebundle_()["text/html"] == job._repr_html_()
