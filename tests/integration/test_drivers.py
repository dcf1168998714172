"""The same shaders on two drivers that share no code: Mesa's llvmpipe, or a GPU, and SwiftShader."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pangea.compute.client.submission.submit import submit_job
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model.errors import NoAdapterError
from pangea.compute.model.tolerance import Tolerance
from tests.adapters import second_driver
from tests.examples import long
from tests.integration.test_gpu import LOOP, OPERATIONS, SQUARES, operations, prepared, run

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[LocalEngine, LocalEngine]]:
    one, two = LocalEngine(workers=1), LocalEngine(workers=1, gpu=second_driver())
    for engine in (one, two):
        prepared(engine, SQUARES)  # its process is there from now on, and replaced by its like
    yield one, two
    one.close()
    two.close()


@pytest.mark.long
def test_they_are_two_and_each_is_named(engines: tuple[LocalEngine, LocalEngine]) -> None:
    one, two = engines
    assert one.adapter != two.adapter
    assert two.adapter.startswith("SwiftShader Device")
    result = submit_job(runpy.run_path(str(EXAMPLES / "gpu_mandelbrot.py"))["gpu_mandelbrot"], {"height": 4}, engine=two)
    assert f"execute is a shader, on {two.adapter}" in result.report.where


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data", "size"), [("mandelbrot", "size", {"height": 32}), *long(("sha256", "search", {"bits": 10, "chunks": 2}))]
)
def test_whole_numbers_are_the_same_bytes_and_the_same_fuel(
    engines: tuple[LocalEngine, LocalEngine], name: str, data: str, size: dict[str, Any]
) -> None:
    example = runpy.run_path(str(EXAMPLES / f"gpu_{name}.py"))
    one, two = (submit_job(example[f"gpu_{name}"], example[data](**size), engine=engine) for engine in engines)
    assert len(one) > 100
    assert bytes(one) == bytes(two)
    assert one.report.fuel == two.report.fuel


@pytest.mark.long
def test_what_drivers_could_see_differently_is_the_same(engines: tuple[LocalEngine, LocalEngine]) -> None:
    data = np.random.default_rng(5).integers(0, 2**32, 512, np.uint32)
    data[:9] = (0, 1, 31, 32, 33, 40, 2**31 - 1, 2**31, 2**32 - 1)
    one, two = (run(engine, operations(), data, output=f"uint32[{len(OPERATIONS)}*n]") for engine in engines)
    assert np.array_equal(one, two)
    counts = data % 900
    assert [np.array_equal(run(engine, LOOP, counts), counts) for engine in engines] == [True, True]


@pytest.mark.long
def test_a_million_turns_are_taken_by_a_driver_that_doesnt_cut_loops_short(engines: tuple[LocalEngine, LocalEngine]) -> None:
    counts = np.array([1_000_000, 65_536, 3], np.uint32)
    assert list(run(engines[1], LOOP, counts, turns=1 << 20)) == list(counts)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data", "size"), [("nbody", "cluster", {"count": 256}), *long(("matmul", "matrices", {"seed": 2}))]
)
def test_floats_are_the_same_within_their_tolerance(
    engines: tuple[LocalEngine, LocalEngine], name: str, data: str, size: dict[str, Any]
) -> None:
    example = runpy.run_path(str(EXAMPLES / f"gpu_{name}.py"))
    job = example[f"gpu_{name}"]
    one, two = (np.asarray(submit_job(job, example[data](**size), engine=engine).value) for engine in engines)
    assert one.shape == two.shape
    assert job.gpu.tolerance.first_outside(one.tobytes(), two.tobytes()) is None
    assert Tolerance(ulp=1 << 20).first_outside(one.tobytes(), np.zeros_like(two).tobytes()) is not None


def test_a_drivers_file_that_is_missing_or_none_is_said() -> None:
    for which, said in (("/nowhere/icd.json", "there is no file of a Vulkan driver at /nowhere/icd.json"), ("fast", "'fast'")):
        engine = LocalEngine(workers=1, gpu=which)
        try:
            with pytest.raises(NoAdapterError, match=said):
                run(engine, SQUARES, np.array([1], np.uint32))
        finally:
            engine.close()


@pytest.mark.long
def test_a_file_that_is_no_drivers_gives_no_adapter(tmp_path: Path) -> None:
    second_driver()
    file = tmp_path / "icd.json"
    file.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": {"library_path": "./none.so", "api_version": "1.0.5"}}))
    engine = LocalEngine(workers=1, gpu=str(file))
    try:
        with pytest.raises(NoAdapterError, match="no adapter that Vulkan knows by the driver"):
            run(engine, SQUARES, np.array([1], np.uint32))
    finally:
        engine.close()
