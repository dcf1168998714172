"""What neighbours say of themselves and of who stands behind them, checked as it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import PeerId

#: (peer, its parent, its site).
Place = tuple[PeerId, PeerId, str]
#: Nodes below that are told of.
BELOW_MAX = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What each end says of itself when a link comes up.

    Attributes:
        site: where it says it is: a label that its operator chose, or "".
        path: of the parent: the nodes above it, root first, then itself.
        cores: of the child: tasks that its own engine runs at once.
        height: of the child: hops to the deepest node below it.
        meter: what counts fuel there; "" if it doesn't say.
        tested: of the child: seconds since its machine passed its own test; -1 if it never did.
    """

    site: str = ""
    path: tuple[PeerId, ...] = ()
    cores: int = 0
    height: int = 0
    meter: str = ""
    tested: int = -1

    def to_json(self) -> dict[str, Any]:
        """As it crosses."""
        plain = {name: getattr(self, name) for name in ("site", "cores", "height", "meter", "tested")}
        return {**plain, "path": list(self.path)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Hello:
        """What `to_json` gave; a later version may say more.

        Raises:
            PeerError: a field is of the wrong type or out of range.
        """
        site, path, meter = record.get("site", ""), record.get("path", []), record.get("meter", "")
        numbers = {name: record.get(name, 0) for name in ("cores", "height")}
        if not isinstance(site, str) or len(site) > 64 or not site.isprintable():
            raise PeerError("a site is a label of at most 64 printable characters")
        if not _is_label(meter):
            raise PeerError("a meter is a label of at most 70 printable characters")
        tested = record.get("tested", -1)
        if not isinstance(tested, int) or isinstance(tested, bool) or not -1 <= tested < 2**31:
            raise PeerError(f"tested is {str(tested)[:40]!r}; it must be a whole number of seconds, or -1")
        small = {name: _small(name, value) for name, value in numbers.items()}
        return cls(site=site, path=path_of(path), meter=meter, tested=tested, **small)


def path_of(value: object) -> tuple[PeerId, ...]:
    """A path from a root down, as a neighbour says it.

    Raises:
        PeerError: it is none, or longer than any tree is deep.
    """
    if not isinstance(value, list) or len(value) > 64 or not all(map(_is_label, value)):
        raise PeerError("a path is a list of at most 64 peer ids")
    return tuple(map(PeerId, value))


def _is_label(value: object) -> bool:
    """Whether something is short text that does nothing to a terminal."""
    return isinstance(value, str) and len(value) <= 70 and value.isprintable()


def _small(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise PeerError(f"{name} is {str(value)[:40]!r}; it must be a whole number up to a million")
    return value


def places_of(value: object) -> tuple[Place, ...]:
    """What a neighbour says stands behind it.

    Raises:
        PeerError: it makes no sense.
    """
    if not isinstance(value, list) or len(value) > BELOW_MAX:
        raise PeerError(f"what stands behind a node is a list of at most {BELOW_MAX:,}")
    for each in value:
        if not isinstance(each, list) or len(each) != 3 or not all(map(_is_label, each)):
            raise PeerError("a place in a tree is a peer, its parent and its site")
    return tuple((PeerId(peer), PeerId(parent), site) for peer, parent, site in value)
