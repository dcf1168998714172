"""`pangea job validate`: what would go wrong with a job is found on a sample, with the chunk and the bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pangea.compute.cli.main import main
from pangea.compute.client.submission.target import load_job_file
from pangea.compute.client.submission.validating import Validation, validate_job

SPLIT = "@Job.split\n    def split(data: bytes) -> list[bytes]:\n        return [b'%d' % n for n in range(int(data))]\n"
GOOD = "def execute(chunk: bytes) -> bytes:\n        return chunk + b';'\n"
REMEMBERS = "def execute(chunk: bytes, seen=[]) -> bytes:\n        seen.append(chunk)\n        return b'%d;' % len(seen)\n"
JOIN = "@Job.merge(associative=True)\n    def merge(results: list[bytes]) -> bytes:\n        return b''.join(results)\n"
COUNT = "@Job.merge(associative=True)\n    def merge(results: list[bytes]) -> bytes:\n        return b'%d' % len(results)\n"


def job_file(folder: Path, execute: str, merge: str) -> Path:
    path = folder / "job.py"
    head = "from pangea.compute import Job\n\n\n@Job.define\ndef tried():\n    "
    path.write_text(f"{head}{SPLIT}\n    @Job.execute\n    {execute}\n    {merge}")
    return path


def tried(path: Path, data: bytes, **options: object) -> Validation:
    job, _ = load_job_file(str(path), None)
    return validate_job(job, data, job.options(dict(options)))


def test_a_job_that_is_well_costs_the_same_each_time_and_says_what_it_has(tmp_path: Path) -> None:
    found = tried(job_file(tmp_path, GOOD, JOIN), b"600")
    assert found.findings == []
    assert (found.exports, found.segments, found.chunks, found.packs) == (("split", "execute", "merge"), 1, 600, 200)
    assert set(found.fuel) == {"split", "execute", "merge"}
    assert found.to_json()["fuel"] == found.fuel
    assert "600 chunks in 200 packs" in found.lines(1 << 20)[1]


def test_chunks_that_influence_each_other_are_named_with_the_bytes_that_differ(tmp_path: Path) -> None:
    found = tried(job_file(tmp_path, REMEMBERS, JOIN), b"10", chunks_per_pack=5)
    assert len(found.findings) == 8, "the first of each pack gives the same"
    assert "chunk 1 gives 2 bytes in its pack and 2 alone, which differ from byte 0 on: b'2;', b'1;'" in found.findings[0]
    assert tried(job_file(tmp_path, REMEMBERS, JOIN), b"10", isolate=True).findings == []


def test_a_merge_that_is_not_what_it_is_declared_to_be_is_found_out(tmp_path: Path) -> None:
    (finding,) = tried(job_file(tmp_path, GOOD, COUNT), b"30").findings
    assert finding.startswith("merge is declared associative and isn't: of results 0-")
    assert "it gives 2 bytes at once" in finding


@pytest.mark.parametrize(("execute", "code"), [(GOOD, 0), (REMEMBERS, 4)])
def test_the_exit_code_says_whether_all_is_well(
    execute: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "size").write_bytes(b"6")
    path = job_file(tmp_path, execute, JOIN)
    with pytest.raises(SystemExit) as end:
        main(["job", "validate", str(path), "--input", str(tmp_path / "size"), "--chunks-per-pack", "3"])
    assert (end.value.code or 0) == code
    said = capsys.readouterr()
    assert ("all is well" in said.out) is (code == 0)
    assert ("chunk 1 gives" in said.err) is (code == 4)
