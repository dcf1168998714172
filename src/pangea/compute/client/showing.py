"""How results show themselves in notebooks: what they are, and how they begin."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any

from pangea.compute.model.html import figures
from pangea.compute.model.units import MIB, human_bytes

if TYPE_CHECKING:
    from pangea.compute.client.result import Value

_ROWS = 10
_CHARACTERS = 2_000
#: More than this isn't read just to show how it begins.
_READ_BYTES_MAX = 64 * MIB


def value_bundle(value: Value) -> dict[str, Any]:
    """What a notebook may choose from: a line of text, HTML, and an image if it is one."""
    bundle: dict[str, Any] = {"text/plain": _line(value), "text/html": value_html(value)}
    if value.kind == "image" and value.startswith(b"\x89PNG"):
        bundle["image/png"] = base64.b64encode(value).decode()
    return bundle


def value_html(value: Value) -> str:
    """A table with kind and size, and the beginning of what the value is."""
    facts: list[tuple[str, object]] = [("kind", value.kind), ("size", human_bytes(len(value)))]
    beginning = ""
    if len(value) <= _READ_BYTES_MAX:
        try:
            more, beginning = _beginning(value)
            facts += more
        except Exception as error:  # whatever the libraries raise: showing a result never fails
            facts.append(("can't be shown", str(error)))
    return figures("result", facts) + beginning


def _line(value: Value) -> str:
    if value.kind == "bytes":
        more = "..." if len(value) > _CHARACTERS else ""
        return f"{bytes(value[:_CHARACTERS])!r}{more}"
    return f"<{type(value).__name__}: {value.kind}, {len(value):,} bytes>"


def _beginning(value: Value) -> tuple[list[tuple[str, object]], str]:
    match value.kind:
        case "array":
            array = value.as_array(copy=False)
            return [("type", str(array.dtype)), ("shape", str(array.shape))], _text(str(array))
        case "table":
            table = value.as_arrow()
            rows = [("rows", table.num_rows), ("columns", table.num_columns)]
            return rows, str(table.slice(0, _ROWS).to_pandas()._repr_html_())
        case "json" | "jsonl":
            return [], _text(json.dumps(value.as_json(), indent=1, ensure_ascii=False))
        case "text":
            return [], _text(value.as_text())
        case _:
            return [], ""


def _text(text: str) -> str:
    more = "\n…" if len(text) > _CHARACTERS else ""
    return f"<pre>{html.escape(text[:_CHARACTERS])}{more}</pre>"
