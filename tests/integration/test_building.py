"""Guests in other languages: each example is built by its own compiler, and all are held to the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pangea.compute import JobFailedError, ModuleJob, submit_job
from pangea.compute.errors import BadModuleError, InputError, JobDefinitionError, UnavailableError
from pangea.compute.guests import toolchains
from pangea.compute.guests.building import Built, build, write
from tests.commands import checked
from tests.examples import long
from tests.nodes import pangea

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a first build compiles the language's own library, too: of C for 25 s

GUESTS = Path(__file__).parents[2] / "examples" / "guests"
#: What each example gives for TEXT, by rows.
TEXT = b"some words\nand 17 more of them\n" * 500
NUMBERS = b"7\n8\n9\n11\n"


def built(name: str) -> ModuleJob:
    """An example, built; skipped where its compiler isn't."""
    toolchain = toolchains.toolchain_of(GUESTS / name)
    if toolchain.program() is None:
        pytest.skip(f"no compiler for {toolchain.language}: {toolchain.remedy}")
    return ModuleJob(build(GUESTS / name).wasm, associative=True)


def held_to_all(job: ModuleJob, data: bytes, expected: bytes) -> None:
    """Of any input, by any cut: the same result; and the same fuel each time."""
    runs = [
        submit_job(job, data, split_strategy="row_based", min_chunk_size=1, max_chunk_size=size)
        for size in (64, 64, 512, 1 << 20)
    ]
    assert [bytes(each) for each in runs] == [expected] * 4
    assert runs[0].report.fuel == runs[1].report.fuel
    assert bytes(submit_job(job, data * 0 + b"\n", split_strategy="row_based")) in (b"0", b"")


@pytest.mark.parametrize("name", ["word_count.rs", "word_count.ts", *long("word_count.c", "word_count.go")])
def test_words_are_counted_as_python_counts_them(name: str) -> None:
    job = built(name)
    held_to_all(job, TEXT, b"%d" % len(TEXT.split()))
    odd = bytes(range(256)) * 20
    assert int(submit_job(job, odd)) == len(odd.split())


@pytest.mark.long
def test_the_longest_line_in_cpp() -> None:
    job = built("longest_line.cpp")
    held_to_all(job, TEXT + b"the longest of all of them\n", b"the longest of all of them")
    assert bytes(submit_job(job, b"one\ntwo\nthree\n")) == b"three"


@pytest.mark.long
def test_primes_in_zig() -> None:
    job = built("primes.zig")
    held_to_all(job, NUMBERS * 100, b"200")
    with pytest.raises(JobFailedError, match="InvalidCharacter"):
        submit_job(job, b"seven\n")


LISTS = """
#include "pangea_guest.h"
static int split(pangea_bytes input, pangea_buffer *chunks) {
    for (uint32_t at = 0; at < input.size; at++) pangea_list_put(chunks, input.data + at, 1);
    return 0;
}
static int execute(pangea_bytes chunk, pangea_buffer *result) {
    if (chunk.size && chunk.data[0] == '!') return pangea_fail("an exclamation");
    printf("printed to nowhere %d", rand());
    pangea_put(result, chunk.data, chunk.size);
    return 0;
}
PANGEA_SPLIT(split)
PANGEA_EXECUTE(execute)
"""


@pytest.mark.long
def test_a_split_in_c_makes_no_chunks_or_many_and_its_errors_arrive(tmp_path: Path) -> None:
    source = tmp_path / "lists and spaces.c"
    source.write_text(LISTS)
    job = ModuleJob(build(source).wasm)
    assert bytes(submit_job(job, b"")) == b""
    assert bytes(submit_job(job, b"abc" * 10_000)) == b"abc" * 10_000
    with pytest.raises(JobFailedError, match="an exclamation"):
        submit_job(job, b"ab!")


@pytest.mark.parametrize(
    ("name", "language", "text"), [("wrong.zig", "Zig", "export fn execute( {}"), *long(("wrong.c", "C", "int execute( {}"))]
)
def test_what_does_not_compile_is_told_in_the_compilers_words(tmp_path: Path, name: str, language: str, text: str) -> None:
    source = tmp_path / name
    source.write_text(text)
    with pytest.raises(JobDefinitionError, match=rf"{name} doesn't compile as {language}:\n.*{name}:1:\d+: error"):
        build(source)


@pytest.mark.parametrize(
    ("name", "text", "missing"),
    [("empty.zig", "const none = 0;\n", "alloc"), *long(("empty.c", '#include "pangea_guest.h"\n', "execute"))],
)
def test_a_source_that_exports_nothing_is_no_job(tmp_path: Path, name: str, text: str, missing: str) -> None:
    source = tmp_path / name
    source.write_text(text)
    with pytest.raises(BadModuleError, match=rf"{name} compiles, but to no job: .*{missing}"):
        build(source)


@pytest.mark.parametrize(("name", "hint"), [("job.rst", ".rs"), ("job", "")])
def test_a_language_that_nobody_compiles_is_said(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no compiler is known .*C \(\.c\)") as caught:
        build(tmp_path / name)
    assert hint in (caught.value.hint or "")


def test_a_compiler_that_is_missing_comes_with_the_command_that_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="is Rust, and its compiler isn't installed") as caught:
        build(GUESTS / "word_count.rs")
    assert caught.value.hint == "rustup target add wasm32-unknown-unknown"


def test_a_module_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "job.wasm"
    target.write_bytes(b"old")
    write(Built(b"new", "C", ("execute",)), target)
    assert target.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["job.wasm"]


@pytest.mark.parametrize(
    ("name", "language", "data", "result"),
    [("primes.zig", "Zig", NUMBERS * 100, b"200"), *long(("word_count.c", "C", TEXT, b"%d" % len(TEXT.split())))],
)
def test_the_command_builds_what_run_runs(tmp_path: Path, name: str, language: str, data: bytes, result: bytes) -> None:
    module, text = tmp_path / "built.wasm", tmp_path / "text"
    text.write_bytes(data)
    said = checked("build", pangea("build", str(GUESTS / name), "-o", str(module), "--json").stdout)
    assert (said["language"], said["functions"], said["path"]) == (language, ["execute", "merge"], str(module))
    assert pangea("run", str(module), "--input", str(text)).stdout == result
