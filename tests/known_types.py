"""How many of the public names have types that a checker needn't guess (`make types`), by pyright's own measure.

pyright looks for packages where an interpreter has them, and doesn't follow editable installs: so the package is copied into an
environment of its own for as long as this takes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[1] / "src/pangea"
LEAST = 0.99


def completeness(folder: Path) -> dict[str, Any]:
    """What pyright finds of the package, looked at in an environment in `folder`."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    shutil.copytree(SOURCES, packages / "pangea", ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    command = [sys.executable, "-m", "pyright", "--verifytypes", "pangea.compute", "--ignoreexternal", "--outputjson"]
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, stdout=subprocess.PIPE, check=False)
    found: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    return found


def main() -> int:
    """Print the share and what lacks a type; 1 if it is too little."""
    with tempfile.TemporaryDirectory() as folder:
        found = completeness(Path(folder))
    counts, share = found["exportedSymbolCounts"], found["completenessScore"]
    for symbol in found["symbols"]:
        if symbol["isExported"] and (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"]):
            print(symbol["name"], *[each["message"].splitlines()[0] for each in symbol["diagnostics"][:1]], sep=": ")
    known, names = counts["withKnownType"], sum(counts.values())
    print(f"types of {known:,} of {names:,} public names are known: {share:.1%}; {LEAST:.0%} must be")
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
