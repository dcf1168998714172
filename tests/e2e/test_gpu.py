"""Shaders as a user runs them: the examples, here and on a tree with a liar in it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.adapters import need_adapter, second_driver
from tests.devnets import DevnetProcess
from tests.nodes import pangea

from pangea.compute.client.clients.client import Client
from pangea.compute.client.definition.job import Job
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data.array import Array
from pangea.compute.model.errors import ManifestError, NoAdapterError
from pangea.compute.model.tolerance import Tolerance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.long
def test_the_mandelbrot_set_is_numpys_to_the_pixel_and_executed_again(tmp_path: Path) -> None:
    need_adapter()
    plot = tmp_path / "m.png"
    done = pangea("run", str(EXAMPLES / "gpu_mandelbrot.py"), "--height", "64", "--plot", str(plot), "--verify")
    assert (done.returncode, b"all 30,720 pixels are NumPy's" in done.stdout + done.stderr) == (0, True), done.stderr
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.long  # a smaller one is over before its children's adapters are ready, and the liar isn't asked
def test_on_a_tree_the_search_is_hashlibs_its_liar_is_banned_and_its_receipt_holds(tmp_path: Path) -> None:
    need_adapter()
    example = runpy.run_path(str(EXAMPLES / "gpu_sha256.py"))
    wanted = {"text": "tree", "bits": 18, "chunks": 240}
    given = tmp_path / "input.json"
    given.write_text(json.dumps(example["search"](**wanted)))
    options = ("--nodes", "3", "--depth", "1", "--liar", "random:1:0.9", "--gpu", "software")
    with DevnetProcess(tmp_path, *options) as devnet, Client(devnet.node) as client:
        handle = client.submit_job(
            example["gpu_sha256"],
            given,
            verification_mode="redundancy",
            redundancy=2,
            chunks_per_pack=1,
            estimated_flops=1e12,
            locality="any",
            receipt=True,
        )
        result = handle.result()
        assert "all of them hashlib's" in example["check"](result, **wanted)
        assert "shut out" in result.report.verification
        receipt = tmp_path / "receipt.json"
        receipt.write_bytes(handle.receipt())
    done = pangea("verify", str(receipt), "--reexecute", "all", "--input", str(given))
    assert done.returncode == 0, done.stderr


@pytest.mark.long  # as the last one
@pytest.mark.timeout(480)
def test_on_a_tree_whose_nodes_have_different_drivers_votes_agree(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES / "gpu_sha256.py"))
    wanted = {"text": "drivers", "bits": 14, "chunks": 60}
    options = ("--nodes", "2", "--depth", "1", "--gpu", f"software,{second_driver()}")
    how: dict[str, Any] = {"verification_mode": "redundancy", "redundancy": 2, "locality": "any", "chunks_per_pack": 1}
    with DevnetProcess(tmp_path, *options) as devnet, Client(devnet.node) as client:
        given = example["search"](**wanted)
        result = client.submit_job(example["gpu_sha256"], given, estimated_flops=1e12, **how).result()
        assert "SwiftShader Device" in next(tmp_path.glob("pangea-devnet-*/node1.log")).read_text()
    assert "all of them hashlib's" in example["check"](result, **wanted)
    assert "shut out" not in result.report.verification
    executions = float(result.report.verification.removeprefix("redundancy: ").split()[0])
    assert executions > 1, "nothing was compared"


@Job.define
def roots() -> None:
    """A chunk is one number; its result is a thousand roots: long enough that a task is sent away."""

    @Job.split(input="json", output="array")
    def split(count: int) -> list[Array]:
        return [Array.of([float(number)], "float32") for number in range(1, count + 1)]

    @Job.execute(
        gpu=(
            "fn main(index: u32) -> f32 { var x = input(0u) + f32(index); for (var i = 0u; i < 400u; i++) {"
            " x = sqrt(x * 1.5 + 1.0); } return x; }"
        ),
        input="float32[n]",
        output="float32[1000]",
        tolerance="4ulp",
    )
    def execute(chunk: Array) -> None:
        """Its roots."""

    @Job.merge(output="array")
    def merge(results: list[Array]) -> Array:
        return Array.concat(results)


@pytest.mark.long  # 20 s and more: adapters of four processes are opened
@pytest.mark.parametrize(("steps", "is_liar"), [(1, False), (900, True)])
def test_on_a_tree_who_is_outside_of_the_tolerance_is_banned_and_who_is_inside_is_not(
    tmp_path: Path, steps: int, is_liar: bool
) -> None:
    need_adapter()
    options = ("--nodes", "3", "--depth", "1", "--liar", f"drifter:1:{steps}", "--gpu", "software")
    how: dict[str, Any] = {"verification_mode": "redundancy", "redundancy": 2, "locality": "any"}
    with DevnetProcess(tmp_path, *options) as devnet, Client(devnet.node) as client:
        given = tmp_path / "input.json"
        given.write_text("240")
        handle = client.submit_job(roots, given, chunks_per_pack=1, estimated_flops=1e12, receipt=True, **how)
        result = handle.result()
        receipt = tmp_path / "receipt.json"
        receipt.write_bytes(handle.receipt())
        with pytest.raises(ManifestError, match="'merkle' can't check a shader with a tolerance"):
            client.submit_job(roots, 3, verification_mode="merkle")
    found = np.asarray(result.value)
    start = (np.arange(1, 241, dtype=np.float32)[:, None] + np.arange(1000, dtype=np.float32)).reshape(-1)
    for _ in range(400):
        start = np.sqrt(start * np.float32(1.5) + np.float32(1))
    assert Tolerance(ulp=8).first_outside(found.tobytes(), start.tobytes()) is None
    assert "answers agreed within 4 ulp" in result.report.verification
    assert ("shut out" in result.report.verification) == is_liar
    done = pangea("verify", str(receipt), "--reexecute", "all", "--input", str(given))
    assert done.returncode == 0, done.stderr
    assert b"what execute gives was compared within 4 ulp" in done.stdout


@pytest.mark.long
def test_a_node_without_an_adapter_takes_no_shader_and_says_what_to_install(tmp_path: Path) -> None:
    example = runpy.run_path(str(EXAMPLES / "gpu_sha256.py"))
    with DevnetProcess(tmp_path, "--nodes", "1", "--depth", "0") as devnet, pytest.raises(NoAdapterError) as caught:
        submit_job(example["gpu_sha256"], example["search"](chunks=1), node=devnet.node)
    assert "mesa-vulkan-drivers" in caught.value.hint
