"""The committed guest is the one that its sources make."""

import json
import shutil
from pathlib import Path

import pangea.compute
from pangea.compute.runtime.build.sources import digest, guest_files

PACKAGE = Path(pangea.compute.__file__).parent


def test_the_guest_was_built_of_these_sources() -> None:
    pinned = json.loads((PACKAGE / "runtime/python-runtime.json").read_text())["sources"]

    assert pinned == digest(PACKAGE), "the guest lags behind its sources: run `make runtime`, and commit what it makes"


def test_code_changes_the_digest_and_comments_do_not(tmp_path: Path) -> None:
    few = [path for path in guest_files(PACKAGE) if path.name in ("__init__.py", "frames.py")]
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for path in few:
        for package in (here, elsewhere):
            (package / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PACKAGE / path, package / path)
    frames = elsewhere / "model/frames.py"
    text = frames.read_text()
    assert digest(elsewhere) == digest(here)

    frames.write_text(f"# another comment\n{text}")
    assert digest(elsewhere) == digest(here)

    frames.write_text(f"{text}\nANOTHER = 1\n")
    assert digest(elsewhere) != digest(here)
