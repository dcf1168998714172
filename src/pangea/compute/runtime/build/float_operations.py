"""What each instruction takes and gives, as far as the bits of NaNs matter (`nans.py`).

Source: WebAssembly Core Specification 2.0, 5.4 (instructions) and 4.3.3 (operations on floats).
"""

from __future__ import annotations

from collections.abc import Iterable

from pangea.compute.runtime.build.binary import F32, F64, I32, I64, V128

FLOATS = frozenset((F32, F64, V128))
#: Bits of a value's state: it may be open as an f32 (or lanes of them), as an f64; above them, by two, whether it may have a
#: value that making it canonical as f32, as f64 would change.
OPEN_32, OPEN_64 = 1, 2
RAW = (OPEN_32 | OPEN_64) << 2
V128_CONST, SHUFFLE = 0xFD00C, 0xFD00D

#: What an operand's bits mean to an instruction: nothing that depends on which NaN it is, as lanes of these; 0: they are seen.
_ANY = OPEN_32 | OPEN_64

#: Instruction to its operands, last first, the type of its result (0: none), and the result's state.
PLAIN: dict[int, tuple[tuple[int, ...], int, int]] = {}
#: Instructions that hand whole lanes on: as which, from how many operands on top of the stack, and the result's type.
CARRIED: dict[int, tuple[int, int, int]] = {}
#: Those whose results are open.
OPENING: set[int] = set()


def other(lanes: int) -> int:
    """The lanes of the other size."""
    return _ANY & ~lanes


def _plain(codes: Iterable[int], operands: tuple[int, ...], result: int = 0, state: int = RAW) -> None:
    PLAIN.update(dict.fromkeys(codes, (operands, result, state)))


def _vector(*codes: int | range) -> list[int]:
    return [0xFD000 | code for each in codes for code in (each if isinstance(each, range) else (each,))]


def _memory() -> None:
    for code, type_ in {0x28: I32, 0x29: I64, 0x2A: F32, 0x2B: F64}.items():
        _plain([code], (0,), type_)
    _plain(range(0x2C, 0x30), (0,), I32)
    _plain(range(0x30, 0x36), (0,), I64)
    _plain(range(0x36, 0x3F), (0, 0))
    _plain([0x3F], (), I32)  # memory.size
    _plain([0x40], (0,), I32)  # memory.grow
    _plain([0xFC08, 0xFC0A, 0xFC0B], (0, 0, 0))  # init, copy, fill
    _plain([0x01, 0xFC09], ())  # nop, data.drop
    _plain([0x1A], (_ANY,))  # drop
    _plain([0x24], (0,))  # global.set


def _integers() -> None:
    _plain([0x41], (), I32)
    _plain([0x42], (), I64)
    _plain([0x45, 0x50, 0x67, 0x68, 0x69, 0xA7, 0xC0, 0xC1], (0,), I32)
    _plain([*range(0x46, 0x50), *range(0x51, 0x5B), *range(0x6A, 0x79)], (0, 0), I32)
    _plain([0x79, 0x7A, 0x7B, 0xAC, 0xAD, 0xC2, 0xC3, 0xC4], (0,), I64)
    _plain(range(0x7C, 0x8B), (0, 0), I64)


def _floats() -> None:
    for type_, lanes, unary, binary, compared in ((F32, OPEN_32, 0x8B, 0x92, 0x5B), (F64, OPEN_64, 0x99, 0xA0, 0x61)):
        CARRIED[unary] = (lanes, 1, type_)  # abs: of the canonical NaN, which is positive, itself
        _plain([unary + 1], (0,), type_)  # neg
        _opening(range(unary + 2, unary + 7), (lanes,), type_, lanes)  # ceil, floor, trunc, nearest, sqrt
        _opening(range(binary, binary + 6), (lanes, lanes), type_, lanes)  # add, sub, mul, div, min, max
        _plain([binary + 6], (0, 0), type_)  # copysign
        _plain(range(compared, compared + 6), (lanes, lanes), I32)
    _opening([0xB6], (OPEN_64,), F32, OPEN_32)  # f32.demote_f64
    _opening([0xBB], (OPEN_32,), F64, OPEN_64)  # f64.promote_f32
    for codes, lanes, result in (
        ([0xA8, 0xA9, 0xFC00, 0xFC01], OPEN_32, I32),
        ([0xAA, 0xAB, 0xFC02, 0xFC03], OPEN_64, I32),
        ([0xAE, 0xAF, 0xFC04, 0xFC05], OPEN_32, I64),
        ([0xB0, 0xB1, 0xFC06, 0xFC07], OPEN_64, I64),
    ):
        _plain(codes, (lanes,), result)  # trunc, trunc_sat
    _plain(range(0xB2, 0xB6), (0,), F32, 0)  # of an integer, which is no NaN
    _plain(range(0xB7, 0xBB), (0,), F64, 0)
    for code, result in {0xBC: I32, 0xBD: I64, 0xBE: F32, 0xBF: F64}.items():
        _plain([code], (0,), result)  # reinterpret


