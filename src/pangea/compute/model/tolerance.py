"""How far results of floating point may be apart and still be the same answer: in units in the last place, or as a difference.

Numbers are float32, as they lie in a result. The rules for what no distance can be told of are the same for both kinds:

* NaN is the same as any NaN, and as nothing else; an infinity is the same as itself alone, however large a finite number is.
* -0 is 0, and in units in the last place whatever is smaller than 2⁻¹²⁶ is 0, as drivers may flush it: the smallest normal number
  is one unit from it.
* A difference is that of the two numbers in float64, rounded to nearest.

"Within a tolerance" isn't transitive: two answers may each be within it of a third, and not of each other.

Sources: IEEE 754-2019, section 2.1 (ulp); the WGSL specification, section 15.7 (floating point evaluation: flushing, NaN).
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any, Self

from pangea.compute.model.errors import JobDefinitionError, ManifestError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.limits import shown
from pangea.compute.model.options import VerificationMode

#: An eighth of the numbers between a power of two and the next.
ULP_MAX = 2**20
ABSOLUTE_MIN, ABSOLUTE_MAX = 1e-30, 1e30
_ULP = re.compile(r"(\d{1,9}) ?ulp", re.ASCII)
#: Bits of the largest number below the smallest normal one.
_TINY = 0x007F_FFFF
#: Bytes that are compared at a time, before numbers are.
_BLOCK = 4096
_ITEM = 4
_FLOAT, _BITS = struct.Struct("<f"), struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart two numbers may be: one of the two is not 0.

    Attributes:
        ulp: steps from one float32 to the next.
        absolute: their difference.
    """

    ulp: int = 0
    absolute: float = 0.0

    @classmethod
    def of(cls, stated: Any) -> Self:
        """What a job states: "4ulp", or a number.

        Raises:
            JobDefinitionError: it is neither, or out of range.
        """
        if isinstance(stated, str) and (found := _ULP.fullmatch(stated)) is not None and 1 <= int(found[1]) <= ULP_MAX:
            return cls(ulp=int(found[1]))
        is_number = isinstance(stated, int | float) and not isinstance(stated, bool)
        if is_number and ABSOLUTE_MIN <= stated <= ABSOLUTE_MAX:
            return cls(absolute=float(stated))
        raise JobDefinitionError(
            f'execute is declared tolerance={shown(stated)}; it must be "1ulp" to "{ULP_MAX}ulp", or a number from'
            f" {ABSOLUTE_MIN:g} to {ABSOLUTE_MAX:g}",
            hint='"4ulp": so many steps from one float32 to the next; 1e-5: so large a difference. Whole numbers need none',
            option="tolerance",
        )

    @property
    def stated(self) -> str | float:
        """What `of` takes."""
        return f"{self.ulp}ulp" if self.ulp else self.absolute

    def __str__(self) -> str:
        """For people."""
        return f"{self.ulp} ulp" if self.ulp else f"{self.absolute:g}"

    def is_same(self, one: float, other: float) -> bool:
        """Whether two numbers, each a float32, are within it."""
        if one == other:
            return True
        if not (math.isfinite(one) and math.isfinite(other)):
            return math.isnan(one) and math.isnan(other)
        if self.ulp:
            return abs(_place(one) - _place(other)) <= self.ulp
        return abs(one - other) <= self.absolute

    def first_outside(self, one: Buffer, other: Buffer) -> int | None:
        """The first of the numbers in two arrays of little-endian float32, of one length, that isn't within it; None: all are.

        What is equal byte for byte costs next to nothing.
        """
        a, b = memoryview(one).cast("B"), memoryview(other).cast("B")
        assert len(a) == len(b), f"{len(a)} bytes and {len(b)}"
        for at in range(0, len(a), _BLOCK):
            x, y = a[at : at + _BLOCK], b[at : at + _BLOCK]
            if x != y:
                pairs = zip(_numbers(x), _numbers(y), strict=True)
                for index, (mine, theirs) in enumerate(pairs, at // _ITEM):
                    if mine != theirs and not self.is_same(mine, theirs):
                        return index
        return None


def check_mode(mode: VerificationMode, *, expects_hash: bool = False, has_check: bool = False) -> None:
    """Refuse ways of checking that know results by their hashes alone, for a job with a tolerance.

    Args:
        mode: how the job's results are to be checked.
        expects_hash: whether the job says what hash its result must have.
        has_check: whether the job has a check of its own.

    Raises:
        ManifestError: names the mode, and others that compare under a tolerance.
    """
    if mode is VerificationMode.MERKLE:
        raise ManifestError(
            "verification_mode 'merkle' can't check a shader with a tolerance: it compares hashes of single packs",
            hint="adaptive, redundancy and hash execute whole tasks again, and compare their numbers",
            field="verification_mode",
        )
    if has_check:
        raise ManifestError(
            "a job's own check and a shader's tolerance can't both say whether a result is right",
            hint="leave @Job.check or tolerance= out",
            field="tolerance",
        )
    if expects_hash:
        raise ManifestError(
            "expectedOutputHash can't be met by a shader with a tolerance: equal answers may have different bytes",
            hint="leave it out: hash then executes a sample of the tasks again, and compares their numbers",
            field="expectedOutputHash",
        )


def _place(number: float) -> int:
    """A finite float32's place in the row of all of them, 0's being 0."""
    bits = int(_BITS.unpack(_FLOAT.pack(number))[0])
    place = max(0, (bits & 0x7FFF_FFFF) - _TINY)
    return -place if bits >> 31 else place


def _numbers(block: memoryview) -> tuple[float, ...]:
    return struct.unpack(f"<{len(block) // _ITEM}f", block)
