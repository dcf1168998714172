"""NumPy inside the sandbox: the same values as natively, the same types, the same draws, NumPy's own errors."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from pangea.compute import Job, submit_job

#: Expressions are evaluated here and there; natively, some warn.
pytestmark = [pytest.mark.filterwarnings(f"ignore:.*calls {name}") for name in ("eval", "exec")] + [
    pytest.mark.filterwarnings("ignore::RuntimeWarning")
]
#: Exact in binary arithmetic, or sorting, counting and indexing: equal to the bit.
EXACT = """
np.arange(10).sum()|np.array([2**40])*3|np.array([True, True]).sum()|np.uint8(200) + np.uint8(100)|np.int64(2)**40
np.arange(7)//2|np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)[1:, ::-1]|np.arange(-5, 5)%3
np.divmod(np.arange(-9, 9), 4)|np.gcd(np.arange(1, 20), 12)|np.sort(x)|np.argsort(x)|np.argmax(x)|np.nonzero(x > .5)
np.where(x > .5, x, -x)|x[x > .25]|np.searchsorted(np.sort(x), [.1, .5, .9])
np.unique(k, return_counts=True, return_inverse=True)|np.bincount(k)|np.histogram(x, 8)|np.lexsort((k[::-1], k))
np.partition(x, 9)[9]|np.median(x)|np.percentile(x, 25)|x.cumsum()|x.sum()|x.mean()|np.maximum.accumulate(x)|x*3 + 1
x/7|np.sqrt(x)|np.floor(x*9)|np.clip(x, .2, .7)|m.T|m[1]|m.reshape(5, 10)|np.kron(np.eye(2), m[:2, :2])
np.einsum("ij->j", m)|np.diff(x)|np.roll(x, 3)|np.repeat(k, 2)|np.tile(k, 2)|np.isnan(np.array([1, np.nan]))
np.nanmax(np.array([1, np.nan]))|np.float32(x)|x.astype("f2")|np.packbits(k > 3)|k & 5|~k|k >> 1|np.isin(k, [1, 2])
np.char.upper(["a", "b"])|np.strings.find(["abc", "xb"], "b")|np.datetime64("2026-01-01") + np.arange(3)
np.busday_count("2026-01", "2026-02")|np.linalg.matrix_rank(np.eye(3))|np.array_split(k, 3)[1]
np.meshgrid([1, 2], [3, 4])[1]|np.ma.masked_array(k, k > 3).sum()|np.cov(m).shape[0]|np.random.default_rng(7).random(5)
np.random.default_rng(7).integers(0, 99, 5)|np.random.RandomState(7).randint(0, 2**40, 5)
np.random.default_rng(3).permutation(9)|np.random.RandomState(3).choice(50, 5, False)
np.random.default_rng(1).normal(size=5)
"""
#: The last digits are another library's: musl's functions, our BLAS, LAPACK in C, FFT without the machine's own instructions.
CLOSE = """
np.exp(x)|np.log(x + 1)|np.sin(x)|np.tanh(x)|np.power(x, 2.5)|np.hypot(x, x)|x.std()|x.var()|x@x|m@m.T|m.T@m
np.dot(m, m[0])|np.linalg.inv(s)|np.linalg.solve(s, m[:, 0])|np.linalg.det(s)|np.linalg.svd(m)[1]
np.linalg.eigvalsh(s)|np.linalg.cholesky(s)|np.linalg.qr(m)[1]|np.linalg.norm(m)|np.linalg.pinv(m)
np.linalg.lstsq(m, m[:, 0], rcond=None)[0]|np.fft.fft(x)|np.fft.rfft(x)|np.fft.ifft2(m)|np.fft.fft(x[:31])
np.polyfit(x[:9], x[9:18], 2)|np.roots([1, -6, 11, -6])|np.corrcoef(m)|np.interp(x, [0, 1], [3, 5])
np.convolve(x, x[:5])|np.trapezoid(x)|(m + 1j*m)@(m.T - 2j*m.T)|np.float32(m)@np.float32(m.T)
np.einsum("ij,kj->ik", m, m)|np.random.default_rng(1).gamma(2., size=5)
"""
NAMES = """
r = np.random.default_rng(5)
x, k, m = r.random(50), r.integers(0, 9, 30), r.random((5, 10))
s = m @ m.T + np.eye(5)
"""


def evaluated(lines: str) -> list[tuple[str, Any]]:
    """Each expression's value: type and numbers, without its bytes' order."""
    space: dict[str, Any] = {"np": np}
    exec(NAMES, space)
    made = []
    for text in lines.replace("\n", "|").strip("|").split("|"):
        value = eval(text, space)
        parts = [np.asarray(each) for each in (value if isinstance(value, tuple) else (value,))]
        made.append((text, [[str(each.dtype), each.shape, each.tobytes().hex()] for each in parts]))
    return made


def execute(chunk: bytes) -> bytes:
    return json.dumps(evaluated(chunk.decode())).encode()


def test_what_is_exact_is_equal_to_the_bit() -> None:
    job = Job.from_functions(execute)
    here, there = (json.loads(each) for each in (job.run_local(EXACT.encode()), submit_job(job, EXACT.encode())))
    assert len(here) > 60
    assert [one for one, two in zip(here, there, strict=True) if one != two] == []


def test_what_another_library_computes_is_equal_but_for_the_last_digits() -> None:
    job = Job.from_functions(execute)
    here, there = (json.loads(each) for each in (job.run_local(CLOSE.encode()), submit_job(job, CLOSE.encode())))
    for (text, one), (_, two) in zip(here, there, strict=True):
        for (dtype, shape, native), (dtype2, shape2, sandboxed) in zip(one, two, strict=True):
            assert (dtype, shape) == (dtype2, shape2), text
            here_, there_ = (np.frombuffer(bytes.fromhex(each), dtype) for each in (native, sandboxed))
            rtol, atol = (1e-4, 1e-5) if dtype == "float32" else (1e-9, 1e-11)
            np.testing.assert_allclose(there_, here_, rtol=rtol, atol=atol, err_msg=text)


def test_errors_are_numpy_s_own() -> None:
    def execute(chunk: bytes) -> bytes:
        import warnings

        found = []
        for text in (
            "np.linalg.inv(np.zeros((2, 2)))",
            "np.linalg.cholesky(-np.eye(2))",
            "np.ones(3) + np.ones(4)",
            "np.array([1])[2**40]",
            "np.ones(2**27)",
            "np.array([1, 2]) // 0",
            "np.float16(70000)",
            "1 / np.array([0.0])",
            "np.float64(1) / 0",
            "np.log(np.array([-1.0]))",
            "np.array([1e308, 1e308]).sum()",
            "np.sqrt(np.array([4.0]))",
            "np.unique(np.arange(1 << 21)).size",
        ):
            with np.errstate(all="raise"), warnings.catch_warnings():
                try:
                    found.append(repr(eval(text, {"np": np})))
                except Exception as error:
                    found.append(type(error).__name__.removeprefix("_Array"))
        return json.dumps(found).encode()

    job = Job.from_functions(execute)
    names = [
        "LinAlgError",
        "LinAlgError",
        "ValueError",
        "IndexError",
        "MemoryError",
        *["FloatingPointError"] * 6,
        "array([2.])",
        "2097152",
    ]
    assert json.loads(submit_job(job, b"x")) == names


def test_casts_tell_what_does_not_fit() -> None:
    def execute(chunk: bytes) -> bytes:
        found = []
        for value in (np.nan, np.inf, 1e300, 1e19, 3e9, 1e5, -1.0, -129.0):
            for source in "fdgFDG":
                for target in "bBhHiIqQefdgFD":
                    with np.errstate(all="ignore"):
                        numbers = np.array([1, value, 2]).astype(source)
                    try:
                        with np.errstate(all="raise"):
                            numbers.astype(target, casting="unsafe")
                    except FloatingPointError as error:
                        found.append(f"{source} {value} {target} {str(error).split()[0]}")
        return json.dumps(found).encode()

    def told(source: str, value: float, target: str) -> str:
        """What a machine with flags tells. Integers of 8 and 16 bits are made by way of 32."""
        with np.errstate(all="ignore"):
            number = np.array(value).astype(source.lower()).astype("g")[()]
            made = number.astype(target.lower()) if target in "efdgFD" else number
        if target in "efdgFD":
            return "overflow" if np.isfinite(number) and not np.isfinite(made) else ""
        bounds = np.iinfo("i" if target in "bBhH" else target)
        return "" if bounds.min - 1 < number < bounds.max + 1 else "invalid"

    found = json.loads(submit_job(Job.from_functions(execute), b"x"))
    expected = [
        f"{source} {value} {target} {why}"
        for value in (np.nan, np.inf, 1e300, 1e19, 3e9, 1e5, -1.0, -129.0)
        for source in "fdgFDG"
        for target in "bBhHiIqQefdgFD"
        if (why := told(source, value, target))
        and (source not in "gG" or (value, target) != (1e300, "e"))  # made by way of float32, in which it is infinite already
    ]
    assert found == expected


def test_decompositions_of_what_is_not_finite_do_not_converge() -> None:
    def execute(chunk: bytes) -> bytes:
        nan, inf = np.full((2, 2), np.nan), np.full((30, 30), np.inf)
        mixed = np.array([[1, np.nan, 2], [3, 4, 5], [6, 7, 8.0]])
        found = []
        for function, matrix in (
            (np.linalg.svd, nan),
            (np.linalg.svd, inf),
            (np.linalg.svdvals, mixed),
            (np.linalg.svd, np.stack([np.eye(2), nan])),
            (np.linalg.svdvals, (nan * 1j).astype("c8")),
            (np.linalg.matrix_rank, nan),
            (np.linalg.pinv, mixed),
            (lambda a: np.linalg.lstsq(a, np.ones(2)), nan),
            (lambda a: np.linalg.lstsq(a, np.ones(2)), np.array([[1, 2], [3, np.inf]])),
            (lambda x: np.polyfit(x, x, 1), np.array([1, 2, np.nan])),
        ):
            try:
                found.append(f"no error: {function(matrix)}")
            except Exception as error:
                found.append(f"{type(error).__name__}: {error}")
        return json.dumps(found).encode()

    svd, least_squares = "LinAlgError: SVD did not converge", "LinAlgError: SVD did not converge in Linear Least Squares"
    job = Job.from_functions(execute)
    assert json.loads(submit_job(job, b"x")) == json.loads(job.run_local(b"x")) == [svd] * 7 + [least_squares] * 3


def test_numbers_are_shown_as_at_home_whatever_is_set() -> None:
    def execute(chunk: bytes) -> bytes:
        shown = [repr(np.get_printoptions()), str(np.polynomial.Polynomial([1, -3, 2]))]
        with np.printoptions(precision=2, suppress=True):
            shown.append(repr(np.array([1.23456e-5, 3.14159])))
        with np.printoptions():
            for legacy in ("1.13", "1.25", False):
                np.set_printoptions(legacy=legacy)
                shown += [repr(np.array([1.0, 2.5])), repr(np.float32(0.1)), str(np.get_printoptions()["legacy"])]
        return json.dumps(shown).encode()

    job = Job.from_functions(execute)
    assert json.loads(submit_job(job, b"x")) == json.loads(job.run_local(b"x"))


def test_lack_of_memory_inside_c_plus_plus_is_a_memory_error() -> None:
    def execute(chunk: bytes) -> bytes:
        reals, waves, ties = np.ones(30_011), np.ones(32_768, "c8"), np.arange(30_000)
        refused = []
        for call in (
            lambda: np.fft.rfft(reals),
            lambda: np.fft.ifft(waves),
            lambda: np.fft.irfft(waves),
            lambda: [np.fft.fft(reals[:900]) for _ in range(9)],
            lambda: np.unique(ties),
        ):
            reserve, held, size = bytearray(200_000), [], 16 << 20
            while size >= 1 << 13:
                try:
                    held.append(bytearray(size))
                except MemoryError:
                    size //= 2
            del reserve
            refused.append(0)
            while held:
                try:
                    call()
                    break
                except MemoryError:
                    refused[-1] += 1
                    del held[-1]
            del held[:]
            call()
        return json.dumps(refused).encode()

    refused = json.loads(submit_job(Job.from_functions(execute), b"x", limits={"memory": 64 << 20}))
    assert all(times > 0 for times in refused[:3] + refused[4:]), refused


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_histograms_of_integers_of_every_width(kind: str) -> None:
    def execute(chunk: bytes) -> bytes:
        limits = np.iinfo(chunk.decode())
        counts, edges = np.histogram(np.array([limits.min, 0, 5, limits.max], limits.dtype), 7)
        return repr((counts.tolist(), edges.tolist())).encode()

    job = Job.from_functions(execute)
    assert submit_job(job, kind.encode()) == job.run_local(kind.encode())


def test_fresh_memory_is_zero_whatever_was_there() -> None:
    def execute(chunk: bytes) -> bytes:
        for size in (1, 7, 100, 5000, 300_000):
            for _ in range(3):
                held = [np.full(size, 7.0) for _ in range(4)]
                del held
                assert not np.empty(size).any()
        grown = np.ones(3)
        grown.resize(10_000, refcheck=False)
        return b"dirty" if grown[3:].any() else b""

    assert submit_job(Job.from_functions(execute), b"x") == b""


def test_draws_equal_those_of_a_native_run() -> None:
    def split(data: bytes) -> list[bytes]:
        return [np.random.bytes(4) for _ in range(3)]

    def execute(chunk: bytes) -> bytes:
        import os

        np.random.shuffle(order := np.arange(9))
        drawn = [np.random.rand(), np.random.standard_normal(), np.random.default_rng().random(), random.random()]
        return repr((order.tolist(), drawn, os.urandom(2))).encode()

    job = Job.from_functions(execute=execute, split=split, merge=lambda results: np.random.permutation(results).tobytes())
    state = repr(np.random.get_state())
    native = job.run_local(b"seed")
    assert repr(np.random.get_state()) == state
    assert submit_job(job, b"seed") == native != job.run_local(b"sown")


def test_equal_chunks_draw_equal_numbers_wherever_numpy_is_imported() -> None:
    def execute(chunk: bytes) -> bytes:
        import os

        first = os.urandom(4) if chunk == b"a" else b""
        import numpy.random as draws

        return repr((first, draws.rand(), os.urandom(3))).encode() + b";"

    job = Job.from_functions(execute=execute, split=lambda data: data.split())
    a, b, again, *_ = submit_job(job, b"a b a").split(b";")
    assert a == again != b
    assert job.run_local(b"a b a").split(b";")[:3] == [a, b, again]


def test_functions_and_types_of_numpy_travel_by_name() -> None:
    add, kind, norm, where = np.add, np.float32, np.linalg.norm, np.where

    def execute(chunk: bytes) -> bytes:
        return repr([add(1, 2).item(), kind(1.5).item(), norm([3.0, 4.0]).item(), where([0, 1])[0].tolist()]).encode()

    assert submit_job(Job.from_functions(execute), b"x") == b"[3, 1.5, 5.0, [1]]"


def test_a_job_that_fails_in_numpy_shows_the_user_s_line() -> None:
    from pangea.compute import JobFailedError

    def execute(chunk: bytes) -> bytes:
        return bytes(np.ones(3) @ np.ones(4))

    with pytest.raises(JobFailedError, match=r"np\.ones\(3\) @ np\.ones\(4\)"):
        submit_job(Job.from_functions(execute), b"x")


def test_numpys_functions_in_c_travel_by_name_wherever_they_are_named() -> None:
    make = default_rng

    def by_itself(_: bytes) -> bytes:
        return str(default_rng(3).random()).encode()

    def by_the_package(_: bytes) -> bytes:
        return str(np.random.default_rng(3).random()).encode()

    def by_another_name(_: bytes) -> bytes:
        return str(make(3).random()).encode()

    for function in (by_itself, by_the_package, by_another_name):
        assert submit_job(Job.from_functions(function), b"") == function(b"")
