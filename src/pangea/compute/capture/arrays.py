"""Describe NumPy's values: arrays by their memory, views by the array that they look into, scalars and types by what they are.

NumPy is asked of `sys.modules`: without it loaded, a program has no such values.
"""

from __future__ import annotations

import array
import sys
from typing import Any

from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.buffers import address
from pangea.compute.capture.modules import type_name
from pangea.compute.capture.walk import Record, Walk

#: Floats of more than 64 bits: in the guest they have another size.
_LONG_DOUBLES = "gG"
_BUFFERS = (bytes, bytearray, memoryview, array.array)
_HINT_DTYPE = "use float64 or complex128"


def is_array(value: Any) -> bool:
    """Whether `value` is an array, scalar or type of NumPy's, or of a class derived from them; or the limits of floats."""
    numpy = sys.modules.get("numpy")
    kinds = ("ndarray", "generic", "dtype", "finfo")
    return numpy is not None and hasattr(numpy, "ndarray") and is_a(value, *(getattr(numpy, each) for each in kinds))


def describe_array(walk: Walk, value: Any) -> Record:
    """The record of what `is_array` says is one."""
    numpy: Any = sys.modules["numpy"]
    if isinstance(value, numpy.dtype):
        return ["numpy dtype", dtype(walk, value)]
    if isinstance(value, numpy.finfo):  # which says nothing of how it is copied
        return ["call", walk.ref(numpy.finfo), [walk.ref(value.dtype, "attribute", "dtype")]]
    if isinstance(value, numpy.memmap):
        walk.refuse("is an array in a file", "read it: numpy.array(it)")
    if isinstance(value, numpy.generic):
        return _scalar(walk, numpy, value)
    plain = value.view(numpy.ndarray)
    about: Record = [walk.ref(type(value), "type"), walk.ref(plain.dtype, "attribute", "dtype"), list(plain.shape)]
    state = vars(value) if hasattr(value, "__dict__") else {}
    rest = [bool(plain.flags.writeable), walk.pairs(state.items(), "attribute")]
    if plain.dtype == object:
        return ["numpy objects", *about, walk.refs(plain.ravel().tolist()), *rest]
    if plain.dtype.hasobject and plain.dtype.kind != "T":
        walk.refuse("is an array of records that hold objects", "use arrays of objects, one for each field")
    owner = _owner(numpy, value)
    if owner is not None:
        where = _address_of(numpy, owner)
        offset = int(plain.__array_interface__["data"][0]) - where
        return ["numpy view", *about, walk.ref(owner, "attribute", "base"), list(plain.strides), offset, *rest]
    order = sorted(range(plain.ndim), key=lambda axis: -abs(plain.strides[axis]))
    return ["numpy array", *about, order, walk.ref(plain.transpose(order).tobytes()), *rest]


def is_generator(value: Any) -> bool:
    """Whether `value` is one of NumPy's sources of random numbers."""
    random = sys.modules.get("numpy.random")
    kinds = [vars(random).get(name) for name in ("Generator", "RandomState", "BitGenerator", "SeedSequence")] if random else []
    return is_a(value, *(each for each in kinds if isinstance(each, type)))


def describe_generator(walk: Walk, value: Any) -> Record:
    """A source of random numbers, where it is: with its seed, as generators may be spawned from that."""
    random: Any = sys.modules["numpy.random"]
    kind = walk.ref(type(value), "type")
    if isinstance(value, random.SeedSequence):
        return ["call", kind, [], {name: walk.ref(each, "attribute", name) for name, each in value.state.items()}]
    if isinstance(value, random.Generator):
        return ["call", kind, [walk.ref(value.bit_generator, "attribute", "bit_generator")]]
    if isinstance(value, random.RandomState):
        state = value.get_state(legacy=False)
        return ["reduce", kind, [walk.ref(value._bit_generator, "attribute", "bit_generator")], [walk.ref(state)], [], [], None]
    seed = value.seed_seq if isinstance(value.seed_seq, random.SeedSequence) else 0
    return ["reduce", kind, [walk.ref(seed, "attribute", "seed_seq")], [walk.ref(value.state, "state")], [], [], None]


def _scalar(walk: Walk, numpy: Any, value: Any) -> Record:
    """A scalar: of its type, with its bits."""
    if type(value).__module__ != "numpy":
        walk.refuse(f"is a scalar of type {type_name(value)}, a class derived from NumPy's", "use a class that holds the number")
    if value.dtype.hasobject:
        walk.refuse("is a record that holds objects", "use a tuple")
    one = numpy.array(value, dtype=value.dtype)
    return ["numpy scalar", walk.ref(value.dtype, "attribute", "dtype"), walk.ref(one.tobytes())]


def dtype(walk: Walk, value: Any) -> Any:
    """A type as JSON: its text, or what it is made of.

    Raises:
        JobDefinitionError: the guest has none such.
    """
    if value.char in _LONG_DOUBLES or value.kind == "T":
        walk.refuse(f"is of NumPy's type {value}, which is another one in the sandbox", _HINT_DTYPE)
    if value.subdtype is not None:
        return {"base": dtype(walk, value.subdtype[0]), "shape": list(value.subdtype[1])}
    if value.names is None:
        return value.str
    fields = [value.fields[name] for name in value.names]
    return {
        "names": list(value.names),
        "formats": [dtype(walk, each[0]) for each in fields],
        "offsets": [each[1] for each in fields],
        "titles": [each[2] if len(each) > len(("type", "offset")) else None for each in fields],
        "itemsize": value.itemsize,
        "aligned": value.isalignedstruct,
        "record": value.type is sys.modules["numpy"].record,
    }


def _owner(numpy: Any, value: Any) -> Any:
    """What holds the memory that an array looks into; None if it is the array's own, or of a kind that can't be told."""
    base = value.base
    while isinstance(base, numpy.ndarray) and base.base is not None:
        base = base.base
    if type(base) is numpy.ndarray and _is_whole(base) and not base.dtype.hasobject:
        return base
    if isinstance(base, array.array) and base.typecode in "lL":
        return None
    return base if isinstance(base, _BUFFERS) else None


def _is_whole(value: Any) -> bool:
    """Whether an array has no gaps, in some order of its axes."""
    order = sorted(range(value.ndim), key=lambda axis: -abs(value.strides[axis]))
    return bool(value.transpose(order).flags.c_contiguous)


def _address_of(numpy: Any, owner: Any) -> int:
    return int(owner.__array_interface__["data"][0]) if isinstance(owner, numpy.ndarray) else address(memoryview(owner))
