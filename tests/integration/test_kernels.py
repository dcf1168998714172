"""Kernels in real sandboxes: built, checked, run here and on a node; what can't be built, and what differs, is refused."""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pangea.compute import Client, Job, JobFailedError, ModuleJob, submit_job
from pangea.compute.errors import JobDefinitionError, LimitExceededError
from pangea.compute.jobs import JobDefinition
from pangea.compute.kernels import building, checking
from pangea.compute.kernels.backend import module
from pangea.compute.kernels.frontend import lowered
from pangea.compute.kernels.reference import reference
from pangea.compute.model.signatures import KernelSignature
from tests import kernel_jobs
from tests.e2e.test_docs import python_of, shell
from tests.examples import first, share_of
from tests.nodes import NodeProcess

if not (find_spec("numba") and find_spec("ziglang")):  # found, not imported: each worker collects this file, and one runs it
    pytest.skip("no numba or no ziglang: pip install 'pangea-compute[kernels]' (`make test` does it)", allow_module_level=True)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VALUES = np.random.default_rng(7).normal(size=1_000)


def parts_of(job: JobDefinition) -> tuple[bytes, set[str]]:
    """The module of its kernel, and the names in its archive."""
    with zipfile.ZipFile(io.BytesIO(job.archive())) as files:
        return files.read("execute.wasm"), set(files.namelist())


def kernel(function: Any, signature: str, **options: Any) -> JobDefinition:
    return Job.from_functions(function, kernel=signature, **options)


@pytest.mark.parametrize(
    ("job", "data"),
    first(
        1,
        [
            (kernel_jobs.scaled, VALUES),
            (kernel_jobs.energy, VALUES),
            pytest.param(kernel_jobs.row_sums, VALUES.reshape(100, 10), marks=pytest.mark.long),
        ],
    ),
    ids=["scaled", "energy", "row_sums"],
)
def test_a_kernel_gives_what_native_numba_gives(job: JobDefinition, data: Any) -> None:
    result = submit_job(job, data, min_chunk_size=512)
    assert bytes(result) == bytes(job.run_local(data, min_chunk_size=512))
    assert result.report.fuel == submit_job(job, data, min_chunk_size=512).report.fuel
    assert job.archive() == job.archive()


@pytest.mark.long
def test_arrays_and_numbers_are_read_as_declared() -> None:
    factors = np.arange(1_000) // 100 * 100
    np.testing.assert_allclose(submit_job(kernel_jobs.scaled, VALUES).as_array(), (np.sin(VALUES) * VALUES + 0.5) * 2.5 + factors)
    assert submit_job(kernel_jobs.energy, VALUES).as_json()["sum"] == pytest.approx(float(VALUES @ VALUES))


def test_a_node_runs_a_kernel_and_gives_the_same(tmp_path: Path) -> None:
    here = submit_job(kernel_jobs.scaled, VALUES)
    with NodeProcess(tmp_path / "node", "--workers", "2"), Client(str(tmp_path / "node" / "rpc.sock")) as client:
        there = client.submit_job(kernel_jobs.scaled, VALUES).result()
    assert bytes(there) == bytes(here)
    assert there.report.fuel == here.report.fuel


def test_what_a_kernel_raises_arrives_and_bounds_and_fuel_hold() -> None:
    assert submit_job(kernel_jobs.picky, np.array([0.0, 5.0])).as_array().tolist() == [2]
    with pytest.raises(JobFailedError, match="ValueError: nothing to do"):
        submit_job(kernel_jobs.picky, np.array([1.0]))
    with pytest.raises(JobFailedError, match="IndexError: index is out of bounds"):
        submit_job(kernel_jobs.picky, np.array([2.0]))
    with pytest.raises(LimitExceededError, match="fuel"):
        submit_job(kernel_jobs.picky, np.array([3.0]), limits={"fuel": 10**8})
    with pytest.raises(JobFailedError, match="TypeError: argument 1 is of another type; the kernel takes float64"):
        submit_job(kernel_jobs.picky, np.array([1, 2]))


@pytest.mark.long
def test_results_are_files_that_numpy_would_write() -> None:
    wasm, names = parts_of(kernel_jobs.row_sums)
    assert "execute.wasm" in names
    found = submit_job(ModuleJob(wasm), npy(VALUES.reshape(100, 10)))
    np.save(expected := io.BytesIO(), np.array([row.sum() for row in VALUES.reshape(100, 10)]))
    assert bytes(found)[:128] == expected.getvalue()[:128]
    assert wasm == module(lowered(row_sums, signature := KernelSignature.parse("float64[:,:] -> float64[:]")), signature, "again")


def row_sums(values: Any) -> Any:
    return values.sum(axis=1)


