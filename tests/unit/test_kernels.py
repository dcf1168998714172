"""Kernels, as far as nothing is compiled: what the decorators take, how chunks become arguments, which samples there are."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

from pangea.compute.client.definition.job import Job
from pangea.compute.data.array import Array
from pangea.compute.kernels.chunks import with_arguments, with_numbers
from pangea.compute.kernels.reference import read, written
from pangea.compute.kernels.samples import samples
from pangea.compute.model.errors import JobDefinitionError, UnavailableError
from pangea.compute.model.signatures import KernelSignature

SCALE = "float64[:], int64 -> float64[:]"


def scale(values: Any, factor: Any) -> Any:
    return values * factor


def total(values: Any) -> Any:
    return values.sum()


def pairs(_data: bytes) -> list[Any]:
    return [([1.5, 2.5], 3)]


def test_a_kernel_says_what_execute_takes() -> None:
    job = Job.from_functions(total, kernel="float64[:] -> float64")
    assert job.kernel is not None
    assert (job.input_kind, job.output_kind, job.kinds["execute"]) == ("array", "array", ("array", "array"))
    assert job.options({}).split_strategy == "npy_rows"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Job.from_functions(scale, pairs, kernel="float64[:] -> float64[:]"), r"scale .* takes 2 arguments, .* 1"),
        (lambda: Job.from_functions(scale, kernel=SCALE), "has no split that makes these"),
        (lambda: Job.from_functions(total, kernel="float64 -> float64"), "has no split"),
        (lambda: Job.from_functions(scale, pairs, kernel=SCALE, input="array"), "is a kernel and declared input='array'"),
        (lambda: Job.from_functions(scale, pairs, kernel=SCALE, output="json"), "is a kernel and declared output='json'"),
        (lambda: Job.from_functions(len, kernel="float64[:] -> int64"), "a kernel is a plain function"),
        (lambda: Job.from_functions(lambda *a: a[0], pairs, kernel=SCALE), "takes 1 arguments"),
        (lambda: Job.from_functions(total, kernel="float -> float64"), "no type 'float'"),
    ],
)
def test_what_is_no_kernel_is_refused_when_it_is_defined(make: Any, said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said):
        make()


def test_without_numba_the_command_that_gets_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UnavailableError, match="compiled by Numba, which isn't installed") as caught:
        Job.from_functions(total, kernel="float64[:] -> float64").archive()
    assert caught.value.hint == "pip install 'pangea-compute[kernels]'"


def test_a_numba_that_may_not_compile_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba", reason="no numba: pip install 'pangea-compute[kernels]'")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(UnavailableError, match="NUMBA_DISABLE_JIT is set"):
        Job.from_functions(total, kernel="float64[:] -> float64").archive()


def test_chunks_of_split_become_the_kernels_arguments() -> None:
    signature = KernelSignature.parse("float64[:], int64, bool, uint8[:,:] -> float64[:]")
    short = tuple((each.descr, each.dimensions, str(each)) for each in signature.takes)
    given: list[Any] = [([1, 2.5], 3, True, np.arange(6, dtype=np.uint8).reshape(2, 3)), (Array.of([], "<f8"), -1, False, [[1]])]
    chunks = with_arguments(lambda _segment: given, short)(b"")

    for chunk, arguments in zip(chunks, given, strict=True):
        found = read(chunk, signature)
        for value, expected, type_ in zip(found, arguments, signature.takes, strict=True):
            assert (value.dtype.str, np.ndim(value)) == (type_.descr, type_.dimensions)
            np.testing.assert_array_equal(value, np.asarray(expected))


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (([1.0],), r"chunk 0 of split must be a tuple .*float64\[:\], int64"),
        (5, "chunk 0 of split must be a tuple"),
        (([1.0], 2.5), "argument 2 of the kernel is int64"),
        ((1.0, 2), r"argument 1 of the kernel is float64\[:\], not of 0 axes"),
        ((["a"], 2), "argument 1 of the kernel"),
    ],
)
def test_chunks_that_are_no_arguments_are_refused(chunk: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        with_arguments(lambda _segment: [chunk], (("<f8", 1, "float64[:]"), ("<i8", 0, "int64")))(b"")
    with pytest.raises(TypeError, match="must return a list"):
        with_arguments(lambda _segment: b"abc", (("<f8", 1, "float64[:]"),))(b"")


def test_merge_is_given_numbers() -> None:
    results = [Array.from_npy(written(value, KernelSignature.parse("int8 -> float64").returns)) for value in (1.5, -2.0)]
    assert with_numbers(list)(results) == [1.5, -2.0]


def test_samples_are_the_same_each_time_and_cover_the_edges() -> None:
    signature = KernelSignature.parse("float64[:], int64, float32[:,:] -> float64")
    once, again = samples(signature), samples(signature)
    assert [each.name for each in once] == [each.name for each in again]
    arrays = [np.asarray(each.arguments[0]) for each in once]
    assert [each.tobytes() for each in arrays] == [np.asarray(each.arguments[0]).tobytes() for each in again]
    assert {0, 1, 2, 257} <= {each.size for each in arrays}
    numbers = np.concatenate(arrays)
    assert np.isnan(numbers).any()
    assert {np.inf, -np.inf, 5e-324, np.finfo(float).max} <= set(numbers.tolist())
    assert any(each == 0 and np.signbit(each) for each in numbers)
    whole = {int(each.arguments[1]) for each in once}
    assert {-(2**63), 2**63 - 1, -1, 0} <= whole


def test_samples_of_the_authors_come_first_and_are_checked() -> None:
    signature = KernelSignature.parse(SCALE)
    first = samples(signature, [([1.0, 2.0], 7)])[0]
    assert first.name == "samples[0]"
    assert (first.arguments[0].tolist(), int(first.arguments[1])) == ([1.0, 2.0], 7)
    for wrong in ([1.0], ([1.0], 2.5), (1.0, 2), ([1.0], 2, 3)):
        with pytest.raises(JobDefinitionError, match=r"samples\[0\] is .* must be a tuple of float64\[:\], int64"):
            samples(signature, [wrong])


def test_arguments_that_are_missing_or_others_are_told_as_the_module_tells_them() -> None:
    signature = KernelSignature.parse(SCALE)
    np.save(array := io.BytesIO(), np.ones(3))
    np.save(number := io.BytesIO(), np.int64(3))
    good, three = array.getvalue() + number.getvalue(), number.getvalue()
    assert len(read(good, signature)) == 2
    for chunk, said in (
        (array.getvalue(), "argument 2 is missing"),
        (three * 2, "argument 1 is of another type"),
        (good + three, "more"),
    ):
        with pytest.raises(TypeError, match=said):
            read(chunk, signature)
