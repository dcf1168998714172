"""NaNs in the Python guest: what is computed is canonical, what is only moved keeps its bits, and every engine gives the same."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from pangea.compute import Job, ModuleJob, runtime, submit_job
from pangea.compute.engine import sandbox
from tests.two_engines import compiled_guest, in_v8, in_wasmtime

#: NaNs of both signs with payloads, quiet and signalling, as f64; the last two are two NaNs each as f32.
NANS = [0x7FF8_0000_0000_0123, 0xFFF8_0000_0000_0456, 0x7FF0_0000_0000_0001, 0xFFFF_FFFF_FFFF_FFFF]
NANS += [0x7FC0_0007_FFC0_0009, 0xFFA0_0001_7FA0_0001]
WORDS = struct.pack(f"<{len(NANS)}Q", *NANS)
CANONICAL = {0x7FF8 << 48, 0xFFF8 << 48}

#: What only moves values, in a function of bytes; each gives all words again, perhaps in another order.
MOVES = """
struct.pack("<6d", *struct.unpack("<6d", b))
array.array("d", b).tobytes()
b"".join(struct.pack("<d", x) for x in [y for y in struct.unpack("<6d", b)])
b"".join(struct.pack("<d", x) for x in dict(enumerate(struct.unpack("<6d", b))).values())
b"".join(struct.pack("<d", complex(0, x).imag) for x in struct.unpack("<6d", b))
memoryview(b).cast("d").tobytes()
f.copy().tobytes()
f[::-1].tobytes()
f[[3, 1, 0, 2, 5, 4]].tobytes()
np.where(f == 1.0, 0.0, f).tobytes()
np.concatenate([f[:2], f[2:]]).tobytes()
np.take(f, np.arange(6)).tobytes()
f.reshape(2, 3).T.copy().tobytes()
np.roll(f, 2).tobytes()
np.array(f.tolist()).tobytes()
f.astype("f8").tobytes()
np.frombuffer(b, "c16").copy().tobytes()
np.frombuffer(b, "f4").copy()[::-1].tobytes()
f[np.ones(6, bool)].tobytes()
np.broadcast_to(f, (1, 6)).copy().tobytes()
"""
#: What computes: in each eight bytes of what these give is a number or a canonical NaN.
COMPUTED = """
f + 1
f * f - f / 3
np.sqrt(f)
1.5 * np.add.reduce(f)
np.cumsum(f)[1:]
np.cumprod(np.array([2.0, *f]))
f @ f
np.outer(f, f) @ np.outer(f, f)
np.fft.fft(f).view("f8")
np.fft.irfft(f)
np.exp(f) + 0
np.arctan2(f, 1.0)
np.convolve(f, f)
np.mean(f.reshape(2, 3), axis=0)
np.std(f)
np.var(f, axis=0)
np.floor(f)
f % 2.5
f ** 2.5
np.hypot(f, 3.0)
np.float64(np.frombuffer(b, "f4"))
np.float64(np.frombuffer(b, "f4") * np.float32(2))
np.einsum("i,j->ij", f, f)
np.interp(f, [0.0, 1.0], [2.0, 3.0]) + 0
np.linspace(f[0], 1, 5)
np.dot(f, 2.0)
np.kron(f, f)
np.array([x + 1 for x in f.tolist()])
np.array([math.fsum([x, 1.0]) for x in f.tolist()])
np.array([x * x - x * 3 for x in f.tolist()])
np.array([complex(x, 1) * 2 for x in f.tolist()]).view("f8")
np.array([sum([x, x]) for x in f.tolist()])
np.array([math.sqrt(abs(x)) for x in f.tolist()])
"""
_HEAD = "import array, math, struct\nimport numpy as np\n"


def execute(chunk: bytes) -> bytes:
    import array
    import math
    import struct

    import numpy as np

    given = json.loads(chunk)
    b = bytes.fromhex(given["words"])
    space = {"array": array, "math": math, "struct": struct, "np": np, "b": b, "f": np.frombuffer(b)}
    with np.errstate(all="ignore"):
        made = [eval(line, space) for line in given["lines"]]
    return json.dumps([(each if isinstance(each, bytes) else np.asarray(each).tobytes()).hex() for each in made]).encode()


def in_a_job(lines: str) -> list[tuple[str, list[int]]]:
    """Each line with the words that it gives in the sandbox."""
    texts = lines.strip().splitlines()
    given = json.dumps({"words": WORDS.hex(), "lines": texts}).encode()
    made = [bytes.fromhex(each) for each in json.loads(submit_job(Job.from_functions(execute), given))]
    return [(text, [*struct.unpack(f"<{len(each) // 8}Q", each)]) for text, each in zip(texts, made, strict=True)]


@pytest.mark.filterwarnings("ignore:.*calls eval")
def test_values_that_are_only_moved_keep_their_bits() -> None:
    for text, words in in_a_job(MOVES):
        halves = sorted(half for word in words for half in (word >> 32, word & 0xFFFF_FFFF))
        assert halves == sorted(half for word in NANS for half in (word >> 32, word & 0xFFFF_FFFF)), text
        assert "f4" in text or sorted(words) == sorted(NANS), text


@pytest.mark.filterwarnings("ignore:.*calls eval")
def test_nans_that_are_computed_are_canonical() -> None:
    for text, words in in_a_job(COMPUTED):
        nans = [word for word in words if word & 0x7FFF << 48 >= 0x7FF0 << 48 and word & (1 << 63) - 1 > 0x7FF0 << 48]
        assert nans, text
        assert {f"{word:x}" for word in nans} <= {f"{word:x}" for word in CANONICAL}, text


def test_nans_of_a_users_module_are_canonical_too() -> None:
    """It carries no checks of its own: the engine makes them so after each operation."""
    wasm = wat2wasm("""(module (memory (export "memory") 1)
      (func (export "alloc") (param i32) (result i32) (i32.const 64))
      (func (export "execute") (param i32 i32) (result i64)
        (f64.store (i32.const 0) (f64.add (f64.load (local.get 0)) (f64.const 1)))
        (i64.const 8)))""")
    for word in NANS[:4]:
        assert submit_job(ModuleJob(bytes(wasm)), struct.pack("<Q", word)) == struct.pack("<Q", 0x7FF8 << 48)


#: A job: each ufunc of NumPy on each of its types, alone, reduced and accumulated, and what else computes; short digests of all.
_ALL = """
import hashlib
def execute(chunk):
    draw = np.random.default_rng(5)
    words = draw.integers(0, 1 << 63, 96, dtype="u8") | (draw.integers(0, 2, 96, dtype="u8") << np.uint64(63))
    nans = words | np.uint64(0x7FF0 << 48)
    mixed = np.where(draw.random(96) < .5, nans, draw.normal(size=96).view("u8"))
    mixed[:24:3] = nans.view("u4")[:16:2] | np.uint32(0x7F80 << 16)
    shown = []
    def take(name, function, *arguments):
        try:
            with np.errstate(all="ignore"):
                made = function(*arguments)
            parts = made if isinstance(made, tuple | list) else (made,)
            data = b"".join(np.ascontiguousarray(part).tobytes() for part in parts)
        except Exception as error:
            data = repr(error).encode()
        shown.append(name + " " + hashlib.sha256(data).hexdigest()[:16])
    for type_ in ("f8", "f4", "f2", "c16", "c8"):
        flat = mixed.view(type_)
        for count in (flat.size, 7):
            x, y = flat[:count], flat[::-1][:count]
            for name in sorted(dir(np)):
                ufunc = vars(np).get(name)
                if not isinstance(ufunc, np.ufunc) or ufunc.nin > 2 or ufunc.signature:
                    continue
                take(f"{name} {type_}", ufunc, *(x, y)[: ufunc.nin])
                take(f"{name} {type_} strided", ufunc, *(x[::3], y[::3])[: ufunc.nin])
                if ufunc.nin == 2 and ufunc.nout == 1:
                    take(f"{name} {type_} reduced", ufunc.reduce, x)
                    take(f"{name} {type_} accumulated", ufunc.accumulate, x)
                    take(f"{name} {type_} scalar", ufunc, x, y[0])
            square = flat[: 36].reshape(6, 6)
            for text in TEXTS:
                take(f"{text} {type_}", eval(f"lambda x, y, s: {text}"), x, y, square)
    return json.dumps(shown).encode()
