"""deploy/helm: Helm itself lints and renders the chart, Kubernetes' schemas take what it makes, nodes understand their commands.

Helm is in the package helm-python-sdk (75 MB, `make deploy-tools`): the real linter, as a library. Without it nothing is tested.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.cli.node import app

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "pangea"
PEER = "12D3KooW" + "A" * 44
WORKERS = {"workers": {"replicas": 3, "owner": PEER}}
EVERYTHING: dict[str, Any] = {
    "image": {"repository": "registry.example/pangea-node", "tag": "x", "pullSecrets": [{"name": "secret"}]},
    "owner": {
        "allow": [PEER],
        "admit": [PEER],
        "storageClass": "fast",
        "env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://c"}],
    },
    "workers": {"replicas": 2, "owner": PEER, "storageClass": "slow"},
    "networkPolicy": {"clients": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "metrics": [{"namespaceSelector": {}}]},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
#: A second runtime, Go's, comes into the process: not beside the default tests.
pytestmark = [pytest.mark.slow, pytest.mark.long]
VALUES = pytest.mark.parametrize("values", [{}, WORKERS, EVERYTHING], ids=["default", "workers", "everything"])


@pytest.fixture(scope="module")
def helm() -> Any:
    return pytest.importorskip("helm_python", reason="Helm isn't here (make deploy-tools)")


def rendered(helm: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    """What the chart installs."""
    yaml = pytest.importorskip("yaml", reason="no PyYAML: pip install pyyaml")
    files = helm.Chart.load(CHART).render(values, name="test", namespace="here")
    texts = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


@VALUES
def test_helm_lints_it_without_a_word(helm: Any, values: dict[str, Any]) -> None:
    report = helm.lint(CHART, values, strict=True)
    assert (report["total_charts_linted"], report["messages"], report["errors"]) == (1, [], [])


@VALUES
def test_kubernetes_takes_what_it_installs(helm: Any, values: dict[str, Any]) -> None:
    check = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate isn't here (make deploy-tools)")
    made = rendered(helm, values)
    kinds = [each["kind"] for each in made]
    assert kinds.count("StatefulSet") == (2 if values.get("workers") else 1)
    assert {"Service", "NetworkPolicy"} <= set(kinds)
    for each in made:
        check.validate(each, "1.30", strict=True)


@VALUES
def test_nodes_understand_their_command_lines_and_keep_their_walls(helm: Any, values: dict[str, Any]) -> None:
    for each in rendered(helm, values):
        if each["kind"] == "StatefulSet":
            pod = each["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            _, bound, _ = app.parse_args(["start", *container["args"]])
            flags = bound.arguments["flags"]
            assert flags.join if each["metadata"]["name"].endswith("worker") else flags.listen == "0.0.0.0:4040"
            assert pod["securityContext"]["runAsNonRoot"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_workers_without_their_owner_s_id_are_refused_and_so_are_values_that_make_no_sense(helm: Any) -> None:
    with pytest.raises(helm.HelmError, match=r"workers\.owner: the peer id"):
        rendered(helm, {"workers": {"replicas": 1}})
    wrong: list[dict[str, Any]] = [{"owner": {"listen": "x"}}, {"workers": {"owner": "nobody"}}, {"onwer": {}}]
    for values in wrong:
        assert helm.lint(CHART, values)["errors"], values


def test_its_version_is_the_package_s() -> None:
    text = (CHART / "Chart.yaml").read_text()
    project = (CHART.parents[2] / "pyproject.toml").read_text()
    (version,) = [line.partition('"')[2].rstrip('"') for line in project.splitlines() if line.startswith("version = ")]
    assert f'appVersion: "{version}"' in text
    assert json.loads((CHART / "values.schema.json").read_text())["additionalProperties"] is False
