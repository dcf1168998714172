"""The Python guest's bill in another engine: results and fuel of many jobs are the same in Wasmtime and in V8 (Node's)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pangea.compute import runtime
from tests.two_engines import compiled_guest, in_v8, in_wasmtime

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js isn't here (apt-get install nodejs)")

#: Bodies of `execute`, which has a number `n`; what they leave in `r` is shown.
_PROGRAMS = r"""
r = sum(i * i for i in range(n * 50))
r = sorted((i * 7919 % 1009 for i in range(n * 20)), key=lambda x: -x)[:5]
r = [w for w in ("word%d " % (i % 17) * 3 for i in range(n))][-1]
r = len({i % 31: str(i) for i in range(n * 30)})
import json; r = json.dumps(json.loads(json.dumps([{"a": i, "b": [i / 3, None]} for i in range(n)])))[-40:]
import re; r = len(re.findall(r"(a|b)+c", "abac" * n))
import hashlib; r = hashlib.sha256(bytes(n * 100)).hexdigest()
import zlib; r = len(zlib.compress(b"abc%d" % n * n))
import decimal; r = str(decimal.Decimal(n).sqrt() ** 7)
import fractions; r = str(sum(fractions.Fraction(1, i) for i in range(1, n + 1)))
import math; r = [math.sin(n), math.exp(n / 50), math.gamma(n / 9 + 1), math.log(n)]
import random; r = random.Random(n).sample(range(1000), 5)
import random; r = random.random()
import itertools; r = sum(1 for _ in itertools.permutations(range(n % 6 + 1)))
import collections; r = collections.Counter("mississippi" * n).most_common(2)
import sqlite3; t = " union ".join(["select 7 x"] * n); r = list(sqlite3.connect(":memory:").execute(f"select x from ({t})"))
import struct; r = struct.unpack("<5d", struct.pack("<5d", *[n / 7] * 5))
import datetime; r = str(datetime.date(2026, 1, 1) + datetime.timedelta(n * 13))
import statistics; r = statistics.stdev(range(n + 1))
import xml.etree.ElementTree as e; r = len(e.tostring(e.fromstring("<a>" + "<b>x</b>" * n + "</a>")))
import copy; r = len(str(copy.deepcopy([[i] for i in range(n)])))
import traceback\n try: 1 / 0\n except ZeroDivisionError: r = traceback.format_exc()[-30:]
f = lambda k: k if k < 2 else f(k - 1) + f(k - 2); r = f(n % 15)
r = str(3 ** (n * 20))[-20:]
r = bytes(bytearray(n * 1000))[-2:]
import numpy as np; r = np.arange(n * 100).sum()
import numpy as np; r = (np.arange(n * 9.0) * 2 + 1)[::3].std()
import numpy as np; r = np.sort(np.random.default_rng(n).random(n * 50))[:3]
import numpy as np; r = np.random.rand(3)
import numpy as np; r = np.linalg.solve(np.eye(n) + 0.5, np.ones(n))[:2]
import numpy as np; a = np.arange(n * n * 1.0).reshape(n, n); r = (a @ a.T).trace()
import numpy as np; r = np.abs(np.fft.fft(np.arange(n * 8.0)))[:3]
import numpy as np; r = np.unique(np.arange(n * 20) % 7, return_counts=True)
import numpy as np; r = np.exp(np.linspace(0, 1, n)).sum()
import numpy as np; r = np.strings.upper(np.array(["abc"] * n))[-1]
import numpy as np; r = np.histogram(np.arange(n, dtype="i4"), 5)
import numpy as np; r = str(np.polynomial.Polynomial([1.0, n]))
class A:\n  def __init__(self, x): self.x = x\n  def __add__(self, o): return A(self.x + o.x)\n r = sum(map(A, range(n)), A(0)).x
def g(k):\n  for i in range(k): yield i\n r = list(g(n))[-1]
r = "".join(chr(97 + i % 26) for i in range(n * 10)).upper().count("Z")
""".strip().splitlines()


def jobs(steps: int) -> list[tuple[str, str]]:
    """Sources and chunks: each program with so many numbers."""
    sources = [
        "def execute(chunk):\n n = int(chunk)\n {}\n return repr(r).encode()".format(body.replace("\\n", "\n"))
        for body in _PROGRAMS
    ]
    return [(source, str(number)) for source in sources for number in range(1, steps + 1)]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_jobs_cost_the_same_in_wasmtime_and_in_v8(tmp_path: Path) -> None:
    wasm = runtime.load()
    given = jobs(-(-1000 // len(_PROGRAMS)))
    compiled = compiled_guest(wasm, tmp_path / "code")
    here = [in_wasmtime(compiled, *job) for job in given]

    assert len(given) >= 1000
    assert [each for each in zip(given, here, in_v8(wasm, given, tmp_path), strict=True) if each[1] != each[2]] == []
