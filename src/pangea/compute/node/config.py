"""A node's settings: what there are, and where their values come from.

One precedence: flags, then the environment (`PANGEA_DATA_DIR`), then configuration files (the one that is named, else
`./pangea.toml`, the user's, the machine's; table `[node]`), then the default. Unknown names are errors.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pangea.compute.engine.places import config_folder, data_folder
from pangea.compute.model.errors import ConfigError
from pangea.compute.model.gpu import ADAPTERS, is_driver
from pangea.compute.model.limits import nearest
from pangea.compute.model.quantities import parse_duration, parse_size
from pangea.compute.model.units import GIB
from pangea.compute.network.discovery.settings import Bootstrap
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.small_files import read_small
from pangea.compute.node.conditions import read_hours

_APP = "pangea-compute"
_PREFIX = "PANGEA_"
#: Variables that are other parts': the client's, the engine's, the command line's.
_FOREIGN = frozenset({"PANGEA_NODE", "PANGEA_OUTPUT", "PANGEA_CONFIG", "PANGEA_CRASH_AT", "PANGEA_IDENTITY", "PANGEA_CACHE_DIR"})
_BYTES_MAX = 1 << 20
_LEVELS = ("debug", "info", "warning", "error")
_FORMATS = ("auto", "text", "json")


def default_data_dir() -> Path:
    """Where a user's node lives unless told otherwise.

    Raises:
        ConfigError: this user has no home.
    """
    if (folder := data_folder()) is None:
        raise ConfigError("there is no home folder for a node's data", hint="set PANGEA_DATA_DIR, or HOME", field="data_dir")
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Settings of a node. Sizes may be written with units (50GiB), durations, too (10s, 7d).

    Attributes:
        data_dir: where the node keeps its key, journal and blobs, and its socket.
        listen: host:port for RPC over mutual TLS; empty: unix socket only.
        allow: peer ids that may submit over TCP.
        join: addresses of nodes to work for: the first that takes this one becomes its parent.
        find_parent: look for a parent among those that discovery finds.
        admit: peer ids that may work for this node as its children; `open`: any.
        children_max: children at once.
        site: a label of where the node is: links within a site are preferred.
        advertise: addresses (tcp://host:port/PEER_ID) to be found at; empty: the one of `listen`.
        discovery: host:port where others can ask whom this node knows; empty: no discovery.
        bootstrap: multiaddrs of peers to ask first.
        mdns: look on the local network, too.
        http: host:port of /healthz, /readyz and /metrics; empty: none.
        workers: worker processes; 0: one per core.
        memory_max: bytes that sandboxes may have together, by their jobs' limits; 0: no cap.
        engine: a cluster that runs the tasks instead: `dask://host:port`, `ray://host:port` or `ray`; empty: this machine.
        gpu: which adapter shaders may use, a parent's, too: auto (hardware before software), software, hardware or off; or the
            path of a Vulkan driver's .json file.
        only_idle: work for parents only while other programs leave this machine alone.
        hours: of the local day in which it works for parents, such as 22:00-07:00; empty: at any.
        battery: work for parents on battery, too.
        log_level: debug, info, warning or error.
        log_format: text, json, or auto: text on a terminal.
        jobs_per_owner_max: unfinished jobs of one owner.
        bytes_per_owner_max: bytes of input of one owner's unfinished jobs; likewise of content of its ended ones.
        fuel_per_owner_max: fuel units that one owner may ever use; 0: no limit.
        jobs_max: unfinished jobs in all.
        kept_jobs_max: ended jobs whose results are kept.
        kept_days: days that they are kept.
        connections_max: connections in all.
        calls_in_flight_max: unanswered calls on one connection.
        idle_seconds: seconds that a connection may be silent.
        handshake_seconds: seconds for a TLS handshake.
        stop_seconds: seconds that running tasks get at SIGTERM.
        sabotage: how the node cheats its parents, for development only; empty: not at all.
    """

    data_dir: Path = Path()
    listen: str = ""
    allow: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    find_parent: bool = False
    admit: tuple[str, ...] = ()
    children_max: int = 64
    site: str = ""
    advertise: tuple[str, ...] = ()
    discovery: str = ""
    bootstrap: tuple[str, ...] = ()
    mdns: bool = True
    http: str = ""
    workers: int = 0
    memory_max: int = 0
    engine: str = ""
    gpu: str = "off"
    only_idle: bool = False
    hours: str = ""
    battery: bool = False
    log_level: str = "info"
    log_format: str = "auto"
    jobs_per_owner_max: int = 2_000
    bytes_per_owner_max: int = 100 * GIB
    fuel_per_owner_max: int = 0
    jobs_max: int = 10_000
    kept_jobs_max: int = 10_000
    kept_days: float = 7.0
    connections_max: int = 256
    calls_in_flight_max: int = 1_024
    idle_seconds: float = 300.0
    handshake_seconds: float = 5.0
    stop_seconds: float = 10.0
    sabotage: str = ""


