"""Small tables in HTML, for notebooks: text from anywhere, escaped, in whatever colours the notebook has."""

from __future__ import annotations

import html
from collections.abc import Iterable

_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"


def figures(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A heading and a table of names and values.

    Args:
        title: the heading; names in code style are up to the caller's text.
        rows: name and value of each line; lines whose value is empty text or None are left out.

    Returns:
        A `div`, with everything escaped.
    """
    lines = "".join(
        f"<tr><th style='{_CELL};font-weight:normal;opacity:.65'>{html.escape(name)}</th>"
        f"<td style='{_CELL}'>{html.escape(_text(value))}</td></tr>"
        for name, value in rows
        if value is not None and value != ""
    )
    return f"<div><b>{html.escape(title)}</b><table style='border:none;margin:4px 0'>{lines}</table></div>"


def bundle(plain: str, shown: str) -> dict[str, str]:
    """What a notebook may choose from: text, and HTML."""
    return {"text/plain": plain, "text/html": shown}


def bar(share: float) -> str:
    """A progress bar of `share`, 0 to 1."""
    percent = 100 * min(max(share, 0.0), 1.0)
    return (
        f"<div role='progressbar' aria-valuenow='{percent:.0f}' style='width:20em;height:.6em;border:1px solid #0072B2;"
        f"border-radius:3px'><div style='width:{percent:.1f}%;height:100%;background:#0072B2'></div></div>"
    )


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
