"""`report_html`: all about one run in one file that opens with no network, in light and dark.

The page loads nothing and runs nothing: its Content-Security-Policy forbids both. All text is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from pangea.compute.client.results.result import Result
from pangea.compute.model.errors import PictureError
from pangea.compute.pictures.runs import words
from pangea.compute.pictures.runs.facts import Run, RunFacts
from pangea.compute.pictures.runs.pictures import RUN_PICTURES, run_sheet
from pangea.compute.pictures.runs.results import picture_or_why
from pangea.compute.pictures.runs.scales import amount, seconds
from pangea.compute.pictures.runs.sheet import plain, style
from pangea.compute.pictures.values import theme
from pangea.compute.pictures.values.picture import Picture

#: Of prints and tracebacks so many characters are shown.
_TEXT_MAX: Final = 65_536
#: A larger picture of the result isn't shown.
_PICTURE_MAX: Final = 6_000_000
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_HEADINGS: Final = {"tree": "Who did what", "timeline": "When", "throughput": "How fast", "fuel": "At what cost"}
_STYLE: Final = (
    f":root{{color-scheme:light dark;--ink:{theme.INK};--quiet:{theme.INK_QUIET};--line:#dfe2e6;--page:#f6f7f9"
    f";--card:{theme.PAPER};--mark:{theme.PALETTE[1]};--good:{theme.PALETTE[2]};--link:{theme.PALETTE[0]}}}"
    "@media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--quiet:#a4a8ae;--line:#34383e;--page:#0f1114;--card:#16181c;"
    "--mark:#ff8a3d;--good:#2dc59a;--link:#56b4e9}}"
    f"body{{margin:0;background:var(--page);color:var(--ink);font:{theme.TEXT + 2}px/1.5 {theme.FONT.replace(chr(34), '')}}}"
    "main{max-width:980px;margin:0 auto;padding:24px 16px 48px}"
    "h1{margin:0;font-size:26px}h2{font-size:17px;margin:0 0 10px}header p{margin:4px 0;color:var(--quiet)}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px 18px;margin:16px 0}"
    "section{overflow-x:auto}"
    "section.drawn{padding:6px 2px}table{border-collapse:collapse}"
    "th,td{text-align:left;vertical-align:top;padding:3px 18px 3px 0;font-variant-numeric:tabular-nums}"
    "th{font-weight:normal;color:var(--quiet);white-space:nowrap}ul{margin:0;padding-left:20px}"
    ".state{display:inline-block;margin-left:12px;padding:1px 10px;border:2px solid;border-radius:12px;font-size:14px}"
    ".state{vertical-align:4px}.complete{color:var(--good)}.failed,.cancelled,.unverified{color:var(--mark)}.running,.pending,.merging{color:var(--link)}"
    "pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;max-height:480px;overflow-y:auto}"
    ".quiet{color:var(--quiet)}.result{background:#fff;color:#222;border-radius:6px;padding:8px;display:inline-block;max-width:100%;"
    "box-sizing:border-box;overflow-x:auto}.result img{max-width:100%;height:auto;display:block}svg{max-width:100%;height:auto}"
)


def run_report(run: Run) -> str:
    """All about a run, as one HTML page that opens with no network.

    Args:
        run: a result, or its report, of a job that ran here; the handle of a job on a node; the error that a job ended with.

    Raises:
        PictureError: nothing is known of the run but its result.
        PangeaError: the node of a handle can't be asked.
    """
    facts = RunFacts.of(run)
    result = run if isinstance(run, Result) else None
    if isinstance(run, Future) and facts.report is not None:  # a handle of a job that is complete
        result = run.result()
    picture, why = picture_or_why(result) if result is not None else (None, "")
    return report_html(facts, picture=picture, no_picture=why)


def report_html(facts: RunFacts, *, picture: Picture | None = None, no_picture: str = "") -> str:
    """A page about a run.

    Args:
        facts: the run.
        picture: of its result.
        no_picture: why there is none, in words.

    Raises:
        UnavailableError: a library that the result's picture needs is missing.
    """
    sections = [
        _error(facts.error),
        _result(facts, picture, no_picture),
        _section("How it was verified", _list(words.verification(facts))),
        _section("Figures", _table(_figures(facts))),
        *(_drawn(facts, what) for what in RUN_PICTURES),
        _section("Options", _table(_options(facts.options)) or "<p class='quiet'>all as they are by default</p>"),
        _section("Printed by the job", _text(facts.report.prints) if facts.report is not None else ""),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{plain(facts.name)} {plain(facts.job_id[:8])}</title><style>{_STYLE}{style()}</style></head>\n"
        f"<body><main>{_header(facts)}{''.join(sections)}</main></body></html>\n"
    )


def _header(facts: RunFacts) -> str:
    state = plain(facts.state)
    where = facts.report.where if facts.report is not None else "on this machine" if facts.is_here else f"on node {facts.owner}"
    return (
        f"<header><h1>{plain(facts.name)}<span class='state {state}'>{state}</span></h1>"
        f"<p>job {plain(facts.job_id or '?')}</p><p>{plain(where)}</p></header>\n"
    )


def _section(heading: str, body: str) -> str:
    return f"<section><h2>{html.escape(heading)}</h2>{body}</section>\n" if body else ""


def _error(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    line = f"<p class='failed'><b>{plain(str(error.get('code', 'ERROR')))}</b> {plain(str(error.get('message', '')))}</p>"
    hint = f"<p class='quiet'>{plain(str(error['hint']))}</p>" if error.get("hint") else ""
    return _section("What went wrong", line + hint + _text(str(error.get("traceback") or "")))


def _result(facts: RunFacts, picture: Picture | None, no_picture: str) -> str:
    if picture is not None and len(fragment := picture.fragment()) <= _PICTURE_MAX:
        title = f"<p><b>{plain(picture.title)}</b></p>" if picture.title and "<img" not in fragment else ""
        return _section("Result", f"{title}<div class='result'>{fragment}</div>{_list(picture.notes, 'quiet')}")
    if picture is not None:
        no_picture = "its picture is too large for a page: draw it by itself"
    size = f"{facts.report.bytes_out:,} bytes" if facts.report is not None else ""
    note = f"<p class='quiet'>{plain(no_picture)}</p>" if no_picture else ""
    return _section("Result", f"<p>{size}</p>{note}") if size else ""


def _drawn(facts: RunFacts, what: str) -> str:
    try:
        sheet, _ = run_sheet(facts, what)
    except PictureError as error:
        return _section(_HEADINGS[what], f"<p class='quiet'>{plain(error.message)}</p>")
    return f"<section class='drawn'>{sheet.svg(is_alone=False)}</section>\n"  # it has its own heading


def _figures(facts: RunFacts) -> Iterable[tuple[str, str]]:
    report = facts.report
    if report is None:
        yield "time", seconds(facts.seconds)
        yield "tasks done", f"{facts.trace.tasks:,}"
        yield "input", f"{facts.bytes_in:,} bytes"
        yield "fuel of those tasks", f"{sum(span.fuel for span in facts.trace.spans):,}"
        return
    yield "time", seconds(report.seconds)
    if report.startup_seconds:
        yield "starting the engine, compiling", seconds(report.startup_seconds)
    yield "input", _with_rate(report.bytes_in, report.seconds)
    yield "output", f"{report.bytes_out:,} bytes"
    yield "cut", f"{report.split_strategy}: {report.segments:,} segments"
    yield "chunks", f"{report.chunks:,} in {report.tasks:,} tasks"
    yield "tried again", f"{report.retries:,} tasks"
    yield "workers", f"{report.workers:,}"
    yield "fuel", f"{report.fuel:,} ({amount(report.fuel)})"
    times = (("split", report.split_seconds), ("execute", report.execute_seconds), ("merge", report.merge_seconds))
    yield "in sandboxes, all workers", ", ".join(f"{name} {seconds(time)}" for name, time in times)


def _with_rate(size: int, time: float) -> str:
    return f"{size:,} bytes" + (f" ({amount(size / time, 'B')}/s)" if size and time else "")


def _options(options: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _options(value, f"{name}.")
        else:
            yield f"{prefix}{name}", f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><th>{plain(name)}</th><td>{plain(value)}</td></tr>" for name, value in rows)
    return f"<table>{lines}</table>" if lines else ""


def _list(lines: Iterable[str], kind: str = "") -> str:
    items = "".join(f"<li>{plain(line)}</li>" for line in lines)
    return f"<ul class='{kind}'>{items}</ul>" if items else ""


def _text(text: str) -> str:
    cut = "" if len(text) <= _TEXT_MAX else f"\n… and {len(text) - _TEXT_MAX:,} characters more"
    return f"<pre>{plain(text[:_TEXT_MAX] + cut)}</pre>" if text.strip() else ""
