"""Arrays to sort, from a seed, and what sorting makes of them: of each type, of lengths where sorting changes its way."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

KINDS = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "M8[s]", "m8[ns]")
_SIZES = (0, 1, 2, 17, 100, 255, 256, 257, 300, 1000, 5000, 8191, 8192, 8193, 20_000)
_LAYOUTS = ("plain", "plain", "strided", "reversed", "swapped", "read-only", "unaligned", "rows", "columns")
_ORDERS = ("bits", "bits", "numbers", "few", "sorted", "backwards", "nearly", "one far away", "constant", "halves")


def drawn(draw: Any, kind: str, size: int, order: str) -> Any:
    """`size` values of a type, of any bits or in some order. NaNs are made canonical: their signs and payloads differ."""
    values = np.frombuffer(draw.bytes(size * np.dtype(kind).itemsize), f"u{np.dtype(kind).itemsize}").copy()
    values = (values & 1).astype("?") if kind == "?" else values.view(kind)
    if kind[0] == "f":
        values[np.isnan(values)] = np.nan
    if order == "numbers" and kind[0] == "f":
        values = draw.standard_normal(size).astype(kind)
        for special in (np.nan, np.inf, -np.inf, 0.0, -0.0):
            values[draw.integers(0, size, 1 + size // 50) if size else []] = special
    elif order in ("numbers", "few"):
        values = draw.integers(0, 100, size).astype("u1" if kind == "?" else "i8").astype(kind)
        values[draw.integers(0, size, 5 if kind[0] in "mM" and size else 0)] = np.array("NaT" if kind[0] in "mM" else 0, kind)
    elif order in ("sorted", "backwards", "nearly"):
        values = np.sort(values, kind="stable")[:: -1 if order == "backwards" else 1].copy()
        if order == "nearly" and size:
            one, other = draw.integers(0, size, (2, 3))
            values[one], values[other] = values[other], values[one].copy()
    elif order == "one far away" and size and kind[0] in "iuf":
        values = draw.integers(0, 100 if kind[1] == "1" else 30_000, size).astype(kind)
        values[draw.integers(0, size)] = np.finfo(kind).max if kind[0] == "f" else np.iinfo(kind).max
    elif order == "constant":
        values[:] = values[:1]
    elif order == "halves":
        values[size // 2 :] = values[: size - size // 2]
    return values


def laid_out(values: Any, layout: str) -> Any:
    """The same values, otherwise in memory."""
    if layout == "strided":
        return np.repeat(values, 3)[::3]
    if layout == "reversed":
        return values[::-1].copy()[::-1]
    if layout == "swapped":
        return values.astype(values.dtype.newbyteorder())
    if layout == "unaligned":
        raw = np.zeros(values.nbytes + 1, "u1")
        raw[1:] = values.view("u1") if values.size else []
        return raw[1:].view(values.dtype)
    if layout in ("rows", "columns"):
        table = np.stack([values, values[::-1], np.roll(values, 7)])
        return table if layout == "rows" else np.asfortranarray(table)
    values.flags.writeable = layout != "read-only"
    return values


def canonical(values: Any) -> bytes:
    """Bytes that are equal where values are: zeros have no sign, NaNs one."""
    values = np.asarray(values)
    values = values.astype(values.dtype.newbyteorder("="))
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values + np.array(0, values.dtype))
    data: bytes = values.tobytes()
    return f"{values.dtype.str}{values.shape}".encode() + data


def outcome(seed: int) -> list[str]:
    """What sorting functions make of an array of this seed: which array it is, then digests, or errors' types."""
    draw = np.random.default_rng(seed)
    kind, layout, order = (str(draw.choice(each)) for each in (KINDS, _LAYOUTS, _ORDERS))
    size = int(draw.choice(_SIZES))
    values = laid_out(drawn(draw, kind, size, order), layout)
    probe, at = drawn(draw, kind, 20, "bits"), int(draw.integers(0, max(size, 1)))
    found = [f"{seed}: {kind} {layout} {order} {size}"]
    for function in (
        lambda: np.sort(values),
        lambda: np.sort(values, axis=0),
        lambda: np.sort(values, axis=None),
        lambda: np.sort(values, kind="stable"),
        lambda: np.sort(values, kind="heapsort"),
        lambda: in_place(values),
        lambda: np.argsort(values, kind="stable"),
        lambda: taken(values),
        lambda: np.partition(values, at, axis=None)[at : at + 1],
        lambda: np.unique(values),
        lambda: np.unique(values, return_counts=True)[1],
        lambda: np.unique(values, return_inverse=True)[1],
        lambda: np.searchsorted(np.sort(values, axis=None), probe),
        lambda: np.median(values),
        lambda: np.quantile(values, [0.1, 0.5], method="nearest"),
        lambda: np.percentile(values, 30, method="higher"),
        lambda: by_field(values),
        lambda: np.isin(values, probe[:5]),
        lambda: np.lexsort((values, values.astype("?"))),
    ):
        with np.errstate(all="ignore"):
            try:
                found.append(hashlib.sha256(canonical(function())).hexdigest()[:16])
            except Exception as error:
                found.append(type(error).__name__)
    return found


def in_place(values: Any) -> Any:
    """Sorted where it is."""
    values.sort()
    return values


def taken(values: Any) -> Any:
    """In the order that `argsort` gives, which ties may have differently here and there; it has each index once."""
    order = np.argsort(values, axis=None)
    assert np.array_equal(np.bincount(order, minlength=values.size), np.ones(values.size))
    return values.ravel()[order]


def by_field(values: Any) -> Any:
    """Records by a field, then the other."""
    values = values.ravel()[:300]
    records = np.empty(values.size, [("a", "i2"), ("b", values.dtype)])
    records["a"], records["b"] = np.arange(values.size) % 3, values
    return np.sort(records, order=["a", "b"])["b"]
