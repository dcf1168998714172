"""The setting `sabotage`: which lie a node tells its parents, so that one can see a tree find it out.

For development only: whoever hasn't installed the extra `dev` can't have it. `liars` has the lies themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from pangea.compute.model.errors import ConfigError
from pangea.compute.model.limits import nearest

_DISTRIBUTION = "pangea-compute"
_EXTRA = "dev"
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)[^;]*;.*\bextra\s*==\s*['\"](?P<extra>[A-Za-z0-9._-]+)['\"]")
_FORM = re.compile(r"(?P<kind>[a-z]+)(?::(?P<number>[0-9]{1,4}(?:\.[0-9]{1,6})?))?")
_FACTOR_MAX = 1_000.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to cheat.

    Attributes:
        does: what it does, for people.
        number: what the number after the colon is, if none is given.
        is_share: whether that number is a share of tasks, 0 to 1; else it is a factor, 1 or more.
        is_middle: whether it needs children whose answers it passes on.
    """

    does: str
    number: float = 1.0
    is_share: bool = True
    is_middle: bool = False


#: Every kind, by its name. A number that isn't given is the kind's own.
KINDS: Final[dict[str, Kind]] = {
    "random": Kind("executes, then changes one of the task's results, in a share of tasks", 0.3),
    "lazy": Kind("answers without executing, with earlier results or empty ones and the usual fuel, in a share of tasks", 0.3),
    "constant": Kind("answers the same to everything, without executing"),
    "sleeper": Kind("is honest for 8 tasks, then lies in a share of tasks"),
    "clique": Kind("tells the same lies about the same tasks as all others of its kind, in a share of tasks", 0.3),
    "sybil": Kind("like clique, and comes back with a fresh key when it is shut out or has lied 5 times", 0.3),
    "underreporter": Kind("gives right results and half the fuel, in a share of tasks", 0.3),
    "overreporter": Kind("gives right results and twice the fuel, in a share of tasks", 0.3),
    "accuser": Kind("says that the job's code fails, in a share of tasks", 0.3),
    "merger": Kind("executes well, and merges wrongly"),
    "withholder": Kind("answers, and then never gives the results' bytes: refuses, or gives others"),
    "secretive": Kind("commits to answers under redundancy, and never shows them"),
    "rubberstamp": Kind("is honest with tasks, and signs as a witness whatever log it is shown"),
    "dropper": Kind("swallows a share of its children's answers", 0.3, is_middle=True),
    "tamperer": Kind("changes a share of its children's answers", 0.3, is_middle=True),
    "copier": Kind("gives its children's answers as its own", is_middle=True),
    "drifter": Kind("moves every float32 of a result by so many steps, up or down by turns", 1.0, is_share=False),
    "slow": Kind("is honest, and takes so many times as long", 4.0, is_share=False),
}


@dataclass(frozen=True, slots=True)
class Sabotage:
    """What a node does to its parents' tasks: `number` is a share or a factor, as the kind has it."""

    kind: str
    number: float

    @classmethod
    def parse(cls, text: str) -> Sabotage:
        """Read `KIND` or `KIND:NUMBER`.

        Raises:
            ConfigError: there is no such kind, or the number is out of range.
        """
        found = _FORM.fullmatch(text)
        if found is None or found["kind"] not in KINDS:
            near = nearest(text.partition(":")[0], list(KINDS))
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(KINDS)}"
            raise ConfigError(f"{text[:80]!r} is no kind of sabotage", hint=hint)
        kind = KINDS[found["kind"]]
        number = kind.number if found["number"] is None else float(found["number"])
        low, high = (0.0, 1.0) if kind.is_share else (1.0, _FACTOR_MAX)
        if not low <= number <= high:
            what = "share of tasks" if kind.is_share else "factor"
            raise ConfigError(f"the {what} in {text!r} is {number:g}; it must be {low:g} to {high:g}")
        return cls(found["kind"], number)


def setting(value: object) -> str:
    """The setting's value: empty, or a kind of sabotage on a machine for development.

    Raises:
        ConfigError: it is none, or this installation isn't for development.
    """
    text = str(value)
    if text:
        Sabotage.parse(text)
        if missing := missing_of(_EXTRA):
            raise ConfigError(
                f"sabotage is for development only, and {', '.join(missing)} of the extra `{_EXTRA}` "
                f"{'is' if len(missing) == 1 else 'are'} not installed",
                hint=f"pip install '{_DISTRIBUTION}[{_EXTRA}]' where you develop; never where others' jobs run",
            )
    return text


def missing_of(extra: str, distribution: str = _DISTRIBUTION) -> list[str]:
    """Requirements of an extra of a distribution that aren't installed; the distribution itself, if it isn't."""
    try:
        required = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return [distribution]
    found = [match for text in required if (match := _REQUIREMENT.match(text)) and match["extra"] == extra]
    names = sorted({match["name"] for match in found})
    return [name for name in names if not _is_installed(name)] if names else [f"{distribution}[{extra}]"]


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
