"""HTML pages that are one file and open with no network.

A page may load nothing and talk to nobody: its Content-Security-Policy says so, and allows one script, by its hash. So text
of strangers can't become a script even if it got past the escaping. Charts are drawn as pictures; where scripts may run,
the same chart takes the picture's place, with figures under the pointer. It runs without `eval`, too.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from pangea.compute.pictures.values import scripts, theme

_STYLE = (
    f"body{{margin:16px;background:{theme.PAPER};color:{theme.INK};font:{theme.TEXT + 2}px {theme.FONT.replace(chr(34), '')}}}"
    "figure{margin:0 0 16px;overflow-x:auto}figure img{max-width:100%;height:auto}"
    "table{border-collapse:collapse}th,td{padding:3px 14px 3px 0;text-align:left;vertical-align:top}"
    f"th{{border-bottom:2px solid {theme.QUIET}}}td{{border-bottom:1px solid {theme.GRID}}}"
    f"caption,.note{{color:{theme.INK_QUIET};text-align:left}}"
    f"caption b{{color:{theme.INK};font-size:{theme.TITLE}px}}"
)

#: Draws each chart of the page in the place of its picture, and leaves the picture if that fails.
_SHOW = """
for (const holder of document.querySelectorAll("figure[data-chart]")) {
  const spec = JSON.parse(document.getElementById(holder.dataset.chart).textContent);
  const place = document.createElement("div");
  const options = {mode: "vega-lite", renderer: "svg", ast: true,
                   actions: {export: true, source: false, compiled: false, editor: false}};
  holder.append(place);
  vegaEmbed(place, spec, options).then(
    () => { holder.querySelector("img").remove(); holder.dataset.live = "yes"; },
    (error) => { place.remove(); console.error(error); });
}
"""


def document(title: str, body: str, charts: Mapping[str, dict[str, Any]] | None = None) -> str:
    """A whole page.

    Args:
        title: text; it is escaped here.
        body: HTML, already safe. `figure(name, …)` gives the place of a chart.
        charts: Vega-Lite specifications by the names of their figures; without any, the page has no script at all.
    """
    data = "".join(_data_block(name, spec) for name, spec in (charts or {}).items())
    script = _script() if charts else ""
    allowed = f"'sha256-{_digest(script)}'" if script else "'none'"
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n{data}"
        f"{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def figure(name: str, still: str) -> str:
    """The place of a chart of `document`: `still` is the `img` that is shown until the chart is drawn, or for good."""
    return f'<figure data-chart="{html.escape(name)}">{still}</figure>'


def image(data: bytes, kind: str, alt: str) -> str:
    """An `img` with its content in it: what is inside can neither run scripts nor disturb the page around it.

    Args:
        data: the file.
        kind: its media type, such as `image/png`.
        alt: what it shows, in words; escaped here.
    """
    return f'<img alt="{html.escape(alt)}" src="data:{kind};base64,{base64.b64encode(data).decode()}">'


def _data_block(name: str, spec: dict[str, Any]) -> str:
    text = json.dumps(spec, allow_nan=False, ensure_ascii=True)
    for sign in "<>&":  # else "</script>" in somebody's text would end the block
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{html.escape(name)}">{text}</script>\n'


@cache
def _script() -> str:
    """The script and what starts it; the same in every page."""
    return scripts.vega() + _SHOW


@cache
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
