"""By how much numbers may differ and be the same: over all float32, and over what executions give."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data.array import Array
from pangea.compute.model import frames
from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.tolerance import ABSOLUTE_MAX, ABSOLUTE_MIN, ULP_MAX, Tolerance
from pangea.compute.verification.closeness import is_within, packs_outside

#: Every float32, NaNs and infinities among them.
SINGLES = st.integers(0, 2**32 - 1).map(lambda bits: struct.unpack("<f", struct.pack("<I", bits))[0])
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
NORMAL = st.floats(min_value=2.0**-126, max_value=2.0**127, width=32)
TOLERANCES = st.one_of(
    st.builds(Tolerance, ulp=st.integers(1, ULP_MAX)), st.builds(Tolerance, absolute=st.floats(ABSOLUTE_MIN, ABSOLUTE_MAX))
)
ARRAYS = st.lists(SINGLES, min_size=1, max_size=40)
NAN, INFINITE, LARGEST, TINY, SMALLEST = math.nan, math.inf, 3.4028234663852886e38, 1e-45, 2.0**-126


def stepped(number: float, steps: int) -> float:
    """The float32 so many steps further on."""
    value = np.float32(number)
    for _ in range(abs(steps)):
        value = np.nextafter(value, np.float32(math.copysign(INFINITE, steps)))
    return float(value)


@given(SINGLES, SINGLES, TOLERANCES)
def test_it_is_the_same_either_way_round_and_everything_is_itself(one: float, other: float, tolerance: Tolerance) -> None:
    assert tolerance.is_same(one, other) == tolerance.is_same(other, one)
    assert tolerance.is_same(-one, -other) == tolerance.is_same(one, other)
    assert tolerance.is_same(one, one)


@given(SINGLES, SINGLES, st.integers(1, ULP_MAX - 1), st.integers(1, 1000))
def test_who_is_within_a_tolerance_is_within_a_larger_one(one: float, other: float, ulp: int, more: int) -> None:
    if Tolerance(ulp=ulp).is_same(one, other):
        assert Tolerance(ulp=ulp + more).is_same(one, other)
    if Tolerance(absolute=ulp).is_same(one, other):
        assert Tolerance(absolute=ulp + more).is_same(one, other)


@given(NORMAL, st.integers(1, 40))
def test_steps_are_counted_one_by_one(number: float, steps: int) -> None:
    for sign in (1.0, -1.0):
        further = sign * stepped(number, steps)
        assert Tolerance(ulp=steps).is_same(sign * number, further)
        assert steps == 1 or not Tolerance(ulp=steps - 1).is_same(sign * number, further)


@given(FINITE, FINITE, st.floats(ABSOLUTE_MIN, ABSOLUTE_MAX))
def test_a_difference_is_that_of_float64(one: float, other: float, absolute: float) -> None:
    assert Tolerance(absolute=absolute).is_same(one, other) == (abs(np.float64(one) - np.float64(other)) <= absolute)


@pytest.mark.parametrize("tolerance", [Tolerance(ulp=ULP_MAX), Tolerance(absolute=ABSOLUTE_MAX)])
@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (NAN, -NAN, True),
        (NAN, struct.unpack("<f", b"\x01\x00\x80\x7f")[0], True),  # another NaN
        (NAN, 0.0, False),
        (NAN, INFINITE, False),
        (INFINITE, INFINITE, True),
        (INFINITE, -INFINITE, False),
        (INFINITE, LARGEST, False),  # one step, and yet another thing
        (-INFINITE, -LARGEST, False),
        (0.0, -0.0, True),
        (TINY, 0.0, True),
        (TINY, -SMALLEST, True),
    ],
)
def test_what_has_no_distance_has_a_rule(tolerance: Tolerance, one: float, other: float, is_same: bool) -> None:
    assert tolerance.is_same(one, other) is is_same


def test_what_may_be_flushed_is_zero_in_steps_and_the_smallest_normal_number_is_one_from_it() -> None:
    below = stepped(SMALLEST, -1)
    one, two = Tolerance(ulp=1), Tolerance(ulp=2)
    assert one.is_same(below, 0.0)
    assert one.is_same(below, -below)
    assert one.is_same(SMALLEST, 0.0)
    assert not one.is_same(SMALLEST, -SMALLEST)
    assert two.is_same(SMALLEST, -SMALLEST)
    assert not one.is_same(stepped(SMALLEST, 1), 0.0)


@given(ARRAYS, ARRAYS, TOLERANCES)
def test_arrays_are_the_same_if_all_their_numbers_are(one: list[float], other: list[float], tolerance: Tolerance) -> None:
    size = min(len(one), len(other))
    pairs = list(zip(one, other, strict=False))
    packed = [struct.pack(f"<{size}f", *each[:size]) for each in (one, other)]
    expected = next((at for at, pair in enumerate(pairs) if not tolerance.is_same(*pair)), None)
    assert tolerance.first_outside(*packed) == expected


@pytest.mark.parametrize("at", [0, 1023, 1024, 5000, 9999])
def test_what_is_outside_is_found_wherever_it_is(at: int) -> None:
    one = np.linspace(1, 2, 10_000, dtype=np.float32)
    other = np.nextafter(one, np.float32(9))
    assert Tolerance(ulp=1).first_outside(one.tobytes(), other.tobytes()) is None
    other[at] += np.float32(1e-3)
    assert Tolerance(ulp=1).first_outside(one.tobytes(), other.tobytes()) == at


@given(st.one_of(st.text(max_size=12), st.floats(), st.integers(), st.booleans(), st.none(), st.sampled_from(["4ulp", "9 ulp"])))
def test_a_tolerance_is_what_it_says_or_refused(stated: Any) -> None:
    try:
        tolerance = Tolerance.of(stated)
    except JobDefinitionError:
        return
    assert Tolerance.of(tolerance.stated) == tolerance
    assert bool(tolerance.ulp) != bool(tolerance.absolute)


@pytest.mark.parametrize(
    "stated", ["0ulp", "1048577ulp", "4ulps", "-4ulp", "ulp", 0, 0.0, -1e-5, math.nan, math.inf, True, "1e-5"]
)
def test_no_tolerance_is_nothing_or_everything(stated: Any) -> None:
    with pytest.raises(JobDefinitionError, match="tolerance="):
        Tolerance.of(stated)


# What executions give


def npy(*values: float, dtype: str = "float32") -> bytes:
    return Array.of(values, dtype).to_npy()


@given(ARRAYS, ARRAYS, TOLERANCES)
def test_results_are_the_same_if_their_shapes_and_numbers_are(one: list[float], other: list[float], tolerance: Tolerance) -> None:
    assert is_within(tolerance, npy(*one), npy(*one))
    same = len(one) == len(other) and all(map(tolerance.is_same, one, other))
    assert is_within(tolerance, npy(*one), npy(*other)) == same


WIDE = Tolerance(absolute=10.0)


@pytest.mark.parametrize(
    "other",
    [
        npy(1.0, 2.0, 3.0),
        npy(1, 2, dtype="uint32"),
        npy(1.0, 2.0, dtype="float64"),
        npy(1.0, 2.5) + b"\0",
        npy(1.0, 2.5)[:-1],
        npy(1.0, 2.5).replace(b"'fortran_order': False", b"'fortran_order':  True"),
        Array.of([[1.0, 2.5]], "float32").to_npy(),
        b"",
        b"not an array",
    ],
)
def test_a_tolerance_is_for_numbers_alone(other: bytes) -> None:
    assert is_within(WIDE, npy(1.0, 2.0), npy(1.0, 2.5))
    assert not is_within(WIDE, npy(1.0, 2.0), other)
    assert not is_within(WIDE, other, npy(1.0, 2.0))


def test_two_that_are_no_arrays_are_the_same_only_byte_for_byte() -> None:
    integers = npy(1, 2, dtype="uint32"), npy(1, 3, dtype="uint32")
    assert is_within(WIDE, integers[0], integers[0])
    assert not is_within(WIDE, *integers)
    assert not is_within(WIDE, b"some", b"sum!")


def test_packs_are_told_apart() -> None:
    right = [npy(1.0), npy(2.0), npy(3.0), npy(4.0)]
    near, far = npy(2.1), npy(90.0)
    packed = frames.pack(right)
    assert packs_outside(WIDE, packed, frames.pack([right[0], near, *right[2:]]), [2, 1, 1]) == 0
    assert packs_outside(WIDE, packed, frames.pack([far, far, right[2], far]), [2, 1, 1]) == 2
    assert packs_outside(WIDE, packed, frames.pack([right[0], far, right[2], far])) == 1
    assert packs_outside(WIDE, packed, frames.pack(right[:3]), [2, 1, 1]) == 3
