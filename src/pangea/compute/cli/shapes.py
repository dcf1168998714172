"""What each command's record has besides `schema` and `command`: docs/cli.md is made from it, and a test compares.

No command loads it.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Any

from pangea.compute.model.report import Report
from pangea.compute.model.status import JobStatus, NodeInfo
from pangea.compute.simulation.figures import Outcome

#: JSON's types, by the Python type that `json.loads` makes of each; an integer is a number, too.
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
    "null": (NoneType,),
    "any": (str, int, float, bool, list, dict, NoneType),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """One command's data.

    Attributes:
        keys: what is always there, by name; its type, or several with "or" between.
        may: what is there if there is something to say.
        about: when the data looks so, or how often it is printed, or "".
        is_on_stderr: since stdout is the result's.
    """

    keys: Mapping[str, str]
    may: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    is_on_stderr: bool = False

    def faults(self, data: object) -> list[str]:
        """What is wrong with `data`, one sentence each."""
        if not isinstance(data, dict):
            return [f"data is no object: {data!r}"]
        known = {**self.keys, **self.may}
        missing = [f"{name} is missing" for name in self.keys if name not in data]
        return missing + [
            f"{name} is {value!r}, not {known.get(name, 'known')}"
            for name, value in data.items()
            if name not in known or not _is(value, known[name])
        ]


def _is(value: object, types: str) -> bool:
    allowed = [kind for name in types.split(" or ") for kind in TYPES[name]]
    return isinstance(value, tuple(allowed)) and (bool in allowed or not isinstance(value, bool))


def _of(record: type, **more: str) -> dict[str, str]:
    """The fields of a dataclass as JSON has them, and what the record has besides."""
    hints = typing.get_type_hints(record)
    return {name: _type_of(hint) for name, hint in hints.items() if typing.get_origin(hint) is not typing.ClassVar} | more


def _type_of(hint: Any) -> str:
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        return " or ".join(map(_type_of, typing.get_args(hint)))
    kind = getattr(hint, "__supertype__", None) or typing.get_origin(hint) or hint
    if kind is NoneType:
        return "null"
    for name, types in (("boolean", bool), ("integer", int), ("number", float), ("string", str), ("list", (list, tuple))):
        if issubclass(kind, types):
            return name
    return "object"


_STATUS = _of(JobStatus)
_REPORT = {name: kind for name, kind in _of(Report).items() if name != "trace"}
_JOB_ID, _JOBS, _PEER_ID, _LENDS = {"job_id": "string"}, {"jobs": "list"}, {"peer_id": "string"}, {"lends": "string"}
_RECEIPT = {
    "receipt": "string",
    "verified": "boolean",
    "job": "object",
    "records": "integer",
    "workers": "integer",
    "findings": "list",
    "reexecuted": "object or null",
    "dispute": "object or null",
    "otherFindings": "list",
    "notChecked": "list",
    "page": "object or null",
}
_BAN = {
    "ban": "string",
    "verified": "boolean",
    "worker": "string",
    "verdict": "string",
    "why": "string",
    "task": "string",
    "signed": "object",
    "found": "object",
}
_NEIGHBOUR = {
    "relation": "string",
    "site": "string",
    "address": "string",
    "network": "string",
    "round_trip_ms": "number",
    "sent_bytes": "integer",
    "received_bytes": "integer",
    "witness": "object",
}
_CHILD = {
    "cores": "integer",
    "adapters": "integer",
    "nodes": "integer",
    "height": "integer",
    "tasks": "integer",
    "window": "integer",
    "answered": "integer",
    "turnaround_seconds": "number",
    "reliability": "number",
    "is_silent": "boolean",
    "parent": "string",
}
_WORKER = {
    "runtime": "string",
    "passes": "integer",
    "credibility": "number",
    "reliability": "number",
    "bans": "integer",
    "is_banned": "boolean",
    "split_passes": "integer",
    "split_credibility": "number",
    "merge_passes": "integer",
    "merge_credibility": "number",
}

#: By command; several where it depends on what is asked.
SHAPES: dict[str, tuple[Shape, ...]] = {
    "run": (Shape({"report": "object"}, {"verified": "list"}, "`verified` with `--verify`", is_on_stderr=True),),
    "build": (Shape({"path": "string", "language": "string", "functions": "list", "bytes": "integer", "sha256": "string"}),),
    "doctor": (Shape({"findings": "list"}, about="followed by an error if one of them is one"),),
    "sim": (Shape(_of(Outcome, scenario="string", messages_per_chunk="number", bytes_per_chunk="number")),),
    "devnet": (Shape({"node": "string", "nodes": "list"}, about="once all nodes are up"),),
    "node start": (Shape({**_PEER_ID, "node": "string", "data_dir": "string"}, about="once it serves; its log is on stderr"),),
    "node id": (Shape(_PEER_ID),),
    "node status": (Shape(_of(NodeInfo)),),
    "node pause": (Shape(_LENDS),),
    "node contributions": (Shape({"total": "object", "worked_for": "list", "rest": "object", "others": "integer"}),),
    "node resume": (Shape({**_LENDS, "was_paused": "boolean"}),),
    "job submit": (Shape(_JOB_ID),),
    "job list": (Shape({**_JOBS, "owner_fuel": "integer"}, about="`jobs` as of `job status`"),),
    "job status": (Shape(_STATUS),),
    "job wait": (Shape(_JOBS, about="once all have ended; `jobs` as of `job status`"),),
    "job watch": (Shape(_STATUS, about="a record at each change"),),
    "job logs": (Shape({**_JOB_ID, "prints": "string"}, about="a record for each piece; the last may be a traceback"),),
    "job result": (Shape({**_JOB_ID, "report": "object"}, is_on_stderr=True),),
    "job explain": (Shape({"status": "object", "score": "string", "tasks": "list", "total": "integer", "counts": "object"}),),
    "job tree": (
        Shape(
            {
                **_JOB_ID,
                "status": "object",
                "owner": "string",
                "verification": "string",
                "checks": "object",
                "workers": "list",
                "below": "list",
                "options": "object",
                "trace": "object",
            }
        ),
    ),
    "job receipt": (Shape({**_JOB_ID, "bytes": "integer"}, is_on_stderr=True),),
    "job plot": (Shape({**_JOB_ID, "what": "string", "path": "string"}, is_on_stderr=True),),
    "job report": (Shape({**_JOB_ID, "path": "string"}, is_on_stderr=True),),
    "job validate": (
        Shape(
            {
                "exports": "list",
                "segments": "integer",
                "chunks": "integer",
                "packs": "integer",
                "fuel": "object",
                "seconds": "object",
                "findings": "list",
            },
            about="followed by an error if there are findings",
        ),
    ),
    "job cancel": (Shape(_JOBS, about="`jobs`: `job_id`, and `is_cancelled`, false of those that had ended"),),
    "job rerun": (Shape(_JOB_ID, about="the new one"),),
    "peer list": (
        Shape(
            {
                **_PEER_ID,
                "site": "string",
                "path": "list",
                "peers": "list",
                "below": "list",
                "workers": "list",
                "banned": "list",
                "cross_site_bytes": "integer",
                "contributions": "object",
            },
            about="`contributions` as of `node contributions`",
        ),
    ),
    "peer show": (Shape({"peer": "string", "banned": "string"}, {**_NEIGHBOUR, **_CHILD, **_WORKER}, "what the node knows"),),
    "peer trust": (Shape({"workers": "list"}),),
    "peer ban": (Shape({"peer": "string", "reason": "string"}),),
    "peer pardon": (Shape({"peer": "string", "was_banned": "boolean"}),),
    "top": (Shape({"node": "object", "jobs": "list"}, about="one look; as of `node status` and `job status`"),),
    "dashboard": (Shape({"url": "string", "node": "string"}, about="once it serves"),),
    "verify": (
        Shape(_RECEIPT, about="a receipt; followed by an error if it doesn't stand"),
        Shape(_BAN, about="the proof of a ban; likewise"),
    ),
    "log prove": (Shape({"bytes": "integer"}, is_on_stderr=True),),
    "log check": (
        Shape(
            {
                "verified": "boolean",
                "log": "string",
                "entries": "integer",
                "witnesses": "object",
                "witness_count": "integer",
                "findings": "list",
            },
            {"job": "string", "index": "integer", "since": "integer"},
            "followed by an error if the proof doesn't stand",
        ),
    ),
    "log cosign": (Shape({"bytes": "integer"}, is_on_stderr=True),),
    "log witnessed": (
        Shape({"logs": "list"}, about="`logs`: `log`, `entries`, `story` (empty: it has only grown) and the files"),
    ),
    "log export": (Shape({"entries": "integer", "files": "integer", "folder": "string"}),),
    "config list": (Shape({"settings": "object"}, about="by name `value` and `source`"),),
    "config get": (Shape({"key": "string", "value": "any", "source": "string"}),),
    "config path": (Shape({"files": "list"}, about="`files`: `path` and `is_there`"),),
    "id": (Shape(_PEER_ID),),
    "completion": (Shape({"shell": "string", "script": "string"}, about="with `--json` alone, whatever PANGEA_OUTPUT says"),),
}
#: What is under `error`, in every command.
ERROR = Shape(
    {
        "code": "string",
        "message": "string",
        "where": "string",
        "hint": "string",
        "details": "object",
        "traceback": "string",
    }
)
