"""Gravity between bodies on a GPU, each with each, in floating point: answers are compared under a tolerance.

    python examples/gpu_nbody.py --steps 20 --plot bodies.svg
    pangea run examples/gpu_nbody.py --verify

A job gives the accelerations of one step; between steps the bodies are moved here, by leapfrog. Adapters differ in the last bits
of a root and of a sum: `tolerance=1e-5` says that results which differ by no more are the same. Without a GPU it runs on Vulkan
in software (docs/gpu.md).
"""

import argparse
import sys
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

#: Bodies that one chunk moves. What softens close encounters, squared, and the most bodies: a loop has 8,000 turns.
PER_CHUNK, SOFTENING, BODIES_MAX = 256, 0.01, 7_900

SHADER = f"""
// A chunk is the number of its first body, then x, y, z and mass of all.
fn body(i: u32) -> vec4<f32> {{
    return vec4<f32>(input(4u * i + 1u), input(4u * i + 2u), input(4u * i + 3u), input(4u * i + 4u));
}}

fn main(index: u32) -> array<f32, 3> {{
    let count = (input_length() - 1u) / 4u;
    let me = body(u32(input(0u)) + index);
    var pull = vec3<f32>(0.0);
    for (var i = 0u; i < count; i++) {{
        let other = body(i);
        let apart = other.xyz - me.xyz;
        let near = 1.0 / sqrt(dot(apart, apart) + {SOFTENING});
        pull += other.w * near * near * near * apart;
    }}
    return array<f32, 3>(pull.x, pull.y, pull.z);
}}
"""


@Job.define
def gpu_nbody() -> None:
    """The input is an array of x, y, z and mass, a row for each body; the result their accelerations."""

    @Job.split(input="array", output="array")
    def split(bodies: np.ndarray) -> list[np.ndarray]:
        flat = bodies.reshape(-1)
        starts = range(0, len(flat) // 4, PER_CHUNK)
        return [np.concatenate([[start], flat]).astype("float32") for start in starts]

    @Job.execute(gpu=SHADER, input="float32[n]", output=f"float32[{PER_CHUNK}, 3]", tolerance=1e-5)
    def execute(chunk: np.ndarray) -> None:
        """How all bodies together pull at each of these."""

    @Job.merge(output="array")
    def merge(results: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(results)


@Job.inputs
def cluster(count: int = 1024) -> Any:
    """So many bodies of equal mass, a multiple of 256, in a ball that turns: the same ones each time."""
    assert count % PER_CHUNK == 0, f"{count} isn't a multiple of {PER_CHUNK}"
    assert 0 < count <= BODIES_MAX, f"{count} bodies; at most {BODIES_MAX}"
    places = np.random.default_rng(1).normal(0, 0.5, (count, 3))
    return np.concatenate([places, np.full((count, 1), 1 / count)], axis=1).astype(np.float32)


@Job.check
def check(result: Result, count: int = 1024) -> str:
    """Compute them with NumPy, in float64, and compare."""
    expected = pulls(cluster(count).astype(np.float64))
    far = float(np.abs(np.asarray(result.value) - expected).max())
    assert far < 1e-5, f"NumPy finds others: {far:g} apart"
    return f"the accelerations of {count:,} bodies are within {far:.1e} of NumPy's in float64"


def pulls(bodies: Any) -> Any:
    """The accelerations, float64 of shape (bodies, 3)."""
    apart = bodies[None, :, :3] - bodies[:, None, :3]
    near = 1 / np.sqrt((apart**2).sum(axis=2) + SOFTENING)
    return (bodies[None, :, 3:] * near[:, :, None] ** 3 * apart).sum(axis=1)


def moved(bodies: Any, steps: int, seconds: float = 0.02) -> tuple[Any, Result]:
    """The bodies after so many steps of so many seconds, and the last step's result."""
    speeds = 0.6 * np.stack([-bodies[:, 1], bodies[:, 0], 0 * bodies[:, 2]], axis=1)
    result = submit_job(gpu_nbody, bodies)
    for _ in range(steps):
        speeds = speeds + np.asarray(result.value) * np.float32(seconds / 2)
        bodies = np.concatenate([bodies[:, :3] + speeds * np.float32(seconds), bodies[:, 3:]], axis=1)
        result = submit_job(gpu_nbody, bodies)
        speeds = speeds + np.asarray(result.value) * np.float32(seconds / 2)
    return bodies, result


def main() -> int:
    """Compute, check the first step, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=1024, help="a multiple of 256, at most 7,900 [default: 1024]")
    parser.add_argument("--steps", type=int, default=5, help="of 0.02 time units [default: 5]")
    parser.add_argument("--plot", metavar="FILE", help="write where the bodies are in the end to this .svg, .png or .html")
    given = parser.parse_args()
    print(check(submit_job(gpu_nbody, cluster(given.bodies)), given.bodies))
    bodies, last = moved(cluster(given.bodies), given.steps)
    if given.plot:
        from pangea.compute import visualize

        visualize([{"x": float(x), "y": float(y)} for x, y in bodies[:, :2]], "scatter", x="x", y="y").save(given.plot)
    print(last.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
