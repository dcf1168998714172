"""Count the words of texts: each line is a chunk.

pangea run examples/word_count.py --input FILE [FILE ...]
python examples/word_count.py
"""

import sysconfig
from pathlib import Path

from pangea.compute import Job, submit_job


@Job.define(split_strategy="row_based")
def word_count() -> None:
    """Words are what `bytes.split` finds; the answer is their number, in decimal."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split(b"\n")

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % len(chunk.split())

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))


if __name__ == "__main__":
    texts = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    result = submit_job(word_count, input_data=texts)
    print(f"{int(result):,} words in {len(texts):,} files of Python's standard library")
    print(result.report)
