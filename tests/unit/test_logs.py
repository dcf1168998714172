from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pangea.compute.node import logs


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_a_line_of_json_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", format="json")
    logs.get("node").info("ready", workers=4)
    (event,) = lines(capsys)
    assert event.pop("timestamp").endswith("Z")
    assert event == {"room": "node", "event": "ready", "workers": 4, "level": "info"}


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str], level: str, said: list[str]) -> None:
    logs.configure(level=level, format="json")
    log = logs.get("node")
    for each in ("debug", "info", "warning", "error"):
        getattr(log, each)("event")
    assert [event["level"] for event in lines(capsys)] == said


def test_without_a_terminal_auto_is_json_and_text_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", format="auto")
    logs.get("node").info("ready")
    assert lines(capsys)[0]["event"] == "ready"
    logs.configure(level="info", format="text")
    logs.get("node").info("ready", workers=4)
    said = capsys.readouterr().err
    assert "ready" in said
    assert "workers=4" in said
    assert "\x1b" not in said


def test_on_a_terminal_auto_is_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.configure(level="info", format="auto")
    logs.get("node").info("ready")
    with pytest.raises(json.JSONDecodeError):
        json.loads(capsys.readouterr().err)


FORGERIES = ["a\n2026-01-01 [info] all is well", "\x1b[2J\x1b[H", "\r", "\u202egnihton", "\x9b31m", "\u2028", "\x00"]


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("text", FORGERIES)
def test_no_stranger_s_text_forges_a_line_or_steers_a_terminal(
    capsys: pytest.CaptureFixture[str],
    style: str,
    text: str,
) -> None:
    logs.configure(level="info", format=style)
    logs.get("rpc").info("call failed", error=f"before {text} after", errors=[text], record={text: text})
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert not set(text) & set("\r\x1b\u202e\x9b\u2028\x00") & set(said)
    assert "before" in said
    assert "after" in said


def test_a_long_text_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", format="json")
    logs.get("rpc").info("call failed", error="x" * 10_000_000)
    (event,) = lines(capsys)
    assert event["error"] == "x" * 2_000


@pytest.mark.parametrize("style", ["json", "text"])
def test_an_exception_s_text_is_as_harmless(capsys: pytest.CaptureFixture[str], style: str) -> None:
    logs.configure(level="info", format=style)
    secret = "the key"
    try:
        raise ValueError(f"evil \x1b[2J\u202e text of {len(secret)}\n2026-01-01 [info] all is well")
    except ValueError as error:
        logs.get("rpc").error("call failed", error=repr(error), exc_info=error)
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "evil" in said
    assert not {"\x1b", "\u202e"} & set(said)
    assert not any(line.startswith("2026-01-01") for line in said.splitlines())
    assert secret not in said


def test_a_log_that_can_not_be_written_ends_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch, open("/dev/full", "w", buffering=1) as full:
        patch.setattr(sys, "stderr", full)
        logs.configure(level="debug", format="json")
        for each in ("debug", "info", "warning", "error", "exception", "critical"):
            getattr(logs.get("node"), each)("event")
        full.buffer.raw.close()  # type: ignore[attr-defined]  # what it still holds has nowhere to go
        logs.get("node").info("event")
    logs.configure(level="info", format="json")
    logs.get("node").info("after")
    assert [event["event"] for event in lines(capsys)] == ["after"]
