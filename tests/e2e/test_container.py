"""deploy/Containerfile builds, and what it makes is a node at work. Takes minutes, buildah, and a base image with Python.

PANGEA_BUILDAH is the command with its options (else `buildah`), PANGEA_BASE_IMAGE a base that is here already (else the file's is
fetched).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILDAH = shlex.split(os.environ.get("PANGEA_BUILDAH", "buildah"))
BASE = os.environ.get("PANGEA_BASE_IMAGE", "docker.io/library/python:3.11-slim")
IMAGE = "localhost/pangea-node-test"
_READY = "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/readyz', timeout=3)"
#: Waits for the node, asks it, and stops it: what `podman run` and `podman exec` would do, also where there are no namespaces.
_SCRIPT = f"""
pangea node start --workers 1 & node=$!
until python3 -c "{_READY}" 2>/dev/null; do python3 -c "import time; time.sleep(1)"; done
id -u; PANGEA_NODE=/data pangea node status --json; kill -TERM $node; wait $node
"""
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(shutil.which(BUILDAH[0]) is None, reason="buildah isn't here (apt-get install buildah)"),
]


def buildah(*words: str, seconds: float = 1500) -> str:
    environ = os.environ | {"BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "chroot")}
    done = subprocess.run([*BUILDAH, *words], env=environ, capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0, f"buildah {words[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_the_image_is_a_node_at_work() -> None:
    try:
        buildah("inspect", "--type", "image", BASE)
    except AssertionError:
        try:
            buildah("pull", "-q", BASE, seconds=300)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"the base image {BASE} can't be fetched: {str(error)[-200:]}")
    certificates = ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"] if Path("/etc/ssl/certs").is_dir() else []
    arguments = ["--build-arg", f"BASE={BASE}", "--build-arg", "EXTRA=node", "--pull-never", *certificates]
    buildah("bud", "-q", "--layers=false", *arguments, "-f", str(ROOT / "deploy" / "Containerfile"), "-t", IMAGE, str(ROOT))
    container = buildah("from", "--pull-never", IMAGE).strip()
    try:
        said = buildah("run", "--user", "10001", container, "--", "sh", "-c", _SCRIPT, seconds=300)
    finally:
        buildah("rm", container)
        buildah("rmi", IMAGE)
    assert said.splitlines()[0] == "10001"
    assert '"peer_id": "12D3KooW' in said
