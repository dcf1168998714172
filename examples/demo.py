"""Count the words of Python's whole standard library in sandboxes, and check the answer against plain Python (`make demo`).

    python examples/demo.py

Exits with 0 only if both counts are equal.
"""

import subprocess
import sys
import sysconfig
import time
from pathlib import Path

JOB = Path(__file__).with_name("word_count.py")


def library_files() -> list[Path]:
    """The .py files of the standard library, without installed packages."""
    root = Path(sysconfig.get_paths()["stdlib"])
    return sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts and path.is_file())


def count_in_sandboxes(files: list[Path]) -> int:
    """Run the job as a user would; its progress and its summary go to stderr as they come.

    Raises:
        SystemExit: with the command's exit code, if it failed (it has said why).
    """
    command = [sys.executable, "-m", "pangea.compute.cli.main", "run", str(JOB), "--input", *map(str, files)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return int(done.stdout)


def count_natively(files: list[Path]) -> int:
    """The reference: nothing but Python."""
    return sum(len(path.read_bytes().split()) for path in files)


def main() -> int:
    """Count twice and compare."""
    files = library_files()
    size = sum(path.stat().st_size for path in files)
    print(f"pangea run examples/{JOB.name} --input …  ({len(files):,} files of Python's standard library, {size:,} bytes)")
    started = time.perf_counter()
    counted = count_in_sandboxes(files)
    ran = time.perf_counter()
    expected = count_natively(files)
    native = time.perf_counter() - ran
    seconds = ran - started
    print(f"{counted:,} words, counted in sandboxes in {seconds:.2f} s: {size / seconds / 1e6:.1f} MB/s, everything included")
    print(f"{expected:,} words, counted by plain Python in this process in {native:.2f} s: {size / native / 1e6:.1f} MB/s")
    print("the counts are equal" if counted == expected else "THE COUNTS DIFFER")
    return 0 if counted == expected else 1


if __name__ == "__main__":
    sys.exit(main())
