"""What a program has set in the standard library, and its functions rely on."""

from __future__ import annotations

import binascii
import csv
import decimal
import sys
from typing import Any

import numpy

from pangea.compute.runtime.guest.graph.zones import know


def apply(settings: dict[str, Any]) -> None:
    """Set what differs from Python's own defaults."""
    if "decimal" in settings:
        decimal.setcontext(_context(settings["decimal"]))
    if "int_digits" in settings:
        sys.set_int_max_str_digits(settings["int_digits"])
    if "recursion" in settings:
        sys.setrecursionlimit(settings["recursion"])
    for key, data in settings.get("zones", {}).items():
        know(key, binascii.a2b_base64(data))
    if "numpy_errors" in settings:
        numpy.seterr(**settings["numpy_errors"])
    if "numpy_shown" in settings:
        numpy.set_printoptions(**settings["numpy_shown"])
    if "csv_field" in settings:
        csv.field_size_limit(settings["csv_field"])
    for name, options in settings.get("csv_dialects", {}).items():
        csv.register_dialect(name, **options)


def _context(about: dict[str, Any]) -> decimal.Context:
    traps = [getattr(decimal, name) for name in about["traps"]]
    flags = [getattr(decimal, name) for name in about["flags"]]
    return decimal.Context(**{**about, "traps": traps, "flags": flags})
