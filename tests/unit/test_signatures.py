"""Signatures of kernels: what they mean, and what is no signature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.signatures import DESCRS, KernelSignature, KernelType

TYPES = st.builds(KernelType, st.sampled_from(sorted(DESCRS)), st.integers(0, 4))


@given(st.builds(KernelSignature, st.lists(TYPES, min_size=1, max_size=16).map(tuple), TYPES))
def test_a_signature_is_read_as_it_is_written(signature: KernelSignature) -> None:
    assert KernelSignature.parse(str(signature)) == signature
    before, after = str(signature).split("->")
    assert KernelSignature.parse(f" ( {before})->{after} ") == signature


def test_types_say_what_npy_files_hold() -> None:
    (taken,) = KernelSignature.parse("float32[:, :] -> bool").takes
    assert (taken.descr, taken.item_bytes, taken.dimensions) == ("<f4", 4, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("float64[:]", "an arrow"),
        (None, "an arrow"),
        ("float64[:] -> float64[:] -> float64", "an arrow"),
        ("-> float64", "takes 0 arguments"),
        ("float64 -> float64, float64", "returns 2 values"),
        ("float64[3] -> float64", r"'float64\[3\]' is no type"),
        ("float64[:,] -> float64", r"float64\[:,:\]"),
        ("float64[:] float64 -> float64", r"'float64\[:\] float64' is no type"),
        ("float65 -> float64", "no type 'float65'"),
        ("complex128 -> float64", "no type"),
        (", ".join(["int8"] * 17) + " -> int8", "takes 17 arguments"),
    ],
)
def test_what_is_no_signature_is_refused_in_words(text: object, said: str) -> None:
    with pytest.raises(JobDefinitionError, match=said):
        KernelSignature.parse(text)