#: Lowest and highest value of each number.
RANGES: dict[str, tuple[float, float]] = {
    "workers": (0, 1024),
    "memory_max": (0, 1 << 60),
    "children_max": (0, 4096),
    "jobs_per_owner_max": (1, 1_000_000),
    "bytes_per_owner_max": (0, 1 << 60),
    "fuel_per_owner_max": (0, 10**18),
    "jobs_max": (1, 1_000_000),
    "kept_jobs_max": (0, 1_000_000),
    "kept_days": (0, 3650),
    "connections_max": (1, 100_000),
    "calls_in_flight_max": (1, 10_000),
    "idle_seconds": (0.1, 86_400),
    "handshake_seconds": (0.1, 600),
    "stop_seconds": (0, 3600),
}
NAMES = tuple(each.name for each in fields(NodeConfig))
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.\-]*):([0-9]{1,5})|")
_PORT_MAX = 65_535
_SITE_MAX = 64


def load(
    flags: Mapping[str, Any], *, environ: Mapping[str, str] | None = None, files: Sequence[Path] | None = None
) -> tuple[NodeConfig, dict[str, str]]:
    """The settings in force, and where each comes from.

    Args:
        flags: values given on the command line; None stands for not given.
        environ: the environment; this process's, if left out.
        files: configuration files, the strongest first; `config_files`, if left out. Missing ones are skipped.

    Raises:
        ConfigError: a name is unknown, or a value isn't one; names both, and the source.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    sources = dict.fromkeys(NAMES, "default")
    for path in reversed(config_files(environ) if files is None else files):
        for name, (value, source) in _from_file(path).items():
            values[name], sources[name] = _read(name, value, source), source
    for name, (value, source) in _from_environment(environ).items():
        values[name], sources[name] = _read(name, value, source), source
    for name, value in flags.items():
        if value is not None:
            source = "--" + name.replace("_", "-")
            values[name], sources[name] = _read(name, value, source), source
    if "data_dir" not in values:
        values["data_dir"] = default_data_dir()
    return NodeConfig(**values), sources


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Where settings are looked for, the strongest first.

    Raises:
        ConfigError: `PANGEA_CONFIG` names a file that isn't there.
    """
    if named := environ.get("PANGEA_CONFIG"):
        if not Path(named).is_file():
            raise ConfigError(f"there is no configuration file {named!r}", hint="--config or PANGEA_CONFIG names it")
        return [Path(named)]
    folders = [Path(), config_folder(), Path("/etc/pangea")]
    names = ["pangea.toml", "config.toml", "config.toml"]
    return [folder / name for folder, name in zip(folders, names, strict=True) if folder is not None]


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        text = read_small(path, _BYTES_MAX).decode()
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration file {path} can't be read: it is not UTF-8 text") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"the configuration file {path} can't be read: {reason}") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} isn't TOML: {error}") from error
    for table in content:
        if table != "node":
            raise ConfigError(f"unknown table [{table}] in {path}", hint="settings of a node go into [node]")
    table = content.get("node", {})
    if not isinstance(table, dict):
        raise ConfigError(f"node in {path} must be a table: [node]")
    return {_known(name, f"{path}:{_line(text, name)}"): (value, f"{path}:{_line(text, name)}") for name, value in table.items()}


def _line(text: str, name: str) -> int:
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(rf'\s*"?{re.escape(name)}"?\s*=', line)), 1)


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found = {}
    for variable, value in environ.items():
        if variable.startswith(_PREFIX) and variable not in _FOREIGN:
            name = _known(variable.removeprefix(_PREFIX).lower(), f"environment {variable}")
            found[name] = (value, f"environment {variable}")
    return found


def _known(name: str, source: str) -> str:
    if name not in NAMES:
        near = nearest(name, list(NAMES))
        hint = f"did you mean {near!r}?" if near else "`pangea config list` shows all there are"
        raise ConfigError(f"unknown setting {name!r} ({source})", hint=hint, field=name)
    return name


