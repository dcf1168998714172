"""deploy/grafana-dashboard.json asks for what nodes tell, in Prometheus' language."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pangea.compute.node.service.metrics import Metrics

ROOT = Path(__file__).parents[2]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
TARGETS = [target["expr"] for panel in PANELS for target in panel["targets"]]
_FUNCTIONS = {"sum", "rate", "increase", "count", "max", "by", "histogram_quantile"}
#: That whoever scrapes adds.
_ADDED = {"job", "instance"}


def metrics() -> Metrics:
    """A node's figures, none of them without a label's value."""
    made = Metrics()
    made.job_ended("complete")
    made.task_ended("done", 0.1)
    return made


def told() -> dict[str, set[str]]:
    """The labels of each series of a node, by its name."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics().exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def variables_filled(text: str) -> str:
    return text.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")


@pytest.mark.parametrize("expression", TARGETS)
def test_each_series_and_label_that_is_asked_for_is_told(expression: str) -> None:
    known = told()
    plain = re.sub(r'"[^"]*"|\[[^]]*\]', "", expression)
    labels = {name for group in re.findall(r"by \(([^)]*)\)", plain) for name in group.split(", ")}
    labels |= set(re.findall(r"(\w+)=", plain))
    names = set(re.findall(r"[a-z_][a-z0-9_]*", plain)) - _FUNCTIONS - labels
    assert names
    assert names <= set(known)
    assert labels - _ADDED <= set().union(*(known[name] for name in names))


def test_every_series_of_its_own_that_a_node_tells_is_shown() -> None:
    shown = " ".join(TARGETS)
    own = {re.sub("_(bucket|count|sum)$", "", name) for name in told() if name.startswith("pangea_")}
    assert {name for name in own if name not in shown} == set()


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_it_can_be_imported_beside_any_data_source() -> None:
    assert (BOARD["uid"], BOARD["schemaVersion"]) == ("pangea-nodes", 39)
    names = [variable["name"] for variable in BOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance"], "a variable uses those before it alone"
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert "id" not in BOARD, "which the importing Grafana gives"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool isn't here (apt-get install prometheus)")
def test_promtool_finds_nothing_wrong_with_names_and_expressions(tmp_path: Path) -> None:
    names = subprocess.run(["promtool", "check", "metrics"], input=metrics().exposition(), check=False, capture_output=True)
    assert (names.returncode, names.stderr) == (0, b"")
    rules = [{"record": f"a:{number}", "expr": variables_filled(each)} for number, each in enumerate(TARGETS)]
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    expressions = subprocess.run(["promtool", "check", "rules", str(path)], check=False, capture_output=True)
    assert expressions.returncode == 0, expressions.stderr
