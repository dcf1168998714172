"""Sorting in the sandbox, which goes by digits: the same order as natively, of whatever, and with no memory to spare."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pangea.compute import Job, submit_job
from tests.examples import first
from tests.numpy_sorts import outcome

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def execute(chunk: bytes) -> bytes:
    return json.dumps([outcome(seed) for seed in range(*json.loads(chunk))]).encode()


@pytest.mark.parametrize("first", first(1, [0, 150]))
def test_arrays_of_all_kinds_are_sorted_as_natively(first: int) -> None:
    seeds = (first, first + 150)
    here = [outcome(seed) for seed in range(*seeds)]
    there = json.loads(submit_job(Job.from_functions(execute), json.dumps(seeds).encode()))
    assert len(there) == 150
    assert [each for each in zip(here, there, strict=True) if each[0] != each[1]] == []


def test_sorting_keeps_the_bits_of_nans_and_puts_negative_zero_first() -> None:
    def execute(chunk: bytes) -> bytes:
        found = []
        for size in (300, 9000):
            for kind in ("f2", "f4", "f8"):
                word = f"u{kind[1]}"
                numbers = np.frombuffer(chunk, word, size).copy().view(kind)
                nan = np.array([np.nan], kind).view(word)[0]
                numbers.view(word)[::7] = nan | np.arange(1, 2 + (size - 1) // 7).astype(word) % 200  # NaNs that carry numbers
                numbers.view(word)[::3] |= np.array([-0.0], kind).view(word)[0]
                numbers[2::9], numbers[3::9] = 0.0, -0.0
                before = np.bincount(np.unique(numbers.view(word), return_inverse=True)[1]).tolist()
                numbers.sort()
                after = np.unique(numbers.view(word), return_counts=True)[1].tolist()
                zeros = np.signbit(numbers[numbers == 0])
                nans = np.isnan(numbers)
                found.append([before == after, bool((zeros[:-1] >= zeros[1:]).all()), bool((nans[:-1] <= nans[1:]).all())])
        return json.dumps(found).encode()

    data = np.random.default_rng(3).bytes(72_000)
    assert json.loads(submit_job(Job.from_functions(execute), data)) == [[True, True, True]] * 6


def test_sorting_without_memory_to_spare_compares() -> None:
    def execute(chunk: bytes) -> bytes:
        numbers, keys = np.arange(1_000_000) * 7_919.0 % 1_000_003, np.arange(200_000)[::-1] % 77
        total = numbers.sum()  # of whole numbers: exact in any order
        reserve, held, size = bytearray(4 << 20), [], 16 << 20
        while size >= 1 << 13:
            try:
                held.append(bytearray(size))
            except MemoryError:
                size //= 2
        del reserve  # for what they return, and for less than they sort in
        numbers.sort()
        order = np.argsort(keys)
        del held[:]
        counts = np.bincount(order)
        found = (np.diff(numbers) > 0, np.diff(keys[order]) >= 0, counts == 1)
        return repr([bool(each.all()) for each in found] + [bool(numbers.sum() == total)]).encode()

    assert submit_job(Job.from_functions(execute), b"x", limits={"memory": 64 << 20}) == b"[True, True, True, True]"
