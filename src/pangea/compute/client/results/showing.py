"""How results show themselves in notebooks: what they are, and how they begin."""

from __future__ import annotations

import base64
import html
import json
from typing import Any

from pangea.compute.client.results import reading
from pangea.compute.model.html import figures
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.units import MIB, human_bytes

_ROWS = 10
_CHARACTERS = 2_000
#: More than this isn't read just to show how it begins.
_READ_BYTES_MAX = 64 * MIB


def value_bundle(value: bytes, kind: ResultKind) -> dict[str, Any]:
    """What a notebook may choose from: a line of text, HTML, and an image if it is one."""
    bundle: dict[str, Any] = {"text/plain": _line(value, kind.kind), "text/html": value_html(value, kind)}
    if kind.kind == "image" and value.startswith(b"\x89PNG"):
        bundle["image/png"] = base64.b64encode(value).decode()
    return bundle


def value_html(value: bytes, kind: ResultKind) -> str:
    """A table with kind and size, and the beginning of what the value is."""
    facts: list[tuple[str, object]] = [("kind", kind.kind), ("size", human_bytes(len(value)))]
    beginning = ""
    if len(value) <= _READ_BYTES_MAX:
        try:
            more, beginning = _beginning(value, kind)
            facts += more
        except Exception as error:  # whatever the libraries raise: showing a result never fails
            facts.append(("can't be shown", str(error)))
    return figures("result", facts) + beginning


def _line(value: bytes, kind: str) -> str:
    if kind == "bytes":
        more = "..." if len(value) > _CHARACTERS else ""
        return f"{bytes(value[:_CHARACTERS])!r}{more}"
    return f"<{type(value).__name__}: {kind}, {len(value):,} bytes>"


def _beginning(value: bytes, kind: ResultKind) -> tuple[list[tuple[str, object]], str]:
    match kind.kind:
        case "array":
            array = reading.array_of(value, copy=False)
            return [("type", str(array.dtype)), ("shape", str(array.shape))], _text(str(array))
        case "table":
            table = reading.arrow_of(value)
            rows = [("rows", table.num_rows), ("columns", table.num_columns)]
            return rows, str(table.slice(0, _ROWS).to_pandas()._repr_html_())
        case "json" | "jsonl":
            return [], _text(
                json.dumps(reading.json_of(value, kind.kind, is_joined=kind.is_joined), indent=1, ensure_ascii=False)
            )
        case "text":
            return [], _text(reading.text_of(value))
        case _:
            return [], ""


def _text(text: str) -> str:
    more = "\n…" if len(text) > _CHARACTERS else ""
    return f"<pre>{html.escape(text[:_CHARACTERS])}{more}</pre>"
