"""Shaders at 64 MiB: what jail, meter and frames cost beside wgpu alone, on the same adapter; a kernel and NumPy.

wgpu alone is as its users write it: buffers made for the run, read back by the queue. With its buffers kept and mapped, as a
job's are where the adapter's memory is this machine's, it is shown beside.

python bench/gpu.py        (make bench-gpu; about a minute on llvmpipe)
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pangea.compute.client.definition.definition import JobDefinition
from pangea.compute.client.definition.job import Job, JobBuilder
from pangea.compute.data.ndarrays import from_npy, npy_of
from pangea.compute.engine import gpu, jail
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Task
from pangea.compute.model import frames
from pangea.compute.model.gpu import ENTRY_POINT, GpuProgram
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Finished

#: As many as one dispatch takes: 64 MiB but for a few hundred bytes.
COUNT, TURNS, ROUNDS = 16_776_960, 16, 7
WORKGROUP = (256, 1, 1)
SHADER = (
    "fn main(index: u32) -> u32 { var x = input(index);"
    f" for (var i = 0u; i < {TURNS}u; i++) {{ x = x * 69069u + 1u; x ^= x >> 15u; }} return x; }}"
)
#: The same with a loop whose turns its text doesn't tell, so that each is counted.
ASKED = SHADER.replace(f"i < {TURNS}u", f"i < {TURNS}u && index == index")


class Plain(GpuProgram):
    """The same as wgpu's users write it: no turn is counted."""

    @property
    def text(self) -> str:
        """The whole shader."""
        return f"""
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<u32>;
@compute @workgroup_size(256, 1, 1)
fn {ENTRY_POINT}(@builtin(global_invocation_id) id: vec3<u32>) {{
    if id.x < arrayLength(&results) {{
        var x = numbers[id.x];
        for (var i = 0u; i < {TURNS}u; i++) {{ x = x * 69069u + 1u; x ^= x >> 15u; }}
        results[id.x] = x;
    }}
}}
"""


def alone(device: gpu.Device, data: Any) -> Callable[[], Any]:
    """What runs the plain shader with wgpu's own means, pipeline made."""
    wgpu = device._device
    kinds = ("read-only-storage", "storage")
    entries = [{"binding": at, "visibility": "COMPUTE", "buffer": {"type": kind}} for at, kind in enumerate(kinds)]
    layout = wgpu.create_bind_group_layout(entries=entries)
    module = wgpu.create_shader_module(code=Plain(SHADER).text)
    pipeline = wgpu.create_compute_pipeline(
        layout=wgpu.create_pipeline_layout(bind_group_layouts=[layout]), compute={"module": module, "entry_point": ENTRY_POINT}
    )

    def run() -> Any:
        buffers = [
            wgpu.create_buffer_with_data(data=data, usage="STORAGE"),
            wgpu.create_buffer(size=data.nbytes, usage="STORAGE | COPY_SRC"),
        ]
        bound = [{"binding": at, "resource": {"buffer": each, "offset": 0, "size": each.size}} for at, each in enumerate(buffers)]
        encoder = wgpu.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(pipeline)
        work.set_bind_group(0, wgpu.create_bind_group(layout=layout, entries=bound))
        work.dispatch_workgroups(COUNT // WORKGROUP[0])
        work.end()
        wgpu.queue.submit([encoder.finish()])
        found = np.frombuffer(wgpu.queue.read_buffer(buffers[1]), np.uint32)
        for each in buffers:
            each.destroy()
        return found

    return run


def mapped(program: gpu.Program, data: Any) -> Callable[[], Any]:
    """What runs the plain shader as a job's is run, in this process and without a meter."""

    def run() -> Any:
        found: list[Any] = []
        program.run(memoryview(data).cast("B"), COUNT, lambda view: found.append(np.frombuffer(bytes(view), np.uint32)))
        return found[0]

    return run


def mixed(values: Any) -> Any:
    """What the shader computes."""
    for _ in range(TURNS):
        values = values * np.uint32(69069) + np.uint32(1)
        values ^= values >> np.uint32(15)
    return values


def execute(chunk: Any) -> None:
    """The shader's."""


def in_guest(chunk: Any) -> Any:
    return mixed(chunk)


def by_kernel(values: Any) -> Any:
    """The shader's loop, for Numba."""
    found = np.empty_like(values)
    for at in range(values.size):
        value = values[at]
        for _ in range(TURNS):
            value = np.uint32(value * np.uint32(69069) + np.uint32(1))
            value ^= value >> np.uint32(15)
        found[at] = value
    return found


def runner(engine: LocalEngine, job: JobDefinition, npy: bytes) -> Callable[[], Any]:
    """What runs a job's execute on one chunk, and gives its array."""
    ready = prepare(job.archive(), Limits(memory=1 << 30), engine, lambda _what: None, name="bench", associative=False)
    task = Task(ready.guest_of("execute"), "execute", 1, [frames.header(1), frames.entry_header(len(npy)), npy])

    def run() -> Any:
        outcome = engine.submit(task).result()
        assert isinstance(outcome, Finished), outcome
        return from_npy(next(frames.unpack(outcome.results)))

    return run


def rounds(works: dict[str, Callable[[], Any]], expected: Any) -> dict[str, list[float]]:
    """Seconds of each work in each round but the first; what it gives is compared every time."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for number in range(ROUNDS + 1):
        for name, work in works.items():
            began = time.perf_counter()
            given = work()
            if number:
                found[name].append(time.perf_counter() - began)
            assert np.array_equal(given, expected), name
    return found


def main() -> int:
    os.environ.update(jail.DRIVER_ENVIRONMENT)
    data = np.arange(COUNT, dtype=np.uint32)
    npy, expected = npy_of(data), mixed(data.copy())
    device = gpu.Device("auto")
    plain = device.build(Plain(SHADER, workgroup=WORKGROUP))
    engine, other = LocalEngine(workers=1), LocalEngine(workers=1)  # each job has a process of its own for its shader
    try:
        told, asked = (JobBuilder("shader").execute(execute, gpu=each, workgroup=WORKGROUP).build() for each in (SHADER, ASKED))
        works = {
            "wgpu alone": alone(device, data),
            "wgpu, mapped": mapped(plain, data),
            "a job's shader": runner(engine, told, npy),
            "… turns counted": runner(other, asked, npy),
            "NumPy here": lambda: mixed(data.copy()),
            "a kernel": runner(other, JobBuilder("kernel").execute(by_kernel, kernel="uint32[:] -> uint32[:]").build(), npy),
            "NumPy in the guest": runner(engine, Job.from_functions(in_guest, input="array", output="array"), npy),
        }
        found = rounds(works, expected)
    finally:
        engine.close()
        other.close()
    print(f"{device.name}, {device.driver}: {COUNT:,} numbers, {TURNS} turns each; {ROUNDS} rounds in turns, all equal")
    for name, seconds in found.items():
        ratio = statistics.median(each / alone for each, alone in zip(seconds, found["wgpu alone"], strict=True))
        print(f"  {name:<20} {statistics.median(seconds):7.3f} s  {ratio:5.2f} × wgpu alone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
