"""`pangea sim` as a user starts it: real processes, small worlds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples import first, spread
from tests.nodes import data_of

PANGEA = str(Path(sys.executable).with_name("pangea"))
SMALL = ("--nodes", "30", "--chunks", "600", "--seed", "7")
#: Puts a checker in the way that nothing passes, then runs the command line.
BROKEN = """
import sys
from pangea.compute.simulation import checkers
def finished(self, *_):
    raise checkers.CheckError("exact result", "planted")
checkers.ExactResult.finished = finished
from pangea.compute.cli.main import main
main(sys.argv[1:])
"""


def sim(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(PANGEA, "sim", *words, **environment)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=os.environ | environment)


def figures(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def test_the_figures_are_printed() -> None:
    table = figures(sim(*SMALL, "--malicious", "0.2", "--liars", "random,lazy"))
    assert table["wrong results accepted"] == "0"
    assert table["end"] == "finished"
    assert table["bans"].endswith(" 0 innocent")
    assert len(bytes.fromhex(table["trace hash"])) == 32
    assert {"makespan", "ideal", "utilisation", "tree", "messages per chunk", "executions per chunk", "confidence"} <= set(table)


@pytest.mark.long
def test_the_same_seed_prints_the_same_whatever_python_hashes_with() -> None:
    words = (*SMALL, "--malicious", "0.3", "--churn", "0.2", "--loss", "0.01", "--crash", "0.1")
    outputs = {sim(*words, PYTHONHASHSEED=seed).stdout for seed in ("1", "2")}
    assert len(outputs) == 1
    assert "trace hash: " in outputs.pop()


@pytest.mark.long
def test_another_seed_prints_another_hash() -> None:
    one, other = (figures(sim("--nodes", "10", "--chunks", "100", "--seed", seed)) for seed in ("1", "2"))
    assert one["trace hash"] != other["trace hash"]


@pytest.mark.long
def test_json_is_one_object_with_all_figures_and_curves() -> None:
    done = sim(*SMALL, "--json")
    report = data_of(done.stdout)
    assert done.returncode == 0
    assert report["wrong_accepted"] == 0
    assert report["samples"][0]["seconds"] == 0.0
    assert report["samples"][-1]["seconds"] == pytest.approx(report["makespan_seconds"])


def test_what_is_not_checked_is_counted() -> None:
    table = figures(sim(*SMALL, "--malicious", "0.3", "--liars", "lazy", "--verification", "none"))
    assert int(table["wrong results accepted"]) > 0
    assert table["confidence"] == "nothing is said"


def test_a_trace_has_a_line_per_event(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    figures(sim("--nodes", "5", "--chunks", "50", "--trace", str(path)))
    lines = path.read_text().splitlines()
    assert any("submits" in line for line in lines)
    assert any("executed" in line for line in lines)
    assert any("finishes" in line for line in lines)


@pytest.mark.long
def test_curves_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "sim.png"
    figures(sim(*SMALL, "--plot", str(path)))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError('no matplotlib here')")
    done = sim(*SMALL, "--plot", str(tmp_path / "sim.png"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert "pip install 'pangea-compute[plot]'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "said", "remedy"),
    spread(
        2,
        [
            (("--nodes", "0"), "nodes is 0; it must be an integer between 1 and 100,000", "set nodes inside that range"),
            (("--malicious", "1.5"), "malicious is 1.5; it must be a number between 0.0 and 0.9", "set malicious inside"),
            (
                ("--liars", "copyer", "--malicious", "0.1"),
                "liars is 'copyer'; it must be one of random,",
                "did you mean 'copier'?",
            ),
            (("--latency", "soon"), "latency is 'soon'; it must be a duration such as", ""),
            (("--plot", "sim.jpeg"), "its name must end in .png, .svg, .pdf", "such as sim.png"),
            (("--mix", "--nodes", "5"), "--mix draws everything from the seed, --nodes too", "leave out"),
            (("--nodes", "many"), 'invalid value for --nodes: unable to convert "many" into int', "--help"),
        ],
    ),
)
def test_bad_input_is_named_with_range_and_remedy(words: tuple[str, ...], said: str, remedy: str) -> None:
    done = sim(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


def test_a_violated_checker_prints_the_seed_a_replay_and_the_last_events() -> None:
    done = run(sys.executable, "-c", BROKEN, "sim", "--nodes", "5", "--chunks", "50", "--loss", "0.01", "--seed", "4")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error CHECK_VIOLATED: exact result: planted" in done.stderr
    assert "seed: 4\n" in done.stderr
    assert "replay: pangea sim --nodes 5 --chunks 50 --loss 0.01 --seed 4\n" in done.stderr
    assert "finishes" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_violated_checker_is_an_object_under_json() -> None:
    done = run(sys.executable, "-c", BROKEN, "sim", "--mix", "--seed", "4", "--json")
    error = json.loads(done.stderr)["error"]
    assert done.returncode == 1
    assert error["details"]["checker"] == "exact result"
    assert error["details"]["command"] == "pangea sim --mix --seed 4"
    assert error["details"]["trace"]


@pytest.mark.parametrize("option", first(1, ["--plot", "--trace"]))
def test_a_file_that_cannot_be_written_is_an_error_that_names_its_option(option: str) -> None:
    done = sim(*SMALL, option, "/nowhere/at.png")
    assert done.returncode == 1
    assert f"{option} /nowhere/at.png: there is no folder /nowhere" in done.stderr


@pytest.mark.parametrize("name", first(1, ["-", "/dev/stdout"]))
def test_a_trace_doesn_t_go_where_the_figures_go(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = sim(*SMALL, "--trace", name)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert "the figures and --trace would both be written to standard output" in done.stderr
