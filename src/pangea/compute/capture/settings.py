"""What a program has set in the standard library, and its functions rely on: as far as it differs from Python's own defaults."""

from __future__ import annotations

import binascii
import sys
from collections.abc import Container, Mapping
from typing import Any

_FIELDS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
_INT_DIGITS = 4300
_CSV_FIELD = 131072
_DIALECTS = {"excel", "excel-tab", "unix"}
_OF_DIALECT = ("delimiter", "quotechar", "escapechar", "lineterminator", "quoting", "doublequote", "skipinitialspace", "strict")
_RECURSION = 1000
_NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_NUMPY_SHOWN = {
    "edgeitems": 3,
    "threshold": 1000,
    "floatmode": "maxprec",
    "precision": 8,
    "suppress": False,
    "linewidth": 75,
    "nanstr": "nan",
    "infstr": "inf",
    "sign": "-",
    "legacy": False,
}


def settings(zones: Mapping[str, bytes], libraries: Container[str] = ()) -> dict[str, Any]:
    """The settings that travel, for `runtime.guest.graph.settings`.

    Args:
        zones: data of the time zones that are named in code.
        libraries: modules of the library that the job uses.
    """
    found: dict[str, Any] = {}
    if (context := _decimal()) is not None:
        found["decimal"] = context
    if (digits := sys.get_int_max_str_digits()) != _INT_DIGITS:
        found["int_digits"] = digits
    if (depth := sys.getrecursionlimit()) != _RECURSION:
        found["recursion"] = depth
    csv = sys.modules.get("csv")
    if csv is not None and (size := csv.field_size_limit()) != _CSV_FIELD:
        found["csv_field"] = size
    if csv is not None and "csv" in libraries and (named := sorted(set(csv.list_dialects()) - _DIALECTS)):
        found["csv_dialects"] = {name: {each: getattr(csv.get_dialect(name), each) for each in _OF_DIALECT} for name in named}
    found |= _numpy()
    if zones:
        found["zones"] = {key: binascii.b2a_base64(data, newline=False).decode() for key, data in sorted(zones.items())}
    return found


def _decimal() -> dict[str, Any] | None:
    """The context of decimal numbers in this thread; None if it is the one that every program starts with."""
    decimal = sys.modules.get("decimal")
    if decimal is None:
        return None
    context = decimal.getcontext()
    about = {name: getattr(context, name) for name in _FIELDS}
    traps = sorted(signal.__name__ for signal, is_set in context.traps.items() if is_set)
    usual = {"prec": 28, "rounding": "ROUND_HALF_EVEN", "Emin": -999999, "Emax": 999999, "capitals": 1, "clamp": 0}
    if about == usual and traps == ["DivisionByZero", "InvalidOperation", "Overflow"]:
        return None
    flags = sorted(signal.__name__ for signal, is_set in context.flags.items() if is_set)
    return {**about, "traps": traps, "flags": flags}


def _numpy() -> dict[str, Any]:
    """What NumPy does about errors, and how it shows arrays."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not hasattr(numpy, "geterr"):
        return {}
    errors, shown = numpy.geterr(), numpy.get_printoptions()
    changed = {name: shown[name] for name, usual in _NUMPY_SHOWN.items() if shown.get(name, usual) != usual}
    return ({"numpy_errors": errors} if errors != _NUMPY_ERRORS else {}) | ({"numpy_shown": changed} if changed else {})
