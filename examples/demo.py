"""Count every word of Python's standard library in sandboxes, and compare with plain Python, word for word (`make demo`).

    python examples/demo.py

Exits with 0 only if all counts are equal. The job is in this file: `pangea run examples/demo.py --input FILE ...` runs it, too.
"""

import json
import re
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

from pangea.compute import Job, submit_job


def count(text: bytes) -> Counter[str]:
    """How often each word is in a text."""
    return Counter(re.findall(r"\w+", text.decode("latin-1")))


@Job.define
def words() -> None:
    """Each file is a chunk; the answer is each word's count, as JSON with the words in order."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return json.dumps(count(chunk)).encode()

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        total: Counter[str] = Counter()
        for result in results:
            total.update(json.loads(result))
        return json.dumps(total, sort_keys=True).encode()


def library_files() -> list[Path]:
    """The .py files of the standard library, without installed packages."""
    root = Path(sysconfig.get_paths()["stdlib"])
    return sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts and path.is_file())


def counted_here(files: list[Path]) -> bytes:
    """The reference: nothing but Python, in this process."""
    total: Counter[str] = Counter()
    for path in files:
        total.update(count(path.read_bytes()))
    return json.dumps(total, sort_keys=True).encode()


def main() -> int:
    """Count twice, compare, and say what the sandboxes cost."""
    files = library_files()
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files):,} files of Python's standard library, {size / 1e6:.1f} MB")
    found = submit_job(words, files)
    started = time.perf_counter()
    expected = counted_here(files)
    native, report = time.perf_counter() - started, found.report
    counts = json.loads(found)
    often = ", ".join(f"{word} {number:,}" for word, number in Counter(counts).most_common(3))
    print(f"{sum(counts.values()):,} words, {len(counts):,} different; the most frequent: {often}")
    inside = report.split_seconds + report.execute_seconds + report.merge_seconds
    print(
        f"in sandboxes:    {report.seconds:.1f} s on {report.workers} workers, {size / report.seconds / 1e6:.1f} MB/s;", end=" "
    )
    print(f"{report.tasks:,} tasks, {report.fuel:,} metered steps")
    print(f"                 a core does {native / inside:.0%} of what it does in plain Python, and nothing reaches your files")
    print(f"starting engine: {report.startup_seconds:.1f} s; once on a machine it compiles Python, which is cached")
    print(f"in plain Python: {native:.1f} s in one process, {size / native / 1e6:.1f} MB/s")
    print("every count is equal" if found == expected else "THE COUNTS DIFFER")
    return 0 if found == expected else 1


if __name__ == "__main__":
    sys.exit(main())
