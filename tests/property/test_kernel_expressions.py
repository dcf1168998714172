"""Random expressions as kernels: the module gives what native Numba gives, bit for bit, for any arguments."""

from __future__ import annotations

import importlib.util
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import ModuleJob, submit_job
from tests.examples import share_of

pytest.importorskip("numba", reason="no numba: pip install 'pangea-compute[kernels]'")
pytest.importorskip("ziglang", reason="no ziglang: pip install 'pangea-compute[kernels]'")
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

SIGNATURE = "float64[:], float64[:], int64 -> float64[:,:]"
COUNT, DEPTH = 10, 4
FLOATS = ["x", "y", "1.5", "-0.25", "1e-300", "7.0", "float(k)"]
WHOLES = ["k", "3", "-7", "k % 11", "int(x * 4.0)", "at"]
OF_ONE = ["abs({0})", "math.sqrt(abs({0}))", "math.sin({0})", "math.exp(-abs({0}))", "np.floor({0})", "math.atan({0})", "(-{0})"]
OF_TWO = [
    *("({0} + {1})", "({0} - {1})", "({0} * {1})", "min({0}, {1})", "max({0}, {1})", "math.pow(abs({0}), {1})"),
    *("({0} / {1} if {1} != 0.0 else {0})", "({0} // {1} if {1} != 0.0 else {1})", "({0} % {1} if {1} != 0.0 else {1})"),
    "({0} if {0} < {1} else {1})",
]
WHOLE_OF_TWO = [
    "({0} + {1})",
    "({0} * {1})",
    "({0} ^ {1})",
    "({0} & {1})",
    "({0} >> ({1} & 7))",
    "({0} // ({1} | 1))",
    "({0} % ({1} | 1))",
]
HEAD = "import math\n\nimport numpy as np\n\n\ndef kernel(a, b, k):\n"


def whole(draw: random.Random, depth: int) -> str:
    if depth == 0:
        return draw.choice(WHOLES)
    return draw.choice(WHOLE_OF_TWO).format(whole(draw, depth - 1), whole(draw, 0))


def expression(draw: random.Random, depth: int) -> str:
    if depth == 0:
        return draw.choice(FLOATS)
    kind = draw.random()
    if kind < 0.25:
        return draw.choice(OF_ONE).format(expression(draw, depth - 1))
    if kind < 0.4:
        return f"float({whole(draw, 2)})"
    return draw.choice(OF_TWO).format(expression(draw, depth - 1), expression(draw, depth - 2 if depth > 1 else 0))


def kernel_of(seed: int, folder: Path) -> Callable[..., Any]:
    draw = random.Random(seed)
    rows = "".join(f"        out[{row}, at] = {expression(draw, DEPTH)}\n" for row in range(COUNT))
    path = folder / f"expressions_{seed}.py"
    loop = (
        f"    out = np.empty(({COUNT}, min(a.size, b.size)))\n    for at in range(out.shape[1]):\n        x, y = a[at], b[at]\n"
    )
    path.write_text(f"{HEAD}{loop}{rows}    return out\n")
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.kernel  # type: ignore[no-any-return]


def npy(*values: Any) -> bytes:
    file = io.BytesIO()
    for each in values:
        np.save(file, each)
    return file.getvalue()


@pytest.mark.parametrize("seed", range(3))
def test_random_expressions_give_the_same_bits(seed: int, tmp_path: Path) -> None:
    from pangea.compute.kernels.building import build
    from pangea.compute.kernels.reference import reference
    from pangea.compute.model.signatures import KernelSignature

    signature, function = KernelSignature.parse(SIGNATURE), kernel_of(seed, tmp_path)
    job, native = ModuleJob(build(function, signature), output_kind="array"), reference(function, signature)
    numbers = st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=20)

    @settings(max_examples=share_of(40), deadline=None, database=None)
    @given(numbers, st.integers(-(2**63), 2**63 - 1))
    def same(pairs: list[tuple[float, float]], k: int) -> None:
        a, b = (np.array(column) for column in zip(*pairs, strict=True))
        found = submit_job(job, npy(a, b, np.int64(k))).as_array()
        found[np.isnan(found)] = np.nan
        assert npy(found) == native(a, b, np.int64(k))

    same()
