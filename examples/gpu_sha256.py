"""Search on GPUs for numbers whose SHA-256, behind a text's own, begins with so many zero bits; hashlib checks every one.

    python examples/gpu_sha256.py --bits 16
    pangea devnet --nodes 5 --liar random:1 --gpu software      # then, with PANGEA_NODE as it says:
    PANGEA_NODE=... python examples/gpu_sha256.py

A row of the output is sixteen numbers tried: the first of them that is one, or 2³² - 1. Without a GPU it runs on Vulkan in
software (docs/gpu.md).
"""

import argparse
import hashlib
import os
import struct
import sys
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

ROWS_PER_CHUNK, TRIES = 1024, 16
#: Chunks on this machine alone, and on a node: others open their adapters first, which takes longer than the smaller search.
CHUNKS, CHUNKS_ON_A_NODE = 24, 240
NOTHING = 2**32 - 1
#: Of one hash: 64 rounds of about 30, and 48 words of about 15.
OPERATIONS = 2_640


@Job.define
def gpu_sha256() -> None:
    """The input says behind what, how many bits, and how many chunks of numbers; the result is a list of numbers."""

    @Job.split(input="json", output="array")
    def split(wanted: dict[str, object]) -> list[np.ndarray]:
        words = struct.unpack(">8I", hashlib.sha256(str(wanted["text"]).encode()).digest())
        starts = range(0, int(str(wanted["chunks"])) * ROWS_PER_CHUNK * TRIES, ROWS_PER_CHUNK * TRIES)
        return [np.array([*words, start, int(str(wanted["bits"]))], "uint32") for start in starts]

    @Job.execute(gpu="gpu_sha256.wgsl", entry="search", output=f"uint32[{ROWS_PER_CHUNK}]")
    def execute(chunk: np.ndarray) -> None:
        """The numbers that are found."""

    @Job.merge(output="json")
    def merge(results: list[np.ndarray]) -> Any:
        return np.concatenate([found[found != NOTHING] for found in results]).tolist()


@Job.inputs
def search(text: str = "pangea", bits: int = 14, chunks: int = CHUNKS) -> dict[str, object]:
    """Behind what, how many bits are zero, and how many chunks of 16,384 numbers to try."""
    return {"text": text, "bits": bits, "chunks": chunks}


@Job.check
def check(result: Result, text: str, bits: int, chunks: int) -> str:
    """Try all of the numbers with hashlib, and compare."""
    behind, found = hashlib.sha256(text.encode()).digest(), []
    for first in range(0, chunks * ROWS_PER_CHUNK * TRIES, TRIES):
        for number in range(first, first + TRIES):
            digest = hashlib.sha256(behind + number.to_bytes(4, "big")).digest()
            if int.from_bytes(digest[:4], "big") >> (32 - bits) == 0:
                found.append(number)
                break
    assert result.value == found, "hashlib finds others"
    return f"{len(found)} of {chunks * ROWS_PER_CHUNK * TRIES:,} numbers, all of them hashlib's: {found[:5]} …"


def main() -> int:
    """Search, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="pangea", help="what the numbers come behind [default: pangea]")
    parser.add_argument("--bits", type=int, default=14, help="zero bits, 1 to 32 [default: 14]")
    chunks = CHUNKS_ON_A_NODE if os.environ.get("PANGEA_NODE") else CHUNKS
    parser.add_argument(
        "--chunks", type=int, default=chunks, help=f"of 16,384 numbers each [default: {CHUNKS}; on a node {CHUNKS_ON_A_NODE}]"
    )
    given = parser.parse_args()
    tries = given.chunks * ROWS_PER_CHUNK * TRIES
    wanted = search(given.text, given.bits, given.chunks)
    result = submit_job(gpu_sha256, wanted, chunks_per_pack=1, estimated_flops=OPERATIONS * tries)
    print(check(result, given.text, given.bits, given.chunks))
    print(result.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
