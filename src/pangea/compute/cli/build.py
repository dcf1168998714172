"""`pangea build`: a job from a source in another language."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pangea.compute.cli.console import say
from pangea.compute.cli.dashes import Output
from pangea.compute.cli.output import check_unread
from pangea.compute.cli.records import AsJson, print_data, wants_json
from pangea.compute.model.units import human_bytes


def build(
    source: Path,
    *,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Compile a source in C, C++, Zig, Rust, Go or AssemblyScript to a job: a WebAssembly module without imports.

    C, C++ and Zig need the extra `build` alone. What a source looks like: examples/guests. Then `pangea run job.wasm`.

    Parameters
    ----------
    source
        The file; its ending says the language.
    output
        Where the module goes; beside the source, with the ending .wasm, if it isn't said.
    """
    from pangea.compute.guests import building

    target = output or source.with_suffix(".wasm")
    check_unread({"--output": target}, [str(source)])
    built = building.build(source)
    building.write(built, target)
    found = {
        "path": str(target),
        "language": built.language,
        "functions": list(built.functions),
        "bytes": len(built.wasm),
        "sha256": hashlib.sha256(built.wasm).hexdigest(),
    }
    if wants_json(as_json=as_json):
        print_data(found)
        return
    say(f"{target}: {human_bytes(len(built.wasm))}, {', '.join(built.functions)}; sha256 {found['sha256']}")
