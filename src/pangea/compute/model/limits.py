"""What one guest may use. The manifest says, the engine enforces, the error names the limit and the figure."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.units import CHUNK_BYTES_MAX, GIB, LIST_ITEMS_MAX, MIB, MODULE_BYTES_MAX, RESULT_BYTES_MAX

FUEL_MODULE = 10**9
FUEL_PYTHON = 10**11
#: Of a wrong value, in an error.
SHOWN_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Resource limits of a job; each is an integer but `time` and `compile_time`, which are seconds.

    Attributes:
        fuel: units per chunk, and per call of split and merge; 0 stands for the default of the job's kind: 10^9 for modules
            (Wasmtime's fuel), 10^11 for Python (the guest's own meter). A unit is about an instruction of WebAssembly in either.
        memory: bytes of linear memory.
        time: seconds per task attempt.
        module: bytes of a module.
        compile_time: seconds to compile a module.
        compile_memory: bytes to compile a module.
        chunk: bytes of one chunk.
        result: bytes of one result.
        items: length of a list (of chunks or results).
    """

    fuel: int = 0
    memory: int = 256 * MIB
    time: float = 30.0
    module: int = MODULE_BYTES_MAX
    compile_time: float = 60.0
    compile_memory: int = 2 * GIB
    chunk: int = CHUNK_BYTES_MAX
    result: int = RESULT_BYTES_MAX
    items: int = LIST_ITEMS_MAX

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ManifestError: a field has the wrong type or is out of range.
        """
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            allowed = (int, float) if name in ("time", "compile_time") else (int,)
            if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
                raise ManifestError(
                    f"limits.{name} is {shown(value)}; it must be {'a number' if float in allowed else 'an integer'}"
                    f" between {low:,} and {high:,}",
                    hint=f"set limits.{name} inside that range, or leave it out",
                    field=f"limits.{name}",
                )

    @classmethod
    def of(cls, value: Limits | dict[str, Any] | None) -> Limits:
        """Limits from what a user may write: nothing, `Limits`, or a mapping of its fields.

        Raises:
            ManifestError: not one of those, an unknown name, or a value out of range.
        """
        if value is None:
            return cls()
        if isinstance(value, Limits):
            return value
        if not isinstance(value, dict):
            raise ManifestError(f"limits is a {type(value).__name__}; it must be a Limits or a mapping", field="limits")
        for name in value:
            if name not in RANGES:
                raise unknown_field(f"limits.{name}", [f"limits.{known}" for known in RANGES])
        return cls(**value)

    def with_fuel_for(self, *, python: bool) -> Self:
        """The same limits with the default fuel of the job's kind filled in."""
        return self if self.fuel else replace(self, fuel=FUEL_PYTHON if python else FUEL_MODULE)

    def to_json(self) -> dict[str, int | float]:
        """The fields that differ from the defaults."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}


#: Lowest and highest value of each field. A 32-bit guest has at most 4 GiB; memory below 64 KiB is less than one page.
RANGES: dict[str, tuple[int, int]] = {
    "fuel": (0, 10**15),
    "memory": (64 << 10, 4 * GIB),
    "time": (0, 7 * 24 * 3600),
    "module": (8, MODULE_BYTES_MAX),
    "compile_time": (0, 3600),
    "compile_memory": (64 * MIB, 64 * GIB),
    "chunk": (1, CHUNK_BYTES_MAX),
    "result": (1, RESULT_BYTES_MAX),
    "items": (1, LIST_ITEMS_MAX),
}


def unknown_field(name: str, known: list[str]) -> ManifestError:
    """The error for an unknown field, with the nearest known name."""
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else f"known names: {', '.join(sorted(known))}"
    return ManifestError(f"unknown field {shown(name)}", hint=hint, field=name[:SHOWN_CHARACTERS_MAX])


def shown(value: object) -> str:
    """`value` as an error shows it: a stranger's may be megabytes long."""
    text = repr(value[:SHOWN_CHARACTERS_MAX] if isinstance(value, str | bytes) else value)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def nearest(name: str, known: list[str]) -> str | None:
    """The known name most like `name`, or None when none is like it."""
    if len(name) > SHOWN_CHARACTERS_MAX:
        return None  # comparing takes as long as the name is
    from difflib import get_close_matches

    matches = get_close_matches(name, known, n=1, cutoff=0.5)
    return matches[0] if matches else None
