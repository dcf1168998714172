"""Sum up log files: lines by level and by hour, and which errors repeat.

    pangea run examples/log_report.py --input app.log [FILE ...]
    pangea run examples/log_report.py        (makes up a day of logs to show the report)

Understood are lines such as ``2026-03-01 14:05:09,123 ERROR storage: disk 7 is full``; others are counted as such.
"""

import json
import random
import re
from collections import Counter

from pangea.compute import Job, submit_job

LINE = re.compile(
    r"\[?(?P<hour>\d{4}-\d\d-\d\d[T ]\d\d):\d\d:\d\d\S*\s+"  # when
    r"\[?(?P<level>[A-Z]{4,8})\]?:?\s+"
    r"(?:(?P<source>[\w.-]+):\s+)?(?P<message>.*)"
)
NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG")
PROBLEMS = frozenset(LEVELS[:5])
KINDS = ("level", "hour", "problem")
SAMPLE_LINES = 20_000
SAMPLE_EVENTS = (
    ("INFO", "web", "request {} served in {} ms"),
    ("INFO", "web", "user {} logged in"),
    ("DEBUG", "cache", "{} hits, {} misses"),
    ("WARNING", "storage", "disk {} is {}% full"),
    ("ERROR", "storage", "disk {} does not answer"),
    ("CRITICAL", "power", "battery at {}%"),
)


def sample_log() -> bytes:
    """A day of made-up log lines, the same each time."""
    draw = random.Random(2026)
    lines = []
    for index in range(SAMPLE_LINES):
        second = index * 86_400 // SAMPLE_LINES
        level, source, text = draw.choices(SAMPLE_EVENTS, weights=(600, 200, 150, 30, 15, 5))[0]
        message = text.format(draw.randrange(100), draw.randrange(100))
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        lines.append(f"2026-03-01 {clock},{draw.randrange(1000):03} {level} {source}: {message}\n")
    return "".join(lines).encode()


def table(title: str, rows: list[tuple[str, int]]) -> str:
    """Aligned counts under a title."""
    return "".join([f"{title}\n", *(f"{count:>10,}  {name}\n" for name, count in rows)])


@Job.define(split_strategy="row_based")
def log_report() -> None:
    """A chunk is a piece of a log, whole lines of up to 1 MiB; the report is text."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return [data or sample_log()]

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for line in chunk.decode(errors="replace").splitlines():
            found = LINE.match(line)
            if not found:
                counts["level"]["other lines"] += 1
                continue
            counts["level"][found["level"]] += 1
            counts["hour"][found["hour"].replace("T", " ")] += 1
            if found["level"] in PROBLEMS:
                counts["problem"][f"{found['source'] or '-'}: {NUMBER.sub('#', found['message'])}"] += 1
        return json.dumps(counts).encode()

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        total: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for result in results:
            for kind, counts in json.loads(result).items():
                total[kind].update(counts)
        levels = sorted(total["level"].items(), key=lambda row: (LEVELS.index(row[0]) if row[0] in LEVELS else 99, row[0]))
        problems = sorted(total["problem"].items(), key=lambda row: (-row[1], row[0]))
        busiest = sorted(total["hour"].items(), key=lambda row: (-row[1], row[0]))
        parts = [
            table(f"{total['level'].total():,} lines", levels),
            table(f"most frequent of {len(problems):,} kinds of problems", problems[:10]),
            table(f"busiest of {len(busiest):,} hours", busiest[:5]),
        ]
        return "\n".join(parts).encode()


if __name__ == "__main__":
    result = submit_job(log_report)
    print(result.decode())
    print(result.report)
