"""`pangea config`: what a node's settings are, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.model.errors import ConfigError

if TYPE_CHECKING:
    from pangea.compute.node.config import NodeConfig

app: App = App(name="config", help="Show a node's settings, and where each comes from.")


def settings(flags: Mapping[str, Any], config: Path | None) -> tuple[NodeConfig, dict[str, str]]:
    """The settings in force under these flags, and their sources.

    Raises:
        ConfigError: one of them is unknown or malformed.
    """
    from pangea.compute.node.config import load
    from pangea.compute.testing import sabotage

    environ = {**os.environ, "PANGEA_CONFIG": str(config)} if config is not None else dict(os.environ)
    found, sources = load(flags, environ=environ)
    sabotage.setting(found.sabotage)
    return found, sources


@app.command(name="list")
def show_all(*, config: Path | None = None, as_json: AsJson = False) -> None:
    """List every setting with its value and where that comes from.

    Parameters
    ----------
    config
        Configuration file to read instead of the usual ones.
    """
    found, sources = settings({}, config)
    rows = {name: (_plain(getattr(found, name)), source) for name, source in sources.items()}
    if wants_json(as_json=as_json):
        print_data({"settings": {name: {"value": value, "source": source} for name, (value, source) in rows.items()}})
        return
    width, most = max(map(len, rows)), max(len(str(value)) for value, _ in rows.values())
    for name, (value, source) in rows.items():
        print_out(f"{name:<{width}}  {value!s:<{most}}  {source}")


@app.command
def get(key: str, *, config: Path | None = None, as_json: AsJson = False) -> None:
    """Print one setting's value.

    Parameters
    ----------
    key
        The setting's name.
    config
        Configuration file to read instead of the usual ones.
    """
    from pangea.compute.model.limits import nearest

    found, sources = settings({}, config)
    if key not in sources:
        near = nearest(key, list(sources))
        raise ConfigError(f"unknown setting {key!r}", hint=f"did you mean {near!r}?" if near else "pangea config list", field=key)
    value = _plain(getattr(found, key))
    if wants_json(as_json=as_json):
        print_data({"key": key, "value": value, "source": sources[key]})
    else:
        print_out(str(value))


@app.command
def path(*, as_json: AsJson = False) -> None:
    """List the configuration files that are read, the strongest first, and whether each is there."""
    from pangea.compute.node.config import config_files

    files = {str(file.absolute()): file.exists() for file in config_files(os.environ)}
    if wants_json(as_json=as_json):
        print_data({"files": [{"path": file, "is_there": is_there} for file, is_there in files.items()]})
        return
    for file, is_there in files.items():
        print_out(f"{file}{'' if is_there else '  (not there)'}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value)
    return str(value) if isinstance(value, Path) else value
