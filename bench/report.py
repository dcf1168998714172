"""What `bench.compare` keeps of a run: ratios of paired rounds, a page to read (bench/report.html), a line for the release.

The systems take turns, so the runs of one round stand next to each other and share what else the machine was doing. A ratio is
made within a round; its median over the rounds and its lowest and highest are what is said.
"""

from __future__ import annotations

import html
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pangea.compute.pictures.values.page import document

OURS = "pangea"
_HEADINGS = ("", "seconds", "lowest to highest", "rate", "pangea is … times as fast", "lowest to highest")


@dataclass(frozen=True)
class Spread:
    """A figure of several rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def ratios(seconds: Mapping[str, Sequence[float]]) -> dict[str, Spread]:
    """How many times as long as this engine each other row took, by rounds; nothing where this engine didn't run.

    Args:
        seconds: for each row, one figure a round, in the order of the rounds.
    """
    ours = seconds.get(OURS, ())
    return {
        name: Spread.of([theirs / own for theirs, own in zip(taken, ours, strict=True)])
        for name, taken in seconds.items()
        if ours and name != OURS
    }


def rows(workload: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """One workload's figures as text, a row each: name, seconds, their spread, rate, ratio, its spread."""
    seconds: dict[str, list[float]] = workload["seconds"]
    found: list[tuple[str, ...]] = []
    times = ratios(seconds)
    for name, taken in seconds.items():
        spread = Spread.of(taken)
        row = (name, f"{spread.median:.3f}", f"{spread.low:.3f}-{spread.high:.3f}", workload["rates"][name])
        ratio = times.get(name)
        found.append((*row, *((f"{ratio.median:.2f}", f"{ratio.low:.2f}-{ratio.high:.2f}") if ratio else ("", ""))))
    return found


def show(workload: Mapping[str, Any]) -> None:
    """Print one workload's table."""
    print(f"\n{workload['workload']}\n  {'':<16}{'seconds':>10}{'spread':>17}   {'rate':<22}pangea is … times as fast (spread)")
    for name, seconds, spread, rate, ratio, ratio_spread in rows(workload):
        told = f"{ratio} ({ratio_spread})" if ratio else ""
        print(f"  {name:<16}{seconds:>10}{spread:>17}   {rate:<22}{told}", flush=True)


def page(record: Mapping[str, Any]) -> str:
    """A run of `bench.compare` as one HTML page that opens with no network."""
    where = record["machine"]
    rounds = max((len(taken) for work in record["workloads"] for taken in work["seconds"].values()), default=0)
    said = (
        f"{where['cpu']}, {where['cores']} cores, Python {where['python']}, Linux {where['kernel']}; load before: "
        f"{where['load_before']:.2f}; {rounds} rounds, interleaved; version {record['version']}, {record['date']}"
    )
    body = [f"<h1>pangea-compute beside multiprocessing, Dask and Ray</h1><p>{html.escape(said)}</p>"]
    for workload in record["workloads"]:
        body.append(_table(workload["workload"], [_HEADINGS, *rows(workload)]))
    started = [(name, f"{seconds:.2f}") for name, seconds in record["startup_seconds"].items()]
    body.append(_table("Start-up, to the first result", [("", "seconds"), *started]))
    return document("pangea-compute: benchmark", "\n".join(body))


def _table(title: str, lines: Sequence[Sequence[str]]) -> str:
    head, *body = ("".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in lines)
    head = head.replace("td>", "th>")
    told = "".join(f"<tr>{line}</tr>" for line in body)
    return f"<h2>{html.escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{told}</tbody></table>"


def today() -> str:
    """The date, in UTC."""
    return datetime.now(UTC).date().isoformat()


def keep_in_history(path: Path, record: Mapping[str, Any]) -> None:
    """One line a release: that of the record's version is written anew, all others stay as they are, in their order."""
    kept = [line for line in path.read_text().splitlines() if line.strip()] if path.exists() else []
    kept = [line for line in kept if json.loads(line)["version"] != record["version"]]
    line: dict[str, Any] = {name: record[name] for name in ("version", "date", "machine")} | {"workloads": {}}
    for workload in record["workloads"]:
        seconds = workload["seconds"]
        times = {name: _brief(each) for name, each in ratios(seconds).items()}
        line["workloads"][workload["workload"]] = {"seconds": _brief(Spread.of(seconds[OURS])), "times": times}
    path.write_text("\n".join([*kept, json.dumps(line)]) + "\n")


def _brief(spread: Spread) -> list[float]:
    """Median, lowest, highest, to four digits."""
    return [float(f"{value:.4g}") for value in (spread.median, spread.low, spread.high)]
