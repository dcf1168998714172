"""NumPy's values: equal in value, type, memory layout and sharing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy

from tests.capturing import Cases, Look

CASES = Cases()


def shown(value: Any) -> Any:
    flags = value.flags
    about = (type(value).__name__, value.dtype.str, value.shape, value.tolist())
    return *about, flags.writeable, flags.c_contiguous, flags.f_contiguous


@CASES
def arrays_of_many_types() -> Look:
    kept = [numpy.array([1, 2], kind) for kind in ("i1", "u2", ">i4", "<i8", "u8", "f2", "f4", "f8", "c8", "c16", "?")]
    kept += [numpy.array(["a", "bcd"]), numpy.array([b"x"]), numpy.array(["2026-01-01"], "M8[D]"), numpy.array([3], "m8[ms]")]
    kept += [numpy.zeros((0, 3)), numpy.array(5), numpy.array([numpy.nan, -0.0, numpy.inf])]
    return lambda: [shown(each) for each in kept]


@CASES
def arrays_in_any_order_of_axes() -> Look:
    whole = numpy.arange(24).reshape(2, 3, 4)
    kept = [numpy.asfortranarray(whole), whole.transpose(1, 0, 2).copy("K"), whole.copy()]
    return lambda: [(shown(each), each.strides, each.base is None) for each in kept]


@CASES
def bits_of_numbers_that_are_none() -> Look:
    kept = numpy.array([0x7FF8000000000123, 0xFFF0000000000001], numpy.uint64).view(numpy.float64).copy()
    return lambda: kept.tobytes().hex()


@CASES
def views_of_arrays() -> Look:
    whole = numpy.arange(12)
    views = [whole[2:8], whole[::-2], whole.reshape(3, 4)[:, 1], whole.reshape(3, 4).T, whole[5:5], whole.view(numpy.uint8)[3:9]]

    def look() -> Any:
        whole[4] = 99
        views[0][0] = -1
        return [shown(each) for each in views], whole.tolist(), [each.base is whole for each in views]

    return look


@CASES
def arrays_of_records() -> Look:
    plain = numpy.array([(3, "a"), (1, "bé")], [("id", "<i4"), ("name", "<U2")])
    kept = plain.view(numpy.recarray)
    return lambda: (kept.id.tolist(), kept[1].name, kept[:1].name.tolist(), type(kept) is numpy.recarray)


@CASES
def limits_of_numbers() -> Look:
    kept = [numpy.finfo(numpy.float32), numpy.finfo("f8"), numpy.iinfo("u2")]
    return lambda: [(each.dtype, each.min, each.max, each.bits) for each in kept]


@CASES
def one_array_under_two_names() -> Look:
    one = numpy.zeros(3)
    table = {"x": one, "y": [one]}

    def look() -> Any:
        table["x"][0] = 7
        return table["y"][0] is one, one.tolist()

    return look


@CASES
def arrays_over_bytes() -> Look:
    data = bytearray(4)
    over, fixed = numpy.frombuffer(data, numpy.uint8), numpy.frombuffer(b"\1\0\2\0", "<u2")

    def look() -> Any:
        over[1] = 9
        return bytes(data), shown(over), shown(fixed)

    return look


@CASES
def scalars_of_many_types() -> Look:
    kept = [numpy.int64(5), numpy.uint8(255), numpy.float32(1.5), numpy.float64(numpy.nan), numpy.float16(2), numpy.bool_(True)]
    kept += [
        numpy.str_("x"),
        numpy.bytes_(b"a"),
        numpy.complex64(1j),
        numpy.datetime64("2026-01-01T00", "h"),
        numpy.timedelta64(3),
    ]
    wraps = numpy.uint8(255)

    def look() -> Any:
        with numpy.errstate(over="ignore"):
            return [(type(each).__name__, each.dtype.str, repr(each)) for each in kept], wraps + wraps, kept[3] is kept[3]

    return look


@CASES
def types_of_numpy() -> Look:
    kept = [numpy.dtype("f8"), numpy.dtype([("a", "i4"), ("b", "f8", (2,))]), numpy.int32, numpy.dtype(">u2"), numpy.ndarray]
    kept.append(numpy.dtype({"names": ["x", "y"], "formats": ["i1", "i8"]}, align=True))
    table = {numpy.dtype("i4"): 1, numpy.int8: 2}
    return lambda: ([str(each) for each in kept], kept[5].isalignedstruct, table[numpy.dtype("int32")], table[numpy.int8])


@CASES
def records() -> Look:
    rows = numpy.array([(1, 2.5, "x")], [("a", "i4"), ("b", "f8"), ("c", "U3")])
    table, row = numpy.rec.array([(1, 2.0)], [("x", "i8"), ("y", "f8")]), rows[0]
    return lambda: (rows["b"].tolist(), rows.dtype, table.x.tolist(), type(table).__name__, row["c"], type(row).__name__)


@CASES
def arrays_of_objects() -> Look:
    kept = numpy.empty(3, object)
    kept[0] = [1]
    kept[1], kept[2] = kept[0], kept
    return lambda: (kept[0] is kept[1], kept[2] is kept, kept.dtype)


@CASES
def arrays_of_other_classes() -> Look:
    class Measured(numpy.ndarray):
        def __array_finalize__(self, other: Any) -> None:
            self.unit = getattr(other, "unit", None)

    measured = numpy.array([1, 2]).view(Measured)
    measured.unit = "m"
    masked = numpy.ma.array([1, 2, 3], mask=[0, 1, 0], fill_value=-1)
    return lambda: (
        *((measured * 2).unit, measured.tolist(), type(measured).__name__),
        *(masked.sum(), masked.mask.tolist(), masked.filled().tolist()),
    )


@CASES
def functions_and_generators() -> Look:
    kept = [numpy.sin, numpy.add.reduce, numpy.linalg.norm, numpy.vectorize(lambda x: x + 1), numpy.poly1d([1, 2])]
    draw, old = numpy.random.default_rng(5), numpy.random.RandomState(3)
    other = numpy.random.Generator(numpy.random.Philox(7))
    _ = draw.random(), draw.spawn(1), old.normal(), other.integers(9)
    return lambda: (
        *(kept[0](0.0), kept[1]([1, 2]), kept[2]([3, 4]), kept[3]([1, 2]).tolist(), kept[4](3), numpy.pi),
        *(
            draw.integers(0, 10, 3).tolist(),
            draw.random(),
            draw.spawn(1)[0].integers(100),
            old.normal(),
            old.rand(),
            other.random(),
        ),
    )


@CASES
def arrays_inside_values() -> Look:
    @dataclasses.dataclass
    class Model:
        weights: numpy.ndarray

    model, table = Model(numpy.eye(2)), {numpy.int64(3): "three"}
    return lambda: (model, model.weights.tolist(), table[3])
