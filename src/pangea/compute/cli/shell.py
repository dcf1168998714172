"""`pangea id` and `pangea completion`: who one is to nodes, and what a shell needs to complete commands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json

if TYPE_CHECKING:
    from cyclopts import App

#: Where each shell looks for the script, by itself or once it is told to.
_PLACES = {
    "bash": "~/.local/share/bash-completion/completions/pangea",
    "zsh": '"${fpath[1]}/_pangea"',
    "fish": "~/.config/fish/completions/pangea.fish",
}
#: Arguments that are texts, as a job may be named in its file, and yet files: that of `run` and the like, and some options.
_ZSH_FILES = re.compile(r"('(?:1:A job file|\*(?:--target|--input|-i|--plot)\[)[^\n]*)'(?= \\$)", re.M)
#: The script defines a function; loaded by its file's name it is to be called, read by `source` to be made known.
_ZSH_END = """
if [[ $funcstack[1] == _pangea ]]; then
  _cyclopts_pangea "$@"
else
  compdef _cyclopts_pangea pangea
fi"""


def show_identity(*, identity: Path | None = None, as_json: AsJson = False) -> None:
    """Print your peer id, which a node over TCP has to be told (--allow) before it takes your jobs.

    The id of a node on this machine is `pangea node id`'s to print.

    Parameters
    ----------
    identity
        Your key file; it is made if it isn't there [default: PANGEA_IDENTITY].
    """
    from pangea.compute.cli.usage import UsageError
    from pangea.compute.network.identity import Identity

    key = identity or os.environ.get("PANGEA_IDENTITY")
    if not key:
        raise UsageError("pangea id needs a key file", hint="pangea id --identity my.key, or set PANGEA_IDENTITY; it is made")
    peer = Identity.load_or_create(Path(key)).peer_id
    print_data({"peer_id": peer}) if wants_json(as_json=as_json) else print_out(peer)


def completion_of(app: App, shell: Literal["bash", "zsh", "fish"]) -> str:
    """A script with which `shell` completes the commands of `app`, and where to put it."""
    place = f"# pangea completion {shell} > {_PLACES[shell]}"
    first, rest = app.generate_completion(prog_name="pangea", shell=shell).rstrip("\n").split("\n", 1)
    if shell == "bash":  # files where it has nothing to offer: jobs, inputs
        rest = rest.replace("complete -F ", "complete -o default -F ")
    if shell == "zsh":
        rest = _ZSH_FILES.sub(r"\1:_files'", rest) + _ZSH_END
    return f"{first}\n{place}\n{rest}"
