from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.cli.config import show_all
from pangea.compute.model.errors import ConfigError
from pangea.compute.model.units import GIB
from pangea.compute.node.config import NAMES, NodeConfig, load
from pangea.compute.node.storage.crash import crash_point

PEER = "12D3KooWSAG6mxSqXv1RZP77fkhofc9zWiVcbSMRugCC3NqVQivU"


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@given(given=st.lists(st.sampled_from(["flag", "environment", "strong file", "weak file"]), unique=True))
def test_of_several_sources_the_strongest_wins_and_is_named(tmp_path_factory: Any, given: list[str]) -> None:
    folder: Path = tmp_path_factory.mktemp("config")
    files = [folder / "strong.toml", folder / "weak.toml"]
    values = {"flag": 1, "environment": 2, "strong file": 3, "weak file": 4}
    for path, name in zip(files, ("strong file", "weak file"), strict=True):
        if name in given:
            written(path, f"[node]\n\nworkers = {values[name]}\n")
    config, sources = load(
        {"workers": 1 if "flag" in given else None},
        environ={"PANGEA_WORKERS": "2"} if "environment" in given else {},
        files=files,
    )
    strongest = next((name for name in values if name in given), None)
    assert config.workers == (values[strongest] if strongest else 0)
    assert (
        sources["workers"]
        == {
            None: "default",
            "flag": "--workers",
            "environment": "environment PANGEA_WORKERS",
            "strong file": f"{files[0]}:3",
            "weak file": f"{files[1]}:3",
        }[strongest]
    )


def test_every_setting_can_be_set_everywhere(tmp_path: Path) -> None:
    values: dict[str, Any] = dict.fromkeys(NAMES, "1")
    values |= {"listen": "0.0.0.0:1", "http": "[::1]:2", "allow": PEER, "log_level": "debug", "log_format": "json"}
    values |= {"join": f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}", "bootstrap": f"/ip4/127.0.0.1/tcp/2/p2p/{PEER}", "admit": "open"}
    values |= {"advertise": f"tcp://127.0.0.1:1/{PEER}", "discovery": "0.0.0.0:3", "site": "here", "engine": "ray"}
    values |= {
        "gpu": "software",
        "hours": "22:00-07:00",
        "sabotage": "",
        "bytes_per_owner_max": "2GiB",
        "idle_seconds": "1m",
        "data_dir": str(tmp_path),
    }
    in_environment, _ = load({}, environ={f"PANGEA_{name.upper()}": str(value) for name, value in values.items()}, files=[])
    by_flags, _ = load(values, environ={}, files=[])
    text = "[node]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    in_a_file, _ = load({}, environ={}, files=[written(tmp_path / "c.toml", text)])
    assert in_environment == by_flags == in_a_file
    assert in_a_file != NodeConfig()
    assert (in_a_file.bytes_per_owner_max, in_a_file.idle_seconds, in_a_file.allow) == (2 * GIB, 60.0, (PEER,))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[node]\nworkrs = 2", r"unknown setting 'workrs' \(.*c\.toml:2\)", "did you mean 'workers'?"),
        ("[node]\nworkers = 5000", r"workers is 5000 \(.*c\.toml:2\); it must be between 0 and 1,024", ""),
        ("[node]\nworkers = 'many'", "it must be a whole number", ""),
        ("[node]\nlisten = 'here'", "it must be host:port", ""),
        ("[node]\nlisten = 'here:70000'", "with a port up to 65535", ""),
        ("[node]\nhours = '8-17'", "it must be two different times of the day", ""),
        ("[node]\nhttp = '127.0.0.1:٣'", "it must be host:port", ""),
        ("[node]\nallow = ['nobody']", "'nobody' is no peer id", ""),
        ("[node]\nallow = 5", "allow is 5", ""),
        ("[node]\ndata_dir = 5", "data_dir is 5", ""),
        ("[node]\nkept_days = 'nan'", "kept_days is 'nan'", ""),
        ("[node]\nstop_seconds = nan", "stop_seconds is nan", ""),
        ("[node]\nworkers = true", "it must be a whole number", ""),
        ("[node]\nlog_level = 'loud'", "it must be one of debug, info, warning, error", ""),
        ("[node]\nbytes_per_owner_max = 'much'", "it must be a size such as", ""),
        ("[nod]\nworkers = 2", r"unknown table \[nod\]", "[node]"),
        ("workers = = 2", "isn't TOML", ""),
        ("node = 3", r"must be a table: \[node\]", ""),
    ],
)
def test_a_bad_file_is_an_error_that_names_the_place(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as bad:
        load({}, environ={}, files=[written(tmp_path / "c.toml", text)])
    assert hint in bad.value.hint


def test_an_unknown_variable_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting 'data_dirr' \(environment PANGEA_DATA_DIRR\)") as bad:
        load({}, environ={"PANGEA_DATA_DIRR": "/d", "PANGEA_NODE": "unix:/n", "HOME": "/"}, files=[])
    assert bad.value.hint == "did you mean 'data_dir'?"


def test_a_configuration_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file"):
        load({}, environ={"PANGEA_CONFIG": str(tmp_path / "none.toml")})


def test_the_list_says_where_each_value_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PANGEA_DATA_DIR", "/d")
    file = written(tmp_path / "c.toml", "[node]\nhttp = '127.0.0.1:9'\n")
    show_all(config=file, as_json=True)
    found = json.loads(capsys.readouterr().out)["settings"]
    assert list(found) == list(NAMES)
    assert found["data_dir"] == {"value": "/d", "source": "environment PANGEA_DATA_DIR"}
    assert found["http"] == {"value": "127.0.0.1:9", "source": f"{file}:2"}
    assert found["workers"] == {"value": 0, "source": "default"}
    show_all(config=file)
    assert f"{file}:2" in capsys.readouterr().out


def test_a_crash_is_asked_for_exactly_or_not_at_all() -> None:
    assert crash_point({}) is None
    for text in ("journal", "journal:", "journal:0", "journal:x"):
        with pytest.raises(ConfigError, match="a write point, a colon and a number"):
            crash_point({"PANGEA_CRASH_AT": text})


def test_addresses_of_nodes_are_of_the_network(tmp_path: Path) -> None:
    for text in ("/run/rpc.sock", "unix:/run/rpc.sock"):
        with pytest.raises(ConfigError, match="isn't on the network"):
            load({"join": [text]}, environ={}, files=[])
    multiaddr = f"/ip4/127.0.0.1/tcp/4040/p2p/{PEER}"
    assert load({"join": [multiaddr]}, environ={}, files=[])[0].join == (multiaddr,)


def test_whoever_may_work_is_named_or_anybody() -> None:
    assert load({"admit": ["open"]}, environ={}, files=[])[0].admit == ("open",)
    assert load({"admit": [PEER]}, environ={}, files=[])[0].admit == (PEER,)
    with pytest.raises(ConfigError, match="'all' is no peer id"):
        load({"admit": ["all"]}, environ={}, files=[])