def _opening(codes: Iterable[int], operands: tuple[int, ...], result: int, lanes: int) -> None:
    """Arithmetic: which NaN it gives is left open."""
    codes = list(codes)
    OPENING.update(codes)
    _plain(codes, operands, result, lanes)


def _float_vectors() -> None:
    for lanes, scalar, group, compared in ((OPEN_32, F32, 0xE0, 0x41), (OPEN_64, F64, 0xEC, 0x47)):
        CARRIED.update(dict.fromkeys(_vector(group), (lanes, 1, V128)))  # abs
        _plain(_vector(group + 1), (0,), V128)  # neg
        _opening(_vector(group + 3), (lanes,), V128, lanes)  # sqrt
        _opening(_vector(range(group + 4, group + 10)), (lanes, lanes), V128, lanes)  # add, sub, mul, div, min, max
        CARRIED.update(dict.fromkeys(_vector(group + 10, group + 11), (lanes, 2, V128)))  # pmin, pmax: one of the two
        _plain(_vector(range(compared, compared + 6)), (lanes, lanes), V128)
        at = 0 if lanes == OPEN_32 else 1
        CARRIED[0xFD013 + at] = (lanes, 1, V128)  # splat
        CARRIED[0xFD01F + 2 * at] = (lanes, 1, scalar)  # extract_lane
        CARRIED[0xFD020 + 2 * at] = (lanes, 2, V128)  # replace_lane
    _opening(_vector(range(0x67, 0x6B)), (OPEN_32,), V128, OPEN_32)  # f32x4.ceil, floor, trunc, nearest
    _opening(_vector(0x74, 0x75, 0x7A, 0x94), (OPEN_64,), V128, OPEN_64)  # of f64x2
    _opening(_vector(0x5E), (OPEN_64,), V128, OPEN_32)  # f32x4.demote_f64x2_zero
    _opening(_vector(0x5F), (OPEN_32,), V128, OPEN_64)  # f64x2.promote_low_f32x4
    _plain(_vector(0xF8, 0xF9), (OPEN_32,), V128)  # i32x4.trunc_sat_f32x4
    _plain(_vector(0xFC, 0xFD), (OPEN_64,), V128)  # i32x4.trunc_sat_f64x2
    _plain(_vector(0xFA, 0xFB), (0,), V128, OPEN_64 << 2)  # f32x4.convert
    _plain(_vector(0xFE, 0xFF), (0,), V128, OPEN_32 << 2)  # f64x2.convert_low


def _bit_vectors() -> None:
    """Loads, stores, and what sees bits."""
    _plain(_vector(range(0x0B), 0x5C, 0x5D), (0,), V128)  # loads
    _plain(_vector(0x0B), (0, 0))  # v128.store
    _plain(_vector(range(0x54, 0x58)), (0, 0), V128)  # load lane
    _plain(_vector(range(0x58, 0x5C)), (0, 0))  # store lane
    _plain(_vector(0x0E, range(0x23, 0x41), range(0x4E, 0x52)), (0, 0), V128)  # swizzle; comparisons; and, andnot, or, xor
    _plain(_vector(range(0x0F, 0x13), 0x4D), (0,), V128)  # splats; not
    _plain(_vector(0x52), (0, 0, 0), V128)  # bitselect
    _plain(_vector(0x15, 0x16, 0x18, 0x19, 0x1B), (0,), I32)  # extract_lane
    _plain(_vector(0x1D), (0,), I64)
    _plain(_vector(0x17, 0x1A, 0x1C, 0x1E), (0, 0), V128)  # replace_lane
    _plain(
        _vector(0x53, *(base + at for base in (0x63, 0x83, 0xA3, 0xC3) for at in (0, 1))), (0,), I32
    )  # any_, all_true, bitmask


def _integer_vectors() -> None:
    unary = [0x60, 0x61, 0x62, *range(0x7C, 0x82), *range(0x87, 0x8B), 0xA0, 0xA1, *range(0xA7, 0xAB), 0xC0, 0xC1]
    _plain(_vector(*unary, range(0xC7, 0xCB)), (0,), V128)  # abs, neg, popcnt, extadd_pairwise, extend
    _plain(_vector(0x65, 0x66, range(0x6B, 0x74), range(0x76, 0x7A), 0x7B), (0, 0), V128)  # i8x16
    _plain(_vector(0x82, 0x85, 0x86, range(0x8B, 0x94), range(0x95, 0x9A), 0x9B, range(0x9C, 0xA0)), (0, 0), V128)  # i16x8
    _plain(_vector(range(0xAB, 0xAF), 0xB1, range(0xB5, 0xBB), range(0xBC, 0xC0)), (0, 0), V128)  # i32x4
    _plain(_vector(range(0xCB, 0xCF), 0xD1, range(0xD5, 0xE0)), (0, 0), V128)  # i64x2


for _part in (_memory, _integers, _floats, _float_vectors, _bit_vectors, _integer_vectors):
    _part()
