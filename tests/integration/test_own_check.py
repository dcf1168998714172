"""Jobs with a check of their own, as the docs write them: what passes, what is refused, what follows in a tree of real nodes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pangea.compute import Client, Job
from pangea.compute.client.submission.target import load_target
from pangea.compute.client.submission.validating import validate_job
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.engines import embedded
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Task
from pangea.compute.errors import JobFailedError
from pangea.compute.flow import own_check
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, Finished, Outcome
from tests.examples import first
from tests.trees import Tree

PAGE = Path(__file__).parents[2] / "docs/verification/own_check.md"
SEED = b"s" * own_check.SEED_BYTES


def documented(name: str, folder: Path) -> Any:
    """A job of the page."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = (each for each in blocks if each.startswith(f"# {name}.py"))
    path = folder / f"{name}_job.py"
    path.write_text(code)
    return load_target(str(path), None)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return embedded.engine()[0]


def checked(engine: Engine, job: Any, chunk: bytes, result: bytes, *, seed: bytes = SEED) -> Outcome:
    prepared = prepare(job.archive(), Limits(), engine, lambda _: None, name=job.name, associative=False)
    assert prepared.checker is not None
    frame, packs = own_check.frame_of(list(own_check.pairs(seed, [chunk], [result])), [1])
    return engine.submit(Task(prepared.checker, "execute", 1, [frame], packs)).result()


def passes(engine: Engine, job: Any, chunk: bytes, result: bytes, *, seed: bytes = SEED) -> bool:
    outcome = checked(engine, job, chunk, result, seed=seed)
    assert isinstance(outcome, Finished), outcome
    return own_check.first_refused(outcome.results) is None


def npy(values: Any) -> bytes:
    from pangea.compute.data.ndarrays import npy_of

    return npy_of(np.asarray(values))


@pytest.mark.parametrize("name", first(1, ["product", "sort", "squares"]))
def test_the_checks_of_the_page_pass_what_their_jobs_give(name: str, tmp_path: Path) -> None:
    job = documented(name, tmp_path)
    given: dict[str, Any] = {
        "product": np.arange(2 * 48 * 48).reshape(2, 48, 48) % 1000,
        "sort": b"pear\napple\nfig\n" * 50,
        "squares": b"2500000",
    }
    found = validate_job(job, given[name], job.options({}))
    assert found.findings == []
    assert "check" in found.exports
    assert found.fuel["check"] > 0


def test_a_product_with_one_wrong_entry_is_refused_and_checking_is_the_cheaper_half(engine: Engine, tmp_path: Path) -> None:
    job = documented("product", tmp_path)
    pair = np.random.default_rng(1).integers(-999, 1000, (2, 64, 64))
    chunk, right = np.concatenate([pair[0][:32], pair[1]]), pair[0][:32] @ pair[1]
    assert passes(engine, job, npy(chunk), npy(right))
    for place, error in (((0, 0), 1), ((31, 63), 1 << 62), ((5, 6), -(1 << 63) - int(right[5, 6]))):
        lie = right.copy()
        lie[place] += np.int64(error) if abs(error) < 1 << 63 else np.iinfo(np.int64).min - right[place]
        assert not passes(engine, job, npy(chunk), npy(lie)), place
    assert not passes(engine, job, npy(chunk), npy(right.astype(">i8"))), "the same numbers in other bytes"


@pytest.mark.parametrize("lie", [b"a\nb\n", b"b\na\nc\n", b"a\nb\nb\n", b""])
def test_lines_that_are_lost_doubled_or_out_of_order_are_refused(engine: Engine, tmp_path: Path, lie: bytes) -> None:
    job = documented("sort", tmp_path)
    assert passes(engine, job, b"c\na\nb\n", b"a\nb\nc\n")
    assert not passes(engine, job, b"c\na\nb\n", lie)


@pytest.mark.parametrize("lie", [b"331", b"0332", b"332\n", b"x"])
def test_a_sum_is_looked_at_as_bytes(engine: Engine, tmp_path: Path, lie: bytes) -> None:
    job = documented("squares", tmp_path)
    assert passes(engine, job, b"2 10", b"284")
    assert not passes(engine, job, b"2 10", lie)


