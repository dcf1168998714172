"""What a benchmark keeps: ratios by rounds, a page, one line a release."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from bench import report

ROOT = Path(__file__).parents[2]
SECONDS = {"Pool": [2.0, 9.0, 3.0], "pangea": [1.0, 3.0, 2.0], "<Ray>": [4.0, 3.0, 1.0]}


def record(version: str) -> dict[str, Any]:
    workload = {"workload": "words & more", "seconds": SECONDS, "rates": dict.fromkeys(SECONDS, "7 MB/s")}
    machine = {"cpu": "a cpu", "cores": 2, "python": "3.11", "kernel": "6", "load_before": 0.5}
    figures = {"machine": machine, "workloads": [workload], "startup_seconds": {"Pool": 1.0}}
    return {"version": version, "date": "2026-01-02", **figures}


def test_a_ratio_is_made_within_its_round() -> None:
    assert report.ratios(SECONDS) == {"Pool": report.Spread(2.0, 1.5, 3.0), "<Ray>": report.Spread(1.0, 0.5, 4.0)}


def test_there_is_no_ratio_to_what_did_not_run() -> None:
    assert report.ratios({"Pool": [1.0]}) == {}


def test_a_table_has_each_row_with_its_spread_and_its_ratio_with_its_spread(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(record("1")["workloads"][0])
    _, title, _, pool, ours, ray = capsys.readouterr().out.splitlines()
    assert title == "words & more"
    assert pool.split() == ["Pool", "3.000", "2.000-9.000", "7", "MB/s", "2.00", "(1.50-3.00)"]
    assert ours.split() == ["pangea", "2.000", "1.000-3.000", "7", "MB/s"]
    assert ray.split()[-2:] == ["1.00", "(0.50-4.00)"]


def test_the_page_says_all_of_it_and_what_is_text_stays_text() -> None:
    page = report.page(record("1"))
    assert "<td>1.50-3.00</td>" in page
    assert "words &amp; more" in page
    assert "&lt;Ray&gt;" in page
    assert "<Ray>" not in page
    assert "3 rounds" in page


def test_the_history_has_one_line_a_release(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for version in ("1", "2", "1"):
        report.keep_in_history(path, record(version))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["version"] for line in lines] == ["2", "1"]
    kept = lines[0]["workloads"]["words & more"]
    assert kept == {"seconds": [2.0, 1.0, 3.0], "times": {"Pool": [2.0, 1.5, 3.0], "<Ray>": [1.0, 0.5, 4.0]}}


def test_the_benchmark_s_extra_has_what_its_systems_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (own,) = (each for each in extras["bench"] if each.startswith("pangea-compute["))
    named = [*extras["bench"], *(each for extra in ("node", "dask", "ray") if extra in own for each in extras[extra])]
    assert all(any(each.startswith(want) for each in named) for want in ("dask[distributed]", "ray", "pycapnp", "numpy"))
