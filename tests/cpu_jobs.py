"""Jobs whose bytes and fuel must be the same on every CPU: plain Python, NumPy, and NaNs of each kind in what takes floats."""

from __future__ import annotations

import json
from pathlib import Path

from wasmtime import wat2wasm

from tests.integration.test_meter_in_v8 import jobs as metered_jobs
from tests.numpy_calls import calls
from tests.numpy_expressions import expressions

#: Of each kind: the canonical ones, quiet ones with something to say, signalling ones; and what NaNs are made of.
_NANS = r"""
import json, math, struct, warnings
import numpy as np

WIDE = [0x7ff8000000000000, 0xfff8000000000000, 0x7ff8000000000123, 0xfffc000000000321, 0x7ff0000000000001, 0xfff4000000000007,
        0x7ff0000000000000, 0xfff0000000000000, 0x0000000000000000, 0x8000000000000000, 0x3ff8000000000000, 0x0000000000000001]
NARROW = [0x7fc00000, 0xffc00000, 0x7fc00123, 0xffe00321, 0x7f800001, 0xffa00007,
          0x7f800000, 0xff800000, 0x00000000, 0x80000000, 0x3fc00000, 0x00000001]
HALF = [0x7e00, 0xfe00, 0x7e01, 0x7c01, 0xfd03, 0x7c00, 0xfc00, 0x0000, 0x8000, 0x3e00, 0x0001]
DOUBLES = [struct.unpack("<d", number.to_bytes(8, "little"))[0] for number in WIDE]
PLAIN_ONE = ["-x", "+x", "abs(x)", "x * 0", "x - x", "x + 1", "math.copysign(1.5, x)", "math.sqrt(abs(x))", "math.fabs(x)",
             "x.__round__(2)", "float(repr(x))", "float.fromhex(x.hex())", "complex(x, 1) * 2j", "sum([x, 1.0])",
             "math.fsum([x])", "math.sin(x)", "math.exp(x)", "math.floor(x)", "struct.pack('<f', x)", "math.ldexp(x, 3)",
             "math.nextafter(x, 1)"]
PLAIN_TWO = ["x + y", "x - y", "x * y", "x / y", "x % y", "x // y", "x ** y", "min(x, y)", "max(x, y)", "math.copysign(x, y)",
             "math.fmod(x, y)", "math.hypot(x, y)", "math.atan2(x, y)", "divmod(x, y)", "math.dist([x, y], [y, x])"]
ONE = ("negative absolute sqrt square reciprocal rint floor ceil trunc sign exp log sin tanh cbrt isnan signbit spacing conjugate"
       " exp2 log1p arctan degrees").split()
TWO = ("add subtract multiply divide power maximum minimum fmax fmin fmod remainder floor_divide hypot arctan2 copysign nextafter"
       " heaviside logaddexp").split()
REDUCED = "sum prod min max mean std var cumsum cumprod argmax argsort sort nansum nanmax median ptp".split()

MORE = ["square @ square", "np.fft.fft(each)", "np.linalg.det(square)", "np.where(each > other, each, other)",
        "each[::-1].copy()", "np.dot(each, other)", "np.linalg.solve(square, square[0])", "np.clip(each.real, 0, 1)",
        "repr(each)"]

def shown(value):
    if isinstance(value, float):
        return struct.pack("<d", value).hex()
    if isinstance(value, complex):
        return [shown(value.real), shown(value.imag)]
    if isinstance(value, (list, tuple)):
        return [shown(each) for each in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return [str(np.asarray(value).dtype), np.asarray(value).tobytes().hex()]
    return value.hex() if isinstance(value, bytes) else repr(value)

def attempt(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = shown(work())
        except Exception as error:
            made = f"{type(error).__name__}: {error}"
    return [made, sorted(str(each.message) for each in caught)]

def plain():
    found = []
    for x in DOUBLES:
        for text in PLAIN_ONE:
            found.append(attempt(lambda: eval(text, {"x": x, "math": math, "struct": struct})))
        for y in DOUBLES:
            for text in PLAIN_TWO:
                found.append(attempt(lambda: eval(text, {"x": x, "y": y, "math": math})))
    return found

def arrays():
    wide, narrow = np.array(WIDE, np.uint64).view(np.float64), np.array(NARROW, np.uint32).view(np.float32)
    half = np.array(HALF, np.uint16).view(np.float16)
    found = []
    for each in (wide, narrow, half, wide.astype(np.complex128), narrow.astype(np.complex64)):
        other = np.roll(each, 5)
        found += [attempt(lambda: getattr(np, name)(each)) for name in ONE]
        found += [attempt(lambda: getattr(np, name)(each, other)) for name in TWO]
        found += [attempt(lambda: getattr(np, name)(each)) for name in REDUCED]
        for kind in ("f2", "f4", "f8", "c8", "c16", "i4", "u8", "?"):
            found.append(attempt(lambda: each.astype(kind)))
        square = np.resize(each, (5, 5))
        for text in MORE:
            found.append(attempt(lambda: eval(text, {"np": np, "each": each, "other": other, "square": square})))
    return found

def execute(chunk):
    return json.dumps(plain() if chunk == b"plain" else arrays()).encode()
"""

