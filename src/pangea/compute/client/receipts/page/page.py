"""Write a receipt's page: one file that opens with no network, and in which no text of a stranger can become a script."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import io
import json
import zipfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pangea.compute import runtime
from pangea.compute.client.receipts.page.captured import Captured
from pangea.compute.model.units import human_bytes
from pangea.compute.verification.receipt_file import dumps
from pangea.compute.verification.receipt_tree import Receipt

_ASSETS = Path(__file__).parent / "assets"
#: In this order; each uses those before it.
_SCRIPTS = ("bytes.js", "signatures.js", "check.js", "guest.js", "rerun.js", "page.js")
#: Of gzip: 9 takes four times as long for one percent.
_LEVEL = 6


def page_of(receipt: Receipt, *, module: bytes = b"", captured: Captured | None = None, missing: str = "") -> bytes:
    """The page of a receipt, whether it stands or not.

    Args:
        receipt: as it was read.
        module: the job's, if calls can be run from the page.
        captured: what these calls were given.
        missing: why not all calls can be run, in words; "" if all can.
    """
    parts: dict[str, bytes] = {}
    if captured is not None and captured.places:
        parts = {"calls": bytes(captured.inputs), "module": module}
        if _needs_python(module, captured.functions):
            parts["runtime"] = runtime.load()
    packed = {name: base64.b64encode(gzip.compress(data, _LEVEL, mtime=0)).decode() for name, data in parts.items()}
    receipt_text = _data(json.loads(dumps(receipt)))
    sizes = ", ".join(
        [f"{human_bytes(len(receipt_text))} of receipt", *(f"{human_bytes(len(packed[n]))} of {n}" for n in packed)]
    )
    script, style = _script(), (_ASSETS / "page.css").read_text()
    text = (_ASSETS / "page.html").read_text()
    page = text.format(
        policy=_policy(script, style),
        name=html.escape(receipt.job.name),
        style=style,
        script=script_sha256(),
        version=version("pangea-compute"),
        size=sizes,
        receipt=receipt_text,
        about=_data(_about(receipt, captured, missing)),
        parts="".join(f'<script type="text/plain" id="{name}">{data}</script>\n' for name, data in packed.items()),
        code=script,
    )
    return page.encode()


def script_sha256() -> str:
    """SHA-256 of the script of every page of this version, in hex."""
    return hashlib.sha256(_script().encode()).hexdigest()


def _about(receipt: Receipt, captured: Captured | None, missing: str) -> dict[str, Any]:
    """What the script must know of the page."""
    places = captured.places if captured is not None else {}
    if captured is not None and captured.left_out:
        missing = f"what {captured.left_out:,} calls were given would be more than {human_bytes(len(captured.inputs))}"
    calls = {
        task.removeprefix(f"{receipt.job.job_id}:"): {
            "start": place.start,
            "size": place.size,
            **({"leaves": [leaf.hex() for leaf in place.leaves]} if place.leaves else {}),
        }
        for task, place in places.items()
    }
    return {"calls": calls, "missing": missing}


def _needs_python(module: bytes, functions: set[str]) -> bool:
    """Whether one of a job's functions runs on the Python guest; the module has been executed here."""
    if not module.startswith(b"PK"):
        return False
    with zipfile.ZipFile(io.BytesIO(module)) as archive:
        described = json.loads(archive.read("job.json"))
    is_elsewhere = "kernels" in described or "gpu" in described
    return bool(functions - {"execute"}) or not is_elsewhere


def _data(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":  # else "</script>" in somebody's text would end the block
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@cache
def _script() -> str:
    return "\n".join((_ASSETS / name).read_text() for name in _SCRIPTS)


def _policy(script: str, style: str) -> str:
    return (
        f"default-src 'none'; script-src '{_named(script)}' 'wasm-unsafe-eval'; style-src '{_named(style)}';"
        " worker-src blob:; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _named(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