"""
_TEXTS = """
x @ y|s @ s|s @ x[:6]|np.fft.fft(x)|np.fft.ifft(x)|np.fft.rfft(x.real)|np.mean(x)|np.std(x)|np.var(s, axis=1)
np.median(x.real)|np.clip(x.real, -1, 1)|np.sort(x)|np.argsort(x)|np.unique(x)|np.nansum(x)|np.nanmax(x.real)
np.nanmean(s, axis=0)|np.nan_to_num(x)|np.where(x == x, y, x)|np.diff(x)|np.convolve(x, y)|np.trace(s)
np.einsum("ij,jk->ik", s, s)|np.kron(x[:3], y[:3])|np.cross(x[:3], y[:3])|np.linalg.det(s)|np.linalg.solve(s, x[:6])
np.linalg.inv(s)|np.linalg.qr(s)|np.linalg.norm(x)|np.linalg.eigvals(s)|np.polyval(x[:5], y)|np.interp(x.real, [0, 1], [2, 3])
np.histogram(x.real, 5, (0, 1))|np.cov(s)|np.corrcoef(s)|np.percentile(x.real, 30)|np.round(x, 2)|x.astype("f4")
x.astype("f8")|x.astype("c16")|x.astype("f2")|x.tolist()|np.isclose(x, y)|np.gradient(x)|np.trapezoid(x)|np.cumsum(s, axis=1)
np.prod(x)|np.ptp(x.real)|np.maximum.at(x.real.copy(), [0, 1], 2.0)|[a * 2 - 1 for a in x.tolist()]|sum(x.tolist())
[-a for a in x.tolist()]|[abs(a) for a in x.tolist()]|[a ** 2 for a in x.tolist()]
np.array([complex(a) / 3 for a in x.tolist()])|[math.copysign(1.0, a) for a in x.real.tolist()]
[math.copysign(a, -1.0) for a in x.real.tolist()]|[math.hypot(a, 1.0) for a in x.real.tolist()]
[math.fmod(a, 3) for a in x.real.tolist()]|[struct.pack("<d", a + 0) for a in x.real.tolist()]
np.random.default_rng(1).normal(x.real[:5], 1)|np.polynomial.polynomial.polyfit(np.arange(6), s, 2)
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_engines_that_make_nans_canonical_and_those_that_do_not_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [text for text in _TEXTS.replace("\n", "|").split("|") if text]
    source = f"import json\n{_HEAD}TEXTS = {texts!r}\n{_ALL}"
    wasm = runtime.load()
    fast = in_wasmtime(compiled_guest(wasm, tmp_path / "fast"), source, "")
    shown = json.loads(str(fast[0]))
    assert len(shown) > 3000

    monkeypatch.setitem(sandbox._OWN_SETTINGS, "cranelift_nan_canonicalization", True)
    careful = in_wasmtime(compiled_guest(wasm, tmp_path / "careful"), source, "")
    assert [pair for pair in zip(shown, json.loads(str(careful[0])), strict=True) if pair[0] != pair[1]] == []
    assert careful == fast
    if shutil.which("node") is not None:
        there = in_v8(wasm, [(source, "")], tmp_path)[0]
        assert [pair for pair in zip(shown, json.loads(there[0]), strict=True) if pair[0] != pair[1]] == []
        assert there == fast
