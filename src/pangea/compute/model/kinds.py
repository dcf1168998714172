"""What a job's functions take and return: `input=` and `output=` of the decorators, made complete and checked.

A kind says how bytes become a value: `pangea.compute.data.kinds` does it, the same way in the sandbox and in a native run. What
isn't declared is bytes; split makes what execute takes; merge takes what execute returns, and returns that if it doesn't say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.limits import nearest, shown

InputKind = Literal["bytes", "text", "json", "jsonl", "array", "table"]
OutputKind = Literal["bytes", "text", "json", "jsonl", "array", "table", "image"]
#: What a function takes and what it returns.
Kinds = tuple[str, str]

BYTES: Kinds = ("bytes", "bytes")
#: How an input of this kind is cut, if nobody says: between whole rows.
_STRATEGIES = {"array": "npy_rows", "table": "arrow_batches", "text": "row_based", "jsonl": "row_based"}
#: Kinds that are each other's bytes, more or less: a chunk of JSON is text, too. What else meets can't be right.
_TEXTUAL = {"text", "json", "jsonl"}


class Declared(NamedTuple):
    """What one decorator said; None: nothing."""

    input: str | None = None
    output: str | None = None


class ResultKind(NamedTuple):
    """What a job's result is.

    Attributes:
        kind: as declared; "bytes" if nothing was, or nobody knows.
        is_joined: whether it is the results of the chunks, one behind the other, as the job has no merge; None: nobody knows.
    """

    kind: str = "bytes"
    is_joined: bool | None = None


def check_declared(role: str, declared: Declared) -> None:
    """Refuse a kind that there is none of.

    Raises:
        JobDefinitionError: names it, and the nearest.
    """
    outputs = get_args(InputKind) if role == "split" else get_args(OutputKind)
    for word, kind, known in (("input", declared.input, get_args(InputKind)), ("output", declared.output, outputs)):
        if kind is None or kind in known:
            continue
        near = nearest(str(kind), list(known))
        raise JobDefinitionError(
            f"{role} is declared {word}={shown(kind)}; it must be one of {', '.join(known)}",
            hint=f"did you mean {near!r}?" if near else "",
            role=role,
            option=word,
        )


def complete(declared: Mapping[str, Declared], roles: Mapping[str, object], *, is_associative: bool) -> dict[str, Kinds]:
    """Take and return of each function of a job.

    Args:
        declared: what the decorators said, by role.
        roles: of the functions that the job has.
        is_associative: whether merge may be given what merge returned.

    Raises:
        JobDefinitionError: a kind is unknown, or two of them don't fit together.
    """
    for role, each in declared.items():
        check_declared(role, each)
    split, execute, merge = (declared.get(role, Declared()) for role in ("split", "execute", "merge"))
    taken, returned = execute.input or "bytes", execute.output or "bytes"
    kinds = {
        "split": (split.input or "bytes", split.output or taken),
        "execute": (taken, returned),
        "merge": (returned, merge.output or returned),
    }
    if "split" in roles and not _fits(kinds["split"][1], taken):
        raise JobDefinitionError(
            f"split is declared output={kinds['split'][1]!r}, and execute input={taken!r}",
            hint="execute is given what split makes: declare the two alike",
        )
    if "merge" in roles and is_associative and kinds["merge"][0] != kinds["merge"][1]:
        raise JobDefinitionError(
            f"merge is declared associative, but takes {kinds['merge'][0]!r} and returns {kinds['merge'][1]!r}",
            hint="what it returned may be given to it again: declare execute and merge with the same output",
        )
    return {role: kinds[role] for role in roles}


def default_strategy(input_kind: str) -> dict[str, str]:
    """The option that cuts an input of this kind between whole rows; none if it has no rows."""
    return {"split_strategy": _STRATEGIES[input_kind]} if input_kind in _STRATEGIES else {}


def _fits(made: str, taken: str) -> bool:
    return made == taken or "bytes" in (made, taken) or {made, taken} <= _TEXTUAL
