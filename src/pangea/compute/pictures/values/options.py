"""What a caller asks of a picture beside its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias

from pangea.compute.model.errors import PictureError
from pangea.compute.pictures.values.wording import TITLE_LETTERS_MAX, shown

#: Bars, rows or ranges that may be asked for: each is drawn, and more than this nobody can see.
NUMBER_MAX: Final = 10_000
Aggregate: TypeAlias = Literal["sum", "mean", "min", "max", "median", "count"]


Scale: TypeAlias = Literal["linear", "log"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOptions:
    """The options of `visualize`; None where nothing is asked."""

    title: str | None = None
    x: str | None = None
    y: str | Sequence[str] | None = None
    color: str | None = None
    x_label: str | None = None
    y_label: str | None = None
    unit: str | None = None
    top: int | None = None
    bins: int | None = None
    labels: Sequence[str] | None = None
    aggregate: Aggregate | None = None
    sort: bool | None = None
    scale: Scale | None = None

    @property
    def is_log(self) -> bool:
        """Whether amounts are to stand by their logarithms."""
        return self.scale == "log"

    @property
    def heading(self) -> str:
        """The title as it is shown, or ""."""
        return shown(self.title or "", TITLE_LETTERS_MAX)

    def check(self, kind: str, known: frozenset[str]) -> None:
        """Refuse options that this kind of picture doesn't have.

        Raises:
            PictureError: names them.
        """
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        strange = [name for name in given if name not in known | {"title"}]
        if strange:
            raise PictureError(
                f"a {kind} picture has no option {', '.join(strange)}",
                hint=f"it has {', '.join(sorted(known | {'title'}))}",
                options=strange,
            )
        if self.scale not in (None, "linear", "log"):
            raise PictureError(f"scale is {self.scale!r}; it must be 'linear' or 'log'")
        for name in ("top", "bins"):
            number = getattr(self, name)
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= NUMBER_MAX:
                raise PictureError(f"{name} is {number!r}; it must be a whole number from 1 to {NUMBER_MAX:,}")
