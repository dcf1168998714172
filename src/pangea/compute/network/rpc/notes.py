"""What neighbours say to each other beside tasks and answers, as JSON. All of it may be a stranger's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Exclude, Lease, Message, Recall, Reveal

#: Of one note: ten thousand attempts, or jobs, take half a megabyte.
NOTE_CHARACTERS_MAX = 1 << 20
#: Of what each end says of itself, which may be a stranger's.
HELLO_CHARACTERS_MAX = 16 << 10
_NUMBER_MAX = 2**63 - 1
#: Nobody stands before more than this.
_CORES_MAX = 10**6
_HEIGHT_MAX = 64
_NAME_MAX = 256
_LIST_MAX = 20_000
_KINDS: dict[str, type[Message]] = {
    "beat": Beat,
    "lease": Lease,
    "cancel": Cancel,
    "recall": Recall,
    "reveal": Reveal,
    "shun": Exclude,
}
#: Values, names and brackets take time to read: of a list of as many as are taken there are fewer, and of a full map of places.
_PARTS_MAX = 24_000
#: Whole numbers take the longer to read the longer they are, squared; no name has so many digits in a row. What looks for them is
#: to be quick: an expression takes a hundred times as long as the library's search for bytes.
_DIGITS_MAX = 25
_DIGITS = bytes(ord("0") if chr(code).isascii() and chr(code).isdigit() else ord(" ") for code in range(256))
_NAMES = {kind: name for name, kind in _KINDS.items()}


def note_of(message: Message) -> str:
    """A message as JSON."""
    return json.dumps({"kind": _NAMES[type(message)], **asdict(message)})


def map_of(places: tuple[tuple[str, str, str], ...]) -> str:
    """What stands behind a node, as JSON: as much of it as a note may hold. What is in it was said by strangers."""
    note = json.dumps({"kind": "below", "places": places}, ensure_ascii=False)
    while len(note) > NOTE_CHARACTERS_MAX or _parts_of(note) > _PARTS_MAX:
        places = places[: len(places) // 2]
        note = json.dumps({"kind": "below", "places": places}, ensure_ascii=False)
    return note


def _parts_of(text: str) -> int:
    """Values, names and brackets, as far as can be told without reading: no fewer than there are."""
    return sum(map(text.count, ",:[{"))


def message_of(record: dict[str, Any]) -> Message:
    """What `note_of` wrote.

    Raises:
        PeerError: the kind is unknown, or a field is missing, of the wrong type or out of range.
    """
    kind = record.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise PeerError(f"a note of kind {str(kind)[:40]!r}")
    try:
        return reader(record)
    except (KeyError, TypeError, ValueError) as error:
        raise PeerError(f"a {kind} that makes no sense") from error


def record_of(text: str, characters_max: int = NOTE_CHARACTERS_MAX) -> dict[str, Any]:
    """The JSON object that a note is; its numbers are whole.

    Raises:
        PeerError: it is none, too long, or has a number that is none of ours.
    """
    if len(text) > characters_max:
        raise PeerError(f"a note of {len(text):,} characters; at most {characters_max:,}")
    if (parts := _parts_of(text)) > _PARTS_MAX:
        raise PeerError(f"a note of {parts:,} parts; at most {_PARTS_MAX:,}")
    if b"0" * _DIGITS_MAX in text.encode("utf-8", "surrogatepass").translate(_DIGITS):
        raise PeerError(f"a note with {_DIGITS_MAX} digits in a row")
    return object_of(text, parse_float=_no_fraction)


def _no_fraction(text: str) -> float:
    raise PeerError(f"a note with {text[:40]}; its numbers are whole")


def object_of(text: str, *, parse_float: Callable[[str], float] = float) -> dict[str, Any]:
    """The JSON object that a peer's text is.

    Raises:
        PeerError: it is none.
    """
    try:
        record = json.loads(text, parse_float=parse_float)
    except PeerError:
        raise
    except (ValueError, RecursionError) as error:
        raise PeerError("a text that isn't JSON") from error
    if not isinstance(record, dict):
        raise PeerError("JSON that is no object")
    return record


def _beat(record: dict[str, Any]) -> Beat:
    cores, window, nodes = (_number(record[name], _CORES_MAX) for name in ("cores", "window", "nodes"))
    adapters = _number(record.get("adapters", 0), _CORES_MAX)  # not said by nodes that know of none
    return Beat(cores=cores, window=window, nodes=nodes, height=_number(record["height"], _HEIGHT_MAX), adapters=adapters)


def _number(value: object, most: int = _NUMBER_MAX) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(type(value).__name__)
    return min(value, most)


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > _NAME_MAX:
        raise TypeError(type(value).__name__)
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _LIST_MAX:
        raise TypeError(type(value).__name__)
    return value


def _attempts(record: dict[str, Any]) -> tuple[int, ...]:
    numbers = _list(record["attempts"])
    if not set(map(type, numbers)) <= {int} or min(numbers, default=0) < 0 or max(numbers, default=0) > _NUMBER_MAX:
        return tuple(map(_number, numbers))  # one by one, to say what is wrong
    return tuple(numbers)


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "beat": _beat,
    "lease": lambda record: Lease(jobs=tuple(JobId(_name(each)) for each in _list(record["jobs"]))),
    "cancel": lambda record: Cancel(attempts=_attempts(record)),
    "recall": lambda record: Recall(count=_number(record["count"])),
    "reveal": lambda record: Reveal(attempts=_attempts(record), milliseconds=_number(record.get("milliseconds", 0))),
    "shun": lambda record: Exclude(
        job_id=JobId(_name(record["job_id"])), workers=tuple(PeerId(_name(each)) for each in _list(record["workers"]))
    ),
}