def test_what_a_check_draws_hangs_on_the_owner_s_seed_alone_so_nobody_can_work_towards_it(engine: Engine) -> None:
    """Ablation: of equal chunk and result another seed draws other numbers; the same seed the same ones."""

    @Job.define
    def reveals() -> None:
        @Job.execute
        def execute(chunk: bytes) -> bytes:
            return chunk

        @Job.check
        def check(_chunk: bytes, _result: bytes) -> bool:
            import random

            raise ValueError(random.getrandbits(64))

    drawn = []
    for seed in (SEED, SEED, b"t" * 32):
        outcome = checked(engine, reveals, b"chunk", b"result", seed=seed)
        assert isinstance(outcome, Failure)
        drawn.append(outcome.message)
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_neither_true_nor_false_is_a_failure_that_says_so(engine: Engine) -> None:
    check: Any = lambda chunk, result: 1  # noqa: E731
    job = Job.from_functions(lambda chunk: chunk, name="odd", check=check)
    outcome = checked(engine, job, b"a", b"a")
    assert isinstance(outcome, Failure)
    assert "check must return True or False, but returned int: 1" in outcome.message


def test_validate_names_a_check_that_refuses_or_crashes() -> None:
    refuses = Job.from_functions(lambda chunk: chunk, name="refuses", check=lambda chunk, result: False)
    crashes = Job.from_functions(lambda chunk: chunk, name="crashes", check=lambda chunk, result: result[99] == 1)
    assert validate_job(refuses, b"data", refuses.options({})).findings == ["check refuses what execute gives for chunk 0"]
    (finding,) = validate_job(crashes, b"data", crashes.options({})).findings
    assert finding.startswith("check fails on chunk 0: ")
    assert "IndexError" in finding


@pytest.mark.long
def test_the_check_of_a_kernel_is_given_the_kernel_s_arguments() -> None:
    pytest.importorskip("numba", reason="no numba: pip install 'pangea-compute[kernels]' (`make test` does it)")

    @Job.define
    def scaled() -> None:
        @Job.split
        def split(_data: bytes) -> list[Any]:
            return [(np.arange(5.0), 2.0), (np.arange(4.0), 3.0)]

        @Job.execute(kernel="float64[:], float64 -> float64[:]")
        def execute(values: Any, factor: Any) -> Any:
            return values * factor

        @Job.check
        def check(chunk: Any, result: Any) -> bool:
            values, factor = map(np.asarray, chunk)
            return bool((np.asarray(result) == values * factor).all())

    found = validate_job(scaled, b"any", scaled.options({}))
    assert (found.findings, found.chunks) == ([], 2)


HEAVY: dict[str, Any] = {
    "split_strategy": "row_based",
    "min_chunk_size": 512,
    "max_chunk_size": 1024,
    "estimated_flops": 1e13,
    "locality": "spread",
}


def rows(check: Callable[[bytes, bytes], bool]) -> Any:
    """A job over lines, with this check: so much work on each that the root isn't through before another node has begun."""

    def execute(chunk: bytes) -> bytes:
        square = int(chunk) ** 2
        return b"%d;" % sum(square % number for number in range(1, 60_000))

    return Job.from_functions(execute, lambda data: data.splitlines(), name="rows", check=check, **HEAVY)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_in_a_tree_what_passes_is_executed_once_and_a_check_that_refuses_what_is_right_is_named(tmp_path: Path) -> None:
    def passes_all(chunk: bytes, result: bytes) -> bool:
        return result.endswith(b";") and int(chunk) >= 0

    def refuses_some(chunk: bytes, _result: bytes) -> bool:
        return int(chunk) % 7 != 3

    data = b"".join(b"%d\n" % row for row in range(100, 160))
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        tree.add(root)
        tree.grown(root, 1)
        with Client(str(root.data_dir)) as client:
            handle = client.submit_job(rows(passes_all), data)
            assert bytes(handle.result(60)) == bytes(rows(passes_all).run_local(data))
            checks = handle.tree()["checks"]
            assert checks["own_checks"] > 0
            assert checks["own_check_fuel"] > 0
            assert checks["executions"] <= checks["tasks"] + checks["audits"]
            assert checks["confidence"] == 1.0
            with pytest.raises(JobFailedError, match=r"the job's own check refuses the right result: chunk \d+ doesn't pass"):
                client.submit_job(rows(refuses_some), data).result(60)
            assert client.peers()["banned"] == []
