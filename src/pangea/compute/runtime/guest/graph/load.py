"""From a job archive to the job's functions."""

from __future__ import annotations

import json
import zipfile
from typing import Any

from pangea.compute.runtime.guest.graph.arrays import ARRAYS
from pangea.compute.runtime.guest.graph.classes import CLASSES
from pangea.compute.runtime.guest.graph.codes import Codes
from pangea.compute.runtime.guest.graph.functions import FUNCTIONS
from pangea.compute.runtime.guest.graph.rebuilding import Rebuilding
from pangea.compute.runtime.guest.graph.settings import apply
from pangea.compute.runtime.guest.graph.values import VALUES
from pangea.compute.runtime.guest.library import MemoryFinder

_BUILDERS = {**FUNCTIONS, **CLASSES, **VALUES, **ARRAYS}


def rebuild(archive: zipfile.ZipFile, packages: MemoryFinder) -> tuple[dict[str, Any], list[Any]]:
    """The job's functions by role, and what has to stay alive as long as they do."""
    graph = json.loads(archive.read("graph.json"))
    apply(graph["settings"])
    codes = Codes(graph, archive.read("job.py").decode(), packages)
    rebuilding = Rebuilding(graph, codes, _BUILDERS)
    functions = rebuilding.run()
    return functions, [rebuilding.kept, rebuilding._modules]
