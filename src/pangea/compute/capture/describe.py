"""What describes a thing: by its exact type, or as a class, or as an instance."""

from __future__ import annotations

import copyreg
import sys
import types
from collections.abc import Callable
from typing import Any

from pangea.compute.capture import arrays, iterators, library, modules
from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.callables import CALLABLES
from pangea.compute.capture.classes import class_
from pangea.compute.capture.homes import CYTHON
from pangea.compute.capture.instances import instance, reduced
from pangea.compute.capture.walk import Record, Walk

_KNOWN = {id(kind): known for kind, known in {**library.LIBRARY, **iterators.ITERATORS, **CALLABLES}.items()}


def describe(walk: Walk, value: Any) -> Record:
    """The record of `value`.

    Raises:
        JobDefinitionError: it can't travel.
    """
    kind = type(value)
    if kind is types.FunctionType and library.is_dispatcher(value):
        return library.dispatcher(walk, value)
    known = _KNOWN.get(id(kind))
    if known is not None:
        record: Record = known(walk, value)
        return record
    if str(kind.__module__).startswith(CYTHON):  # a function in C, such as `numpy.random.default_rng`
        return modules.named(walk, value)
    if arrays.is_array(value):
        return arrays.describe_array(walk, value)
    if arrays.is_generator(value):
        return arrays.describe_generator(walk, value)
    if is_a(value, type):
        return class_(walk, value)
    if is_a(value, types.ModuleType):
        return modules.module(walk, value)
    if (reducer := _reducer(walk, kind)) is not None:
        return reduced(walk, reducer(value))
    return instance(walk, value)


def _reducer(walk: Walk, kind: type) -> Callable[[Any], Any] | None:
    """How `copyreg` takes a type of the standard library apart, if that or the user has said so.

    Not if another package has: once Dask's `distributed` is imported, tblib takes apart all exceptions, and what it makes of one
    that keeps something in C lacks that in the sandbox.
    """
    if str(kind.__module__) not in sys.stdlib_module_names or issubclass(kind, BaseException):
        return None
    found: Any = copyreg.dispatch_table.get(kind)
    if found is None:
        return None
    home = getattr(found, "__module__", None) or ""
    return found if home.partition(".")[0] in sys.stdlib_module_names or walk.homes.is_value(home) else None