def npy(*values: Any) -> bytes:
    file = io.BytesIO()
    for each in values:
        np.save(file, each)
    return file.getvalue()


FACTOR = 3.0


def by_factor(values: Any) -> Any:
    return values * FACTOR


@pytest.mark.long
def test_a_kernel_is_built_once_and_again_when_what_it_reaches_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    job = kernel(by_factor, "float64[:] -> float64[:]")
    first, _ = parts_of(job)
    monkeypatch.setattr(building, "_built", lambda *_: pytest.fail("it is in the cache"))
    assert parts_of(job)[0] == first
    monkeypatch.undo()
    monkeypatch.setitem(globals(), "FACTOR", 4.0)
    second, _ = parts_of(job)
    assert second != first
    np.testing.assert_array_equal(submit_job(job, np.ones(3)).as_array(), [4.0] * 3)


@pytest.mark.long
def test_a_kept_module_that_was_altered_is_built_again(cache_folder: Path) -> None:
    job = kernel(by_factor, "int64[:] -> float64[:]")
    good, _ = parts_of(job)
    digest = hashlib.sha256(good).hexdigest()
    for path in (cache_folder / "kernels").glob("*.code"):
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            path.write_bytes(good[:-1] + b"\0")
    assert parts_of(job)[0] == good


def times_two(values: Any) -> Any:
    return values * 2.0


def times_two_but_for_nan(values: Any) -> Any:
    return np.where(np.isnan(values), 0.0, values * 2.0)


def test_a_module_that_differs_is_refused_and_the_sample_named() -> None:
    signature = KernelSignature.parse("float64[:] -> float64[:]")
    wasm = module(lowered(times_two_but_for_nan, signature), signature, "other")
    with pytest.raises(
        JobDefinitionError, match=r"times_two .*isn't used as a kernel: on a sample \(edge numbers, arrays of length"
    ):
        checking.check(wasm, times_two, signature, ())


def words(values: Any) -> Any:
    text = "a"
    return values + text


def halves(values: Any) -> Any:
    return values[: values.shape[0] // 2]


def dot(values: Any) -> float:
    return np.dot(values, values)  # type: ignore[no-any-return]


def never(values: Any) -> float:
    raise ValueError("never")


@pytest.mark.parametrize(
    ("function", "signature", "said"),
    [
        (words, "float64[:] -> float64[:]", r"test_kernels\.py:\d+: Numba can't compile words as a kernel .*\n?.*add"),
        (halves, "float64[:] -> float64", r"halves .* returns float64\[:\]; its kernel='float64\[:\] -> float64' says float64"),
        (dot, "float64[:] -> float64", "uses what a module doesn't have: .*numba_xxdot"),
        (never, "float64[:] -> float64", "returns none|gives a result for none of"),
    ],
)
def test_what_cannot_be_built_is_refused_with_numbas_reason(function: Any, signature: str, said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said):
        kernel(function, signature).archive()


def mixed(a: Any, b: Any, n: int) -> Any:
    out = np.zeros(a.shape[0])
    kept = []
    for at in range(a.shape[0]):
        x, y = a[at], b[at]
        whole = int(x * 3.0)
        if whole % 3 == 1 and y > 0.0:
            kept.append(x)
        out[at] = np.floor(x) + min(x, y) * max(y, 0.25) - (x // 0.75 if n > 3 else x % 0.75) + abs(y) ** 1.5
    for at in range(len(kept)):
        out[at % a.shape[0]] -= kept[at] / (n * n + 1)
    return np.sort(out)[::-1]


@pytest.mark.long
def test_the_page_runs_as_it_stands_in_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "waves.py").write_text(python_of("import math", "docs/kernels.md"))
    done = shell("python waves.py", tmp_path)
    assert (done.returncode, done.stdout) == (0, "(4000,)\n"), done.stderr


NUMBERS = st.floats(width=64, allow_nan=True, allow_infinity=True)


@pytest.fixture(scope="module")
def both() -> Any:
    """A module, and the same natively."""
    signature = KernelSignature.parse("float64[:], float64[:], int64 -> float64[:]")
    return ModuleJob(building.build(mixed, signature), output_kind="array"), reference(mixed, signature)


@pytest.mark.long
@settings(max_examples=share_of(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=40), n=st.integers(-(2**31), 2**31))
def test_any_arguments_give_the_same_bits(both: Any, pairs: list[tuple[float, float]], n: int) -> None:
    job, native = both
    a, b = np.array([x for x, _ in pairs], float), np.array([y for _, y in pairs], float)
    found = submit_job(job, npy(a, b, np.int64(n))).as_array()
    found[np.isnan(found)] = np.nan
    assert npy(found) == native(a, b, np.int64(n))