def _read(name: str, value: Any, source: str) -> Any:
    """A setting's value, from text or from what TOML knows.

    Raises:
        ConfigError: it isn't one.
    """
    try:
        read = _READERS.get(name, str)(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ManifestError is a ValueError, a home that is nowhere the last
        raise ConfigError(f"{name} is {value!r} ({source}): {_why(error)}", hint=_hint(error), field=name) from None
    if name in RANGES:
        low, high = RANGES[name]
        if not low <= read <= high:
            raise ConfigError(f"{name} is {value!r} ({source}); it must be between {low:,} and {high:,}", field=name)
    return read


def _why(error: Exception) -> str:
    return getattr(error, "message", "") or str(error)


def _hint(error: Exception) -> str:
    return getattr(error, "hint", "")


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"\d[\d_]*", str(value)):
        raise ValueError("it must be a whole number")
    return int(value)


def _days(value: Any) -> float:
    return float(str(value).removesuffix("d"))


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return str(value)

    return read


def _address(value: Any) -> str:
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[2] or 0) > _PORT_MAX:
        raise ValueError(f"it must be host:port, with a port up to {_PORT_MAX}")
    return str(value)


def _peers(value: Any) -> tuple[str, ...]:
    peers = value.replace(",", " ").split() if isinstance(value, str) else list(value)
    for peer in peers:
        if not re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{40,70}", str(peer)):
            raise ValueError(f"{peer!r} is no peer id")
    return tuple(peers)


def _admitted(value: Any) -> tuple[str, ...]:
    return ("open",) if value in ("open", ["open"], ("open",)) else _peers(value)


def _nodes(value: Any) -> tuple[str, ...]:
    texts = value.replace(",", " ").split() if isinstance(value, str) else list(map(str, value))
    for text in texts:
        if NodeAddress.parse(text).path is not None:
            raise ValueError(f"{text!r} isn't on the network: give it as /ip4/1.2.3.4/tcp/4040/p2p/PEER_ID")
    return tuple(texts)


def _bootstrap(value: Any) -> tuple[str, ...]:
    texts = value.replace(",", " ").split() if isinstance(value, str) else list(map(str, value))
    for text in texts:
        Bootstrap.parse(text)
    return tuple(texts)


def _site(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _SITE_MAX or not value.isprintable():
        raise ValueError(f"it must be at most {_SITE_MAX} printable characters")
    return value


def _engine(value: Any) -> str:
    if value in ("", "local", "ray") or re.fullmatch(r"(dask|ray)://[^\s/]+:[0-9]{1,5}", str(value)):
        return str(value)
    raise ValueError("it must be dask://host:port, ray://host:port, ray or local")


def _adapter(value: Any) -> str:
    if value in ADAPTERS or (isinstance(value, str) and is_driver(value)):
        return str(value)
    raise ValueError(f"it must be one of {', '.join(ADAPTERS)}, or the path of a Vulkan driver's .json file")


def _flag(value: Any) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in known:
        raise ValueError("it must be true or false")
    return known[str(value).lower()]


def _size(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else parse_size(str(value), "size")


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else parse_duration(str(value), "duration")


def _hours(value: Any) -> str:
    if value:
        read_hours(str(value))
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "data_dir": lambda value: Path(value).expanduser().absolute(),
    "listen": _address,
    "http": _address,
    "allow": _peers,
    "join": _nodes,
    "find_parent": _flag,
    "engine": _engine,
    "admit": _admitted,
    "site": _site,
    "advertise": _nodes,
    "discovery": _address,
    "bootstrap": _bootstrap,
    "mdns": _flag,
    "gpu": _adapter,
    "only_idle": _flag,
    "hours": _hours,
    "battery": _flag,
    "log_level": _choice(*_LEVELS),
    "log_format": _choice(*_FORMATS),
    "bytes_per_owner_max": _size,
    "memory_max": _size,
    "kept_days": _days,
    "idle_seconds": _seconds,
    "handshake_seconds": _seconds,
    "stop_seconds": _seconds,
    **dict.fromkeys(("workers", "children_max", "jobs_per_owner_max", "fuel_per_owner_max"), _integer),
    **dict.fromkeys(("jobs_max", "kept_jobs_max", "connections_max"), _integer),
    "calls_in_flight_max": _integer,
}