_UNARY = "neg abs sqrt ceil floor trunc nearest".split()
_BINARY = "add sub mul div min max".split()


def python_jobs(count: int) -> list[tuple[str, str]]:
    """Programs of all parts of the standard library and of NumPy, each with `count` numbers."""
    return metered_jobs(count)


def nan_jobs() -> list[tuple[str, str]]:
    """What plain floats and NumPy's arrays make of NaNs, to the bit."""
    return [(_NANS, "plain"), (_NANS, "arrays")]


def numpy_jobs(each: int, *, every: int = 1) -> list[tuple[str, str]]:
    """The calls of `numpy_calls.txt` (every so many-th) and random expressions, `each` of them a job."""
    here = Path(__file__).parent
    execute = (
        "\nimport json\ndef execute(chunk):\n    return json.dumps([outcome(text) for text in json.loads(chunk)]).encode()\n"
    )
    made = []
    for name, texts in (
        ("numpy_calls", [text.removeprefix("~ ") for text in calls()][::every]),
        ("numpy_expressions", expressions(3, 1200 // every)),
    ):
        source = (here / f"{name}.py").read_text() + execute
        made += [(source, json.dumps(texts[at : at + each])) for at in range(0, len(texts), each)]
    return made


def float_module() -> bytes:
    """A user's module that gives the bits of what each instruction of floats makes of each pair of its input's numbers.

    Its input is any number of doubles; scalars and vectors of both widths, with signs and payloads of NaNs as they come.
    """
    parts: list[tuple[int, str]] = []
    one, two = "(v128.load (local.get $x))", "(v128.load (local.get $y))"
    for scalar, lanes, keep in (("f64", "f64x2", "f64.store"), ("f32", "f32x4", "f32.store")):
        x, y = f"({scalar}.load (local.get $x))", f"({scalar}.load (local.get $y))"
        parts += [(8, f"({keep} {{at}} ({scalar}.{name} {x}))") for name in _UNARY]
        parts += [(8, f"({keep} {{at}} ({scalar}.{name} {x} {y}))") for name in (*_BINARY, "copysign")]
        parts += [(16, f"(v128.store {{at}} ({lanes}.{name} {one}))") for name in _UNARY]
        parts += [(16, f"(v128.store {{at}} ({lanes}.{name} {one} {two}))") for name in (*_BINARY, "pmin", "pmax")]
    parts += [
        (8, "(f64.store {at} (f64.promote_f32 (f32.load (local.get $x))))"),
        (8, "(f32.store {at} (f32.demote_f64 (f64.load (local.get $x))))"),
        (16, f"(v128.store {{at}} (f64x2.promote_low_f32x4 {one}))"),
        (16, f"(v128.store {{at}} (f32x4.demote_f64x2_zero {one}))"),
    ]
    body, size = "", 0
    for room, text in parts:
        body += text.format(at=f"(i32.add (local.get $out) (i32.const {size}))") + "\n"
        size += room
    return bytes(
        wat2wasm(f"""(module (memory (export "memory") 64)
 (func (export "alloc") (param i32) (result i32) (i32.const 4096))
 (func (export "execute") (param $at i32) (param $size i32) (result i64) (local $x i32) (local $y i32) (local $end i32)
  (local $out i32)
  (local.set $out (i32.const 65536)) (local.set $x (local.get $at))
  (local.set $end (i32.sub (i32.add (local.get $at) (local.get $size)) (i32.const 8)))
  (loop $first
   (local.set $y (local.get $at))
   (loop $second
{body}
    (local.set $out (i32.add (local.get $out) (i32.const {size})))
    (br_if $second (i32.lt_u (local.tee $y (i32.add (local.get $y) (i32.const 8))) (local.get $end))))
   (br_if $first (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 8))) (local.get $end))))
  (i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.extend_i32_u (i32.sub (local.get $out) (i32.const 65536))))))""")
    )


def float_numbers() -> str:
    """Doubles of each kind, and pairs of singles likewise, in hex: the input of `float_module`."""
    names: dict[str, object] = {}
    exec(_NANS.partition("DOUBLES =")[0].replace("import numpy as np\n", ""), names)
    wide, narrow = names["WIDE"], names["NARROW"]
    assert isinstance(wide, list)
    assert isinstance(narrow, list)
    return (
        b"".join(number.to_bytes(8, "little") for number in wide).hex()
        + b"".join(number.to_bytes(4, "little") for number in narrow).hex()
    )
